//! What the document shows and says is what the server does: every example is asked, every path answers, and each answer
//! is of the schema that stands there for its status.

use http::Method;
use serde_json::{Value, json};

use crate::support::http::{Answer, HttpClient};
use crate::support::{TestServer, root};

/// What differs from one call to the next.
const NEVER_THE_SAME: [&str; 4] = ["id", "created", "requestId", "timing"];

fn document() -> Value {
    let text = std::fs::read(root().join("src/api/http/openapi.json")).expect("text");
    serde_json::from_slice(&text).expect("JSON")
}

/// An operation of the document.
struct Operation<'a> {
    document: &'a Value,
    method: Method,
    path: &'a str,
    says: &'a Value,
}

fn operations(document: &Value) -> impl Iterator<Item = Operation<'_>> {
    let paths = document["paths"].as_object().expect("paths");
    paths.iter().flat_map(move |(path, item)| {
        let methods = item.as_object().expect("methods");
        methods.iter().map(move |(method, says)| Operation {
            document,
            method: method.to_uppercase().parse().expect("a method"),
            path,
            says,
        })
    })
}

/// Makes an answer that has more than its schema an error: the document leaves that to newer servers.
fn closed(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let is_object = members.get("type").is_some_and(|kind| kind == "object");
            if is_object && members.contains_key("properties") {
                members.entry("additionalProperties").or_insert(false.into());
            }
            members.values_mut().for_each(closed);
        }
        Value::Array(items) => items.iter_mut().for_each(closed),
        _ => {}
    }
}

impl Operation<'_> {
    /// What is at a place of the document, or where that refers to.
    fn resolved<'a>(&'a self, thing: &'a Value) -> &'a Value {
        match thing["$ref"].as_str() {
            Some(place) => self.document.pointer(&place[1..]).unwrap_or_else(|| panic!("{place}")),
            None => thing,
        }
    }

    /// The path with names where they belong.
    fn filled(&self) -> String {
        let names = [("{name}", "sentiment-fast"), ("{version}", "1"), ("{file}", "main.js")];
        names
            .iter()
            .fold(self.path.to_owned(), |path, (part, name)| path.replace(part, name))
    }

    /// The media type of the body that people write, and what is said of it.
    fn body(&self) -> Option<(&str, &Value)> {
        let kinds = self.says["requestBody"]["content"].as_object()?;
        let (kind, says) = kinds.iter().next().expect("a body has a type");
        Some((kind, says))
    }

    async fn send(&self, http: &HttpClient, body: &Value) -> Answer {
        let kind = self.body().map_or("application/json", |(kind, _)| kind);
        let body = match kind {
            "application/json" => body.to_string(),
            _ => {
                let fields = body.as_object().expect("a form").iter();
                let encoded = |text: &str| {
                    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
                };
                let fields = fields.map(|(name, value)| format!("{name}={}", encoded(value.as_str().unwrap_or("1"))));
                fields.collect::<Vec<_>>().join("&")
            }
        };
        let headers = [("content-type", kind)];
        let headers = if self.body().is_some() { &headers[..] } else { &[] };
        http.send(self.method.clone(), &self.filled(), headers, body).await
    }

    /// Checks that an answer is one that the document has for this operation.
    fn check(&self, answer: &Answer, what: &str) {
        let place = format!("{} {}, {what}: {}", self.method, self.path, answer.status);
        let says = &self.says["responses"][answer.status.as_str()];
        assert!(!says.is_null(), "{place} is not in the document");
        let says = self.resolved(says);
        for (header, about) in says["headers"].as_object().into_iter().flatten() {
            let is_needed = self.resolved(about)["required"] == true;
            assert!(
                !is_needed || !answer.header(header).is_empty(),
                "{place} has no {header}"
            );
        }
        let Some(content) = says["content"].as_object() else {
            assert!(answer.body.is_empty(), "{place} has a body");
            return;
        };
        let kind = answer.header("content-type");
        let kind = content
            .get(kind)
            .or_else(|| content.get(kind.split(';').next().unwrap_or_default()));
        let kind = kind.unwrap_or_else(|| panic!("{place} is {}", answer.header("content-type")));
        let is_json = answer.header("content-type").starts_with("application/json");
        let found = if is_json { answer.json() } else { answer.text().into() };
        let mut schema = json!({"components": self.document["components"], "allOf": [kind["schema"]]});
        closed(&mut schema);
        let schema = jsonschema::draft202012::new(&schema).expect("a schema");
        let wrong: Vec<String> = schema
            .iter_errors(&found)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{place}: {wrong:?}");
    }
}

