//! The document: a path for each route of the tables, the schemas of the messages, and what is written by hand beside
//! each door (`openapi.part.json`) where there is no descriptor.

use std::collections::BTreeSet;
use std::fs;

use tandem::api::call::Access;
use tandem::api::http::route::Route;
use tandem::api::http::routes;
use tandem::error::Reason;

use super::json::{Json, list, object, parsed, reference};
use super::messages::Messages;
use crate::support::root;

/// The folders whose doors have a part. The first one's holds what is true of all.
const DOORS: [&str; 7] = [
    "src/api/http",
    "src/api/open_inference",
    "src/api/tei",
    "src/api/classify",
    "src/api/kserve_v1",
    "src/api/connect",
    "src/api/http/page",
];

/// What nobody can hear over HTTP: operators have no door there, nor have streams of load reports.
const NOT_OVER_HTTP: [&str; 4] = ["VERSION_REFUSED", "ROLLOUT_CONFLICT", "TEXTS_NOT_KEPT", "STREAMS_FULL"];

/// The failures that any door may tell: status, name, and what happened.
const FAILURES: [(&str, &str, &str); 11] = [
    (
        "400",
        "BadRequest",
        "A header, a parameter or a field is not allowed (`INVALID_FIELD`), the body can't be read (`MALFORMED_MESSAGE`, \
         `INVALID_UTF8`), the task lacks the tier (`TIER_NOT_CONFIGURED`), or its cascade is not calibrated \
         (`CASCADE_NOT_CALIBRATED`).",
    ),
    (
        "401",
        "Unauthenticated",
        "This server wants a key, and the call has none that is known (`UNAUTHENTICATED`).",
    ),
    (
        "404",
        "NotFound",
        "No such task (`TASK_NOT_FOUND`), model (`MODEL_NOT_FOUND`) or path (`METHOD_NOT_FOUND`): what is switched off is \
         not there.",
    ),
    (
        "413",
        "TooLarge",
        "The unpacked body is over the limit (`MESSAGE_TOO_LARGE`).",
    ),
    (
        "415",
        "UnsupportedMediaType",
        "The content type is not one of these (`UNSUPPORTED_MEDIA_TYPE`), or the content encoding is not gzip \
         (`UNSUPPORTED_ENCODING`).",
    ),
    (
        "429",
        "NoRoom",
        "The model has no room now (`QUEUE_FULL`), the caller's key has sent what it may (`RATE_LIMITED`), or the bodies in \
         flight hold what they may (`BODIES_FULL`).",
    ),
    (
        "431",
        "HeadersTooLarge",
        "The headers are over 16 KiB (`HEADERS_TOO_LARGE`). Without a body and without `x-request-id` where they are over \
         32 KiB (HTTP/2) or 64 KiB (HTTP/1).",
    ),
    (
        "500",
        "Internal",
        "The model failed on this request (`INFERENCE_FAILED`), or the server did (`INTERNAL`).",
    ),
    (
        "501",
        "NotExplainable",
        "The model's answer is not a sum of parts of the text (`NOT_EXPLAINABLE`).",
    ),
    (
        "503",
        "Unavailable",
        "The model is being loaded (`MODEL_LOADING`) or could not be (`MODEL_FAILED`), or the server is ending \
         (`SERVER_DRAINING`).",
    ),
    (
        "504",
        "DeadlineExceeded",
        "The deadline passed before the answer, or was sure to (`DEADLINE_EXCEEDED`).",
    ),
];

/// What a door has by hand.
struct Part {
    /// The name of its failures, and how they are written.
    failures: Json,
    operations: Json,
}

