//! `tandem models`: an operator rolls versions out and back by the command line.

use serde_json::Value;

use crate::support::RunningServer;
use crate::support::command::{Finished, finish, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};

use super::security::write_certificates;

const TOKEN: &str = "operator-0123456789";

struct Operator {
    address: String,
}

impl Operator {
    fn run(&self, args: &[&str]) -> Finished {
        let mut command = tandem();
        command.arg("models").args(args).args(["--addr", &self.address]);
        command.env("TANDEM_ADMIN_TOKEN", TOKEN);
        finish(&mut command, b"")
    }

    fn json(&self, args: &[&str]) -> Value {
        let args = [args, &["--json"]].concat();
        self.run(&args).json()
    }
}

fn server(models: &FastModelCopy) -> (RunningServer, Operator) {
    let mut command = tandem();
    command.arg("serve").args(crate::support::server::free_ports());
    command.arg("--models").arg(models.repository()).args(FAST_ONLY);
    command.args(["--admin-addr", "127.0.0.1:0"]);
    command.env("TANDEM_ADMIN_TOKENS", format!("operator:{TOKEN}"));
    let server = RunningServer::spawn(command);
    server.wait_ready();
    let address = server.admin.expect("the admin port is open").to_string();
    (server, Operator { address })
}

#[test]
fn an_operator_tries_promotes_and_rolls_back_a_version() {
    let models = FastModelCopy::new();
    let (_server, operator) = server(&models);
    models.add_version("2");

    let list = operator.run(&["list"]).success();
    assert!(list.contains("sentiment-fast"), "{list:?}");
    let coloured = operator.run(&["list", "--color", "always"]).success();
    assert!(coloured.starts_with("\u{1b}[1mmodel\u{1b}[0m"), "{coloured:?}");
    let canary = operator
        .run(&["canary", "sentiment-fast@2", "--share", "0.25"])
        .success();
    assert!(
        canary.contains("canary: version 2 for 25% of the clients"),
        "{canary:?}"
    );
    let shown = operator.json(&["show", "sentiment-fast"]);
    assert_eq!(shown["versions"]["canary"]["version"], "2");
    assert_eq!(shown["versions"]["pinnedVersion"], "1");
    // Nobody asked yet, so there is nothing to say of answers and times.
    let shown = operator.run(&["show", "sentiment-fast"]).success();
    assert!(
        shown.contains("canary: version 2 for 25% of the clients, which sent no requests yet\n"),
        "{shown}"
    );

    let promoted = operator.json(&["promote", "sentiment-fast@2"]);
    assert_eq!(promoted["versions"]["pinnedVersion"], "2");
    assert_eq!(promoted["warning"], "");
    models.add_version("3");
    let reload = operator.run(&["reload"]).success();
    assert!(reload.contains("held"), "{reload:?}");
    let labels = models.repository().join("labels.toml");
    assert!(
        std::fs::read_to_string(labels)
            .expect("labels")
            .contains("stable = \"2\"")
    );

    let back = operator.json(&["rollback", "sentiment-fast"]);
    assert_eq!(back["versions"]["pinnedVersion"], "1");
    assert_eq!(back["versions"]["lastRollback"]["version"], "2");
    operator.run(&["load", "sentiment-fast@3"]).success();
    let listed = operator.json(&["list"]);
    let roles: Vec<&Value> = listed["models"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|model| &model["role"])
        .collect();
    assert_eq!(roles, ["VERSION_ROLE_STABLE", "VERSION_ROLE_PINNED"]);
    let unloaded = operator.run(&["unload", "sentiment-fast@3"]).success();
    assert!(!unloaded.contains("by name"), "{unloaded:?}");
}

#[test]
fn what_can_not_be_done_is_one_line_and_exit_code_1() {
    let models = FastModelCopy::new();
    let (_server, operator) = server(&models);
    for (args, expected) in [
        (vec!["show", "no-such"], "NotFound: name: there is no model `no-such`"),
        (vec!["promote", "sentiment-fast@9"], "the repository has no version `9`"),
        (
            vec!["unload", "sentiment-fast@1"],
            "FailedPrecondition: version `1` is stable",
        ),
        (
            vec!["rollback", "sentiment-fast"],
            "there is no version of `sentiment-fast` before `1`",
        ),
    ] {
        let finished = operator.run(&args);
        assert_eq!(finished.code, Some(1), "{args:?}: {finished:?}");
        assert!(finished.complaint().contains(expected), "{args:?}: {finished:?}");
    }
    models.add_version("2");
    std::fs::remove_file(models.repository().join("sentiment-fast/2/model.onnx")).expect("a file");
    let reload = operator.run(&["reload"]);
    assert_eq!(reload.code, Some(1), "{reload:?}");
    assert!(reload.stdout.contains("refused"), "{reload:?}");
    let stranger = finish(tandem().args(["models", "list", "--addr", &operator.address]), b"");
    assert!(stranger.complaint().contains("Unauthenticated"), "{stranger:?}");
}

