//! The HTTP client of every store: TLS, time limits, redirects, proxies; and plain requests by it.
//!
//! Proxies are those of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, which reqwest reads.

use std::sync::Arc;
use std::time::Duration;

use object_store::ClientOptions;
use object_store::client::{ClientConfigKey, HttpClient, HttpConnector};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::told::told;
use crate::model::files;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a store may say nothing, before its answer and within it.
pub const SILENCE: Duration = Duration::from_secs(30);
/// The most redirects of a request.
const MOST_REDIRECTS: usize = 5;
/// How often a request is tried, and the pause after the first try; each later one is four times as long.
pub const TRIES: u32 = 4;
pub const PAUSE: Duration = Duration::from_millis(200);
/// The variable that names further authorities whose certificates are trusted, PEM.
const AUTHORITIES: &str = "SSL_CERT_FILE";

/// A client that follows no redirects, or only those that lead to TLS again.
fn client(follows: bool, allow_http: bool, connect: Duration) -> Result<Client, String> {
    let policy = if follows {
        Policy::custom(follow)
    } else {
        Policy::none()
    };
    let builder = Client::builder()
        .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls()?)
        .https_only(!allow_http)
        .connect_timeout(connect)
        .read_timeout(SILENCE)
        .redirect(policy)
        .referer(false);
    builder.build().map_err(|error| told(&error))
}

/// Where a request may be sent on to: five times at most, and never from TLS to plain text.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let was_secret = attempt.previous().iter().any(|url| url.scheme() == "https");
    if attempt.previous().len() > MOST_REDIRECTS {
        attempt.error("too many redirects")
    } else if was_secret && attempt.url().scheme() != "https" {
        attempt.error("a redirect from https:// to plain text")
    } else {
        attempt.follow()
    }
}

fn tls() -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(file) = std::env::var_os(AUTHORITIES).filter(|file| !file.is_empty()) {
        let problem = |error: &dyn std::fmt::Display| format!("{AUTHORITIES}: {error}");
        let pem = files::read(file.as_ref(), files::MOST_OF_TOML).map_err(|error| problem(&error))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            // A bundle of a system may hold some that are no roots here.
            roots.add_parsable_certificates([certificate.map_err(|error| problem(&error))?]);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Gives the clients of the cloud stores the same TLS and limits. They follow no redirect: their requests are signed.
#[derive(Debug)]
pub struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let value = |key| options.get_config_value(&key);
        let allow_http = value(ClientConfigKey::AllowHttp).is_some_and(|allowed| allowed == "true");
        // Shorter where it asks a machine's own service for credentials.
        let connect = value(ClientConfigKey::ConnectTimeout).and_then(|time| humantime::parse_duration(&time).ok());
        let made = client(false, allow_http, connect.unwrap_or(CONNECT).min(CONNECT));
        made.map(HttpClient::new)
            .map_err(|problem| object_store::Error::Generic {
                store: "HTTP",
                source: problem.into(),
            })
    }
}

/// Plain requests, for places that are no cloud's.
#[derive(Clone)]
pub struct Http {
    client: Client,
    /// Sent to the host of the first request alone.
    token: Option<String>,
}

impl Http {
    /// Without TLS only where it is allowed.
    pub fn new(allow_http: bool, token: Option<String>) -> Result<Self, String> {
        let client = client(true, allow_http, CONNECT)?;
        Ok(Self { client, token })
    }

    /// Asks for an address, several times if need be. The error is a part of a line.
    pub async fn get(&self, address: &str) -> Result<Response, String> {
        let mut pause = PAUSE;
        let mut tries = 1;
        loop {
            let (problem, may_pass) = match self.once(address).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            if tries == TRIES || !may_pass {
                return Err(problem);
            }
            tokio::time::sleep(pause).await;
            pause *= 4;
            tries += 1;
        }
    }

    /// The error, and whether another try may do better.
    async fn once(&self, address: &str) -> Result<Response, (String, bool)> {
        let mut request = self.client.get(address);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await;
        let response = response.map_err(|error| {
            let may_pass = !error.is_redirect() && !error.is_builder();
            (
                format!("{address} can't be read: {}", told(&error.without_url())),
                may_pass,
            )
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let may_pass =
            status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        Err((format!("{address} answers {status}"), may_pass))
    }

    /// The whole of a small file, and of its headers that one.
    pub async fn read(&self, address: &str, most: u64, header: &str) -> Result<(Vec<u8>, Option<String>), String> {
        let mut response = self.get(address).await?;
        let header = response.headers().get(header).and_then(|value| value.to_str().ok());
        let header = header.map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| told(&error.without_url()))? {
            bytes.extend_from_slice(&part);
            if bytes.len() as u64 > most {
                return Err(format!("{address} {}", files::too_large(most)));
            }
        }
        Ok((bytes, header))
    }
}
