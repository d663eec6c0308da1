use super::*;

/// All errors of a profile that has this below its `[profile]` table; empty when it loads.
fn errors(kind: &str, rest: &str) -> String {
    let head =
        format!("[profile]\nid = \"x\"\nname = \"X\"\nkind = \"{kind}\"\nstatus = \"unconfirmed\"\nsources = []\n");
    match parse(&format!("{head}{rest}"), "x.toml") {
        Ok(_) => String::new(),
        Err(errors) => errors.join("\n"),
    }
}

/// Only the first lines: what is wrong.
fn titles(kind: &str, rest: &str) -> Vec<String> {
    let all = errors(kind, rest);
    all.lines().filter_map(|line| line.strip_prefix("error: ")).map(str::to_owned).collect()
}

const GROUP: &str = "[groups]\ng = { every = \"1s\" }\n";

fn points(points: &str) -> Vec<String> {
    titles("meter", &format!("{GROUP}[points]\n{points}\n"))
}

fn control(control: &str) -> Vec<String> {
    let rest = format!(
        "{GROUP}[points]\npower = {{ at = 0, type = \"i16\", unit = \"W\" }}\n\
         energy = {{ at = 40, type = \"u16\", unit = \"Wh\", counter = \"total\" }}\n\
         [control.c]\n{control}\n"
    );
    titles("battery", &rest)
}

#[test]
fn all_is_said_at_once_with_place_and_remedy() {
    let text = r#"
[bus]
tabel = "holding"
max_read = 200
gap = 100

[groups]
fast = { every = "1s" }
idle = { every = "0.005ms" }

[points]
powr = { at = 0, type = "u16", unit = "W", group = "fast" }
power = { at = 1, type = "u61", unit = "V", group = "fats", none = [0x1_0000] }
voltage_l = { at = [2, 3], type = "u16", group = "fast" }
energy_import = { at = 400001, type = "u32", unit = "kWh", group = "fast" }
custom.sum = { is = "power + energy_imprt", unit = "W", group = "fast" }
"#;
    insta::assert_snapshot!(errors("meter", text));
}

#[test]
fn a_control_that_could_do_harm_is_refused_with_its_reasons() {
    let text = r#"
[groups]
g = { every = "1s" }

[points]
battery.power = { at = 0, type = "i16", unit = "W" }

[control.battery]
kind = "battery-power"
min = -5000
max = 5000
class = "flash"
refresh = "40s"
unlock = "1234"
revert = { at = 90, type = "u16", value = 60, to = "max" }
set = [{ at = 1, type = "i32", value = "p", when = "p > 0", fn = 6 }]
"#;
    insta::assert_snapshot!(errors("hybrid", text));
}

#[test]
fn what_is_no_toml_is_said_at_every_place() {
    insta::assert_snapshot!(errors("meter", "[bus\nunit = = 3\n[points]\npower = { at = 1\n"));
}

#[test]
fn names_and_units_are_the_canonical_ones() {
    assert_eq!(points("power = { at = 0, type = \"u16\" }"), ["point meter.power lacks `unit`"]);
    assert_eq!(points("power = { at = 0, type = \"u16\", unit = \"A\" }"), ["point meter.power is in W, not A"]);
    assert_eq!(points("solar.power = { at = 0, type = \"u16\", unit = \"W\" }"), ["there is no part `solar`"]);
    let twice =
        "power = { at = 0, type = \"u16\", unit = \"W\" }\nmeter.power = { at = 1, type = \"u16\", unit = \"W\" }";
    assert_eq!(points(twice), ["point `meter.power` is there twice"]);
    let hybrid = format!("{GROUP}[points]\npower = {{ at = 0, type = \"u16\", unit = \"W\" }}\n");
    assert_eq!(titles("hybrid", &hybrid), ["which part does `power` belong to?"]);
    let other = "[profile]\nid = \"y\"\nname = \"X\"\nkind = \"meter\"\nstatus = \"confirmed\"\nsources = []\n";
    let error = parse(&format!("{other}{GROUP}[points]\npower = {{ at = 0, type = \"u16\", unit = \"W\" }}"), "x.toml");
    assert!(error.unwrap_err().join("").contains("the id \"y\" is not the file's name \"x\""));
}

