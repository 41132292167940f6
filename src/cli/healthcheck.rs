//! `tandem healthcheck`: asks grpc.health.v1 once. For containers and scripts without a gRPC client.
//!
//! Reads the server's own settings, so a server whose address and certificate come from the environment or from
//! tandem.toml is found without flags. One that was told by flags is found by its process, which is number 1 in a container.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use super::client::{Connection, CredentialArgs, ServerAddress, connect_as, connect_to_own, describe};
use super::config_args::ConfigArgs;
use super::exit::Exit;
use super::output::{complain, fail, outln};
use crate::api::grpc::health::pb::HealthCheckRequest;
use crate::api::grpc::health::pb::health_check_response::ServingStatus;
use crate::api::grpc::health::pb::health_client::HealthClient;
use crate::config::Settings;

/// The arguments of `tandem healthcheck`.
#[derive(clap::Args)]
pub struct HealthcheckArgs {
    /// The server's gRPC address [default: the one in the server's configuration]; a wildcard address is asked on loopback
    #[arg(long, value_name = "ADDRESS", value_parser = ServerAddress::parse)]
    addr: Option<ServerAddress>,
    /// What to ask for: a service or a model; empty for the whole server
    #[arg(long, value_name = "NAME", default_value = "")]
    service: String,
    /// How long to wait, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2000)]
    timeout_ms: u64,
    /// The process of the server, whose flags count too; a process that is no `tandem serve` changes nothing
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// How this client identifies itself, and whom it trusts.
    #[command(flatten)]
    credentials: CredentialArgs,
    /// The settings, and the file that holds them.
    #[command(flatten)]
    config: ConfigArgs,
}

/// Asks. `flags_of` finds the configuration in the command line of a server.
pub fn run(args: &HealthcheckArgs, flags_of: impl Fn(Vec<OsString>) -> Option<ConfigArgs>) -> Exit {
    let server = args.pid.and_then(command_line).and_then(flags_of);
    let settings = match server.as_ref().unwrap_or(&args.config).resolve() {
        Ok(settings) => settings,
        Err(error) => return fail(&error, Exit::Usage),
    };
    let address = args
        .addr
        .clone()
        .unwrap_or_else(|| settings.grpc_address().clone().into());
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = match tokio {
        Ok(tokio) => tokio.block_on(async {
            let limit = Duration::from_millis(args.timeout_ms);
            tokio::time::timeout(limit, ask(args, &settings, &address))
                .await
                .unwrap_or_else(|_| Err(format!("{address}: no answer within {limit:?}")))
        }),
        Err(error) => Err(error.to_string()),
    };
    match answer {
        Ok(ServingStatus::Serving) => {
            outln!("SERVING");
            Exit::Success
        }
        Ok(status) => {
            outln!("{}", status.as_str_name());
            Exit::Failure
        }
        Err(problem) => {
            complain(&problem);
            Exit::Failure
        }
    }
}

/// The words by which a process was started, if there is one that may be looked at.
fn command_line(pid: u32) -> Option<Vec<OsString>> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = line.strip_suffix(&[0])?.split(|byte| *byte == 0);
    Some(words.map(|word| OsString::from_vec(word.to_vec())).collect())
}

async fn ask(args: &HealthcheckArgs, settings: &Settings, address: &ServerAddress) -> Result<ServingStatus, String> {
    let mut client = HealthClient::new(
        connect_as_configured(address, args.addr.is_none(), &args.credentials, None, settings).await?,
    );
    let request = HealthCheckRequest {
        service: args.service.clone(),
    };
    let answer = client.check(request).await.map_err(|status| describe(&status))?;
    Ok(answer.into_inner().status())
}

/// Connects to an address from the server's configuration (`is_configured`) or from the command line. A server with
/// this configuration is called by TLS if it has a certificate. On this machine, no certificate authority and no server
/// name need to be given, and no token but `token` is sent.
pub async fn connect_as_configured(
    address: &ServerAddress,
    is_configured: bool,
    credentials: &CredentialArgs,
    token: Option<&str>,
    settings: &Settings,
) -> Result<Connection, String> {
    let own = settings.tls_cert.as_deref().zip(settings.tls_key.as_deref());
    // Only the holder of the configured key gets a token, wherever it is.
    let is_here = is_configured || address.is_local() || token.is_some();
    match (own, address) {
        (Some(pair), ServerAddress::Plain(_)) if credentials.tls_ca.is_none() && is_here => {
            connect_to_own(address, pair, token).await
        }
        _ => connect_as(address, credentials, own).await,
    }
}
