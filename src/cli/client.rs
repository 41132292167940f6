//! gRPC client, for the commands that talk to a server.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use tokio_util::either::Either;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::config::{Address, given};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How a client shows itself, and whom it trusts.
#[derive(Clone, clap::Args, Default)]
pub struct CredentialArgs {
    /// The token by which the server knows this caller; better given in the environment, where others can't read it
    #[arg(long, env = "TANDEM_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Speak TLS, and trust servers whose certificates these authorities signed, PEM
    #[arg(long, env = "TANDEM_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// The name in the server's certificate [default: the host of the address]
    #[arg(long, env = "TANDEM_TLS_NAME", value_name = "NAME")]
    pub tls_name: Option<String>,
}

/// The certificate of a client, and its key.
pub type OwnCertificate<'a> = Option<(&'a Path, &'a Path)>;

/// A connection that adds the caller's token to each call.
pub type Connection = InterceptedService<Channel, Bearer>;

/// Adds a token to each call, if there is one.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// A server to call over several connections.
#[derive(Clone)]
pub struct Server {
    pub address: ServerAddress,
    /// How this client identifies itself, and whom it trusts.
    pub credentials: CredentialArgs,
    pub own: Option<(PathBuf, PathBuf)>,
}

impl Server {
    /// A server in plaintext that needs no credentials.
    pub fn plain(address: ServerAddress) -> Self {
        Self {
            address,
            credentials: CredentialArgs::default(),
            own: None,
        }
    }

    /// Opens a connection. The error is one line.
    pub async fn connect(&self) -> Result<Connection, String> {
        let own = self.own.as_ref();
        let own = own.map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        connect_as(&self.address, &self.credentials, own).await
    }
}

/// Connects to `server` with credentials. The error is one line.
pub async fn connect_as(
    server: &ServerAddress,
    credentials: &CredentialArgs,
    own: OwnCertificate<'_>,
) -> Result<Connection, String> {
    let bearer = Bearer(credentials.token.as_deref().map(bearer).transpose()?);
    let channel = match &credentials.tls_ca {
        None => server.open(server.endpoint("http")?).await?,
        Some(authorities) => {
            let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(authorities)?));
            if let Some((certificate, key)) = own {
                tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
            }
            if let Some(name) = &credentials.tls_name {
                tls = tls.domain_name(name);
            }
            let endpoint = server.endpoint("https")?.tls_config(tls);
            server
                .open(endpoint.map_err(|error| format!("TLS: {}", innermost(&error)))?)
                .await?
        }
    };
    Ok(InterceptedService::new(channel, bearer))
}

/// Connects by TLS to a server on this machine whose certificate and key are the files `pair`. Shows the same pair to a
/// server that asks for a certificate. With a token, which is a secret, the server must show exactly the certificate of
/// the pair; without one, any certificate will do. The error is one line.
pub async fn connect_to_own(
    server: &ServerAddress,
    (certificate, key): (&Path, &Path),
    token: Option<&str>,
) -> Result<Connection, String> {
    let bearer = token.map(bearer).transpose()?;
    let pem = |file: &Path, error: rustls_pki_types::pem::Error| format!("{}: {error}", file.display());
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem(certificate, error))?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| pem(key, error))?;
    let provider = Arc::new(ring::default_provider());
    let tls = |error: TlsError| format!("{server}: TLS: {error}");
    let verifier = OwnCertificates {
        provider: Arc::clone(&provider),
        wanted: bearer.is_some().then(|| chain.first().cloned()).flatten(),
    };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain, secret)
        .map_err(tls)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let (path, to) = (server.unix_path(), server.to_string());
    let connect = tower::service_fn(move |_| {
        let (connector, path, to) = (connector.clone(), path.clone(), to.clone());
        async move {
            let stream = match path {
                Some(path) => Either::Right(UnixStream::connect(path).await?),
                None => Either::Left(TcpStream::connect(&to).await?),
            };
            let name = ServerName::try_from("localhost").expect("a name");
            Ok::<_, io::Error>(TokioIo::new(connector.connect(name, stream).await?))
        }
    });
    // The scheme says nothing of TLS, which the connector does itself.
    let channel = server
        .endpoint("http")?
        .connect_timeout(CONNECT_TIMEOUT)
        .connect_with_connector(connect)
        .await
        .map_err(|error| format!("{server}: {}", innermost(&error)))?;
    Ok(InterceptedService::new(channel, Bearer(bearer)))
}

/// Accepts one certificate, or any, if the server has its key.
#[derive(Debug)]
struct OwnCertificates {
    provider: Arc<CryptoProvider>,
    /// The only certificate to accept; `None` for any.
    wanted: Option<CertificateDer<'static>>,
}

impl ServerCertVerifier for OwnCertificates {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        match &self.wanted {
            Some(wanted) if wanted != shown => Err(TlsError::General(
                "it shows another certificate than tls_cert; say whom to trust with --tls-ca".to_owned(),
            )),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The address of a server.
#[derive(Clone, Debug)]
pub enum ServerAddress {
    /// A URL: `http://host:port` or `https://host:port`.
    Url(String),
    /// An address as in a server's own settings.
    Plain(Address),
}

impl ServerAddress {
    /// Parses an address or a URL. A wildcard address becomes loopback. The error is one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") && !text.starts_with("unix:") {
            Ok(Self::Url(text.to_owned()))
        } else {
            Ok(text.parse::<Address>()?.into())
        }
    }

    /// Whether only this host can reach it.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Plain(address) if address.is_local())
    }

    fn unix_path(&self) -> Option<PathBuf> {
        match self {
            Self::Url(_) => None,
            Self::Plain(address) => address.unix_path(),
        }
    }

    fn endpoint(&self, scheme: &str) -> Result<Endpoint, String> {
        let url = match self {
            Self::Url(url) => url.clone(),
            // Only this host can be behind a Unix socket.
            Self::Plain(address) if self.unix_path().is_some() => format!("{scheme}://localhost"),
            Self::Plain(address) => format!("{scheme}://{address}"),
        };
        Endpoint::from_shared(url).map_err(|error| format!("{self}: {error}"))
    }

    async fn open(&self, endpoint: Endpoint) -> Result<Channel, String> {
        let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT);
        let opened = match self.unix_path() {
            None => endpoint.connect().await,
            Some(path) => {
                let connect = tower::service_fn(move |_| {
                    let path = path.clone();
                    async move { Ok::<_, io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
                });
                endpoint.connect_with_connector(connect).await
            }
        };
        opened.map_err(|error| format!("{self}: {}", innermost(&error)))
    }
}

impl From<Address> for ServerAddress {
    fn from(address: Address) -> Self {
        Self::Plain(address.reachable())
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(formatter),
            Self::Plain(address) => address.fmt(formatter),
        }
    }
}

fn bearer(token: &str) -> Result<MetadataValue<Ascii>, String> {
    let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
        .parse()
        .map_err(|_| "the token must be visible ASCII characters".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    given::read(file).map_err(|problem| format!("{}: {problem}", file.display()))
}

/// A failed call as one line.
pub fn describe(status: &Status) -> String {
    // Only a failure of the connection has a cause here; what a server answers has none.
    match std::error::Error::source(status) {
        None => format!("{:?}: {}", status.code(), status.message()),
        Some(cause) => format!(
            "the connection failed: {}; if the server has TLS, give --tls-ca",
            innermost(cause)
        ),
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
