//! Calls between two hosts, as far as the network can tell: a server and a client in network namespaces of their own.
//!
//! Needs the right to make such namespaces (root, and `ip` of iproute2); where that is missing, it says so and ends.

use std::path::Path;
use std::process::Command;

use crate::security::write_certificates;
use crate::support::RunningServer;
use crate::support::command::{Finished, clean, finish};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::tools::tool;

const SERVER: &str = "10.231.0.1";

/// Two namespaces with a wire between them; they go when this is dropped.
struct Hosts {
    server: String,
    client: String,
}

impl Hosts {
    /// Nothing where they can't be made.
    fn make() -> Option<Self> {
        let name = |end| format!("tandem-{}-{end}", std::process::id());
        let hosts = Self {
            server: name("s"),
            client: name("c"),
        };
        let (server, client) = (hosts.server.as_str(), hosts.client.as_str());
        for args in [
            format!("netns add {server}"),
            format!("netns add {client}"),
            format!("link add wire netns {server} type veth peer name wire netns {client}"),
            format!("-n {server} addr add {SERVER}/30 dev wire"),
            format!("-n {client} addr add 10.231.0.2/30 dev wire"),
            format!("-n {server} link set wire up"),
            format!("-n {server} link set lo up"),
            format!("-n {client} link set wire up"),
        ] {
            let ran = Command::new("ip").args(args.split(' ')).output();
            if !ran.as_ref().is_ok_and(|output| output.status.success()) {
                let told = ran.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
                eprintln!("skipped: no network namespaces here: ip {args}: {told:?}");
                return None;
            }
        }
        Some(hosts)
    }

    /// A program on one of them.
    fn on(host: &str, program: &str) -> Command {
        let mut command = clean("ip");
        command.args(["netns", "exec", host, program]);
        command
    }

    fn serve(&self, folder: &Path, models: &Path, args: &[&str]) -> Command {
        let mut command = Self::on(&self.server, env!("CARGO_BIN_EXE_tandem"));
        command
            .current_dir(folder)
            .args(["serve", "--no-http", "--log-format", "json"]);
        command
            .args(["--grpc-addr", &format!("{SERVER}:0"), "--models"])
            .arg(models);
        command.args(FAST_ONLY).args(args);
        command
    }

    /// Asks the server from the other host.
    fn ask(&self, folder: &Path, grpcurl: &str, server: &RunningServer, args: &[&str]) -> Finished {
        let mut command = Self::on(&self.client, grpcurl);
        command
            .current_dir(folder)
            .args(["-max-time", "20", "-connect-timeout", "10"])
            .args(args);
        command.args(["-d", r#"{"texts": ["좋다"], "route": "ROUTE_FAST"}"#]);
        command
            .arg(server.grpc.to_string())
            .arg("tandem.v1.PredictionService/Predict");
        finish(&mut command, b"")
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in [&self.server, &self.client] {
            // One that was never made is no loss.
            let _ = Command::new("ip").args(["netns", "del", host]).output();
        }
    }
}

#[test]
fn between_hosts_plaintext_needs_a_word_and_tls_works() {
    let Some(hosts) = Hosts::make() else { return };
    let grpcurl = tool("grpcurl");
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path(), &[SERVER]);
    let models = FastModelCopy::new();
    let serve = |args: &[&str]| hosts.serve(folder.path(), models.repository(), args);
    let ask = |server: &RunningServer, args: &[&str]| hosts.ask(folder.path(), &grpcurl, server, args);

    let refused = finish(&mut serve(&[]), b"");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.complaint().contains("other hosts would reach it in plaintext"),
        "{refused:?}"
    );

    let open = RunningServer::spawn(serve(&["--allow-plaintext"]));
    open.wait_ready();
    assert!(ask(&open, &["-plaintext"]).success().contains("positive"));
    drop(open);

    let tls = RunningServer::spawn(serve(&["--tls-cert", "cert.pem", "--tls-key", "key.pem"]));
    tls.wait_ready();
    assert!(ask(&tls, &["-cacert", "ca.pem"]).success().contains("positive"));
    assert_ne!(ask(&tls, &["-plaintext"]).code, Some(0), "no plaintext beside it");
    assert_ne!(
        ask(&tls, &[]).code,
        Some(0),
        "an authority that the client does not know"
    );
    drop(tls);

    let mutual = [
        "--tls-cert",
        "cert.pem",
        "--tls-key",
        "key.pem",
        "--tls-client-ca",
        "ca.pem",
    ];
    let mutual = RunningServer::spawn(serve(&mutual));
    mutual.wait_ready();
    assert_ne!(
        ask(&mutual, &["-cacert", "ca.pem"]).code,
        Some(0),
        "the client has no certificate"
    );
    let own = ["-cacert", "ca.pem", "-cert", "cert.pem", "-key", "key.pem"];
    assert!(ask(&mutual, &own).success().contains("positive"));
}
