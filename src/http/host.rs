//! Whom a request was meant for. A web page elsewhere can make a browser reach us under a name that it points at us (DNS
//! rebinding), but it cannot make the browser send another name than its own.

use std::net::{IpAddr, SocketAddr};

/// Whether a request to `authority` (host and port, as in `Host`) may be answered by a listener at `listen`. A listener
/// on loopback answers to loopback names only; one that listens for the network has names we cannot know.
pub(super) fn is_ours(authority: &str, listen: SocketAddr) -> bool {
    if !listen.ip().is_loopback() {
        return true;
    }
    let host = host_of(authority);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == listen.ip())
}

/// Without port and brackets.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or("", |(ip, _)| ip);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_listener_answers_to_loopback_names_only() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 9810));
        for ours in ["localhost:9810", "LOCALHOST", "127.0.0.1:9810", "127.0.0.1", "[::1]:9810", "localhost:1234"] {
            assert!(is_ours(ours, listen), "{ours}");
        }
        for foreign in ["evil.example:9810", "localhost.evil.example", "10.0.0.1", "[fe80::1]", "", "[::1", ":80"] {
            assert!(!is_ours(foreign, listen), "{foreign}");
        }
    }

    #[test]
    fn a_listener_for_the_network_has_names_we_cannot_know() {
        assert!(is_ours("town-hall.lan:9810", SocketAddr::from(([0, 0, 0, 0], 9810))));
    }
}
