//! One table over all doors: a fault is the same `Reason` at every door that can say it, in the protocol's own status, and names the
//! field in the door's own words. docs/doors.md has the table as it is checked here.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use tandem::config::Settings;
use tandem::service::catalog::ModelState;

use super::ask::{Door, Fault, send};
use super::documented;
use crate::settings_docs::keep;
use crate::support::TestServer;
use crate::support::stage::{options, sizes};

const KEY: &str = "0123456789abcdef";
const ONE_TEXT: &str = "one-text-0123456789";

/// A fault, the reason for which it is refused everywhere (none: it is answered), and what its sentence names by door.
struct Row {
    case: &'static str,
    fault: Fault,
    reason: Option<&'static str>,
    names: fn(Door) -> &'static str,
}

fn row(case: &'static str, fault: Fault, reason: &'static str, names: fn(Door) -> &'static str) -> Row {
    let reason = Some(reason).filter(|reason| !reason.is_empty());
    Row {
        case,
        fault,
        reason,
        names,
    }
}

fn nothing(_: Door) -> &'static str {
    ""
}

/// What a door calls the first of its texts.
fn first_text(door: Door) -> &'static str {
    match door {
        Door::Tutorial | Door::OipGrpc | Door::OipRest => "text[0]",
        Door::TeiGrpc | Door::TeiStream | Door::TeiHttp | Door::Pipeline => "inputs[0]",
        Door::Vllm => "input[0]",
        Door::Kserve => "instances[0]",
        _ => "texts[0]",
    }
}

/// Its texts.
fn texts(door: Door) -> &'static str {
    first_text(door).trim_end_matches("[0]")
}

fn model(door: Door) -> &'static str {
    match door {
        Door::OipGrpc | Door::OipRest => "`no-such`",
        _ => "no-such",
    }
}

fn route(door: Door) -> &'static str {
    match door {
        Door::OipGrpc | Door::OipRest => "parameters.route",
        _ => "route",
    }
}

fn confidence(door: Door) -> &'static str {
    match door {
        Door::OipGrpc | Door::OipRest => "parameters.min_confidence",
        _ => "min_confidence",
    }
}

const LONGEST: usize = 16 * 1024;

/// What one request holds.
fn contents() -> Vec<Row> {
    let some = |count: usize, text: &str| Fault::Texts(vec![text.to_owned(); count]);
    vec![
        row("no texts", some(0, ""), "INVALID_FIELD", texts),
        row("more than `max_texts` texts", some(129, "a"), "INVALID_FIELD", texts),
        row(
            "a text over `max_text_bytes`",
            some(1, &"a".repeat(LONGEST + 1)),
            "INVALID_FIELD",
            first_text,
        ),
        row("an empty text (it is valid)", some(1, ""), "", nothing),
        row("an unknown model", Fault::Model("no-such"), "MODEL_NOT_FOUND", model),
        row("an unknown task", Fault::Task("topic"), "TASK_NOT_FOUND", |_| "topic"),
        row(
            "a route that is none (where routes have numbers, by number)",
            Fault::Route,
            "INVALID_FIELD",
            route,
        ),
        row(
            "a `min_confidence` over 1",
            Fault::Confidence(1.5),
            "INVALID_FIELD",
            confidence,
        ),
        row(
            "a `min_confidence` that is no number",
            Fault::Confidence(f64::NAN),
            "INVALID_FIELD",
            confidence,
        ),
        row(
            "an unknown field",
            Fault::UnknownField,
            "MALFORMED_MESSAGE",
            |_| "nonsense",
        ),
        row(
            "a number in the place of texts",
            Fault::WrongType,
            "MALFORMED_MESSAGE",
            nothing,
        ),
        row("`null` in the place of texts", Fault::Null, "INVALID_FIELD", texts),
        row("what is not UTF-8", Fault::NotUtf8, "INVALID_UTF8", nothing),
        row("what can't be read", Fault::Rubbish, "MALFORMED_MESSAGE", nothing),
        row(
            "a message over its limit",
            Fault::TooLarge,
            "MESSAGE_TOO_LARGE",
            nothing,
        ),
        row(
            "the same, once gzip is unpacked",
            Fault::Bomb,
            "MESSAGE_TOO_LARGE",
            nothing,
        ),
        row("no time left", Fault::NoTime, "DEADLINE_EXCEEDED", nothing),
    ]
}

