//! Certificates made for one test: an authority, and what it signs.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// An authority with a folder for what it signs.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("signed"),
            folder: tempfile::tempdir().expect("a folder"),
        };
        std::fs::write(authority.ca_file(), authority.issuer.pem()).expect("written");
        authority
    }

    /// Its own certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Where the server's certificate and key are.
    pub fn server_files(&self) -> (PathBuf, PathBuf) {
        (
            self.folder.path().join("server.pem"),
            self.folder.path().join("server.key"),
        )
    }

    /// Signs a certificate for a server on loopback, in the place of the one before.
    pub fn sign_server(&self) {
        let (certificate, key) = self.signed();
        let (certificate_file, key_file) = self.server_files();
        replace(&key_file, &key);
        replace(&certificate_file, &certificate);
    }

    /// A certificate and its key, PEM.
    pub fn signed(&self) -> (String, String) {
        let names = ["localhost", "127.0.0.1"].map(String::from).to_vec();
        let params = CertificateParams::new(names).expect("good names");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }

    /// A client that trusts this authority.
    pub fn trusting(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.issuer.pem()))
    }

    /// A client that trusts this authority and has a certificate of it.
    pub fn trusted(&self) -> ClientTlsConfig {
        let (certificate, key) = self.signed();
        self.trusting().identity(Identity::from_pem(certificate, key))
    }
}

/// Puts a whole file in another's place, as tools that rotate certificates do.
pub fn replace(file: &Path, content: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, content).expect("written");
    std::fs::rename(&new, file).expect("renamed");
}
