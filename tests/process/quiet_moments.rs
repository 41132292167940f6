//! The session with more threads for quiet moments: it comes after the server is ready, and a server ends well at any moment of that.

use tandem::api::pb;
use tandem::api::pb::prediction_service_client::PredictionServiceClient;

use crate::support::command::{finish, tandem};
use crate::support::{RunningServer, root, runtime, wait};

const TRIED: &str = "a session of more threads was tried for quiet moments";

/// Whether this machine has more than one core to give to one call.
fn has_cores() -> bool {
    let has = tandem::cores::usable() > 1;
    if !has {
        eprintln!("one core: there is no session of more threads here");
    }
    has
}

#[test]
fn it_comes_once_the_server_is_ready_and_answers_stay_the_same() {
    let server = RunningServer::start(&[]);
    let runtime = runtime();
    let mut client = PredictionServiceClient::new(server.channel(&runtime));
    let mut ask = || {
        let request = pb::PredictRequest {
            texts: vec!["정말 재미있고 감동적인 최고의 영화".into()],
            route: pb::Route::Deep.into(),
            ..pb::PredictRequest::default()
        };
        let answer = wait(&runtime, client.predict(request)).expect("an answer").into_inner();
        (answer.predictions[0].label.clone(), answer.predictions[0].confidence)
    };
    let before = ask();
    if has_cores() {
        server.logged(TRIED);
    }
    // Both sessions have their turns, if it is used here.
    for _ in 0..32 {
        let (label, confidence) = ask();
        assert_eq!(label, before.0);
        assert!((confidence - before.1).abs() < 1e-4, "{confidence} {}", before.1);
    }
    server.signal("TERM");
    assert_eq!(server.wait_exit().0, Some(0));
}

#[test]
fn whoever_ends_while_it_is_opened_ends_well() {
    let server = RunningServer::start(&[]);
    server.signal("TERM");
    let (code, log) = server.wait_exit();
    assert_eq!(code, Some(0), "{log:#?}");
    let models = root().join("models");
    let checked = finish(tandem().args(["serve", "--check", "--models"]).arg(models), b"");
    assert_eq!(checked.code, Some(0), "{checked:?}");
}
