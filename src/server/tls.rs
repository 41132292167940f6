//! TLS at the doors: certificates from PEM files, read again when their content changes.
//!
//! If a new pair can't be used, the one in use stays. Connections keep what they were opened with.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::protocol::Protocol;
use crate::config::Settings;
use crate::config::given::Given;

pub struct Tls {
    files: Files,
    used: ArcSwap<Acceptors>,
    /// What the files held when the certificates in use were read.
    seen: Mutex<Contents>,
}

struct Files {
    cert: Given,
    key: Given,
    client_ca: Option<Given>,
}

/// The content of the files.
#[derive(PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// One acceptor for each kind of port.
struct Acceptors {
    grpc: TlsAcceptor,
    http: TlsAcceptor,
    operations: TlsAcceptor,
    /// When certificates expire, in seconds since 1970.
    expiries: Vec<(CertificateKind, i64)>,
}

/// Whose certificate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateKind {
    Server,
    ClientAuthority,
}

impl CertificateKind {
    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::ClientAuthority => "client_ca",
        }
    }

    /// The setting that names its file.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Server => "tls_cert",
            Self::ClientAuthority => "tls_client_ca",
        }
    }

    /// What happens once it has expired.
    pub fn consequence(self) -> &'static str {
        match self {
            Self::Server => "clients refuse it",
            Self::ClientAuthority => "no client gets in",
        }
    }
}

impl Tls {
    /// The certificates that the settings name, if they name any. The error is one line that names the file.
    pub fn load(settings: &Settings) -> Result<Option<Self>, String> {
        let (Some(cert), Some(key)) = (&settings.tls_cert, &settings.tls_key) else {
            return Ok(None);
        };
        let ((cert_file, cert), (key_file, key)) = (Given::open("tls_cert", cert)?, Given::open("tls_key", key)?);
        let client_ca = settings.tls_client_ca.as_deref();
        let client_ca = client_ca.map(|file| Given::open("tls_client_ca", file)).transpose()?;
        let (client_ca_file, client_ca) = client_ca.unzip();
        let files = Files {
            cert: cert_file,
            key: key_file,
            client_ca: client_ca_file,
        };
        let contents = Contents { cert, key, client_ca };
        Ok(Some(Self {
            used: ArcSwap::from_pointee(files.acceptors(&contents)?),
            seen: Mutex::new(contents),
            files,
        }))
    }

    /// Reads the files again; returns whether new certificates are in use. After an error the ones from before stay in
    /// use.
    pub fn reload(&self) -> Result<bool, String> {
        let mut seen = self.seen.lock();
        let contents = self.files.read_again(&seen)?;
        if *seen == contents {
            return Ok(false);
        }
        self.used.store(Arc::new(self.files.acceptors(&contents)?));
        *seen = contents;
        Ok(true)
    }

    /// When the certificates in use expire, in seconds since 1970: the first one of the server's chain, and the last one of
    /// the authorities of clients, since one of them is enough.
    pub fn expiries(&self) -> Vec<(CertificateKind, i64)> {
        self.used.load().expiries.clone()
    }

    /// The acceptor for this kind of port.
    pub fn acceptor(&self, protocol: Protocol) -> TlsAcceptor {
        let used = self.used.load();
        match protocol {
            Protocol::Grpc | Protocol::Admin => used.grpc.clone(),
            Protocol::Http | Protocol::Both => used.http.clone(),
            Protocol::Operations => used.operations.clone(),
        }
    }
}

impl Files {
    /// The content of the files now. What came from a pipe stays as it was.
    fn read_again(&self, before: &Contents) -> Result<Contents, String> {
        let read = |file: &Given, before: &Vec<u8>| match file.again() {
            Ok(now) => Ok(now.unwrap_or_else(|| before.clone())),
            Err(problem) => Err(file.named(problem)),
        };
        let client_ca = self.client_ca.as_ref().zip(before.client_ca.as_ref());
        Ok(Contents {
            cert: read(&self.cert, &before.cert)?,
            key: read(&self.key, &before.key)?,
            client_ca: client_ca.map(|(file, before)| read(file, before)).transpose()?,
        })
    }

    fn acceptors(&self, contents: &Contents) -> Result<Acceptors, String> {
        let chain = certificates(&contents.cert).map_err(|problem| self.cert.named(problem))?;
        let ends_of = |file: &Given, certificates: &[CertificateDer<'_>]| {
            ends(certificates).map_err(|problem| file.named(problem))
        };
        let first = ends_of(&self.cert, &chain)?.into_iter().min();
        let mut expiries: Vec<_> = first.map(|at| (CertificateKind::Server, at)).into_iter().collect();
        if let (Some(file), Some(pem)) = (&self.client_ca, &contents.client_ca) {
            let authorities = certificates(pem).map_err(|problem| file.named(problem))?;
            let last = ends_of(file, &authorities)?.into_iter().max();
            expiries.extend(last.map(|at| (CertificateKind::ClientAuthority, at)));
        }
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|_| self.key.named("holds no private key in PEM that can be read"))?;
        let provider = Arc::new(ring::default_provider());
        let config = |demanding: bool, protocols: &[&str]| -> Result<TlsAcceptor, String> {
            let builder = ServerConfig::builder_with_provider(provider.clone())
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?;
            let builder = match (&self.client_ca, &contents.client_ca) {
                (Some(file), Some(pem)) if demanding => {
                    let verifier = client_verifier(pem, &provider).map_err(|problem| file.named(problem))?;
                    builder.with_client_cert_verifier(verifier)
                }
                _ => builder.with_no_client_auth(),
            };
            let mut config = builder
                .with_single_cert(chain.clone(), key.clone_key())
                .map_err(|error| self.cert.named(error))?;
            config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
            Ok(TlsAcceptor::from(Arc::new(config)))
        };
        Ok(Acceptors {
            grpc: config(true, &["h2"])?,
            http: config(true, &["h2", "http/1.1"])?,
            // Probes have no certificates of their own.
            operations: config(false, &["h2", "http/1.1"])?,
            expiries,
        })
    }
}

/// When each of these certificates expires, in seconds since 1970.
fn ends(chain: &[CertificateDer<'_>]) -> Result<Vec<i64>, String> {
    let ends = chain.iter().map(|certificate| {
        let (_, read) = x509_parser::parse_x509_certificate(certificate)
            .map_err(|_| "holds what is no X.509 certificate".to_owned())?;
        Ok(read.validity().not_after.timestamp())
    });
    ends.collect()
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