/// Whether two answers are the same but for what never is; numbers to three digits.
fn are_alike(shown: &Value, found: &Value) -> bool {
    match (shown, found) {
        (Value::Object(shown), Value::Object(found)) => {
            let is_there = |(name, value): (&String, &Value)| {
                let never_the_same = NEVER_THE_SAME.contains(&name.as_str()) || name.ends_with("Duration");
                found
                    .get(name)
                    .is_some_and(|found| never_the_same || are_alike(value, found))
            };
            shown.len() == found.len() && shown.iter().all(is_there)
        }
        (Value::Array(shown), Value::Array(found)) => {
            shown.len() == found.len() && shown.iter().zip(found).all(|(shown, found)| are_alike(shown, found))
        }
        (Value::Number(shown), Value::Number(found)) => {
            let [shown, found] = [shown, found].map(|number| number.as_f64().expect("a number"));
            (shown - found).abs() < 1e-3
        }
        (shown, found) => shown == found,
    }
}

#[tokio::test]
async fn every_example_is_answered_as_it_is_shown() {
    let http = TestServer::shared().await.http();
    let document = document();
    let (mut asked, mut compared) = (0, 0);
    for operation in operations(&document) {
        let Some((_, body)) = operation.body() else { continue };
        for (name, example) in body["examples"].as_object().into_iter().flatten() {
            let answer = operation.send(&http, &example["value"]).await;
            assert_eq!(answer.status, 200, "{} {name}: {}", operation.path, answer.text());
            operation.check(&answer, name);
            asked += 1;
            let shown = &operation.says["responses"]["200"]["content"]["application/json"]["examples"][name]["value"];
            if !shown.is_null() {
                let found = answer.json();
                assert!(are_alike(shown, &found), "{} {name}: {found}", operation.path);
                compared += 1;
            }
        }
        let shown = &operation.says["responses"]["200"]["content"]["application/json"]["examples"];
        for name in shown.as_object().into_iter().flat_map(|shown| shown.keys()) {
            assert!(
                body["examples"][name].is_object(),
                "{}: {name} answers no example",
                operation.path
            );
        }
    }
    assert!(asked >= 15 && compared >= 10, "{asked} {compared}");
}

#[tokio::test]
async fn every_path_answers_as_the_document_says_what_is_right_and_what_is_not() {
    let http = TestServer::shared().await.http();
    let document = document();
    for operation in operations(&document) {
        if operation.body().is_none() {
            let answer = operation.send(&http, &Value::Null).await;
            operation.check(&answer, "as it is");
            // The operators' calls are not here.
            let expected = if operation.method == Method::GET { 200 } else { 404 };
            assert_eq!(answer.status, expected, "{}", operation.path);
        } else {
            let answer = operation.send(&http, &json!({"no such field": 1})).await;
            assert!(answer.status.is_client_error(), "{}: {}", operation.path, answer.status);
            operation.check(&answer, "an unknown field");
        }
        let headers = [("x-request-timeout-ms", "soon")];
        let answer = http
            .send(operation.method.clone(), &operation.filled(), &headers, "")
            .await;
        assert!(answer.status.is_client_error(), "{}: {}", operation.path, answer.status);
        operation.check(&answer, "a timeout that is none");
    }
}
