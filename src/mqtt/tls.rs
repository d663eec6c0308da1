//! TLS to the broker: rustls with ring. Made anew for each session, so that a renewed certificate needs no restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::MqttTls;

/// Why TLS cannot be set up: the owner's to mend.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read, or holds nothing usable.
    #[error("{file}: {problem}; {remedy}")]
    File {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The system has no CA certificates.
    #[error(
        "the system has no CA certificates; install the package ca-certificates, or name the broker's CA in [mqtt] ca_file"
    )]
    NoRoots,
    /// Certificate and key do not make a client.
    #[error("client certificate {file}: {problem}; certificate and key must belong together")]
    Client {
        /// The certificate's file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The library refuses.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Reads the files and makes the client's side of TLS. Blocks on the disk.
///
/// # Errors
/// [`TlsError`]: which file, what is wrong with it, what to do.
pub fn client_config(tls: &MqttTls) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match &tls.ca_file {
        Some(file) => ca_roots(file)?,
        None => system_roots()?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate, "it must hold the client's certificate chain as PEM")?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
                file: key.clone(),
                problem: pem_problem(&error),
                remedy: "it must hold the client's unencrypted private key as PEM, readable for this user",
            })?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| TlsError::Client { file: certificate.clone(), problem: error.to_string() })?
        }
    };
    Ok(Arc::new(config))
}

fn ca_roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, "it must hold the CA's certificates as PEM")? {
        roots.add(certificate).map_err(|error| TlsError::File {
            file: file.to_path_buf(),
            problem: error.to_string(),
            remedy: "it must hold the CA's certificates as PEM",
        })?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "a CA certificate of the system was passed over");
    }
    let mut roots = RootCertStore::empty();
    // Systems carry certificates that the verifier cannot use; the others serve.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(roots) }
}

fn certificates(file: &Path, remedy: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |problem| TlsError::File { file: file.to_path_buf(), problem, remedy };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(wrong("holds no certificate".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(pem_problem(&error))),
    }
}

fn pem_problem(error: &rustls_pki_types::pem::Error) -> String {
    match error {
        rustls_pki_types::pem::Error::Io(error) => error.to_string(),
        rustls_pki_types::pem::Error::NoItemsFound => "holds no such PEM section".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_empty_file_is_named_with_its_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("ca.pem");
        let tls = MqttTls { ca_file: Some(missing.clone()), client: None };
        let text = client_config(&tls).unwrap_err().to_string();
        assert!(text.contains("ca.pem: No such file") && text.contains("must hold the CA's"), "{text}");
        std::fs::write(&missing, "no pem\n").unwrap();
        let text = client_config(&tls).unwrap_err().to_string();
        assert!(text.contains("holds no certificate"), "{text}");
    }
}
