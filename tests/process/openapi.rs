//! What others make of the OpenAPI document: the short form of `make openapi-fuzz`, and the clients of two generators.

use std::process::Command;
use std::time::Duration;

use crate::support::command::{clean, finish_within};
use crate::support::root;
use crate::support::tools::{npm_packages, tool};

/// Half a minute each on a machine that does nothing else; the tests beside them take their share.
const LIMIT: Duration = Duration::from_mins(5);

fn script(name: &str) -> Command {
    let mut command = clean("sh");
    command.arg(root().join("tools/openapi").join(name));
    command.arg(env!("CARGO_BIN_EXE_tandem"));
    command
}

#[test]
fn the_examples_and_the_edges_of_every_field_are_answered_as_the_document_says() {
    // The script would install it without the proxies that pip may need.
    tool("schemathesis");
    let told = finish_within(LIMIT, &mut script("fuzz.sh"), b"").success();
    assert!(told.contains("Coverage") && told.contains(" passed"), "{told}");
}

#[test]
fn the_clients_of_two_generators_give_the_labels_of_the_plain_door() {
    tool("openapi-client");
    tool("node");
    npm_packages("tools/openapi");
    let told = finish_within(LIMIT, &mut script("clients.sh"), b"").success();
    assert_eq!(told.matches("as POST /predict").count(), 2, "{told}");
}