/// The document, as it is committed.
pub fn document() -> String {
    let mut document = part("src/api/http");
    let mut messages = Messages::new();
    let mut components = document.take("components").expect("components");
    let parts = DOORS.map(|door| {
        let mut part = part(door);
        for (kind, members) in part.get("components").map_or(&[][..], Json::members) {
            let mut all = components.take(kind).unwrap_or_else(|| object([]));
            all.add(members);
            components.set(kind, all);
        }
        Part {
            failures: part.take("failures").expect("how failures are written"),
            operations: part.take("operations").expect("operations"),
        }
    });
    document.take("failures");
    document.take("operations");
    components.set("responses", object([]));

    let mut paths = object([]);
    let mut described = BTreeSet::new();
    for route in routes::all() {
        let name = format!("{} {}", route.method, route.path);
        let part = parts.iter().find(|part| part.operations.get(&name).is_some());
        let connect = parts
            .iter()
            .find(|part| part.failures.get("name") == Some(&"Connect".into()));
        let is_connect = part.is_none() && route.path.starts_with("/tandem.v1.");
        let part = part.or(connect.filter(|_| is_connect));
        let part = part.unwrap_or_else(|| panic!("no openapi.part.json has {name}"));
        let operation = part.operations.get(&name).cloned().unwrap_or_else(|| of_connect(route));
        let operation = finished(route, operation, &part.failures, &mut messages, &mut components);
        let mut item = paths.take(route.path).unwrap_or_else(|| object([]));
        item.set(&route.method.to_ascii_lowercase(), operation);
        paths.set(route.path, item);
        described.insert(name);
    }
    for (name, _) in parts.iter().flat_map(|part| part.operations.members()) {
        assert!(described.contains(name), "{name} is no route");
    }

    let mut schemas = messages.schemas;
    schemas.add(&components.take("schemas").expect("schemas"));
    schemas.set(
        "Error",
        error(schemas.get("Error").expect("the schema of errors").clone()),
    );
    components.set("schemas", schemas);
    document.set("paths", paths);
    document.set("components", components);
    serde_json::to_string_pretty(&document).expect("it can be written") + "\n"
}

