//! The language: every table and key with its form, range, default and meaning. Reading, the reference in
//! `docs/config.md` and `config/schema.json` all come from here.

/// What may stand as a key's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Count,
    /// `"80 kW"`.
    Power,
    /// `"30 kWh"`.
    Energy,
    /// `"95 %"`.
    Share,
    /// `"30 min"`.
    Time,
    /// `"2 kW/s"`.
    Ramp,
    /// `"0.31 EUR/kWh"`.
    EnergyPrice,
    /// `"12 EUR/kW"`.
    PowerPrice,
    /// `"16 MB"`.
    Size,
    /// `"22:00"`.
    Clock,
    /// A power or `"auto"`.
    PowerOrAuto,
    /// A share or `"auto"`.
    ShareOrAuto,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// One of these texts, or a list of them.
    Choices(&'static [&'static str]),
    /// A table of its own: `[name]`.
    Table(&'static Shape),
    /// Any number of tables: `[[name]]`.
    Tables(&'static Shape),
}

/// What holds without the key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Without {
    /// It is an error.
    Required,
    /// Nothing, or what the meaning says.
    Optional,
    /// This value, written as in the file, without quotes.
    Default(&'static str),
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Key {
    pub name: &'static str,
    pub form: Form,
    pub without: Without,
    /// Least and most, written as in the file.
    pub range: Option<(&'static str, &'static str)>,
    pub meaning: &'static str,
}

/// One table.
#[derive(Debug, PartialEq)]
pub(super) struct Shape {
    /// As written: `[site]`, `[[device]]`.
    pub title: &'static str,
    pub meaning: &'static str,
    pub keys: &'static [Key],
}

impl Shape {
    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

use Form::{
    Choice, Choices, Clock, Count, Energy, EnergyPrice, Flag, Power, PowerOrAuto, PowerPrice, Share, ShareOrAuto, Size,
    Table, Tables, Text, Time,
};
use Without::{Default, Optional, Required};

const fn key(name: &'static str, form: Form, without: Without, meaning: &'static str) -> Key {
    Key { name, form, without, range: None, meaning }
}

impl Key {
    const fn within(self, least: &'static str, most: &'static str) -> Self {
        Self { range: Some((least, most)), ..self }
    }
}

/// All tables, in the order of the reference. Those of `[[rule]]` are in [`RULES`].
pub(super) const TABLES: [&Shape; 12] =
    [&TOP, &SITE, &DEVICE, &PLANT, &BUS, &CIRCUIT, &RULE, &TARIFF, &CONTROL, &MQTT, &HTTP, &TELEMETRY];

pub(super) const TOP: Shape = Shape {
    title: "the file",
    meaning: "`state_dir` stands before the first table.",
    keys: &[
        key(
            "state_dir",
            Text,
            Optional,
            "Folder for what must survive a restart. Default: systemd's state directory, else `/var/lib/wattkeeper`.",
        ),
        key("site", Table(&SITE), Required, SITE.meaning),
        key("device", Tables(&DEVICE), Optional, DEVICE.meaning),
        key("bus", Tables(&BUS), Optional, BUS.meaning),
        key("circuit", Tables(&CIRCUIT), Optional, CIRCUIT.meaning),
        key("rule", Tables(&RULE), Optional, RULE.meaning),
        key("tariff", Table(&TARIFF), Optional, TARIFF.meaning),
        key("control", Table(&CONTROL), Optional, CONTROL.meaning),
        key("mqtt", Table(&MQTT), Optional, MQTT.meaning),
        key("http", Table(&HTTP), Optional, HTTP.meaning),
        key("telemetry", Table(&TELEMETRY), Optional, TELEMETRY.meaning),
    ],
};

pub(super) const SITE: Shape = Shape {
    title: "[site]",
    meaning: "The building. Required.",
    keys: &[
        key("name", Text, Required, "Its name, part of topics and client ids: letters, digits, `-`, `_`, `.`."),
        key(
            "time_zone",
            Text,
            Default("UTC"),
            "IANA name, such as `Europe/Berlin`: demand windows, billing months and times of day are reckoned in it.",
        ),
        key(
            "profiles",
            Text,
            Optional,
            "Folder of device profiles of your own; they replace built-in ones of the same id. Default: the folder \
             `profiles` beside the config, where there is one.",
        ),
    ],
};

/// Roles as written.
pub(super) const ROLES: &[&str] =
    &["grid-meter", "pv-meter", "load-meter", "pv", "battery", "charger", "heat-pump", "relay"];

pub(super) const DEVICE: Shape = Shape {
    title: "[[device]]",
    meaning: "One device; one table each. Devices with the same address share a bus.",
    keys: &[
        key("name", Text, Required, "Unique name: letters, digits, `-`, `_`. Its identity in topics and metrics."),
        key(
            "role",
            Choices(ROLES),
            Optional,
            "What it is to the site; a list where it is several. Default: what its profile is (a hybrid is `pv` and \
             `battery`). A meter must say which one it is, unless `measures` does.",
        ),
        key(
            "profile",
            Text,
            Optional,
            "Id of its profile. Required with an address. `wattkeeper profiles` lists them.",
        ),
        key(
            "address",
            Text,
            Optional,
            "`tcp://HOST[:502]` (Modbus TCP), `rtu-tcp://HOST:PORT` (RTU frames over TCP) or \
             `rtu:/dev/ttyUSB0?baud=9600&parity=none&stop_bits=1` (serial line). A device without one is described \
             only: replay, simulate and demo run it as a plant.",
        ),
        key("unit_id", Count, Optional, "Modbus unit id; 1 to 247 on RTU. Default: that of the profile, mostly 1.")
            .within("0", "255"),
        key(
            "invert",
            Flag,
            Default("false"),
            "Turns the sign of a meter whose transformers were mounted the wrong way.",
        ),
        key(
            "measures",
            Text,
            Optional,
            "For a meter: the device whose power it measures, so that nothing counts twice. Then `role` may be left out.",
        ),
        key("capacity", Energy, Optional, "Battery: energy between 0 % and 100 %. Required without an address.")
            .within("100 Wh", "1000 MWh"),
        key("charge_max", Power, Optional, "Battery: most charging power. Default: as the device reports.")
            .within("1 W", "1000 MW"),
        key("discharge_max", Power, Optional, "Battery: most discharging power. Default: as the device reports.")
            .within("1 W", "1000 MW"),
        key("min_power", Power, Default("0 W"), "Battery: least power other than 0; below it, it rests.")
            .within("0 W", "1000 MW"),
        key("soc_min", Share, Default("10 %"), "Battery: discharged to here at the least.").within("0 %", "100 %"),
        key("soc_max", Share, Default("100 %"), "Battery: charged to here at the most.").within("0 %", "100 %"),
        key("ramp", Form::Ramp, Optional, "Fastest change of its setpoint. Default: at once.")
            .within("1 W/s", "100000 kW/s"),
        key(
            "safe_state",
            Choice(&["release", "standby"]),
            Default("release"),
            "Where it goes when nobody may tell it anything: `release` = its own automatic mode with its own settings, \
             `standby` = neither charges nor discharges.",
        ),
        key(
            "max_age",
            Time,
            Optional,
            "Readings older than this are stale: no rule uses them. Default: 3 poll intervals, at most 10 s.",
        )
        .within("100 ms", "10 min"),
        key("interval", Time, Optional, "Poll interval of the profile's fastest group. Default: the profile's.")
            .within("50 ms", "1 h"),
        key("settle", Time, Optional, "How long until a setpoint shows in the device's power. Default: the profile's.")
            .within("10 ms", "5 min"),
        key("words", Choice(&["big", "little"]), Optional, "Word order of long values, where it is a setting."),
        key("gap", Time, Optional, "Least silence between two requests.").within("0 ms", "10 s"),
        key("timeout", Time, Optional, "Longest wait for an answer.").within("10 ms", "60 s"),
        key("max_read", Count, Optional, "Most registers in one read.").within("1", "125"),
        key("plant", Table(&PLANT), Optional, "How replay, simulate and demo model it."),
    ],
};

pub(super) const PLANT: Shape = Shape {
    title: "[device.plant]",
    meaning: "How `replay`, `simulate` and `demo` model the device above; the daemon ignores it.",
    keys: &[
        key("charge_efficiency", Share, Default("95 %"), "Share of the charged AC energy that is stored.")
            .within("1 %", "100 %"),
        key("discharge_efficiency", Share, Default("95 %"), "Share of the stored energy that comes out.")
            .within("1 %", "100 %"),
        key("standby", Power, Default("0 W"), "Own consumption, always.").within("0 W", "1 MW"),
        key("response_delay", Time, Default("300 ms"), "Dead time of a setpoint.").within("0 ms", "10 min"),
        key("ramp", Form::Ramp, Optional, "Fastest change of its power. Default: at once.")
            .within("1 W/s", "1000000 kW/s"),
        key("initial_soc", Share, Default("50 %"), "State of charge at the start.").within("0 %", "100 %"),
    ],
};

pub(super) const BUS: Shape = Shape {
    title: "[[bus]]",
    meaning: "What all devices at one address share; needed only to set `gap` or `timeout` once for them. A device's \
              own key wins.",
    keys: &[
        key("address", Text, Required, "The address, as the devices have it."),
        key("gap", Time, Optional, "Least silence between two requests.").within("0 ms", "10 s"),
        key("timeout", Time, Optional, "Longest wait for an answer.").within("10 ms", "60 s"),
    ],
};

pub(super) const CIRCUIT: Shape = Shape {
    title: "[[circuit]]",
    meaning: "Reserved: sub-circuits with limits of their own. Not built yet.",
    keys: &[],
};

/// Kinds of rules as written.
pub(super) const KINDS: &[&str] =
    &["grid-limit", "export-limit", "reserve", "peak-shaving", "charge-window", "tariff", "self-consumption"];

const KIND: Key = key("kind", Choice(KINDS), Required, "What the rule does.");
const CIRCUIT_KEY: Key = key("circuit", Text, Optional, "Reserved: the circuit it works on. Not built yet.");

/// What every rule has. The keys of each kind are in [`RULES`].
pub(super) const RULE: Shape = Shape {
    title: "[[rule]]",
    meaning: "What the batteries shall do. Read top to bottom: limit rules only bound, and all of them bound first; of \
              the wishes the topmost wins, inside those bounds. At most one rule of a kind.",
    keys: &[KIND, CIRCUIT_KEY],
};

/// The rules by kind, in the order of [`KINDS`].
pub(super) const RULES: [&Shape; 7] =
    [&GRID_LIMIT, &EXPORT_LIMIT, &RESERVE, &PEAK_SHAVING, &CHARGE_WINDOW, &TARIFF_RULE, &SELF_CONSUMPTION];

pub(super) const GRID_LIMIT: Shape = Shape {
    title: "kind = \"grid-limit\"",
    meaning: "Limit: power at the grid point. Without `import` and `export` it is whatever is ordered from outside.",
    keys: &[
        KIND,
        CIRCUIT_KEY,
        key("import", Power, Optional, "Most import.").within("0 W", "1000 MW"),
        key("export", Power, Optional, "Most export.").within("0 W", "1000 MW"),
        key("limit", Power, Optional, "Another word for `import`.").within("0 W", "1000 MW"),
    ],
};

pub(super) const EXPORT_LIMIT: Shape = Shape {
    title: "kind = \"export-limit\"",
    meaning: "Limit: export at the grid point. The batteries are charged first, then PV is curtailed.",
    keys: &[KIND, CIRCUIT_KEY, key("limit", Power, Required, "Most export.").within("0 W", "1000 MW")],
};

pub(super) const RESERVE: Shape = Shape {
    title: "kind = \"reserve\"",
    meaning: "Limit: keeps energy for a blackout.",
    keys: &[
        KIND,
        CIRCUIT_KEY,
        key("soc", ShareOrAuto, Required, "Not discharged below this. `auto` is not built yet and means 30 %.")
            .within("0 %", "100 %"),
        key("hysteresis", Share, Default("5 %"), "Discharge is free again this far above `soc`.").within("0 %", "50 %"),
        key("recharge", Power, Default("0 W"), "Charges back to `soc` with this power from wherever; 0 W only holds.")
            .within("0 W", "1000 MW"),
    ],
};

pub(super) const PEAK_SHAVING: Shape = Shape {
    title: "kind = \"peak-shaving\"",
    meaning: "Limit: demand (average import over a window) never above `limit`.",
    keys: &[
        KIND,
        CIRCUIT_KEY,
        key(
            "limit",
            PowerOrAuto,
            Required,
            "The limit. `auto`: as ordered for the billing period, never below the peak that is billed already.",
        )
        .within("1 W", "1000 MW"),
        key(
            "window",
            Choice(&["1 min", "5 min", "15 min", "30 min", "60 min"]),
            Optional,
            "Demand is an average over this window, aligned to the clock. Default: instantaneous power.",
        ),
        key("margin", Power, Default("0 W"), "Taken off the limit for the meter's and the loop's inaccuracy.")
            .within("0 W", "1000 MW"),
        key(
            "hold",
            Share,
            Optional,
            "State of charge kept for peaks and recharged under the limit. Default: see docs/rules.md.",
        )
        .within("0 %", "100 %"),
    ],
};

pub(super) const CHARGE_WINDOW: Shape = Shape {
    title: "kind = \"charge-window\"",
    meaning: "Wish: charges at certain hours.",
    keys: &[
        KIND,
        CIRCUIT_KEY,
        key("from", Clock, Required, "Local time it begins."),
        key("to", Clock, Required, "Local time it ends; earlier than `from` means the next day."),
        key(
            "days",
            Choices(&["mon", "tue", "wed", "thu", "fri", "sat", "sun", "weekdays", "weekend", "daily"]),
            Default("daily"),
            "Days on which it begins.",
        ),
        key("soc", Share, Default("100 %"), "Charges up to this.").within("0 %", "100 %"),
        key("power", Power, Optional, "Charges at most with this. Default: evenly over what is left of the window.")
            .within("1 W", "1000 MW"),
    ],
};

pub(super) const TARIFF_RULE: Shape = Shape {
    title: "kind = \"tariff\"",
    meaning: "Wish: charges when energy is cheap. Not built yet: accepted with a warning and ignored.",
    keys: &[KIND, CIRCUIT_KEY],
};

pub(super) const SELF_CONSUMPTION: Shape = Shape {
    title: "kind = \"self-consumption\"",
    meaning: "Wish: charges what PV leaves over, discharges what the building needs.",
    keys: &[
        KIND,
        CIRCUIT_KEY,
        key(
            "target",
            Power,
            Default("10 W"),
            "Grid power aimed at; a little import, so that nothing is exported by noise.",
        )
        .within("-1000 MW", "1000 MW"),
    ],
};

pub(super) const TARIFF: Shape = Shape {
    title: "[tariff]",
    meaning: "What energy and peaks cost. All prices in one currency (three capital letters).",
    keys: &[
        key("import", EnergyPrice, Optional, "Price of an imported kWh."),
        key("export", EnergyPrice, Optional, "Price paid for an exported kWh."),
        key("demand_charge", PowerPrice, Optional, "Price of a kW of each period's highest demand window."),
        key(
            "demand_period",
            Choice(&["month", "year", "term"]),
            Default("month"),
            "How long a billed peak counts: calendar month, calendar year, or for good.",
        ),
        key("billed_peak", Power, Optional, "What this period's bill already holds, when installed in mid-period.")
            .within("0 W", "1000 MW"),
    ],
};

pub(super) const CONTROL: Shape = Shape {
    title: "[control]",
    meaning: "Whether and how the rules act.",
    keys: &[
        key(
            "enabled",
            Flag,
            Default("false"),
            "Off: decides, logs and publishes what it would do, and writes nothing.",
        ),
        key("interval", Time, Default("1 s"), "Decides at the latest this often, so that silence is decided on too.")
            .within("100 ms", "60 s"),
        key(
            "lease",
            Time,
            Default("15 s"),
            "How long a setpoint holds without a new decision, at least twice `interval`; then the safe state.",
        )
        .within("1 s", "10 min"),
    ],
};

pub(super) const MQTT: Shape = Shape {
    title: "[mqtt]",
    meaning: "The broker. Without this table nothing is published.",
    keys: &[
        key("broker", Text, Required, "`mqtts://HOST[:8883]` (TLS) or `mqtt://HOST[:1883]`."),
        key("username", Text, Optional, "User name."),
        key(
            "password_file",
            Text,
            Optional,
            "File that holds the password: looked up in systemd's credentials directory, else beside the config, else as \
             `/etc/credstore/wattkeeper.NAME`. Must not be readable for everybody.",
        ),
        key("ca_file", Text, Optional, "CA certificates (PEM). Default: the system's. Only with `mqtts://`."),
        key("client_cert_file", Text, Optional, "Client certificate chain (PEM). Only with `mqtts://`."),
        key("client_key_file", Text, Optional, "Its key (PEM). Must not be readable for everybody."),
        key("client_id", Text, Optional, "Default: `wattkeeper-SITE`."),
        key("topic_prefix", Text, Optional, "Default: `wattkeeper/SITE`."),
        key("keep_alive", Time, Default("30 s"), "A ping after so long without traffic.").within("5 s", "1 h"),
        key("telemetry_qos", Count, Default("1"), "QoS of telemetry; with 0 the broker acknowledges nothing.")
            .within("0", "1"),
        key(
            "allow_plaintext",
            Flag,
            Default("false"),
            "Allows `mqtt://` (no TLS) to an address that is neither this machine nor in a private network.",
        ),
    ],
};

pub(super) const HTTP: Shape = Shape {
    title: "[http]",
    meaning: "Metrics, health and API. On without this table.",
    keys: &[key("listen", Text, Default("127.0.0.1:9810"), "IP address and port, or `off`.")],
};

pub(super) const TELEMETRY: Shape = Shape {
    title: "[telemetry]",
    meaning: "What waits for the broker.",
    keys: &[key(
        "buffer",
        Size,
        Default("16 MB"),
        "Most bytes that wait; beyond it the oldest records are dropped, counted.",
    )
    .within("64 kB", "1 GB")],
};
