//! Addresses as people write them: names, all addresses of a host, and Unix sockets, for every door and every client.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use serde_json::json;

use crate::security::write_certificates;
use crate::support::command::{clean, finish, tandem};
use crate::support::models::FastModelCopy;
use crate::support::tools::python;
use crate::support::{Finished, RunningServer, root};

/// Runs the program in `folder`, where its `tandem.toml` is.
fn here(folder: &Path, args: &[&str]) -> Finished {
    finish(tandem().current_dir(folder).args(args), b"")
}

/// A server in `folder` by its `tandem.toml`.
fn serve(folder: &Path) -> RunningServer {
    let mut command = tandem();
    command.current_dir(folder).args(["serve", "--log-format", "json"]);
    command.arg("--models").arg(root().join("models"));
    let server = RunningServer::spawn(command);
    server.wait_ready();
    server
}

fn manners(address: &str) {
    let mut client = python("grpcio_client.py");
    finish(client.args(["manners", address]), b"").success();
}

fn classify(address: &str, asked: &str) {
    let mut client = python("grpcio_client.py");
    let answer = finish(client.args(["classify", address]), asked.as_bytes()).json();
    assert_eq!(answer[0]["label"], "positive", "{address}: {answer}");
}

/// Asks for a page with curl over a Unix socket.
fn curl(socket: &Path, path: &str) -> String {
    let mut command = clean("curl");
    command.args(["--silent", "--show-error", "--fail", "--unix-socket"]);
    command.arg(socket).arg(format!("http://localhost{path}"));
    finish(&mut command, b"").success()
}

#[test]
fn every_door_takes_a_unix_socket_and_every_client_finds_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let grpc = format!("unix:{}", path("grpc.sock").display());
    let settings = [
        format!("grpc_addr = \"{grpc}\""),
        format!("http_addr = \"unix://{}\"", path("http.sock").display()),
        "metrics_addr = \"unix:metrics.sock\"".into(),
        "admin_addr = \"unix:admin.sock\"".into(),
    ];
    std::fs::write(path("tandem.toml"), settings.join("\n")).expect("written");
    let server = serve(folder.path());
    assert_eq!(server.logged("listening")["grpc"], grpc.as_str());
    for name in ["grpc.sock", "http.sock", "metrics.sock", "admin.sock"] {
        let found = std::fs::symlink_metadata(path(name)).expect(name);
        assert!(found.file_type().is_socket(), "{name}");
        // As the umask says: no more than others could have of any file.
        assert_eq!(found.permissions().mode() & 0o002, 0, "{name}");
    }
    manners(&grpc);
    manners(&format!("unix://{}", path("grpc.sock").display()));
    assert!(curl(&path("http.sock"), "/readyz").contains("serving"));
    assert!(curl(&path("metrics.sock"), "/metrics").contains("tandem_"));
    let asked = ["healthcheck", "--timeout-ms", "60000"];
    assert_eq!(here(folder.path(), &asked).success(), "SERVING\n");
    let predicted = here(folder.path(), &["predict", "--addr", &grpc, "--json", "재미있다"]).json();
    assert_eq!(predicted["label"], "positive", "{predicted}");
    here(
        folder.path(),
        &["bench", "--server", &grpc, "--calls", "5", "--warm-up", "0s"],
    )
    .success();
    let listed = here(folder.path(), &["models", "list", "--addr", "unix:admin.sock"]).success();
    assert!(listed.contains("sentiment-deep"), "{listed}");

    // Another server is refused, and the first one goes on.
    let second = here(
        folder.path(),
        &[
            "serve",
            "--log-format",
            "json",
            "--models",
            &root().join("models").to_string_lossy(),
        ],
    );
    assert_eq!(second.code, Some(1), "{second:?}");
    let said = format!("tandem: can't listen on {grpc} (grpc_addr): another server listens there");
    assert_eq!(second.complaint(), said);
    assert_eq!(here(folder.path(), &asked).success(), "SERVING\n");

    server.signal("TERM");
    let (code, lines) = server.wait_exit();
    assert_eq!(code, Some(0), "{lines:#?}");
    for name in ["grpc.sock", "http.sock", "metrics.sock", "admin.sock"] {
        assert!(!path(name).exists(), "{name}");
    }
}

#[test]
fn a_killed_server_leaves_a_socket_that_the_next_one_replaces_and_a_file_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = FastModelCopy::new();
    let (models, socket) = (
        models.repository().to_string_lossy().into_owned(),
        folder.path().join("a.sock"),
    );
    let address = format!("unix:{}", socket.display());
    let mut args = vec!["serve", "--no-http", "--log-format", "json", "--models", &models];
    args.extend(["--grpc-addr", &address]);
    let start = || {
        let mut command = tandem();
        command.args(&args);
        let server = RunningServer::spawn(command);
        server.wait_ready();
        server
    };
    // Killed when it is dropped.
    drop(start());
    assert!(socket.exists());
    let server = start();
    let asked = ["healthcheck", "--addr", &address, "--timeout-ms", "60000"];
    assert_eq!(here(folder.path(), &asked).success(), "SERVING\n");
    drop(server);
    std::fs::remove_file(&socket).expect("it was left");
    std::fs::write(&socket, "mine").expect("written");
    let refused = here(folder.path(), &args);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused
            .complaint()
            .ends_with("(grpc_addr): a file that is no socket is there"),
        "{refused:?}"
    );
    assert_eq!(std::fs::read_to_string(&socket).expect("still there"), "mine");
}

