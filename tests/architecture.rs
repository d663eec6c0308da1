//! Holds the shape of the house: the direction of imports, the purity of control, and who may name which crate.
//!
//! Works on the text of `src/`. Comments and `#[cfg(test)]` modules do not count. Every rule is a function of one
//! source, and each is proven able to fail below.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

/// One file under `src/`.
struct Source {
    /// Relative to `src/`, with `/`.
    path: String,
    text: String,
}

/// What is left of a text without comments and without inline test modules.
fn code(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens_tests =
            line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if opens_tests {
            // rustfmt closes a module at the line's start.
            lines.by_ref().find(|line| *line == "}");
            continue;
        }
        out.push_str(line.split("//").next().unwrap_or_default());
        out.push('\n');
    }
    out
}

/// A module's tests that stand in a file of their own.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/")
}

/// The modules of `lib.rs`, in its order.
fn order(lib: &str) -> Vec<String> {
    lib.lines()
        .filter_map(|line| line.strip_prefix("pub mod "))
        .filter_map(|rest| rest.split(';').next())
        .map(str::to_owned)
        .collect()
}

/// The top module that a file belongs to.
fn module(path: &str) -> &str {
    path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// How many `super::` lead from a file to the crate's root.
fn depth(path: &str) -> usize {
    let folders = path.matches('/').count();
    if path.ends_with("/mod.rs") { folders } else { folders + 1 }
}

/// The first names of a use tree: `a::b` gives `a`; `{a::b, c::{d, e}}` gives `a` and `c`.
fn heads(tree: &str) -> Vec<String> {
    let name =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = tree.strip_prefix('{') else { return vec![name(tree)] };
    let mut heads = vec![name(group)];
    let mut open = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            ',' if open == 1 => heads.push(name(&group[at + 1..])),
            _ => {}
        }
        if open == 0 {
            break;
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// The top modules that a file names by `crate::`, or by so many `super::` that they lead to the root.
fn imports(source: &Source) -> Vec<String> {
    let code = code(&source.text);
    let to_root = "super::".repeat(depth(&source.path));
    let mut found = Vec::new();
    for start in ["crate::", &to_root] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                continue;
            }
            found.extend(heads(&code[at + start.len()..]));
        }
    }
    found
}

/// A module imports only what stands above it.
fn against_the_flow(order: &[String], source: &Source) -> Vec<String> {
    let place = |name: &str| order.iter().position(|module| module == name);
    let own = module(&source.path);
    let Some(here) = place(own) else { return vec![format!("{}: `{own}` is not in lib.rs", source.path)] };
    imports(source)
        .into_iter()
        .filter(|name| place(name).is_some_and(|there| there > here))
        .map(|name| format!("{}: imports `{name}`, which stands below `{own}` in lib.rs", source.path))
        .collect()
}

/// What decides is a function of its inputs: no I/O, no async, no clock. The library of profiles reads its folder, once.
fn impure(source: &Source) -> Vec<String> {
    const PURE: [&str; 7] = ["control/", "profile/", "units", "reading", "bus/plan", "bus/schedule", "state/demand"];
    const FORBIDDEN: [&str; 9] = [
        "tokio",
        "std::fs",
        "std::net",
        "std::thread",
        "async fn",
        "async move",
        ".await",
        "Instant::now",
        "SystemTime",
    ];
    if !PURE.iter().any(|pure| source.path.starts_with(pure)) {
        return Vec::new();
    }
    let code = code(&source.text);
    let reads_a_folder = source.path == "profile/library.rs";
    FORBIDDEN
        .iter()
        .filter(|word| code.contains(**word) && !(reads_a_folder && **word == "std::fs"))
        .map(|word| format!("{}: is pure, but names `{word}`", source.path))
        .collect()
}