/// Asks every door, and says at which the fault can't be said.
async fn ask_all(server: &TestServer, row: &Row, key: Option<&str>) -> BTreeSet<Door> {
    let (mut silent, mut differ) = (BTreeSet::new(), Vec::new());
    for door in Door::ALL {
        let case = format!("{} by {door:?}", row.case);
        let Some(told) = send(server, door, &row.fault, key).await else {
            silent.insert(door);
            continue;
        };
        let Some(reason) = row.reason else {
            if (told.reason.as_str(), told.http) != ("", 200) {
                differ.push(format!(
                    "{case}: {} {}, which should be an answer",
                    told.reason, told.message
                ));
            }
            continue;
        };
        let (code, http) = documented(reason);
        let status = match told.grpc {
            Some(_) => (Some(code), 200),
            None => (None, door.http_status(reason).unwrap_or(http)),
        };
        let name = (row.names)(door);
        if told.reason != reason || !told.message.contains(name) || (told.grpc, told.http) != status {
            let found = (told.reason, told.http, told.message);
            differ.push(format!(
                "{case}: {found:?}, which should be {reason} {status:?} and name {name:?}"
            ));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    silent
}

#[tokio::test]
async fn a_fault_has_the_same_reason_at_every_door_that_can_say_it() {
    // Bodies over the limit are large: on a busy machine they take longer than calls have by default.
    let server = TestServer::builder().max_timeout(Duration::from_mins(5)).start().await;
    let mut lines = Vec::new();
    for row in contents() {
        let silent = ask_all(&server, &row, None).await;
        assert!(silent.len() < Door::ALL.len(), "{}", row.case);
        let reason = row.reason.map_or("answered".to_owned(), |reason| format!("`{reason}`"));
        let silent: Vec<&str> = silent.into_iter().map(Door::name).collect();
        lines.push(format!("| {} | {reason} | {} |", row.case, silent.join(", ")));
    }
    let table = format!(
        "| fault | reason | can't be said at |\n| --- | --- | --- |\n{}\n",
        lines.join("\n")
    );
    keep("docs/doors.md", "<!-- faults, ", "<!-- end of faults -->", &table);
}

#[tokio::test]
async fn who_calls_is_checked_alike_at_every_door() {
    let server = TestServer::builder()
        .fast_only()
        .tokens(&format!("many:{KEY},one:{ONE_TEXT} texts_per_second=1 burst=1"))
        .start()
        .await;
    let good = || Fault::Texts(vec!["a".into()]);
    for (case, key) in [("no key", None), ("a wrong key", Some("wrong-0123456789abcdef"))] {
        let silent = ask_all(&server, &row(case, good(), "UNAUTHENTICATED", nothing), key).await;
        assert!(silent.is_empty(), "{silent:?}");
    }
    ask_all(&server, &row("a known key", good(), "", nothing), Some(KEY)).await;
    for door in Door::ALL {
        // Those that take one text at a time are asked until one comes too early.
        let mut reasons = BTreeSet::new();
        for _ in 0..50 {
            let fault = Fault::Texts(vec!["a".into(); if door.takes_one() { 1 } else { 2 }]);
            let told = send(&server, door, &fault, Some(ONE_TEXT))
                .await
                .expect("it can be said");
            reasons.insert(told.reason);
            if reasons.contains("RATE_LIMITED") {
                break;
            }
        }
        assert!(reasons.contains("RATE_LIMITED"), "{door:?}: {reasons:?}");
    }
}

#[tokio::test]
async fn a_full_and_a_closed_queue_are_told_alike_at_every_door() {
    let small = |settings: &mut Settings| (settings.max_texts, settings.max_queue_texts) = (2, 2);
    let server = TestServer::builder().fast_only().with(small).start().await;
    let version = server.service.catalog().stable("sentiment-fast").expect("it is there");
    let scheduler = match &*version.state() {
        ModelState::Serving(serving) => serving.scheduler.clone(),
        ModelState::Loading | ModelState::Failed(_) => panic!("it serves"),
    };
    let good = || Fault::Texts(vec!["a".into()]);
    let room = scheduler.reserve(options(), sizes(2)).expect("room");
    let silent = ask_all(&server, &row("a full queue", good(), "QUEUE_FULL", nothing), None).await;
    assert!(silent.is_empty(), "{silent:?}");
    drop(room);
    ask_all(&server, &row("room again", good(), "", nothing), None).await;
    scheduler.close();
    let silent = ask_all(&server, &row("a drain", good(), "SERVER_DRAINING", nothing), None).await;
    assert!(silent.is_empty(), "{silent:?}");
}

#[tokio::test]
async fn a_model_that_loads_is_told_alike_at_every_door() {
    let server = TestServer::builder().fast_only().without_loading().start().await;
    let good = Fault::Texts(vec!["a".into()]);
    let silent = ask_all(&server, &row("loading", good, "MODEL_LOADING", nothing), None).await;
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn every_door_that_answers_texts_is_in_the_table() {
    // The paths that the gateway has for texts, by what they are called with.
    let known: BTreeSet<&str> = Door::ALL.into_iter().map(Door::path).collect();
    for route in tandem::api::http::routes::all().filter(|route| route.method == Method::POST) {
        let asks_texts = !route.path.contains("/repository/")
            && !route.path.contains("ModelService")
            && !route.path.contains("xplain");
        let asks_texts = asks_texts && !route.path.ends_with("/Health") && route.path != "/page";
        let known = known.iter().any(|known| route.matches(known));
        // The same handlers by another name.
        let alias = ["/", "/v1/classify"].contains(&route.path) || route.path.contains("/versions/");
        assert!(known || alias || !asks_texts, "{}", route.path);
    }
}
