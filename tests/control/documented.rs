//! What docs/rules.md shows can be written.

use wattkeeper::config::{Surroundings, parse};

const SITE: &str = r#"
[site]
name = "site"
time_zone = "Europe/Berlin"
[[device]]
name = "battery"
role = "battery"
capacity = "20 kWh"
charge_max = "10 kW"
discharge_max = "10 kW"
"#;

#[test]
fn every_example_of_the_rules_page_is_a_valid_config() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md")).unwrap();
    let examples: Vec<&str> = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 6, "one a rule");
    let config = format!("{SITE}{}", examples.concat());
    let (config, _) = parse(&config, "rules.md", &Surroundings::default()).unwrap();
    let kinds: Vec<_> = config.rules.iter().map(|rule| rule.rule.kind()).collect();
    for kind in kinds {
        assert!(page.contains(&format!("\n## {kind}\n")), "{kind} has a section");
    }
}
