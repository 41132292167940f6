//! Bad input: one table of fields over both doors of Tandem's own, which must refuse alike and as docs/errors.md says; and one of
//! faults over all doors.

mod ask;
mod every_door;
mod rows;

use http::{Method, StatusCode};
use prost::Message;
use tandem::api::{json, pb};
use tandem::error::Reason;
use tonic::{Code, Status};

use crate::support::frames::{RawCall, frame};
use crate::support::http::{Answer, gzip};
use crate::support::{Client, HttpClient, Refusal, TestServer, by_route, fast, root};
use rows::{Ask, table};

/// A refusal as both doors tell it: the code's name, the reason, the fields, the sentence.
#[derive(Debug, PartialEq)]
struct Told {
    code: String,
    reason: String,
    fields: Vec<String>,
    message: String,
}

fn by_grpc(status: &Status) -> Told {
    let refusal = Refusal::of(status);
    // `Code::InvalidArgument` as the protocol spells it.
    let spelled = format!("{:?}", refusal.code);
    let mut code = String::new();
    for letter in spelled.chars() {
        if letter.is_uppercase() && !code.is_empty() {
            code.push('_');
        }
        code.push(letter.to_ascii_uppercase());
    }
    Told {
        code,
        reason: refusal.reason,
        fields: refusal.fields,
        message: refusal.message,
    }
}

fn by_http(answer: &Answer) -> Told {
    let json = answer.json();
    let text = |key: &str| json["error"][key].as_str().unwrap_or_default().to_owned();
    Told {
        code: text("code"),
        reason: text("reason"),
        fields: answer.fields(),
        message: text("message"),
    }
}

/// What docs/errors.md says of a reason: the gRPC code and the HTTP status.
fn documented(reason: &str) -> (String, u16) {
    let docs = std::fs::read_to_string(root().join("docs/errors.md")).expect("the documentation");
    let start = format!("| `{reason}` | `");
    let line = docs.lines().find_map(|line| line.strip_prefix(&start));
    let line = line.unwrap_or_else(|| panic!("docs/errors.md does not know {reason}"));
    let (code, rest) = line.split_once("` | ").expect("a code");
    let (status, _) = rest.split_once(" |").expect("a status");
    (code.to_owned(), status.parse().expect("a number"))
}

async fn ask_grpc(client: &mut Client, ask: Ask) -> Result<(), Status> {
    match ask {
        Ask::Predict(request) => client.predict(request).await.map(drop),
        Ask::Explain(request) => client.explain(request).await.map(drop),
    }
}

async fn ask_http(http: &HttpClient, ask: &Ask) -> Answer {
    match ask {
        Ask::Predict(request) => http.post("/v1/predict", json::encode(request)).await,
        Ask::Explain(request) => http.post("/v1/explain", json::encode(request)).await,
    }
}

#[tokio::test]
async fn every_bad_field_is_refused_alike_by_both_doors_and_as_documented() {
    let server = TestServer::shared().await;
    let (mut client, http) = (server.client().await, server.http());
    let rows = table();
    assert!(rows.len() >= 60, "{} rows", rows.len());
    for row in rows {
        let case = row.case;
        let answer = ask_http(&http, &row.ask).await;
        let status = ask_grpc(&mut client, row.ask).await.expect_err(case);
        let told = by_grpc(&status);
        assert_eq!(told, by_http(&answer), "{case}: both doors say the same");
        assert_eq!(
            (told.reason.as_str(), &told.fields),
            (row.reason, &row.fields),
            "{case}"
        );
        assert!(told.message.contains(row.tells), "{case}: {}", told.message);
        assert_eq!((told.code, answer.status.as_u16()), documented(row.reason), "{case}");
    }
}