#[test]
fn registers_must_fit() {
    let long = "[bus]\nmax_read = 4\nholes = [[10, 5]]\n";
    let in_bus = |points: &str| titles("meter", &format!("{long}{GROUP}[points]\n{points}"));
    assert_eq!(in_bus("custom.a = { at = 0, type = \"string\", len = 8 }"), ["needs 8 registers, and `max_read` is 4"]);
    assert_eq!(in_bus("custom.a = { at = 9, type = \"u32\" }"), ["`custom.a` lies in a hole"]);
    assert_eq!(points("custom.a = { at = 65535, type = \"u32\" }"), ["reaches beyond register 65535"]);
    assert_eq!(
        points("custom.a = { at = 0, type = \"u16\", sf = 200 }"),
        ["the other register is too far away for one read"]
    );
    assert_eq!(points("custom.a = { at = 0, type = \"bool\", table = \"input\" }"), ["a bool cannot lie there"]);
    assert_eq!(points("custom.a = { at = 0, type = \"u16\", scale = 0 }"), ["a scale of 0 makes every value 0"]);
    assert_eq!(points("custom.a = { at = 0, type = \"i16\", bits = 3 }"), ["no such bits"]);
    assert_eq!(points("custom.a = { at = 0, type = \"u16\", range = [5, 1] }"), ["a range is [lowest, highest]"]);
    let clash = "custom.a = { at = 0, type = \"u32\" }\ncustom.b = { at = 1, type = \"u16\" }";
    assert_eq!(points(clash), ["`custom.b` reads registers of another point as another type"]);
    let modicon = |at: &str| {
        titles(
            "meter",
            &format!("[bus]\nbase = \"modicon\"\n{GROUP}[points]\ncustom.a = {{ at = {at}, type = \"u16\" }}"),
        )
    };
    assert_eq!(modicon("50001"), ["50001 is no Modicon number"]);
}

#[test]
fn bases_are_brought_to_the_wire() {
    let at = |base: &str, at: u32| {
        let text = format!(
            "[profile]\nid = \"x\"\nname = \"X\"\nkind = \"meter\"\nstatus = \"confirmed\"\nsources = []\n[bus]\nbase = {base}\n\
             {GROUP}[points]\ncustom.a = {{ at = {at}, type = \"u16\" }}"
        );
        let profile = Arc::new(parse(&text, "x.toml").unwrap_or_else(|errors| panic!("{}", errors.join("\n"))));
        let spans = crate::profile::Instance::new(profile, &crate::profile::Overrides::default()).spans(0);
        (spans[0].table, spans[0].start)
    };
    assert_eq!(at("0", 5), (Table::Holding, 5));
    assert_eq!(at("1", 5), (Table::Holding, 4));
    assert_eq!(at("\"modicon\"", 40_001), (Table::Holding, 0));
    assert_eq!(at("\"modicon\"", 30_005), (Table::Input, 4));
    assert_eq!(at("\"modicon\"", 465_536), (Table::Holding, 65_535));
}

#[test]
fn counters_expressions_and_groups_make_sense() {
    assert_eq!(
        points("energy_import = { at = 0, type = \"u16\", unit = \"Wh\", counter = \"total\", flip = true }"),
        ["a counter cannot be flipped"]
    );
    assert_eq!(points("power = { at = 0, type = \"u16\", unit = \"W\", counter = \"total\" }"), ["W is not counted"]);
    let circle = "custom.a = { is = \"custom.b\" }\ncustom.b = { is = \"custom.a\" }";
    assert_eq!(points(circle), ["`custom.a` needs itself", "`custom.b` needs itself"]);
    let mixed = "power = { at = 0, type = \"u16\", unit = \"W\" }\nenergy = { at = 1, type = \"u16\", unit = \"Wh\" }\n\
                 custom.a = { is = \"power + energy\" }";
    assert_eq!(points(mixed), ["W and Wh are mixed"]);
    assert_eq!(
        points("custom.a = { is = \"p\" }").first().map(String::as_str),
        Some("a point does not know the setpoint")
    );
    let slow = format!("[bus]\ngap = \"2s\"\n{GROUP}[points]\ncustom.a = {{ at = 0, type = \"u16\" }}");
    assert_eq!(titles("meter", &slow), ["reading `g` takes at least 2s of pauses"]);
}

#[test]
fn the_device_may_tell_its_word_order_and_want_fn_16() {
    let points = "[points]\nbattery.power = { at = 10, type = \"i32\", unit = \"W\" }\n";
    let bus = |text: &str| titles("hybrid", &format!("[bus]\n{text}\n{GROUP}{points}"));
    assert_eq!(bus("fn = 15"), ["function 15 writes no register"]);
    assert_eq!(bus("words = { at = 5, type = \"u16\", little = 0 }"), ["words lacks `little and big`"]);
    assert_eq!(bus("words = { at = 5, type = \"u16\", little = 1, big = 1 }"), ["words lacks `little and big`"]);
    assert_eq!(bus("words = { at = 70_000, type = \"u16\", little = 0, big = 1 }").len(), 2);
}

