//! `docs/config.md` and `config/schema.json` say what the tables of keys say. To write them anew:
//! `BLESS=1 cargo test --lib config::tests::reference`

use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::super::keys::{Form, KINDS, Key, RULE, RULES, Shape, TABLES, TOP, Without};

const BEGIN: &str = "<!-- The part from here on is generated from src/config/keys.rs. -->\n";

/// (what may be written, an example).
fn form(form: Form) -> (String, String) {
    let quoted = |names: &[&str]| names.iter().map(|name| format!("`\"{name}\"`")).collect::<Vec<_>>().join(", ");
    let (what, example) = match form {
        Form::Text => ("text", "\"…\""),
        Form::Flag => ("`true`, `false`", "true"),
        Form::Count => ("whole number", "1"),
        Form::Power => ("power (W, kW, MW)", "\"80 kW\""),
        Form::Energy => ("energy (Wh, kWh, MWh)", "\"30 kWh\""),
        Form::Share => ("share (%)", "\"95 %\""),
        Form::Time => ("duration (ms, s, min, h)", "\"1m 30s\""),
        Form::Ramp => ("change of power (W/s, kW/s, kW/min)", "\"2 kW/s\""),
        Form::EnergyPrice => ("price of energy (EUR/kWh, any currency)", "\"0.31 EUR/kWh\""),
        Form::PowerPrice => ("price of power (EUR/kW, any currency)", "\"12 EUR/kW\""),
        Form::Size => ("size (kB, MB, GB, KiB, MiB)", "\"16 MB\""),
        Form::Clock => ("time of day", "\"22:00\""),
        Form::PowerOrAuto => ("power (W, kW, MW), or `\"auto\"`", "\"80 kW\""),
        Form::ShareOrAuto => ("share (%), or `\"auto\"`", "\"30 %\""),
        Form::Choice(names) => return (quoted(names), format!("\"{}\"", names[0])),
        Form::Choices(names) => return (format!("{}, or a list", quoted(names)), format!("\"{}\"", names[0])),
        Form::Table(shape) | Form::Tables(shape) => {
            return (format!("table `{}`", shape.title), shape.title.to_owned());
        }
    };
    (what.to_owned(), example.to_owned())
}

fn row(key: &Key) -> String {
    let (what, mut example) = form(key.form);
    if let Form::Text = key.form {
        example = match key.name {
            "name" => "\"town-hall\"",
            "time_zone" => "\"Europe/Berlin\"",
            "address" => "\"tcp://192.168.1.20\"",
            "profile" => "\"sunspec\"",
            "measures" => "\"roof\"",
            "broker" => "\"mqtts://broker.example\"",
            "listen" => "\"off\"",
            "state_dir" => "\"/var/lib/wattkeeper\"",
            "topic_prefix" => "\"wattkeeper/town-hall\"",
            "password_file" => "\"mqtt-password\"",
            "ca_file" | "client_cert_file" => "\"cert.pem\"",
            "client_key_file" => "\"client.key\"",
            "profiles" => "\"profiles\"",
            _ => "\"town-hall\"",
        }
        .to_owned();
    }
    if let (Form::Time, Some((least, _))) = (key.form, key.range) {
        example = format!("\"{}\"", if least == "1 s" || least == "5 s" { "20 s" } else { "500 ms" });
    }
    match (key.form, key.without) {
        (Form::Text | Form::Flag, _) | (_, Without::Optional | Without::Required) => {}
        (Form::Count, Without::Default(text)) => example = text.to_owned(),
        (Form::Power, Without::Default("0 W")) => example = "\"500 W\"".to_owned(),
        (_, Without::Default(text)) => example = format!("\"{text}\""),
    }
    let without = match key.without {
        Without::Required => "required".to_owned(),
        Without::Optional => "–".to_owned(),
        Without::Default(text) => format!("`{text}`"),
    };
    let range = key.range.map_or(String::new(), |(least, most)| format!("; {least} to {most}"));
    format!("| `{}` | {what}{range} | {without} | `{} = {example}` | {} |\n", key.name, key.name, key.meaning)
}

fn table(out: &mut String, shape: &Shape, depth: &str) {
    let title = if shape.title.starts_with('[') || shape.title.starts_with("kind") {
        format!("`{}`", shape.title)
    } else {
        shape.title.to_owned()
    };
    let _ = write!(out, "\n{depth} {title}\n\n{}\n", shape.meaning);
    let rows: String = shape
        .keys
        .iter()
        .filter(|key| !matches!(key.form, Form::Table(_) | Form::Tables(_)))
        .filter(|key| depth == "##" || !matches!(key.name, "kind" | "circuit"))
        .map(row)
        .collect();
    if !rows.is_empty() {
        let _ = write!(out, "\n| key | value | default | example | meaning |\n|---|---|---|---|---|\n{rows}");
    }
}

