//! How the commands of operators reach a server: its admin port, their token, TLS. The settings of the server itself say what
//! the arguments do not.

use std::path::PathBuf;

use tonic::{Request, Response, Status};

use super::client::{Connection, CredentialArgs, ServerAddress, describe};
use super::healthcheck::connect_as_configured;
use crate::config::{HumanDuration, Settings};

/// The address of the admin port where no configuration names one.
const USUAL_ADDRESS: &str = "127.0.0.1:50052";

/// How to reach the admin port of a server.
#[derive(clap::Args)]
pub struct AdminArgs {
    /// The server's admin address [default: the one in the server's configuration, or 127.0.0.1:50052]; a wildcard address is
    /// asked on loopback
    #[arg(long, alias = "server", env = "TANDEM_ADMIN_ADDR", value_name = "ADDRESS", value_parser = ServerAddress::parse, global = true)]
    addr: Option<ServerAddress>,
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
    /// Connects to the admin port that the arguments name, or else to the configured one.
    pub async fn connect(&self, settings: &Settings) -> Result<Connection, String> {
        let credentials = CredentialArgs {
            token: self.token.clone(),
            tls_ca: self.tls_ca.clone(),
            tls_name: self.tls_name.clone(),
        };
        let configured = || match &settings.admin_addr {
            Some(address) => Ok(address.clone().into()),
            None => ServerAddress::parse(USUAL_ADDRESS),
        };
        let address = self.addr.clone().map_or_else(configured, Ok)?;
        let (is_configured, token) = (self.addr.is_none(), self.token.as_deref());
        connect_as_configured(&address, is_configured, &credentials, token, settings).await
    }

    /// A request that the server may take as long for as the arguments say.
    pub fn within<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout.0);
        request
    }
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
