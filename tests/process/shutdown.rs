//! How a server ends: told to stop, it finishes what it accepted, waits for nobody for ever, and exits 0.

use std::net::TcpStream;

use futures::StreamExt;
use tandem::api::pb;
use tandem::api::pb::prediction_service_client::PredictionServiceClient;
use tokio::runtime::Runtime;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::{RunningServer, runtime, wait};

/// A grace limit that no test reaches: where it is set, nothing was waited for.
const LONG_GRACE: [&str; 2] = ["--drain-grace", "10m"];

/// A server that is quick to start.
fn start(models: &FastModelCopy, args: &[&str]) -> RunningServer {
    let repository = models.repository().to_string_lossy();
    let args = [&["--models", &*repository], &FAST_ONLY[..], args].concat();
    RunningServer::start_with(&args)
}

fn assert_ends_well(server: RunningServer) {
    let (code, log) = server.wait_exit();
    assert_eq!(code, Some(0), "{log:#?}");
    // Nothing is left behind that could still write.
    assert!(log.last().is_some_and(|line| line.contains("stopped")), "{log:#?}");
    // A call that was cut is no failure of ours.
    let worries = log.iter().filter(|line| line.contains(r#""level":"ERROR""#));
    assert_eq!(worries.count(), 0, "{log:#?}");
}

#[test]
fn sigterm_and_sigint_exit_0() {
    let models = FastModelCopy::new();
    for signal in ["TERM", "INT"] {
        let server = start(&models, &LONG_GRACE);
        server.signal(signal);
        assert_ends_well(server);
    }
}

#[test]
fn sigterm_while_models_load_exits_0() {
    let server = RunningServer::start_unready(&LONG_GRACE);
    server.signal("TERM");
    assert_ends_well(server);
}

#[test]
fn a_watch_hears_not_serving_and_holds_up_nothing_nor_does_a_silent_connection() {
    let models = FastModelCopy::new();
    let server = start(&models, &LONG_GRACE);
    let _silent = [server.grpc, server.http()].map(|address| TcpStream::connect(address).expect("connect"));
    let runtime = runtime();
    let mut health = HealthClient::new(server.channel(&runtime));
    let mut watches = Vec::new();
    for service in ["", "sentiment-fast", "unknown"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let mut watch = wait(&runtime, health.watch(request)).expect("a stream").into_inner();
        let first = wait(&runtime, watch.message()).expect("no error").expect("a status");
        watches.push((service, first.status(), watch));
    }
    server.signal("TERM");
    for (service, first, mut watch) in watches {
        let next = wait(&runtime, watch.message()).expect("no error");
        if service == "unknown" {
            assert_eq!(first, ServingStatus::ServiceUnknown);
            assert_eq!(next, None);
            continue;
        }
        assert_eq!(first, ServingStatus::Serving, "{service:?}");
        let next = next.unwrap_or_else(|| panic!("the watch of {service:?} ends without a word"));
        assert_eq!(next.status(), ServingStatus::NotServing, "{service:?}");
        assert_eq!(wait(&runtime, watch.message()).expect("no error"), None, "{service:?}");
    }
    assert_ends_well(server);
}

/// A stream that has been answered once, and that its client leaves open.
fn open_stream(server: &RunningServer, runtime: &Runtime) -> tonic::Streaming<pb::PredictStreamResponse> {
    let mut client = PredictionServiceClient::new(server.channel(runtime));
    let request = pb::PredictStreamRequest {
        id: "1".to_owned(),
        request: Some(pb::PredictRequest {
            texts: vec!["영화".to_owned()],
            ..pb::PredictRequest::default()
        }),
        timeout_duration: None,
    };
    let endless = futures::stream::iter([request]).chain(futures::stream::pending());
    let mut answers = wait(runtime, client.predict_stream(endless))
        .expect("a stream")
        .into_inner();
    let first = wait(runtime, answers.message()).expect("no error").expect("an answer");
    assert_eq!(first.id, "1");
    answers
}

#[test]
fn a_stream_that_its_client_never_closes_is_cut_when_the_grace_limit_is_over() {
    let models = FastModelCopy::new();
    let server = start(&models, &["--drain-grace", "10ms"]);
    let runtime = runtime();
    let _open = open_stream(&server, &runtime);
    server.signal("TERM");
    server.logged("the grace limit is over, open connections are cut");
    assert_ends_well(server);
}

#[test]
fn a_stream_whose_client_vanished_is_a_cancelled_call_and_holds_up_nothing() {
    let models = FastModelCopy::new();
    let server = start(&models, &LONG_GRACE);
    let runtime = runtime();
    let open = open_stream(&server, &runtime);
    // Its connection goes with it.
    drop(runtime);
    drop(open);
    let ended = server.logged("refused");
    assert_eq!(
        (&ended["method"], &ended["reason"]),
        (&"PredictStream".into(), &"CANCELLED".into())
    );
    server.signal("TERM");
    assert_ends_well(server);
}

#[test]
fn in_the_pause_of_a_drain_health_says_so_and_calls_are_answered_and_a_second_signal_ends_it() {
    let models = FastModelCopy::new();
    let server = start(&models, &["--drain-pause", "10m", "--drain-grace", "10m"]);
    let runtime = runtime();
    let _silent = TcpStream::connect(server.grpc).expect("connect");
    let mut health = HealthClient::new(server.channel(&runtime));
    let mut watch = wait(&runtime, health.watch(HealthCheckRequest::default()))
        .expect("a stream")
        .into_inner();
    let first = wait(&runtime, watch.message()).expect("no error").expect("a status");
    assert_eq!(first.status(), ServingStatus::Serving);
    server.signal("TERM");
    let next = wait(&runtime, watch.message()).expect("no error").expect("a status");
    assert_eq!(next.status(), ServingStatus::NotServing);
    // On a connection of its own, which is opened now.
    let open = open_stream(&server, &runtime);
    server.signal("INT");
    server.logged("told to hurry, open connections are cut");
    assert_ends_well(server);
    drop(open);
}