/// Each library that does I/O for us is named in one place, so that it can be replaced there.
fn foreign_library(source: &Source) -> Vec<String> {
    let path = source.path.as_str();
    let mut found = Vec::new();
    for (at, line) in code(&source.text).lines().enumerate() {
        let mut complain = |what: &str| found.push(format!("{path}:{}: {what}", at + 1));
        if line.contains("tokio_modbus") && path != "bus/link.rs" && !path.starts_with("bus/link/") {
            complain("only bus/link names tokio_modbus");
        }
        let session = path == "mqtt/session.rs" || path.starts_with("mqtt/session/");
        let tls = path == "mqtt/tls.rs" && line.contains("TlsConfiguration");
        if line.contains("rumqttc") && !session && !tls {
            complain("only mqtt/session names rumqttc (mqtt/tls.rs: its TlsConfiguration)");
        }
        if line.contains("TlsConfiguration::Simple") {
            complain("`Simple` reaches an unmaintained PEM reader: use `TlsConfiguration::Rustls`");
        }
    }
    found
}

/// The daemon's channels are made in one place, so that the picture of the flow can be checked against it; none is
/// unbounded. Simulator and tools have their own.
fn stray_channel(source: &Source) -> Vec<String> {
    const MADE: [&str; 4] = ["mpsc::channel", "mpsc::sync_channel", "watch::channel", "broadcast::channel"];
    let path = source.path.as_str();
    let free = ["app/", "sim/", "cli/"].iter().any(|folder| path.starts_with(folder));
    let code = code(&source.text);
    let mut found: Vec<String> = MADE
        .iter()
        .filter(|made| !free && code.contains(**made))
        .map(|made| format!("{path}: `{made}`: channels are made in src/app/"))
        .collect();
    if code.contains("unbounded_channel") {
        found.push(format!("{path}: an unbounded channel"));
    }
    found
}

/// One idea a file.
fn too_long(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines > 500 { vec![format!("{}: {lines} lines, more than 500", source.path)] } else { Vec::new() }
}

// ---- the house as it stands