fn reference() -> String {
    let mut out = String::from(BEGIN);
    for shape in TABLES {
        table(&mut out, shape, "##");
        if *shape == RULE {
            for rule in RULES {
                table(&mut out, rule, "###");
            }
        }
    }
    out
}

fn pattern(form: Form) -> Value {
    let number = r"^\s*[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\s*";
    let of = |units: &str| json!({ "type": "string", "pattern": format!("{number}({units})\\s*$") });
    match form {
        Form::Text => json!({ "type": "string" }),
        Form::Flag => json!({ "type": "boolean" }),
        Form::Count => json!({ "type": "integer" }),
        Form::Power => of("W|kW|MW"),
        Form::Energy => of("Wh|kWh|MWh"),
        Form::Share => of("%"),
        Form::Time => json!({ "type": "string", "pattern": r"^\s*([0-9.]+\s*(ms|s|min|m|h)\s*)+$" }),
        Form::Ramp => of("W/s|kW/s|kW/min"),
        Form::EnergyPrice => json!({ "oneOf": [of("[A-Z]{3} */ *kWh"), { "type": ["object", "array"] }] }),
        Form::PowerPrice => of("[A-Z]{3} */ *kW"),
        Form::Size => of("kB|MB|GB|KiB|MiB"),
        Form::Clock => json!({ "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$" }),
        Form::PowerOrAuto => json!({ "oneOf": [of("W|kW|MW"), { "const": "auto" }] }),
        Form::ShareOrAuto => json!({ "oneOf": [of("%"), { "const": "auto" }] }),
        Form::Choice(names) => json!({ "enum": names }),
        Form::Choices(names) => json!({
            "oneOf": [{ "enum": names }, { "type": "array", "items": { "enum": names }, "minItems": 1 }]
        }),
        Form::Table(shape) => object(shape),
        Form::Tables(shape) if *shape == RULE => {
            let kinds: Vec<_> = KINDS.iter().zip(RULES).map(|(kind, shape)| rule(kind, shape)).collect();
            json!({ "type": "array", "items": { "oneOf": kinds } })
        }
        Form::Tables(shape) => json!({ "type": "array", "items": object(shape) }),
    }
}

fn rule(kind: &str, shape: &Shape) -> Value {
    let mut rule = object(shape);
    rule["properties"]["kind"] = json!({ "const": kind, "description": shape.meaning });
    rule
}

fn object(shape: &Shape) -> Value {
    let mut properties = Map::new();
    for key in shape.keys {
        let mut value = pattern(key.form);
        value["description"] = json!(key.meaning);
        if let (Form::Count, Some((least, most))) = (key.form, key.range) {
            value["minimum"] = json!(least.parse::<u16>().unwrap());
            value["maximum"] = json!(most.parse::<u16>().unwrap());
        }
        if let Without::Default(text) = key.without {
            value["default"] = match key.form {
                Form::Flag => json!(text == "true"),
                Form::Count => json!(text.parse::<u16>().unwrap()),
                _ => json!(text),
            };
        }
        properties.insert(key.name.to_owned(), value);
    }
    let required: Vec<_> =
        shape.keys.iter().filter(|key| key.without == Without::Required).map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": shape.meaning,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn holds(path: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{} is out of date: run `BLESS=1 cargo test --lib config`", path.display());
}

#[test]
fn the_reference_has_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (prose, _) = text.split_once(BEGIN).unwrap();
    holds("docs/config.md", &format!("{prose}{}", reference()));
}

#[test]
fn the_schema_has_every_key() {
    let mut schema = object(&TOP);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("wattkeeper's config");
    holds("config/schema.json", &format!("{schema:#}\n"));
}

#[test]
fn the_commented_reference_shows_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/wattkeeper.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let keys = TABLES.iter().chain(&RULES).flat_map(|shape| shape.keys);
    for key in keys.filter(|key| !matches!(key.form, Form::Table(_) | Form::Tables(_))) {
        // `circuit` is reserved, `limit` of a grid limit is a second word.
        let shown = text.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{} = ", key.name)));
        assert!(shown || key.name == "circuit", "`{}` is not shown", key.name);
    }
}
