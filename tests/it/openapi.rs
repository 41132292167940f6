//! The OpenAPI document is what the routes, the descriptors and the parts beside the doors say: UPDATE_SNAPSHOTS=1 writes it
//! anew. What it says is what the server does.

mod document;
mod examples;
mod json;
mod messages;

use std::collections::BTreeSet;
use std::fs;

use tandem::api::http::routes;

use crate::support::root;

#[test]
fn the_document_is_what_the_routes_and_the_descriptors_say() {
    let file = root().join("src/api/http/openapi.json");
    let generated = document::document();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&file, generated).expect("written");
    } else {
        let committed = fs::read_to_string(&file).expect("text");
        assert!(
            committed == generated,
            "openapi.json is not what is declared: run `make openapi`"
        );
    }
}

#[test]
fn no_route_is_missing_in_the_document() {
    let committed = fs::read(root().join("src/api/http/openapi.json")).expect("text");
    let document: serde_json::Value = serde_json::from_slice(&committed).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let described = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods").keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let offered = routes::all().map(|route| format!("{} {}", route.method, route.path));
    assert_eq!(described.collect::<BTreeSet<_>>(), offered.collect());
}
