//! How the commands of operators reach a server, or several: the admin port, their token, TLS. The settings of the server
//! itself say what the arguments do not.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tonic::{Request, Response, Status};

use super::client::{Connection, CredentialArgs, ServerAddress, describe};
use super::healthcheck::connect_as_configured;
use crate::config::{Address, HumanDuration, Settings};

/// How long it may take to learn the addresses of a name.
const DNS_PATIENCE: Duration = Duration::from_secs(5);
/// The address of the admin port where no configuration names one.
const USUAL_ADDRESS: &str = "127.0.0.1:50052";

/// How to reach the admin port of a server.
#[derive(clap::Args)]
pub struct AdminArgs {
    /// The server's admin address [default: the one in the server's configuration, or 127.0.0.1:50052]; a wildcard address is
    /// asked on loopback. Several with commas between them, or dns:///NAME:PORT for all addresses of a name
    #[arg(long, alias = "server", env = "TANDEM_ADMIN_ADDR", value_name = "ADDRESS", value_parser = AdminAddress::parse, value_delimiter = ',', global = true)]
    addr: Vec<AdminAddress>,
    /// How long to wait for it to be done
    #[arg(long, value_name = "DURATION", default_value = "10m", global = true)]
    timeout: HumanDuration,
    /// The token of an operator; better given in the environment, where others can't read it
    #[arg(
        long,
        env = "TANDEM_ADMIN_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        global = true
    )]
    token: Option<String>,
    /// Speak TLS, and trust servers whose certificates these authorities signed, PEM
    #[arg(long, env = "TANDEM_TLS_CA", value_name = "FILE", global = true)]
    tls_ca: Option<PathBuf>,
    /// The name in the server's certificate [default: the host of the address]
    #[arg(long, env = "TANDEM_TLS_NAME", value_name = "NAME", global = true)]
    tls_name: Option<String>,
}

impl AdminArgs {
    /// Connects to the admin port that the arguments name, or else to the configured one. An error if they name several.
    pub async fn connect(&self, settings: &Settings) -> Result<Connection, String> {
        match &self.servers(settings).await?[..] {
            [server] => self.connect_to(server, settings).await,
            several => Err(format!("--addr names {} servers, and this asks one", several.len())),
        }
    }

    /// The servers that the arguments name, or else the configured one, at least one and each once. The error is one line.
    pub async fn servers(&self, settings: &Settings) -> Result<Vec<AdminServer>, String> {
        let mut servers: Vec<AdminServer> = Vec::new();
        for address in &self.addr {
            match address {
                AdminAddress::One(address) => servers.push(AdminServer::new(address.clone())),
                AdminAddress::AllOf(host, port) => servers.extend(all_of(host, *port).await?),
            }
        }
        if servers.is_empty() {
            let address = match &settings.admin_addr {
                Some(address) => address.clone().into(),
                None => ServerAddress::parse(USUAL_ADDRESS)?,
            };
            servers.push(AdminServer::new(address));
        }
        let mut known = BTreeSet::new();
        servers.retain(|server| known.insert(server.address.to_string()));
        Ok(servers)
    }

    /// Connects to one of [`AdminArgs::servers`].
    pub async fn connect_to(&self, server: &AdminServer, settings: &Settings) -> Result<Connection, String> {
        let credentials = CredentialArgs {
            token: self.token.clone(),
            tls_ca: self.tls_ca.clone(),
            tls_name: self.tls_name.clone().or_else(|| server.name.clone()),
        };
        let (is_configured, token) = (self.addr.is_empty(), self.token.as_deref());
        connect_as_configured(&server.address, is_configured, &credentials, token, settings).await
    }

    /// A request that the server may take as long for as the arguments say.
    pub fn within<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout.0);
        request
    }
}

/// What an operator writes for the address of a server, or of several.
#[derive(Clone, Debug)]
pub enum AdminAddress {
    One(ServerAddress),
    /// All addresses of a host name, and the port.
    AllOf(String, u16),
}

impl AdminAddress {
    /// Parses an address, or `dns:///NAME:PORT` as gRPC's clients write it. The error is one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(name) = text.strip_prefix("dns:") else {
            return ServerAddress::parse(text).map(Self::One);
        };
        match name.trim_start_matches('/').parse::<Address>()? {
            Address::Name(host, port) => Ok(Self::AllOf(host, port)),
            address => Ok(Self::One(address.into())),
        }
    }
}

/// A server whose admin port is asked.
#[derive(Clone, Debug)]
pub struct AdminServer {
    pub address: ServerAddress,
    /// The name by which it was found, which its certificate has.
    name: Option<String>,
}

impl AdminServer {
    fn new(address: ServerAddress) -> Self {
        Self { address, name: None }
    }
}

/// The servers behind a host name, in the order of their addresses.
async fn all_of(host: &str, port: u16) -> Result<Vec<AdminServer>, String> {
    let found = tokio::time::timeout(DNS_PATIENCE, tokio::net::lookup_host((host, port))).await;
    let found = found.map_err(|_| format!("{host}: its addresses were not told within {DNS_PATIENCE:?}"))?;
    let mut addresses: Vec<_> = found.map_err(|error| format!("{host}: {error}"))?.collect();
    addresses.sort_unstable();
    let server = |address| AdminServer {
        address: Address::Ip(address).into(),
        name: Some(host.to_owned()),
    };
    Ok(addresses.into_iter().map(server).collect())
}

/// The server's settings among the arguments. They are accepted anywhere, and shown in the help if they say how to
/// reach the server.
pub fn setting(argument: clap::Arg) -> clap::Arg {
    let argument = argument.global(true);
    match argument.get_id().as_str() {
        // Its environment variable is that of `--addr`, which also takes URLs.
        "admin_addr" => argument.env(None::<&str>).hide(true),
        _ => argument,
    }
}

/// The server's answer. The error is one line.
pub fn told<T>(answer: Result<Response<T>, Status>) -> Result<T, String> {
    answer.map(Response::into_inner).map_err(|status| describe(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_one_server_or_a_name_of_several() {
        let parsed = |text: &str| AdminAddress::parse(text).expect(text);
        for text in ["dns:///tandem.example:50052", "dns:tandem.example:50052"] {
            assert!(matches!(parsed(text), AdminAddress::AllOf(host, 50052) if host == "tandem.example"));
        }
        for text in [
            "127.0.0.1:50052",
            "dns:///127.0.0.1:50052",
            "unix:/run/admin",
            "https://a:1",
        ] {
            assert!(matches!(parsed(text), AdminAddress::One(_)), "{text}");
        }
        assert!(AdminAddress::parse("dns:///tandem.example").is_err());
    }
}
