//! Clients that others wrote: each finds the services, classifies, and understands a refusal; and all get one answer.

mod node;
mod tei;
mod triton;

use serde_json::{Value, json};

use crate::support::command::{clean, finish, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::reviews::reviews;
use crate::support::server::free_ports;
use crate::support::tools::{python, tool};
use crate::support::{Finished, RunningServer, curl, root};

const SERVICE: &str = "tandem.v1.PredictionService";
const ROUTES: [(&str, &str); 2] = [("ROUTE_FAST", "sentiment-fast"), ("ROUTE_DEEP", "sentiment-deep")];

/// The most that two answers to one text may differ: a text's batch moves the last digits of a float.
const TOLERANCE: f64 = 1e-4;

/// grpcurl 1.8.6, which knows reflection v1alpha only. Its package has a program for x86-64 alone.
#[cfg(target_arch = "x86_64")]
fn grpcurl(server: &RunningServer, arguments: &[&str], message: &Value) -> Finished {
    let mut command = clean(&tool("grpcurl"));
    command.args(["-plaintext", "-max-time", "60"]);
    if !message.is_null() {
        command.args(["-d", "@"]);
    }
    command.arg(server.grpc.to_string()).args(arguments);
    finish(&mut command, message.to_string().as_bytes())
}

/// `buf curl`, which asks reflection v1.
fn buf_curl(server: &RunningServer, method: &str, message: &Value) -> Finished {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = clean(&tool("buf"));
    command.current_dir(folder.path()).env("BUF_CACHE_DIR", folder.path());
    command.args(["curl", "--protocol", "grpc", "--http2-prior-knowledge"]);
    command.args(["--reflect-protocol", "grpc-v1", "--data", "@-"]);
    command.arg(format!("http://{}/{method}", server.grpc));
    finish(&mut command, message.to_string().as_bytes())
}

/// `buf curl` at the HTTP port, with the protocol files in place of reflection, which neither protocol has.
fn buf_curl_over_http(server: &RunningServer, protocol: &str, message: &Value) -> Finished {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = clean(&tool("buf"));
    command.current_dir(folder.path()).env("BUF_CACHE_DIR", folder.path());
    command.args(["curl", "--protocol", protocol, "--data", "@-", "--schema"]);
    command.arg(root().join("proto"));
    command.arg(format!(
        "http://{}/{SERVICE}/Predict",
        server.http.expect("the gateway is on")
    ));
    finish(&mut command, message.to_string().as_bytes())
}

#[test]
fn buf_curl_asks_the_http_port_by_connect_and_by_grpc_web() {
    let server = RunningServer::start(&[]);
    for protocol in ["connect", "grpcweb"] {
        let answer = buf_curl_over_http(&server, protocol, &two_texts("ROUTE_FAST")).json();
        assert_eq!(labels(&answer), ["positive", "negative"], "{protocol}: {answer}");
        let refused = buf_curl_over_http(&server, protocol, &json!({"texts": []}));
        for part in ["invalid_argument", "texts: holds no text", "BadRequest"] {
            assert!(refused.stderr.contains(part), "{protocol}: {refused:?}");
        }
    }
}

fn labels(answer: &Value) -> Vec<&str> {
    let predictions = answer["predictions"].as_array().expect("predictions");
    let labels = predictions.iter().map(|prediction| prediction["label"].as_str());
    labels.map(|label| label.expect("a label")).collect()
}

fn two_texts(route: &str) -> Value {
    json!({"texts": ["정말 재미있게 봤어요", "시간이 아까운 영화"], "route": route})
}

#[cfg(target_arch = "x86_64")]
#[test]
fn grpcurl_lists_describes_and_classifies_by_both_routes() {
    let server = RunningServer::start(&[]);
    let listed = grpcurl(&server, &["list"], &Value::Null).success();
    for service in [SERVICE, "grpc.health.v1.Health"] {
        assert!(listed.lines().any(|line| line == service), "{listed}");
    }
    let described = grpcurl(&server, &["describe", SERVICE], &Value::Null).success();
    assert!(described.contains("rpc Predict ("), "{described}");
    let method = format!("{SERVICE}/Predict");
    for (route, model) in ROUTES {
        let answer = grpcurl(&server, &[&method], &two_texts(route)).json();
        assert_eq!(labels(&answer), ["positive", "negative"], "{answer}");
        assert_eq!(answer["models"][0]["name"], model);
    }
    let health = grpcurl(&server, &["grpc.health.v1.Health/Check"], &json!({})).json();
    assert_eq!(health, json!({"status": "SERVING"}));
    let listed = grpcurl(&server, &["grpc.health.v1.Health/List"], &json!({})).json();
    assert_eq!(
        listed["statuses"]["sentiment-deep"],
        json!({"status": "SERVING"}),
        "{listed}"
    );
}

#[cfg(target_arch = "x86_64")]
#[test]
fn grpcurl_shows_the_code_and_the_field_of_a_refusal() {
    let server = RunningServer::start(&[]);
    let refused = grpcurl(&server, &[&format!("{SERVICE}/Predict")], &json!({"texts": []}));
    // grpcurl exits with 64 and the number of the code.
    assert_eq!(refused.code, Some(64 + 3), "{refused:?}");
    for part in [
        "InvalidArgument",
        "texts: holds no text",
        "google.rpc.ErrorInfo",
        "google.rpc.BadRequest",
    ] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_deadline_of_grpcurl_ends_its_call() {
    let server = RunningServer::start(&[]);
    let mut command = clean(&tool("grpcurl"));
    // A call that has no end of its own.
    command.args(["-plaintext", "-max-time", "1", server.grpc.to_string().as_str()]);
    let late = finish(command.arg("grpc.health.v1.Health/Watch"), b"");
    assert!(late.stdout.contains("SERVING"), "{late:?}");
    assert_eq!(late.code, Some(64 + 4), "{late:?}");
    assert!(late.stderr.contains("DeadlineExceeded"), "{late:?}");
}

#[test]
fn buf_curl_classifies_by_both_routes_and_shows_a_refusal() {
    let server = RunningServer::start(&[]);
    let method = format!("{SERVICE}/Predict");
    for (route, model) in ROUTES {
        let answer = buf_curl(&server, &method, &two_texts(route)).json();
        assert_eq!(labels(&answer), ["positive", "negative"], "{answer}");
        assert_eq!(answer["models"][0]["name"], model);
    }
    let refused = buf_curl(&server, &method, &json!({"texts": ["영화"], "topK": -1}));
    assert_ne!(refused.code, Some(0), "{refused:?}");
    for part in ["invalid_argument", "top_k"] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
}

#[test]
fn grpcio_with_generated_stubs_finds_its_calls_deadlines_errors_streams_health_and_reflection() {
    let server = RunningServer::start(&[]);
    let mut client = python("grpcio_client.py");
    finish(client.args(["manners", &server.grpc.to_string()]), b"").success();
}

#[test]
fn grpcio_waits_for_the_pause_that_a_refusal_tells_and_its_next_try_succeeds() {
    const KEY: &str = "slow-0123456789abcdef";
    let models = FastModelCopy::new();
    let mut command = tandem();
    command.arg("serve").args(free_ports()).args(FAST_ONLY);
    command.arg("--models").arg(models.repository());
    command.env("TANDEM_TOKENS", format!("slow:{KEY} texts_per_second=1 burst=1"));
    let server = RunningServer::spawn(command);
    server.wait_ready();
    let mut client = python("grpcio_client.py");
    finish(client.args(["pauses", &server.grpc.to_string()]), KEY.as_bytes()).success();
    // Its calls were refused, and nobody saw it.
    let metrics = format!("http://{}/metrics", server.http());
    let header = format!("authorization: Bearer {KEY}");
    let metrics = finish(clean("curl").args(["--silent", "--header", &header, &metrics]), b"").success();
    assert!(metrics.contains(r#"reason="RATE_LIMITED""#), "{metrics}");
}

#[test]
fn grpcio_does_not_try_again_what_no_pause_mends() {
    const KEY: &str = "small-0123456789abcdef";
    let models = FastModelCopy::new();
    let mut command = tandem();
    command.arg("serve").args(free_ports()).args(FAST_ONLY);
    command.arg("--models").arg(models.repository());
    command.env("TANDEM_TOKENS", format!("small:{KEY} texts_per_second=1 burst=1"));
    let server = RunningServer::spawn(command);
    server.wait_ready();
    let mut client = python("grpcio_client.py");
    finish(client.args(["gives_up", &server.grpc.to_string()]), KEY.as_bytes()).success();
    let metrics = format!("http://{}/metrics", server.http());
    let header = format!("authorization: Bearer {KEY}");
    let metrics = finish(clean("curl").args(["--silent", "--header", &header, &metrics]), b"").success();
    for reason in ["RATE_LIMITED", "MESSAGE_TOO_LARGE"] {
        let reason = format!(r#"reason="{reason}""#);
        let lines = metrics.lines().filter(|line| line.contains(r#"method="Predict""#));
        let counts: Vec<&str> = lines.filter(|line| line.contains(&reason)).collect();
        assert!(counts.len() == 1 && counts[0].ends_with(" 1"), "{counts:?}");
    }
}

#[test]
fn the_readmes_call_with_curl_answers_in_the_tutorials_shape() {
    let server = RunningServer::start(&[]);
    let texts = ["정말 재미있게 봤어요", "시간이 아까운 영화"];
    let body = json!({"text": texts, "do_fast": true}).to_string();
    let (status, answer) = curl(server.http(), "/predict", &[], body.as_bytes());
    assert_eq!(status, 200, "{answer}");
    for (key, text, label) in [("0", texts[0], "positive"), ("1", texts[1], "negative")] {
        assert_eq!(
            (&answer[key]["text"], &answer[key]["label"]),
            (&text.into(), &label.into())
        );
    }
}

/// A label and its confidence.
type Answer = (String, f64);

fn answers<'a>(predictions: impl IntoIterator<Item = &'a Value>) -> Vec<Answer> {
    let answer = |prediction: &Value| {
        let label = prediction["label"].as_str().expect("a label");
        (label.to_owned(), prediction["confidence"].as_f64().expect("a number"))
    };
    predictions.into_iter().map(answer).collect()
}

fn by_grpcio(server: &RunningServer, route: &str, texts: &[String]) -> Vec<Answer> {
    let mut client = python("grpcio_client.py");
    client.args(["classify", &server.grpc.to_string()]);
    let asked = json!({"texts": texts, "route": route}).to_string();
    let predictions = finish(&mut client, asked.as_bytes()).json();
    answers(predictions.as_array().expect("a list"))
}

fn by_v1_predict(server: &RunningServer, route: &str, texts: &[String]) -> Vec<Answer> {
    let ask = |texts: &[String]| {
        let asked = json!({"texts": texts, "route": route}).to_string();
        let (status, answer) = curl(server.http(), "/v1/predict", &[], asked.as_bytes());
        assert_eq!(status, 200, "{answer}");
        answers(answer["predictions"].as_array().expect("a list"))
    };
    texts.chunks(128).flat_map(ask).collect()
}

fn by_the_tutorials_call(server: &RunningServer, route: &str, texts: &[String]) -> Vec<Answer> {
    let ask = |texts: &[String]| {
        let asked = json!({"text": texts, "do_fast": route == "ROUTE_FAST"}).to_string();
        let (status, answer) = curl(server.http(), "/predict", &[], asked.as_bytes());
        assert_eq!(status, 200, "{answer}");
        let keys: Vec<String> = (0..texts.len()).map(|key| key.to_string()).collect();
        answers(keys.iter().map(|key| &answer[key]))
    };
    texts.chunks(128).flat_map(ask).collect()
}

fn assert_equal(client: &str, found: &[Answer], expected: &[Answer]) {
    assert_eq!(found.len(), expected.len(), "{client}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let equal = found.0 == expected.0 && (found.1 - expected.1).abs() <= TOLERANCE;
        assert!(equal, "{client}, review {at}: {found:?}, by grpcio {expected:?}");
    }
}

#[test]
fn two_hundred_reviews_get_equal_answers_through_every_client_and_both_routes() {
    let server = RunningServer::start(&[]);
    let texts = reviews(200);
    for (route, _) in ROUTES {
        let expected = by_grpcio(&server, route, &texts);
        assert_eq!(expected.len(), texts.len());
        assert_equal("curl /v1/predict", &by_v1_predict(&server, route, &texts), &expected);
        assert_equal(
            "curl /predict",
            &by_the_tutorials_call(&server, route, &texts),
            &expected,
        );
        #[cfg(target_arch = "x86_64")]
        {
            let asked = json!({"texts": &texts[..64], "route": route});
            let answer = grpcurl(&server, &[&format!("{SERVICE}/Predict")], &asked).json();
            let found = answers(answer["predictions"].as_array().expect("a list"));
            assert_equal("grpcurl", &found, &expected[..64]);
        }
    }
}