#[test]
fn the_server_is_found_by_its_own_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path(), &[]);
    let models = FastModelCopy::new();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let tls = format!("tls_cert = {:?}\ntls_key = {:?}\n", path("cert.pem"), path("key.pem"));
    for tls in [String::new(), tls] {
        std::fs::write(folder.path().join("tandem.toml"), &tls).expect("written");
        let own = |args: &[&str], token: Option<&str>| {
            let mut command = tandem();
            command.current_dir(folder.path()).args(args);
            if let Some(token) = token {
                command.env("TANDEM_ADMIN_TOKEN", token);
            }
            command
        };
        let mut command = own(&["serve", "--admin-addr", "127.0.0.1:0"], None);
        command.args(crate::support::server::free_ports()).args(FAST_ONLY);
        command.arg("--models").arg(models.repository());
        command.env("TANDEM_ADMIN_TOKENS", format!("operator:{TOKEN}"));
        let server = RunningServer::spawn(command);
        server.wait_ready();
        let address = server.admin.expect("the admin port is open");
        std::fs::write(
            folder.path().join("tandem.toml"),
            format!("admin_addr = \"{address}\"\n{tls}"),
        )
        .expect("written");

        let list = finish(&mut own(&["models", "list"], Some(TOKEN)), b"").success();
        assert!(list.contains("sentiment-fast"), "{list:?}");
        let named = ["models", "list", "--config", &path("tandem.toml")];
        finish(tandem().args(named).env("TANDEM_ADMIN_TOKEN", TOKEN), b"").success();
        let stranger = finish(&mut own(&["models", "list"], None), b"");
        assert!(stranger.complaint().contains("Unauthenticated"), "{stranger:?}");
        if !tls.is_empty() {
            // The token is for the holder of this key, not for whoever listens there.
            std::fs::rename(path("ca.pem"), path("old-ca.pem")).expect("kept");
            write_certificates(folder.path(), &[]);
            let other = finish(&mut own(&["models", "list"], Some(TOKEN)), b"");
            assert!(
                other
                    .complaint()
                    .contains("another certificate than tls_cert; say whom to trust with --tls-ca"),
                "{other:?}"
            );
            let trusting = ["models", "list", "--tls-ca", &path("old-ca.pem")];
            let list = finish(&mut own(&trusting, Some(TOKEN)), b"").success();
            assert!(list.contains("sentiment-fast"), "{list:?}");
        }
    }
}

#[test]
fn several_servers_are_compared_and_a_command_walks_until_one_refuses() {
    let (models, other) = (FastModelCopy::new(), FastModelCopy::new());
    let ((_one, first), (_two, second)) = (server(&models), server(&other));
    let both = Operator {
        address: format!("{},{}", first.address, second.address),
    };
    let listed = both.run(&["list"]).success();
    assert!(
        listed.contains(&first.address) && listed.contains(&second.address),
        "{listed}"
    );
    assert!(!listed.contains("differs"), "{listed}");
    // The second one has no such version.
    models.add_version("2");
    let promoted = both.run(&["promote", "sentiment-fast@2"]);
    assert_eq!(promoted.code, Some(1), "{promoted:?}");
    let stopped = format!(
        "tandem: stopped at {}: 1 of 2 servers did it, 0 were not asked",
        second.address
    );
    assert!(promoted.stderr.contains(&stopped), "{promoted:?}");
    let listed = both.run(&["list"]);
    assert_eq!(listed.code, Some(1), "{listed:?}");
    assert!(listed.stdout.contains("sentiment-fast differs: "), "{listed:?}");
    let json = both.run(&["list", "--json"]);
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["same"], false);
    assert_eq!(json["servers"][1]["models"][0]["model"]["version"], "1");
    // The other way round, the first one is not reached.
    let walked = Operator {
        address: format!("{},{}", second.address, first.address),
    }
    .run(&["promote", "sentiment-fast@2"]);
    assert!(
        walked.stderr.contains("0 of 2 servers did it, 1 were not asked"),
        "{walked:?}"
    );
    // All addresses of a name, which is one here.
    let port = first.address.rsplit_once(':').expect("a port").1;
    let named = Operator {
        address: format!("dns:///localhost:{port}"),
    };
    assert!(named.run(&["list"]).stdout.contains("sentiment-fast"));
    other.add_version("2");
    both.run(&["promote", "sentiment-fast@2"]).success();
    let answers = both.run(&["promote", "sentiment-fast@2", "--json"]).success();
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let addresses: Vec<_> = answers.iter().map(|answer| answer["address"].as_str()).collect();
    assert_eq!(addresses, [Some(&*first.address), Some(&*second.address)]);
    assert_eq!(answers[1]["answer"]["versions"]["pinnedVersion"], "2");
    // Which version that is may be another one at each.
    let vague = both.run(&["rollback", "sentiment-fast"]);
    assert_eq!(vague.code, Some(1), "{vague:?}");
    assert!(vague.stderr.contains("name the version"), "{vague:?}");
    assert!(!both.run(&["list"]).success().contains("differs"));
}