#[test]
fn sequences_are_whole_and_safe() {
    let rest = "kind = \"battery-power\"\nmin = -100\nmax = 100\nclass = \"ram\"\n";
    let release = "release = [{ at = 1, type = \"i16\", value = 0 }]\n";
    let with = |set: &str| control(&format!("{rest}{release}set = [{set}]"));
    assert_eq!(
        control(&format!("{rest}set = [{{ at = 1, type = \"i16\", value = \"p\" }}]")),
        ["[control.c] lacks `release`"]
    );
    assert_eq!(with("{ at = 40, type = \"u16\", value = \"p\" }"), ["this is the counter battery.energy"]);
    assert_eq!(with("{ at = 1, type = \"i16\", value = \"p\", table = \"input\" }"), ["an input cannot be written"]);
    assert_eq!(
        with("{ at = 1, type = \"i16\", value = \"p\" }, { at = 1, type = \"i16\", value = 1 }"),
        ["two steps write the same register without `when`"]
    );
    assert_eq!(
        with("{ at = 1, type = \"i16\", value = \"p\", mask = 1, block = [{ type = \"u16\", value = 1 }] }"),
        ["`mask` is for one register"]
    );
    assert_eq!(
        with("{ at = 1, type = \"i16\", value = \"p\", ack = 3 }"),
        ["`ack` in a step of `set` cannot be carried out yet"]
    );
    let uses = format!(
        "{rest}set = [{{ at = 1, type = \"i16\", value = \"p\" }}]\nrelease = [{{ at = 1, type = \"i16\", value = \"p\" }}]"
    );
    assert_eq!(control(&uses), ["a release knows no setpoint"]);
    let worn = format!(
        "kind = \"battery-power\"\nmin = -1\nmax = 1\nclass = \"flash\"\nbudget = 10\nrefresh = \"1m\"\n{release}\
         set = [{{ at = 1, type = \"i16\", value = \"p\" }}]"
    );
    assert_eq!(control(&worn), ["refreshing alone writes 1440 registers a day, and `budget` is 10"]);
    let rare = format!(
        "{rest}refresh = \"50s\"\nrevert = {{ after = \"60s\", to = \"zero\" }}\n{release}set = [{{ at = 1, type = \"i16\", value = \"p\" }}]"
    );
    assert_eq!(control(&rare), ["the device takes its own way after 60s"]);
    let fed = |more: &str| {
        control(&format!(
            "{rest}revert = {{ after = \"60s\", to = \"zero\" }}\n{more}\n{release}set = [{{ at = 1, type = \"i16\", value = \"p\" }}]"
        ))
    };
    assert_eq!(fed(""), ["[control.c] lacks `refresh`"]);
    assert!(fed("refresh = \"20s\"").is_empty());
    assert!(fed("fed_by_reads = true").is_empty(), "the polls of the fastest group feed it");
    let beat = |every: u32| format!("heartbeat = {{ at = 9, type = \"u16\", value = 1, every = \"{every}s\" }}");
    assert!(fed(&beat(30)).is_empty());
    assert_eq!(fed(&beat(31)), ["the device takes its own way after 60s"]);
    assert_eq!(
        control(&format!("{rest}{release}fed_by_reads = true\nset = [{{ at = 1, type = \"i16\", value = \"p\" }}]")),
        ["nothing needs to be fed"]
    );
    assert_eq!(
        control(&format!(
            "{rest}{release}capture = [{{ at = 1, type = \"i16\", back = false }}]\nset = [{{ at = 1, type = \"i16\", value = \"p\" }}]"
        )),
        ["neither put back nor named"]
    );
    assert_eq!(
        control(&format!(
            "{rest}set = [{{ at = 1, type = \"i16\", value = \"p\" }}]\nrelease = [{{ at = 1, type = \"i16\", value = 0, verify = \"p\" }}]"
        )),
        ["a release knows no setpoint"]
    );
    let crossed = format!(
        "kind = \"battery-power\"\nmin = 5\nmax = 1\nclass = \"ram\"\n{release}set = [{{ at = 1, type = \"i16\", value = \"p\" }}]"
    );
    assert_eq!(control(&crossed), ["`min` 5 is above `max` 1"]);
}

#[test]
fn sunspec_points_are_those_of_the_models() {
    let sunspec = |points: &str| titles("meter", &format!("[sunspec]\nneed = [\"meter\"]\n{GROUP}[points]\n{points}"));
    assert_eq!(
        sunspec("power = { model = \"meter\", point = \"Watt\", unit = \"W\" }"),
        ["model 201-204 or 211-214 (meter) has no point \"Watt\""]
    );
    assert_eq!(
        sunspec("power = { model = 999, point = \"W\", unit = \"W\" }"),
        ["the facts of SunSpec model 999 are not known"]
    );
    let written = format!(
        "[sunspec]\nneed = [124]\n{GROUP}[points]\nbattery.soc = {{ model = 124, point = \"ChaState\", unit = \"%\" }}\n[control.b]\n\
         kind = \"battery-power\"\nmin = -1\nmax = 1\nclass = \"ram\"\nset = [{{ model = 124, point = \"ChaState\", value = \"p\" }}]\n\
         release = [{{ model = 124, point = \"StorCtl_Mod\", value = 0 }}]\n"
    );
    assert_eq!(titles("hybrid", &written), ["point ChaState of model 124 is read-only"]);
    let plain = titles("meter", &format!("{GROUP}[points]\npower = {{ model = 203, point = \"W\", unit = \"W\" }}"));
    assert_eq!(plain, ["`model` is for SunSpec devices"]);
}
