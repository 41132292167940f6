//! What systemd, or another service manager, hears of a server: here a socket of the test is in its place.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;

use tandem::api::pb;
use tandem::api::pb::prediction_service_client::PredictionServiceClient;

use crate::support::command::{clean, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::server::free_ports;
use crate::support::{LIMIT, RunningServer, runtime, wait};

/// A service manager that hears, once it listens.
struct Manager {
    folder: tempfile::TempDir,
    socket: UnixDatagram,
    models: FastModelCopy,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(LIMIT)).expect("a bound");
        Self {
            folder,
            socket,
            models: FastModelCopy::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("notify")
    }

    /// Starts a server by `program`, which may be a shell that runs the one under test.
    fn starts(&self, mut program: Command) -> RunningServer {
        program.arg("serve").args(free_ports()).args(FAST_ONLY);
        program.arg("--models").arg(self.models.repository());
        program.env("NOTIFY_SOCKET", self.path());
        RunningServer::spawn(program)
    }

    /// The next words that it hears.
    fn hears(&self) -> String {
        let mut words = [0; 4096];
        let length = self.socket.recv(&mut words).expect("words within the limit");
        String::from_utf8_lossy(&words[..length]).into_owned()
    }

    /// That there is nothing left to hear.
    fn hears_no_more(&self) {
        self.socket.set_nonblocking(true).expect("a socket");
        let left = self.socket.recv(&mut [0; 4096]).map_err(|error| error.kind());
        assert_eq!(left, Err(ErrorKind::WouldBlock));
    }
}

fn ends_well(server: RunningServer) {
    server.signal("TERM");
    let (code, log) = server.wait_exit();
    assert_eq!(code, Some(0), "{log:#?}");
}

#[test]
fn it_hears_ready_reloads_and_the_stop_in_their_order() {
    let manager = Manager::new();
    // Watched, but not this process.
    let mut program = tandem();
    program.env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1");
    let server = manager.starts(program);
    assert_eq!(manager.hears(), "READY=1\n");
    assert!(server.logged("ready").is_object(), "no sooner than that");

    let runtime = runtime();
    let mut client = PredictionServiceClient::new(server.channel(&runtime));
    for version in ["2", "3"] {
        manager.models.add_version(version);
        server.signal("HUP");
        let reloading = manager.hears();
        let moment = reloading
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .unwrap_or_else(|| panic!("{reloading:?}"));
        assert!(
            moment.trim_end().parse::<u64>().is_ok_and(|moment| moment > 0),
            "{moment}"
        );
        assert_eq!(manager.hears(), "READY=1\n");
        let request = pb::PredictRequest {
            texts: vec!["좋다".into()],
            ..pb::PredictRequest::default()
        };
        let answer = wait(&runtime, client.predict(request)).expect("an answer").into_inner();
        assert_eq!(answer.models[0].version, version, "what serves once the reload is over");
    }

    ends_well(server);
    assert_eq!(manager.hears(), "STOPPING=1\n");
    manager.hears_no_more();
}

#[test]
fn its_watchdog_hears_that_the_server_answers() {
    for threads in ["own", "shared"] {
        let manager = Manager::new();
        let mut shell = clean("sh");
        shell.args(["-c", r#"WATCHDOG_PID=$$ exec "$0" "$@""#, env!("CARGO_BIN_EXE_tandem")]);
        shell
            .env("WATCHDOG_USEC", "20000")
            .env("TANDEM_CONNECTION_THREADS", threads);
        let server = manager.starts(shell);
        server.wait_ready();
        let mut pulses = 0;
        let mut ready = false;
        while !ready || pulses < 10 {
            match manager.hears().as_str() {
                "READY=1\n" => ready = true,
                "WATCHDOG=1\n" => pulses += 1,
                other => panic!("{other:?}"),
            }
        }
        ends_well(server);
    }
}

#[test]
fn one_that_does_not_listen_costs_a_line_of_the_log() {
    let manager = Manager::new();
    let filling = UnixDatagram::unbound().expect("a socket");
    filling.set_nonblocking(true).expect("a socket");
    while filling.send_to(b"STATUS=full\n", manager.path()).is_ok() {}
    let server = manager.starts(tandem());
    server.wait_ready();
    let warning = server.logged("the service manager can't be told");
    assert_eq!(
        (&warning["told"], &warning["problem"]),
        (&"READY=1".into(), &"not heard within 500ms".into())
    );
    ends_well(server);

    let manager = Manager::new();
    std::fs::remove_file(manager.path()).expect("the socket's name");
    let server = manager.starts(tandem());
    server.wait_ready();
    assert_eq!(server.logged("the service manager can't be told")["told"], "READY=1");
    ends_well(server);
}
