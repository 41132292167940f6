//! TLS at the doors: certificates from PEM files, read again when their content changes.
//!
//! A pair that can't be used leaves the one in use alone. Connections keep what they were opened with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::accept::Protocol;
use crate::config::Settings;
use crate::model::files;

/// The certificates in use.
pub struct Tls {
    files: Files,
    used: ArcSwap<Acceptors>,
    /// What the files held that are in use.
    seen: Mutex<[u8; 32]>,
}

struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// What the files held.
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// One for each kind of port.
struct Acceptors {
    grpc: TlsAcceptor,
    http: TlsAcceptor,
    operations: TlsAcceptor,
}

impl Tls {
    /// The certificates of the settings, if they name any. The error is one line that names the file.
    pub fn load(settings: &Settings) -> Result<Option<Self>, String> {
        let (Some(cert), Some(key)) = (&settings.tls_cert, &settings.tls_key) else {
            return Ok(None);
        };
        let files = Files {
            cert: cert.clone(),
            key: key.clone(),
            client_ca: settings.tls_client_ca.clone(),
        };
        let contents = files.read()?;
        Ok(Some(Self {
            used: ArcSwap::from_pointee(files.acceptors(&contents)?),
            seen: Mutex::new(contents.digest()),
            files,
        }))
    }

    /// Looks at the files again; says whether new certificates are in use. After an error, those from before are.
    pub fn reload(&self) -> Result<bool, String> {
        let contents = self.files.read()?;
        let digest = contents.digest();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == digest {
            return Ok(false);
        }
        self.used.store(Arc::new(self.files.acceptors(&contents)?));
        *seen = digest;
        Ok(true)
    }

    /// Shakes hands with the peers of a kind of port.
    pub fn acceptor(&self, protocol: Protocol) -> TlsAcceptor {
        let used = self.used.load();
        match protocol {
            Protocol::Grpc | Protocol::Admin => used.grpc.clone(),
            Protocol::Http => used.http.clone(),
            Protocol::Operations => used.operations.clone(),
        }
    }
}

impl Files {
    fn read(&self) -> Result<Contents, String> {
        let read = |file: &Path| {
            files::read(file, files::MOST_OF_TOML).map_err(|problem| format!("{}: {problem}", file.display()))
        };
        Ok(Contents {
            cert: read(&self.cert)?,
            key: read(&self.key)?,
            client_ca: self.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn acceptors(&self, contents: &Contents) -> Result<Acceptors, String> {
        let named = |file: &Path, problem: &dyn std::fmt::Display| format!("{}: {problem}", file.display());
        let chain = certificates(&contents.cert).map_err(|problem| named(&self.cert, &problem))?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|_| named(&self.key, &"holds no private key in PEM that can be read"))?;
        let provider = Arc::new(ring::default_provider());
        let config = |demanding: bool, protocols: &[&str]| -> Result<TlsAcceptor, String> {
            let builder = ServerConfig::builder_with_provider(provider.clone())
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?;
            let builder = match (&self.client_ca, &contents.client_ca) {
                (Some(file), Some(pem)) if demanding => {
                    let verifier = client_verifier(pem, &provider).map_err(|problem| named(file, &problem))?;
                    builder.with_client_cert_verifier(verifier)
                }
                _ => builder.with_no_client_auth(),
            };
            let mut config = builder
                .with_single_cert(chain.clone(), key.clone_key())
                .map_err(|error| named(&self.cert, &error))?;
            config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
            Ok(TlsAcceptor::from(Arc::new(config)))
        };
        Ok(Acceptors {
            grpc: config(true, &["h2"])?,
            http: config(true, &["h2", "http/1.1"])?,
            // Probes have no certificates.
            operations: config(false, &["h2", "http/1.1"])?,
        })
    }
}

impl Contents {
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()] {
            digest.update(part.map_or([0; 32], |part| Sha256::digest(part).into()));
        }
        digest.finalize().into()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|_| "is no PEM that can be read".to_owned())?;
    if chain.is_empty() {
        return Err("holds no certificate in PEM".into());
    }
    Ok(chain)
}

fn client_verifier(
    pem: &[u8],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn tokio_rustls::rustls::server::danger::ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| error.to_string())
}
