//! SIGHUP has the real program look for new versions: a sound one serves, a broken one is refused, and it goes on.

use tandem::api::pb;
use tandem::api::pb::prediction_service_client::PredictionServiceClient;

use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::{RunningServer, runtime, wait};

#[test]
fn at_sighup_a_broken_version_is_refused_and_a_sound_one_serves() {
    let models = FastModelCopy::new();
    let repository = models.repository().to_string_lossy();
    let server = RunningServer::start_with(&[&["--models", &*repository], &FAST_ONLY[..]].concat());
    let runtime = runtime();
    let mut client = PredictionServiceClient::new(server.channel(&runtime));
    let mut version = || {
        let request = pb::PredictRequest {
            texts: vec!["좋다".into()],
            ..pb::PredictRequest::default()
        };
        let answer = wait(&runtime, client.predict(request)).expect("an answer").into_inner();
        answer.models[0].version.clone()
    };
    assert_eq!(version(), "1");

    models.add_version("2");
    let file = models.repository().join("sentiment-fast/2/model.onnx");
    let sound = std::fs::read(&file).expect("the model");
    std::fs::write(&file, &sound[1..]).expect("written");
    server.signal("HUP");
    let refused = server.logged("a version was refused, what served before does");
    assert_eq!(
        (&refused["version"], &refused["stage"]),
        (&"2".into(), &"not_ready".into())
    );
    assert_eq!(version(), "1");

    std::fs::write(&file, &sound).expect("written");
    server.signal("HUP");
    let serves = server.logged("a new version serves");
    assert_eq!((&serves["version"], &serves["from"]), (&"2".into(), &"1".into()));
    assert_eq!(version(), "2");
    server.logged("a version is gone");
    server.signal("TERM");
    assert_eq!(server.wait_exit().0, Some(0));
}
