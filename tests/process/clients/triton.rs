//! Triton's own client, unmodified, over gRPC and HTTP, plain and with asyncio: it finds its way, and its answers are those of our
//! own door.

use std::process::Command;

use serde_json::{Value, json};

use super::{TOLERANCE, by_v1_predict};
use crate::support::RunningServer;
use crate::support::command::{clean, finish, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::reviews::reviews;
use crate::support::root;
use crate::support::server::free_ports;
use crate::support::tools::tool;

fn triton(server: &RunningServer, work: &str) -> Command {
    let mut command = clean("python3");
    command.env("PYTHONPATH", format!("{}:{}", tool("grpc"), tool("triton")));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(root().join("tests/process/clients/triton_client.py"));
    command.args([work, &server.grpc.to_string(), &server.http().to_string()]);
    command
}

#[test]
fn tritonclient_finds_models_tensors_options_refusals_and_packing() {
    let server = RunningServer::start(&[]);
    finish(&mut triton(&server, "manners"), b"").success();
}

#[test]
fn tritonclient_needs_a_key_for_all_but_health_where_there_are_keys() {
    const KEY: &str = "triton-0123456789abcdef";
    let models = FastModelCopy::new();
    let mut command = tandem();
    command.arg("serve").args(free_ports()).args(FAST_ONLY);
    command.arg("--models").arg(models.repository());
    command.env("TANDEM_TOKENS", format!("triton:{KEY}"));
    let server = RunningServer::spawn(command);
    server.wait_ready();
    finish(&mut triton(&server, "keyed"), KEY.as_bytes()).success();
}

#[test]
fn two_hundred_reviews_get_equal_answers_through_each_client_of_triton() {
    let server = RunningServer::start(&[]);
    let texts = reviews(200);
    for (model, route) in [("sentiment:fast", "ROUTE_FAST"), ("sentiment:cascade", "ROUTE_CASCADE")] {
        let expected = by_v1_predict(&server, route, &texts);
        let asked = json!({"model": model, "texts": texts}).to_string();
        let found = finish(&mut triton(&server, "classify"), asked.as_bytes()).json();
        let clients = found.as_object().expect("a list for each client");
        assert_eq!(clients.len(), 4, "gRPC and HTTP, plain and asyncio");
        for (client, answers) in clients {
            let answers: Vec<&Value> = answers.as_array().expect("a list").iter().collect();
            assert_eq!(answers.len(), expected.len(), "{client} {model}");
            for (at, (answer, (label, confidence))) in answers.iter().zip(&expected).enumerate() {
                assert_eq!(answer[0], *label, "{client} {model}, review {at}");
                let score = answer[1].as_f64().expect("a number");
                assert!((score - confidence).abs() <= TOLERANCE, "{client} {model}, review {at}");
            }
        }
    }
}
