//! `[mqtt]` and the files it names.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::address::host_and_port;
use super::section::Section;
use super::written::Fault;
use super::{MqttConfig, MqttTls, Secret, Site, Surroundings};

/// Reads the table. Files are opened, so that a missing one is an error now and not at night.
pub(super) fn read(section: &Section<'_>, site: &Site, around: &Surroundings) -> Option<MqttConfig> {
    let broker = broker(section);
    let username = section.get::<String>("username");
    let password = password(section, around);
    if section.has("password_file") && !section.has("username") {
        let problem = section.problem("password_file", "`password_file` without a `username`");
        section.report().add(problem.help("write `username = \"…\"`"));
    }
    let with_tls = broker.as_ref().is_none_or(|(tls, ..)| *tls);
    let tls = files(section, around, with_tls);
    let client_id = section.get::<String>("client_id");
    if client_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 128 || id.contains(char::is_whitespace)) {
        section.refuse("client_id", Fault::new("has 1 to 128 characters and no blanks"));
    }
    let topic_prefix = section.get::<String>("topic_prefix");
    if let Some(fault) = topic_prefix.as_deref().and_then(bad_topic) {
        section.refuse("topic_prefix", fault);
    }
    let (keep_alive, qos) = (section.value("keep_alive"), section.value::<u16>("telemetry_qos"));
    let (encrypted, host, port) = broker?;
    Some(MqttConfig {
        host,
        port,
        tls: encrypted.then_some(tls),
        username,
        password,
        client_id: client_id.unwrap_or_else(|| format!("wattkeeper-{}", site.name)),
        topic_prefix: topic_prefix.unwrap_or_else(|| format!("wattkeeper/{}", site.name)),
        keep_alive,
        telemetry_qos: if qos == 0 { 0 } else { 1 },
    })
}

/// (TLS, host, port).
fn broker(section: &Section<'_>) -> Option<(bool, String, u16)> {
    let text = section.get::<String>("broker")?;
    let (tls, rest) = match text.split_once("://") {
        Some(("mqtts", rest)) => (true, rest),
        Some(("mqtt", rest)) => (false, rest),
        found => {
            let host = found.map_or(text.as_str(), |(_, rest)| rest);
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            let fault = Fault::new("is `mqtts://HOST` or `mqtt://HOST`, with `:PORT` where it is not the usual one");
            section.refuse("broker", fault.write(format!("mqtts://{host}")));
            return None;
        }
    };
    match host_and_port(rest) {
        Ok((host, port)) => {
            let allowed = section.value::<bool>("allow_plaintext");
            if !tls && !allowed {
                plaintext(section, &host);
            }
            Some((tls, host, port.unwrap_or(if tls { 8883 } else { 1883 })))
        }
        Err(fault) => {
            section.refuse("broker", fault);
            None
        }
    }
}

/// Without TLS the password and every reading can be read on the way.
fn plaintext(section: &Section<'_>, host: &str) {
    match host.parse::<IpAddr>() {
        Ok(ip) if is_near(ip) => {}
        Ok(ip) => {
            let problem =
                section.problem("broker", format!("`mqtt://` is not encrypted, and {ip} is in no private network"));
            let help = "write `mqtts://`, or `allow_plaintext = true` where the way there is encrypted by other means";
            section.report().add(problem.help(help));
        }
        Err(_) if host == "localhost" => {}
        Err(_) => {
            let title = format!("`mqtt://{host}` is not encrypted: password and readings can be read on the way");
            let problem = section.problem("broker", title).warning();
            section.report().add(problem.help("write `mqtts://`, or `allow_plaintext = true` to have it so"));
        }
    }
}

/// This machine, or a private network (RFC 1918, RFC 4193, link-local).
fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn bad_topic(prefix: &str) -> Option<Fault> {
    let fault = if prefix.is_empty() {
        "is empty: topics of several programs would mix"
    } else if prefix.contains(['#', '+']) {
        "holds a wildcard (`#` or `+`)"
    } else if prefix.starts_with('$') {
        "begins with `$`, which is the broker's own"
    } else if prefix.starts_with('/') || prefix.ends_with('/') || prefix.contains("//") {
        "has an empty level: no `/` at either end, no `//`"
    } else if prefix.len() > 256 {
        "is longer than 256 bytes"
    } else {
        return None;
    };
    Some(Fault::new(fault))
}

fn files(section: &Section<'_>, around: &Surroundings, with_tls: bool) -> MqttTls {
    let names = ["ca_file", "client_cert_file", "client_key_file"];
    if !with_tls {
        for name in names.into_iter().filter(|name| section.has(name)) {
            let problem = section.problem(name, format!("`{name}` is for `mqtts://` only"));
            section.report().add(problem.also(section.span_of("broker"), "not encrypted"));
        }
    }
    let [ca_file, cert, key] = names.map(|name| readable(section, name, around));
    match (section.has("client_cert_file"), section.has("client_key_file")) {
        (true, false) => section.refuse("client_cert_file", Fault::new("needs `client_key_file`")),
        (false, true) => section.refuse("client_key_file", Fault::new("needs `client_cert_file`")),
        _ => {}
    }
    if let Some(key) = &key {
        refuse_open_secret(section, "client_key_file", key, around);
    }
    MqttTls { ca_file, client: cert.zip(key) }
}

/// Where a file is: in the credentials directory if it is there, else beside the config, else in the unit's store.
fn place(file: &str, around: &Surroundings) -> PathBuf {
    let beside = around.folder.join(file);
    let credential = around.credentials.as_ref().map(|folder| folder.join(file));
    let stored = around.store.as_ref().map(|folder| folder.join(format!("wattkeeper.{file}")));
    let mut places = [credential, Some(beside.clone()), stored].into_iter().flatten();
    places.find(|path| path.is_file()).unwrap_or(beside)
}

fn readable(section: &Section<'_>, name: &str, around: &Surroundings) -> Option<PathBuf> {
    let path = place(&section.get::<String>(name)?, around);
    match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(about) if about.is_file() => Some(path),
        Ok(_) => {
            section.refuse(name, Fault::new(format!("names {}, which is no file", path.display())));
            None
        }
        Err(error) => {
            section.refuse(name, Fault::new(format!("cannot be read: {}: {error}", path.display())));
            None
        }
    }
}

fn refuse_open_secret(section: &Section<'_>, name: &str, path: &std::path::Path, around: &Surroundings) {
    if around.credentials.as_ref().is_some_and(|folder| path.starts_with(folder)) {
        return;
    }
    let open = std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o007 != 0);
    if open {
        let problem = section.problem(name, format!("{} can be read by everybody on this machine", path.display()));
        section.report().add(problem.help(format!("run `chmod o= {}`", path.display())));
    }
}

fn password(section: &Section<'_>, around: &Surroundings) -> Option<Secret> {
    const NAME: &str = "password_file";
    let path = readable(section, NAME, around)?;
    refuse_open_secret(section, NAME, &path, around);
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => {
            section.refuse(NAME, Fault::new(format!("names {}, which is empty", path.display())));
            None
        }
        Ok(text) if text.len() > 4096 => {
            section.refuse(NAME, Fault::new(format!("names {}, which is too long for a password", path.display())));
            None
        }
        Ok(text) => Some(Secret::new(&text)),
        Err(error) => {
            section.refuse(NAME, Fault::new(format!("cannot be read: {}: {error}", path.display())));
            None
        }
    }
}