fn collect(folder: &Path, root: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, root, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            found.push(Source { path: relative, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

fn house() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 10, "src was not found");
    found
}

/// The house without its two roots and without the files that only hold tests.
fn rooms() -> Vec<Source> {
    house()
        .into_iter()
        .filter(|s| !["lib.rs", "main.rs"].contains(&s.path.as_str()) && !is_test_file(&s.path))
        .collect()
}

fn assert_none(offences: Vec<String>) {
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

#[test]
fn imports_go_only_to_what_stands_above_in_lib_rs() {
    let house = house();
    let lib = house.iter().find(|source| source.path == "lib.rs").unwrap();
    let order = order(&lib.text);
    assert!(order.len() > 10, "lib.rs lists {order:?}");
    assert_none(rooms().iter().flat_map(|source| against_the_flow(&order, source)).collect());
}

#[test]
fn what_decides_does_no_input_output_and_knows_no_clock() {
    assert_none(rooms().iter().flat_map(impure).collect());
}

#[test]
fn each_library_that_does_io_is_named_in_one_place() {
    assert_none(rooms().iter().flat_map(foreign_library).collect());
}

#[test]
fn channels_are_made_in_one_place_and_bounded() {
    assert_none(rooms().iter().flat_map(stray_channel).collect());
}

#[test]
fn no_file_is_longer_than_500_lines() {
    assert_none(house().iter().flat_map(too_long).collect());
}

// ---- each rule can fail

fn fake(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn an_import_against_the_flow_is_seen_however_it_is_written() {
    let order = order("//! Map.\npub mod units; // first\npub mod bus;\npub mod control;\n");
    assert_eq!(order, ["units", "bus", "control"]);
    for text in [
        "use crate::control::decide;\n",
        "use crate::{units::Watts, control::{decide, Memory}};\n",
        "use crate::{\n    units::Watts,\n    control,\n};\n",
        "fn f() -> crate::control::Decision {}\n",
        "use super::super::control::decide;\n",
    ] {
        assert_eq!(against_the_flow(&order, &fake("bus/task.rs", text)).len(), 1, "{text}");
    }
    assert_eq!(against_the_flow(&order, &fake("bus/mod.rs", "use super::control::Decision;\n")).len(), 1);
    assert_eq!(against_the_flow(&order, &fake("cellar/mod.rs", "")).len(), 1);
    for text in [
        "use crate::units::Watts;\n",
        "use crate::bus::Lease;\nuse super::control::x;\n",
        "//! See [`crate::control`].\n",
        "#[cfg(test)]\nmod tests {\n    use crate::control::decide;\n}\n",
    ] {
        assert_none(against_the_flow(&order, &fake("bus/task.rs", text)));
    }
}

#[test]
fn code_after_an_inline_test_module_counts() {
    let text = "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\nasync fn g() {}\n";
    assert_eq!(impure(&fake("control/decide.rs", text)).len(), 1);
}

#[test]
fn impurity_is_seen() {
    assert_eq!(impure(&fake("control/rule/reserve.rs", "use tokio::sync::watch;\n")).len(), 1);
    assert_eq!(impure(&fake("profile/codec.rs", "let t = std::fs::read(p);\n")).len(), 1);
    assert_eq!(impure(&fake("profile/library.rs", "let t = std::net::lookup();\n")).len(), 1);
    assert_eq!(impure(&fake("units.rs", "let t = SystemTime::now();\n")).len(), 1);
    assert_eq!(impure(&fake("bus/plan.rs", "pub async fn plan() {}\n")).len(), 1);
    assert_eq!(impure(&fake("state/demand.rs", "let t = Instant::now();\n")).len(), 1);
    assert_none(impure(&fake("bus/task.rs", "use tokio::sync::watch;\n")));
    assert_none(impure(&fake("control/decide.rs", "// no tokio here\n")));
}

#[test]
fn a_library_named_elsewhere_is_seen() {
    assert_eq!(foreign_library(&fake("bus/task.rs", "use tokio_modbus::Slave;\n")).len(), 1);
    assert_eq!(foreign_library(&fake("mqtt/sender.rs", "use rumqttc::v5::AsyncClient;\n")).len(), 1);
    assert_eq!(foreign_library(&fake("mqtt/tls.rs", "use rumqttc::v5::AsyncClient;\n")).len(), 1);
    assert_eq!(foreign_library(&fake("mqtt/session.rs", "let t = TlsConfiguration::Simple { ca };\n")).len(), 1);
    assert_none(foreign_library(&fake("bus/link.rs", "use tokio_modbus::Slave;\n")));
    assert_none(foreign_library(&fake("mqtt/session.rs", "use rumqttc::v5::AsyncClient;\n")));
    assert_none(foreign_library(&fake("mqtt/tls.rs", "use rumqttc::TlsConfiguration;\n")));
}

#[test]
fn a_channel_made_elsewhere_is_seen() {
    assert_eq!(stray_channel(&fake("state/hub.rs", "let (tx, rx) = watch::channel(0);\n")).len(), 1);
    assert_eq!(stray_channel(&fake("bus/task.rs", "let (tx, rx) = mpsc::channel(8);\n")).len(), 1);
    assert_eq!(stray_channel(&fake("app/start.rs", "let (tx, rx) = mpsc::unbounded_channel();\n")).len(), 1);
    assert_none(stray_channel(&fake("app/start.rs", "let (tx, rx) = mpsc::channel(8);\n")));
    assert_none(stray_channel(&fake("cli/read.rs", "let (tx, rx) = oneshot::channel();\n")));
    assert_none(stray_channel(&fake("state/hub.rs", "#[cfg(test)]\nmod tests {\n    f(watch::channel(0));\n}\n")));
}

#[test]
fn a_long_file_is_seen() {
    assert_eq!(too_long(&fake("bus/task.rs", &"\n".repeat(501))).len(), 1);
    assert_none(too_long(&fake("bus/task.rs", &"\n".repeat(500))));
}
