//! `tandem healthcheck`: asks grpc.health.v1 once; for containers and scripts without a gRPC client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::client::{CredentialArgs, OwnCertificate, connect_as, describe};
use super::output::outln;
use super::{Exit, complain};

/// The arguments of `tandem healthcheck`.
#[derive(clap::Args)]
pub struct HealthcheckArgs {
    /// The server's gRPC address; a wildcard address is asked on loopback
    #[arg(
        long,
        env = "TANDEM_GRPC_ADDR",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:50051"
    )]
    addr: String,
    /// What to ask for: a service or a model; empty for the whole server
    #[arg(long, value_name = "NAME", default_value = "")]
    service: String,
    /// How long to wait, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2000)]
    timeout_ms: u64,
    /// What the server is shown.
    #[command(flatten)]
    credentials: CredentialArgs,
    /// The certificate by which this program shows itself, PEM
    #[arg(long, env = "TANDEM_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, env = "TANDEM_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
}

/// Asks once.
pub fn run(args: &HealthcheckArgs) -> Exit {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = match tokio {
        Ok(tokio) => tokio.block_on(async {
            let limit = Duration::from_millis(args.timeout_ms);
            let own = args.tls_cert.as_deref().zip(args.tls_key.as_deref());
            tokio::time::timeout(limit, ask(args, own))
                .await
                .unwrap_or_else(|_| Err(format!("{}: no answer within {limit:?}", args.addr)))
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

async fn ask(args: &HealthcheckArgs, own: OwnCertificate<'_>) -> Result<ServingStatus, String> {
    let connection = connect_as(&reachable(&args.addr), &args.credentials, own).await?;
    let mut client = HealthClient::new(connection);
    let request = HealthCheckRequest {
        service: args.service.clone(),
    };
    let answer = client.check(request).await.map_err(|status| describe(&status))?;
    Ok(answer.into_inner().status())
}

/// A server that listens on all addresses is reached on loopback.
pub fn reachable(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(mut parsed) if parsed.ip().is_unspecified() => {
            let loopback = if parsed.is_ipv4() {
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            } else {
                IpAddr::V6(Ipv6Addr::LOCALHOST)
            };
            parsed.set_ip(loopback);
            parsed.to_string()
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn a_wildcard_address_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:7"), "127.0.0.1:7");
        assert_eq!(reachable("[::]:7"), "[::1]:7");
        assert_eq!(reachable("server:7"), "server:7");
    }
}