#[test]
fn tls_is_spoken_over_a_unix_socket_too() {
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path(), &[]);
    let settings = [
        "grpc_addr = \"unix:grpc.sock\"",
        "no_http = true",
        "tls_cert = \"cert.pem\"",
        "tls_key = \"key.pem\"",
    ];
    std::fs::write(folder.path().join("tandem.toml"), settings.join("\n")).expect("written");
    let server = serve(folder.path());
    let asked = ["healthcheck", "--timeout-ms", "60000"];
    assert_eq!(here(folder.path(), &asked).success(), "SERVING\n");
    let by_name = [
        "predict",
        "--addr",
        "unix:grpc.sock",
        "--json",
        "--tls-ca",
        "ca.pem",
        "재미있다",
    ];
    assert_eq!(here(folder.path(), &by_name).json()["label"], "positive");
    let plain = here(folder.path(), &["predict", "--addr", "unix:grpc.sock", "재미있다"]);
    assert_ne!(plain.code, Some(0), "{plain:?}");
    drop(server);
}

#[test]
fn a_name_and_all_addresses_of_the_host_are_addresses() {
    let models = FastModelCopy::new();
    let models = models.repository().to_string_lossy().into_owned();
    let mut command = tandem();
    command.args([
        "serve",
        "--log-format",
        "json",
        "--models",
        &models,
        "--allow-plaintext",
    ]);
    command.args(["--grpc-addr", "localhost:0", "--http-addr", ":0"]);
    let server = RunningServer::spawn(command);
    server.wait_ready();
    assert!(server.grpc.ip().is_loopback(), "{}", server.grpc);
    let by_name = format!("localhost:{}", server.grpc.port());
    let asked = json!({"texts": ["재미있다"], "route": "ROUTE_FAST"}).to_string();
    classify(&by_name, &asked);
    // grpcio makes an authority of the whole list.
    classify(&format!("ipv4:{0},{0}", server.grpc), &asked);
    let health = ["healthcheck", "--addr", &by_name, "--timeout-ms", "60000"];
    assert_eq!(finish(tandem().args(health), b"").success(), "SERVING\n");
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}/readyz", server.http().port());
        let ready = finish(clean("curl").args(["--silent", "--fail", &url]), b"").success();
        assert!(ready.contains("serving"), "{ready}");
    }
}

#[test]
fn a_client_at_the_wrong_port_hears_which_is_the_right_one() {
    let models = FastModelCopy::new();
    let server = RunningServer::start_with(&["--models", &models.repository().to_string_lossy()]);
    let url = format!("http://{}/v1/predict", server.grpc);
    let answer = finish(clean("curl").args(["--silent", "--data", "{}", &url]), b"").success();
    let expected = format!("HTTP with JSON is at port {}\n", server.http().port());
    assert!(answer.ends_with(&expected), "{answer}");
    let asked = json!({"texts": ["재미있다"], "route": "ROUTE_FAST"}).to_string();
    let mut client = python("grpcio_client.py");
    let refused = finish(client.args(["classify", &server.http().to_string()]), asked.as_bytes());
    let expected = format!("gRPC is at port {}", server.grpc.port());
    assert!(
        refused.stderr.contains("UNIMPLEMENTED") && refused.stderr.contains(&expected),
        "{refused:?}"
    );
}

#[test]
fn a_body_over_the_limit_is_not_asked_for() {
    let models = FastModelCopy::new();
    let server = RunningServer::start_with(&["--models", &models.repository().to_string_lossy()]);
    let mut command = clean("curl");
    command.args([
        "--silent",
        "--verbose",
        "--header",
        "expect: 100-continue",
        "--expect100-timeout",
        "60",
    ]);
    command.args(["--header", "content-type: application/json", "--data-binary", "@-"]);
    let answered = finish(
        command.arg(format!("http://{}/v1/predict", server.http())),
        &vec![b' '; 26 << 20],
    );
    assert!(answered.stdout.contains("MESSAGE_TOO_LARGE"), "{answered:?}");
    assert!(
        answered.stderr.contains("< HTTP/1.1 413") && !answered.stderr.contains("100 Continue"),
        "{answered:?}"
    );
}

#[test]
fn what_is_no_address_is_refused_by_the_name_of_its_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    for (args, parts) in [
        (
            vec!["serve", "--http-addr", "5000"],
            ["--http-addr", "`5000` is no address: write host:port"],
        ),
        (
            vec!["serve", "--grpc-addr", "unix:"],
            ["--grpc-addr", "the path of the Unix socket is missing"],
        ),
        (
            vec!["serve", "--admin-addr", "::1"],
            ["--admin-addr", "write [::1]:PORT"],
        ),
        (
            vec!["predict", "--addr", "localhost", "a"],
            ["--addr", "write host:port"],
        ),
        (vec!["bench", "--server", "unix://a/b"], ["--server", "unix:///PATH"]),
        (vec!["models", "list", "--addr", "a:b"], ["--addr", "from 0 to 65535"]),
        (
            vec!["healthcheck", "--addr", "127.0.0.1"],
            ["--addr", "write 127.0.0.1:PORT"],
        ),
        (
            vec!["serve", "--grpc-addr", ":0"],
            ["grpc_addr is :0", "other hosts would reach it in plaintext"],
        ),
    ] {
        let refused = here(folder.path(), &args);
        assert_eq!(refused.code, Some(2), "{args:?}: {refused:?}");
        for part in parts {
            assert!(refused.stderr.contains(part), "{args:?}: {refused:?}");
        }
    }
}
