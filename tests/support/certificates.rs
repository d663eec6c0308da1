//! Certificates made by openssl, for brokers with TLS.

use std::path::Path;
use std::process::{Command, Stdio};

fn openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl")
        .current_dir(folder)
        .args(arguments.split(' '))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("install openssl");
    assert!(done.success(), "openssl {arguments}");
}

/// Puts into a folder a CA of our own with a server for localhost and a client, and another CA.
pub fn certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=test-ca -days 2"));
    openssl(folder, &format!("req -x509 {key} -keyout other.key -out other.pem -subj /CN=other-ca -days 2"));
    let names = "-addext subjectAltName=DNS:localhost,IP:127.0.0.1";
    openssl(folder, &format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost {names}"));
    let names = "-addext subjectAltName=DNS:town-hall";
    openssl(folder, &format!("req {key} -keyout client.key -out client.csr -subj /CN=town-hall {names}"));
    for who in ["server", "client"] {
        let files = format!("-in {who}.csr -out {who}.pem");
        openssl(
            folder,
            &format!("x509 -req {files} -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -days 2"),
        );
    }
}