/// What never becomes a message, sent by hand to each door: the same mistake is the same reason.
#[tokio::test]
async fn what_cannot_be_read_is_refused_for_the_same_reason_by_both_doors() {
    const PATH: &str = "/v1/predict";
    let server = TestServer::shared().await;
    let http = server.http();
    let good = || fast(&["좋다"]).encode_to_vec();
    let json = || json::encode(&fast(&["좋다"]));
    let raw = |body: Vec<u8>| RawCall {
        body: body.into(),
        ..RawCall::predict(b"")
    };
    let packed = |body: &[u8]| raw(frame(true, body).into()).header("grpc-encoding", "gzip");
    let unpacked = [("content-encoding", "gzip")];
    let pairs = [
        (
            "rubbish",
            RawCall::predict(b"\xff\xff\xff"),
            http.post(PATH, "\u{1}rubbish").await,
            "MALFORMED_MESSAGE",
        ),
        (
            "a number for the texts",
            RawCall::predict(b"\x08\x01"),
            http.post(PATH, r#"{"texts": 1}"#).await,
            "MALFORMED_MESSAGE",
        ),
        (
            "no message",
            raw(Vec::new()),
            http.post(PATH, "").await,
            "MALFORMED_MESSAGE",
        ),
        (
            "cut off",
            raw(frame(false, &good())[..9].to_vec()),
            http.post(PATH, json()[..9].to_vec()).await,
            "MALFORMED_MESSAGE",
        ),
        (
            "another wire type for an option",
            RawCall::predict(b"\x32\x01a"),
            http.post(PATH, r#"{"texts": ["a"], "topK": "a"}"#).await,
            "MALFORMED_MESSAGE",
        ),
        (
            "broken compression",
            packed(b"not gzip"),
            http.post_with(PATH, &unpacked, "not gzip").await,
            "MALFORMED_MESSAGE",
        ),
        (
            "compression that ends early",
            packed(&gzip(&good())[..15]),
            http.post_with(PATH, &unpacked, gzip(&json())[..15].to_vec()).await,
            "MALFORMED_MESSAGE",
        ),
        (
            "an unknown compression",
            raw(frame(true, &good()).into()).header("grpc-encoding", "br"),
            http.post_with(PATH, &[("content-encoding", "br")], json()).await,
            "UNSUPPORTED_ENCODING",
        ),
        (
            "larger than the limit",
            RawCall::predict(&vec![0; server.max_message_bytes() + 1]),
            http.post(PATH, vec![b' '; server.max_json_bytes() + 1]).await,
            "MESSAGE_TOO_LARGE",
        ),
        (
            "a path that is not there",
            RawCall {
                path: "/tandem.v1.PredictionService/Guess".into(),
                ..RawCall::predict(&good())
            },
            http.post("/v1/guess", json()).await,
            "METHOD_NOT_FOUND",
        ),
        (
            "a method that is not POST",
            RawCall {
                method: Method::GET,
                ..RawCall::predict(&good())
            },
            http.get(PATH).await,
            "METHOD_NOT_ALLOWED",
        ),
        (
            "another content type",
            RawCall {
                content_type: "text/plain".into(),
                ..RawCall::predict(&good())
            },
            http.send(Method::POST, PATH, &[("content-type", "text/plain")], json())
                .await,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (
            "a time limit that is none",
            RawCall::predict(&good()).header("grpc-timeout", "soon"),
            http.post_with(PATH, &[("x-request-timeout-ms", "soon")], json()).await,
            "INVALID_FIELD",
        ),
        (
            "no time at all",
            RawCall::predict(&good()).header("grpc-timeout", "0m"),
            http.post_with(PATH, &[("x-request-timeout-ms", "0")], json()).await,
            "DEADLINE_EXCEEDED",
        ),
    ];
    for (case, call, answer, reason) in pairs {
        let over_http = by_http(&answer);
        let over_grpc = by_grpc(&call.send(server.grpc_addr()).await.status);
        assert_eq!(
            (over_grpc.reason.as_str(), over_http.reason.as_str()),
            (reason, reason),
            "{case}"
        );
        assert_eq!(over_grpc.code, over_http.code, "{case}");
        assert_eq!((over_grpc.code, answer.status.as_u16()), documented(reason), "{case}");
    }
}

#[test]
fn the_documentation_has_every_reason_with_its_codes() {
    for reason in Reason::ALL {
        let expected = (reason.grpc_name().to_owned(), reason.http_status());
        assert_eq!(documented(reason.name()), expected, "{}", reason.name());
    }
}

#[tokio::test]
async fn fallback_that_is_not_wanted_is_no_fault() {
    let mut client = TestServer::shared().await.client().await;
    let request = pb::PredictRequest {
        allow_fallback: Some(false),
        ..fast(&["좋다"])
    };
    client.predict(request).await.expect("an answer");
}

#[tokio::test]
async fn a_task_without_a_model_of_the_tier_says_so() {
    let server = TestServer::builder().fast_only().start().await;
    let request = by_route(pb::Route::Deep, &["좋다"]);
    let answer = ask_http(&server.http(), &Ask::Predict(request.clone())).await;
    let status = server
        .client()
        .await
        .predict(request)
        .await
        .expect_err("there is no deep model");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(by_grpc(&status), by_http(&answer));
    assert_eq!(by_http(&answer).reason, "TIER_NOT_CONFIGURED");
}
