//! Points of a device to what the site calls them.
