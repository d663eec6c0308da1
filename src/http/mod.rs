//! Metrics, API, health.
