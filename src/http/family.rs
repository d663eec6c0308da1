//! The table of all metric families: what the collector fills and what `docs/metrics.md` shows.
//!
//! Names follow Prometheus: base units, the unit last, `_total` on counters. Energy is in joules.

/// What a family counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows, until a restart.
    Counter,
    /// Counts by size.
    Histogram,
}

impl Kind {
    /// As in the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// A family with so many labels: a sample with more or fewer of them does not compile.
#[derive(Debug)]
pub(super) struct Family<const N: usize> {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) labels: [&'static str; N],
}

/// A family as a row of the table.
#[derive(Debug)]
pub struct Row {
    /// Full name.
    pub name: &'static str,
    /// What it counts as.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
}

macro_rules! families {
    ($($id:ident $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) static $id: Family<{ const LABELS: &[&str] = &[$($label),*]; LABELS.len() }> =
            Family { name: concat!("wattkeeper_", $name), kind: Kind::$kind, help: $help, labels: [$($label),*] };)*

        /// All families, in the order of the documentation.
        pub static FAMILIES: &[Row] = &[
            $(Row { name: concat!("wattkeeper_", $name), kind: Kind::$kind, help: $help, labels: &[$($label),*] },)*
        ];
    };
}

families! {
    // The daemon.
    BUILD_INFO Gauge "build_info" ["version", "revision"] "Always 1; the build as labels.";
    SITE_INFO Gauge "site_info" ["site"] "Always 1; the site's name as label.";
    SITE_TIME Gauge "site_time_seconds" [] "The site's wall clock; runs faster than the real one in the demo only.";
    CLOCK_TRUSTED Gauge "clock_trusted" [] "1 while the wall clock is trusted; before that no window and no month rolls over.";
    LOOP_AGE Gauge "loop_age_seconds" ["loop"] "Time since a loop of the daemon last turned.";
    RELOAD_OK Gauge "config_last_reload_successful" [] "1 if the config in force is the one that was last asked for.";
    RELOAD_TIME Gauge "config_last_reload_timestamp_seconds" [] "When a config was last read, at start or by reload.";

    // The site.
    SITE_POWER Gauge "site_power_watts" ["source"] "Power into the busbar by source: grid (import +), pv, battery (discharge +); and consumption, their sum. Absent while one of its inputs is stale.";
    BATTERY_POWER Gauge "battery_power_watts" ["device"] "Battery power, discharge positive.";
    BATTERY_SOC Gauge "battery_soc_ratio" ["device"] "State of charge, 0 to 1.";
    PV_POWER Gauge "pv_power_watts" ["device"] "PV power, generation positive.";
    LOAD_POWER Gauge "load_power_watts" ["device"] "Power of a measured load, consumption positive.";

    // Devices.
    DEVICE_INFO Gauge "device_info" ["device", "profile", "roles", "manufacturer", "model", "serial"] "Always 1; what a device is, as labels.";
    DEVICE_UP Gauge "device_up" ["device"] "1 while the device answers.";
    DEVICE_LINK Gauge "device_link" ["device", "state"] "1 for the state that the link is in: starting, up, down, asleep (unreachable in the dark, as its profile says).";
    DEVICE_SUCCESS Gauge "device_last_success_timestamp_seconds" ["device"] "Site time of the last successful read; 0 = never.";
    POWER Gauge "power_watts" ["device", "point"] "A point in watts: active power (into the busbar positive), limits.";
    APPARENT Gauge "apparent_power_voltamperes" ["device", "point"] "A point in volt-amperes.";
    REACTIVE Gauge "reactive_power_vars" ["device", "point"] "A point in vars.";
    VOLTAGE Gauge "voltage_volts" ["device", "point"] "A point in volts.";
    CURRENT Gauge "current_amperes" ["device", "point"] "A point in amperes.";
    FREQUENCY Gauge "frequency_hertz" ["device", "point"] "A point in hertz.";
    TEMPERATURE Gauge "temperature_celsius" ["device", "point"] "A point in degrees Celsius.";
    RATIO Gauge "point_ratio" ["device", "point"] "A point that is a share, 0 to 1.";
    ENERGY Counter "energy_joules_total" ["device", "point", "direction"] "A device's energy counter; direction is import, export, charge or discharge where the point's name says so.";
    STORED Gauge "stored_energy_joules" ["device", "point"] "A point in watt-hours that is no counter: energy stored, capacity.";
    POINT Gauge "point_value" ["device", "point"] "A point without a unit: states, counts, power factors, contacts.";

    // Buses.
    REQUESTS Counter "device_requests_total" ["device"] "Modbus requests sent.";
    ERRORS Counter "device_errors_total" ["device", "kind"] "Failed exchanges by what went wrong.";
    DURATION Histogram "device_request_duration_seconds" ["device"] "Time from request to answer.";
    WRITES Counter "device_register_writes_total" ["device"] "Registers written.";

    // Control.
    CONTROL_STATE Gauge "control_state" ["state"] "1 for the state that control is in: controlling, dry-run, not-controlling. The API says why.";
    DECISIONS Counter "control_decisions_total" [] "Decisions made, restarts included.";
    DECISION_TIME Gauge "control_last_decision_timestamp_seconds" [] "Site time of the last decision.";
    RULE_ACTIVE Gauge "control_rule_active" ["rule"] "1 for the rule that set the target: the wish, or the limit whose bound cut it.";
    WISH Gauge "control_wish_watts" [] "Grid power that the topmost wish wants; absent without a wish.";
    TARGET Gauge "control_target_watts" [] "Grid power aimed at: the wish inside all bounds; absent while there is none.";
    BATTERY_TARGET Gauge "control_battery_watts" [] "Sum of the battery setpoints, discharge positive.";
    RANGE Gauge "control_range_watts" ["side"] "All bounds together at the grid point: least and most import; an open side is absent.";
    BOUND Gauge "control_bound_watts" ["rule", "side"] "Bound of a limit rule at the grid point: least and most import; an open side is absent.";
    BINDING Gauge "control_bound_binding" ["rule"] "1 while the rule's bound changes the outcome.";
    CLAMPED Gauge "control_bound_clamped" ["rule"] "1 while rules above left less room than the rule asked for.";
    BOUND_SECONDS Counter "rule_bound_seconds_total" ["rule"] "Time that the rule's bound changed the outcome, in dry-run too.";
    BOUND_ENERGY Counter "rule_bound_energy_joules_total" ["rule"] "Energy that the rule's bound moved: what it changed at the grid point, over time, in dry-run too.";

    // Demand.
    DEMAND_LIMIT Gauge "demand_limit_watts" [] "Limit in force of the topmost peak rule with a window.";
    DEMAND_ENERGY Gauge "demand_energy_joules" [] "Import in its running window, unseen time counted at the limit.";
    DEMAND_PROJECTION Gauge "demand_projection_watts" [] "Mean import of its window if grid power stayed as it is.";
    DEMAND_ALLOWED Gauge "demand_allowed_watts" [] "Mean import allowed for the rest of its window.";
    DEMAND_LEFT Gauge "demand_left_seconds" [] "Time left in its window.";
    DEMAND_PEAK Gauge "demand_billed_peak_watts" [] "Highest window of the billing period so far.";
    WINDOW_ENERGY Gauge "demand_window_energy_joules" ["window"] "Import seen in the running window of this length in seconds.";
    WINDOW_ELAPSED Gauge "demand_window_elapsed_seconds" ["window"] "Time since the window began.";
    WINDOW_UNSEEN Gauge "demand_window_unseen_seconds" ["window"] "Time of the window for which no reading vouches.";
    WINDOW_LAST Gauge "demand_window_last_watts" ["window"] "Mean import of the window before.";

    // Setpoints.
    SETPOINT Gauge "setpoint_watts" ["device", "control"] "What control asks for; absent while the device shall go to its safe state.";
    IN_FORCE Gauge "setpoint_in_force" ["device", "control"] "What the device was last told, in the control's unit (W, A, or 1 = closed); absent when released.";
    SETPOINT_STATE Gauge "setpoint_state" ["device", "control", "state"] "1 for how far the setpoint has come: written, confirmed, refused, failed, safe-written, safe-confirmed.";
    WRITES_TODAY Gauge "setpoint_writes_today" ["device", "control"] "Register writes since midnight UTC.";
    BUDGET Gauge "setpoint_write_budget" ["device", "control"] "Register writes allowed a day, where the register wears.";

    // MQTT and telemetry.
    MQTT_CONNECTED Gauge "mqtt_connected" [] "1 while the broker is connected.";
    MQTT_CONNECTS Counter "mqtt_connects_total" [] "Sessions that the broker accepted.";
    MQTT_PUBLISHED Counter "mqtt_published_total" [] "Messages sent, repeats included.";
    MQTT_ACKNOWLEDGED Counter "mqtt_acknowledged_total" [] "Messages that the broker acknowledged.";
    MQTT_REFUSED Counter "mqtt_refused_total" [] "Messages that the broker refused.";
    MQTT_INFLIGHT Gauge "mqtt_inflight" [] "Messages sent and not yet acknowledged.";
    STORE_RECORDS Gauge "telemetry_records" [] "Records that wait for the broker.";
    STORE_BYTES Gauge "telemetry_bytes" [] "Bytes that wait for the broker.";
    STORE_DROPPED Counter "telemetry_dropped_total" [] "Records dropped because there was no room for them.";
    STORE_SEQUENCE Counter "telemetry_appended_total" [] "Sequence number of the last record.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_a_name_of_its_own_and_a_sentence() {
        let names: std::collections::BTreeSet<&str> = FAMILIES.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), FAMILIES.len());
        for row in FAMILIES {
            assert!(row.help.ends_with('.'), "{} has no sentence", row.name);
            assert_eq!(row.kind == Kind::Counter, row.name.ends_with("_total"), "{}", row.name);
        }
    }
}