fn part(door: &str) -> Json {
    let file = root().join(door).join("openapi.part.json");
    parsed(&fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}

/// The operation of a method of Connect, which its descriptor describes.
fn of_connect(route: &Route) -> Json {
    let rpc = route.path.trim_start_matches('/').replace('/', ".");
    let method = rpc.rsplit('.').next().expect("a method");
    object([
        ("operationId", format!("connect{method}").into()),
        ("tags", list(["connect"])),
        ("summary", format!("`{rpc}` over Connect.").into()),
        ("rpc", rpc.as_str().into()),
    ])
}

/// An operation with all that follows from its route.
fn finished(
    route: &Route,
    mut operation: Json,
    failures: &Json,
    messages: &mut Messages,
    components: &mut Json,
) -> Json {
    let mut parameters = Vec::new();
    if let Some(rpc) = operation.take("rpc") {
        parameters = by_descriptor(route, rpc.text().expect("a name"), &mut operation, messages);
    }
    if let Some(Json::List(own)) = operation.take("parameters") {
        parameters.extend(own);
    }
    let common = ["RequestId", "TimeoutMs", "Traceparent"];
    parameters.extend(common.map(|name| reference("parameters", name)));
    operation.set("parameters", Json::List(parameters));
    if route.access == Access::Open {
        operation.set("security", Json::List(Vec::new()));
    }
    // Bodies before answers.
    if let Some(mut body) = operation.take("requestBody") {
        if body.get("description").is_none() {
            let says = "At most 25,199,616 bytes unpacked, by default. It may be packed with gzip, as `content-encoding` says.";
            body.set("description", says);
        }
        operation.set("requestBody", body);
    }
    let mut responses = operation.take("responses").unwrap_or_else(|| object([]));
    let own = operation.take("failures");
    let mut told = failures.clone();
    if let Some(own) = &own {
        told.add(own);
    }
    let statuses = statuses(route, &operation);
    let also = told.get("also").map_or(&[][..], Json::members).iter();
    let also = also.map(|(status, says)| (status.as_str(), says.text()));
    for (status, says) in statuses.into_iter().map(|status| (status, None)).chain(also) {
        if responses.get(status).is_none() {
            responses.set(status, failure(status, says, &told, components));
        }
    }
    operation.set("responses", with_request_id(responses));
    operation
}

/// Fills an operation by the descriptor of its method. Gives the parameters of a path or a query.
fn by_descriptor(route: &Route, rpc: &str, operation: &mut Json, messages: &mut Messages) -> Vec<Json> {
    let method = messages.method(rpc);
    operation.set("description", Messages::about(&method));
    let mut parameters = Vec::new();
    let is_connect = route.path.starts_with("/tandem.v1.");
    let binary = || parsed(r#"{"schema": {"type": "string", "format": "binary"}}"#);
    if route.method == "GET" {
        parameters = messages.parameters(&method.input(), route.path);
    } else {
        let mut json = object([("schema", messages.read(&method.input()))]);
        if let Some(examples) = operation.take("requestExamples") {
            json.set("examples", examples);
        }
        let mut content = object([("application/json", json)]);
        if is_connect {
            content.set("application/proto", binary());
        }
        operation.set("requestBody", object([("required", true.into()), ("content", content)]));
    }
    let mut json = object([("schema", messages.written(&method.output()))]);
    if let Some(examples) = operation.take("answerExamples") {
        json.set("examples", examples);
    }
    let mut content = object([("application/json", json)]);
    if is_connect {
        content.set("application/proto", binary());
    }
    let about = format!("A `{}`.", method.output().full_name());
    let answer = object([("description", about.into()), ("content", content)]);
    operation.set("responses", object([("200", answer)]));
    parameters
}

/// The failures that a route may answer with, whoever answers it.
fn statuses(route: &Route, operation: &Json) -> BTreeSet<&'static str> {
    let mut statuses = BTreeSet::from(["400", "431", "500", "503"]);
    let has_body = operation.get("requestBody").is_some();
    if route.access == Access::Keyed {
        statuses.insert("401");
    }
    if has_body || route.offer.is_some() || route.path.contains('{') {
        statuses.insert("404");
    }
    if has_body {
        statuses.extend(["413", "415", "429", "504"]);
    }
    if route.path.ends_with("/v1/explain") || route.path.ends_with("/Explain") {
        statuses.insert("501");
    }
    statuses
}

/// A reference to a failure as a door tells it.
fn failure(status: &str, says: Option<&str>, told: &Json, components: &mut Json) -> Json {
    let door = told.get("name").and_then(Json::text).expect("a name");
    let standard = FAILURES.iter().find(|(known, ..)| *known == status);
    let (name, says) = match (standard, says) {
        (Some((_, name, usual)), says) => (format!("{door}{name}"), says.unwrap_or(usual)),
        (None, says) => (format!("{door}{status}"), says.expect("what it means")),
    };
    let mut response = object([("description", says.into())]);
    let more = match status {
        "401" => {
            r#"{"www-authenticate": {"description": "How to show a key.", "schema": {"type": "string", "const": "Bearer"}}}"#
        }
        "415" => {
            r#"{"accept-encoding": {"description": "What may be sent instead, for `UNSUPPORTED_ENCODING`.", "schema": {"type": "string"}}}"#
        }
        "429" => r##"{"retry-after": {"$ref": "#/components/headers/RetryAfter"}}"##,
        _ => "{}",
    };
    let mut headers = object([]);
    if status != "431" {
        headers.set("x-request-id", reference("headers", "RequestId"));
    }
    headers.add(&parsed(more));
    if !headers.members().is_empty() {
        response.set("headers", headers);
    }
    response.set("content", told.get("content").expect("a body").clone());
    let mut responses = components.take("responses").expect("responses");
    responses.set(&name, response);
    components.set("responses", responses);
    reference("responses", &name)
}

/// Each answer says the request's id.
fn with_request_id(responses: Json) -> Json {
    let Json::Object(mut responses) = responses else {
        panic!("responses are an object")
    };
    responses.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (_, response) in &mut responses {
        if response.get("$ref").is_none() {
            let mut headers = object([("x-request-id", reference("headers", "RequestId"))]);
            headers.add(&response.take("headers").unwrap_or_else(|| object([])));
            response.set("headers", headers);
        }
    }
    Json::Object(responses)
}

/// The schema of a failure, with the codes and reasons that there are.
fn error(mut schema: Json) -> Json {
    let heard = Reason::ALL
        .into_iter()
        .filter(|reason| !NOT_OVER_HTTP.contains(&reason.name()));
    let heard: Vec<Reason> = heard.collect();
    let codes: BTreeSet<&str> = heard.iter().map(|reason| reason.grpc_name()).collect();
    let mut properties = schema.take("properties").expect("properties");
    for (name, values) in [
        ("code", list(codes)),
        ("reason", list(heard.iter().map(|reason| reason.name()))),
    ] {
        let mut property = properties.get(name).expect("a property").clone();
        property.set("enum", values);
        properties.set(name, property);
    }
    schema.set("properties", properties);
    schema
}
