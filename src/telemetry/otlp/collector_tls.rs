//! TLS towards a collector with `https://`: whose certificates are trusted. The public authorities, or, where
//! `OTEL_EXPORTER_OTLP_CERTIFICATE` names a file, those in it alone.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry_http::HttpClient;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

pub(super) fn over_grpc(authorities: Option<Vec<u8>>) -> ClientTlsConfig {
    match authorities {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_enabled_roots(),
    }
}

/// The client that spans are sent by over HTTP; a request may take that long.
pub(super) fn over_http(authorities: Option<Vec<u8>>, timeout: Duration) -> Result<impl HttpClient + use<>, String> {
    let builder = HttpsConnectorBuilder::new();
    let builder = match authorities {
        Some(pem) => builder.with_tls_config(trusting(&pem)?),
        None => builder
            .with_provider_and_webpki_roots(ring::default_provider())
            .map_err(|error| error.to_string())?,
    };
    let connector = builder.https_or_http().enable_http1().enable_http2().build();
    Ok(HyperClient::new(connector, timeout, None))
}

fn trusting(pem: &[u8]) -> Result<ClientConfig, String> {
    let problem = |error: &dyn std::fmt::Display| format!("OTEL_EXPORTER_OTLP_CERTIFICATE: {error}");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| problem(&error))?;
        roots.add(certificate).map_err(|error| problem(&error))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions();
    let config = config.map_err(|error| problem(&error))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
