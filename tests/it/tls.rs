//! TLS and mutual TLS: who gets in, and certificates that change under calls.

use std::time::Duration;

use tandem::config::HumanDuration;
use tandem::config::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use crate::support::certificates::{Authority, replace};
use crate::support::{Client, TestServer, fast};

fn with_tls(authority: &Authority, settings: &mut Settings) {
    authority.sign_server();
    let (certificate, key) = authority.server_files();
    settings.tls_cert = Some(certificate);
    settings.tls_key = Some(key);
    settings.reload_interval = HumanDuration(Duration::from_millis(20));
}

async fn connect(server: &TestServer, tls: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("https://{}", server.grpc_addr())).expect("an address");
    endpoint.tls_config(tls).expect("a configuration").connect().await
}

/// Whether a client gets an answer on a connection of its own.
async fn served(server: &TestServer, tls: ClientTlsConfig) -> bool {
    match connect(server, tls).await {
        // With TLS 1.3 a client hears of its refusal when it first reads.
        Ok(channel) => Client::new(channel).predict(fast(&["좋다"])).await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn over_tls_a_client_that_trusts_the_authority_is_served_and_no_other() {
    let authority = Authority::new();
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| with_tls(&authority, settings))
        .start()
        .await;
    assert!(served(&server, authority.trusting()).await);
    assert!(!served(&server, Authority::new().trusting()).await, "another authority");
    for address in [server.grpc_addr(), server.http_addr()] {
        let mut plain = TcpStream::connect(address).await.expect("open");
        let _ = plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"), "no plaintext beside TLS");
    }
}

#[tokio::test]
async fn under_mutual_tls_a_client_needs_a_certificate_of_the_authority() {
    let authority = Authority::new();
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| {
            with_tls(&authority, settings);
            settings.tls_client_ca = Some(authority.ca_file());
        })
        .start()
        .await;
    assert!(served(&server, authority.trusted()).await);
    assert!(!served(&server, authority.trusting()).await, "no certificate");
    let (certificate, key) = Authority::new().signed();
    let stranger = authority
        .trusting()
        .identity(tonic::transport::Identity::from_pem(certificate, key));
    assert!(!served(&server, stranger).await, "another authority's certificate");
}

#[tokio::test]
async fn a_peer_that_does_not_shake_hands_is_sent_away() {
    let authority = Authority::new();
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| {
            with_tls(&authority, settings);
            settings.handshake_timeout = HumanDuration(Duration::from_millis(50));
        })
        .start()
        .await;
    for address in [server.grpc_addr(), server.http_addr()] {
        let mut stalled = TcpStream::connect(address).await.expect("open");
        // The head of a hello that never comes.
        stalled.write_all(&[0x16, 3, 1, 2, 0]).await.expect("written");
        assert_eq!(stalled.read(&mut [0]).await.unwrap_or(0), 0);
    }
}

#[tokio::test]
async fn certificates_change_under_calls_and_none_fails() {
    const ROTATIONS: usize = 10;
    let authority = Authority::new();
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| {
            with_tls(&authority, settings);
            settings.tls_client_ca = Some(authority.ca_file());
        })
        .start()
        .await;
    let lasting = connect(&server, authority.trusted()).await.expect("open");
    let mut lasting = Client::new(lasting);
    let (certificate_file, _) = authority.server_files();
    for rotation in 0..ROTATIONS {
        // Half of a pair, then rubbish: what was in use stays in use.
        if rotation % 2 == 0 {
            let stranger = Authority::new().signed().0;
            let bad = if rotation % 4 == 0 { "rubbish" } else { &stranger };
            replace(&certificate_file, bad);
            assert!(served(&server, authority.trusted()).await, "bad files change nothing");
        }
        authority.sign_server();
        let expected = certificate_of(&std::fs::read_to_string(&certificate_file).expect("a file"));
        while shown_by(&server, &authority).await != expected {
            lasting.predict(fast(&["좋다"])).await.expect("an answer meanwhile");
            assert!(served(&server, authority.trusted()).await, "rotation {rotation}");
        }
    }
    lasting
        .predict(fast(&["좋다"]))
        .await
        .expect("the first connection lives on");
}

fn certificate_of(pem: &str) -> Vec<u8> {
    use rustls_pki_types::pem::PemObject;
    rustls_pki_types::CertificateDer::from_pem_slice(pem.as_bytes())
        .expect("a certificate")
        .to_vec()
}

/// The certificate that the gateway shows to a new client.
async fn shown_by(server: &TestServer, authority: &Authority) -> Vec<u8> {
    use rustls_pki_types::pem::PemObject;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};
    let mut roots = RootCertStore::empty();
    let ca = rustls_pki_types::CertificateDer::from_pem_file(authority.ca_file()).expect("a certificate");
    roots.add(ca).expect("a root");
    let (certificate, key) = authority.signed();
    let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let config = ClientConfig::builder_with_provider(tokio_rustls::rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate_of(&certificate).into()], key)
        .expect("a pair");
    let stream = TcpStream::connect(server.http_addr()).await.expect("open");
    let name = "localhost".try_into().expect("a name");
    let stream = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config))
        .connect(name, stream)
        .await
        .expect("a handshake");
    stream.get_ref().1.peer_certificates().expect("shown")[0].to_vec()
}
