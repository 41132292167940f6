//! Injected faults: an instance that panics, a run that fails, a handler that panics. `cargo test --features
//! fault-injection --test faults`; the long form, with 1,000 panics and its figure, is `make faults`.

#[expect(dead_code, reason = "the harness of tests/it, of which this needs a part")]
#[path = "../it/support/mod.rs"]
mod support;

mod handlers;
mod instances;

use std::sync::Once;

use tandem::api::pb;
use tandem::model::loading::FastPath;
use tokio::sync::Mutex;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use support::{Refusal, TestServer, fast};

/// Faults are counted for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Injected panics are expected, and their backtraces would take longer than the tests.
fn keep_quiet() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload_as_str() != Some("injected") {
                usual(panic);
            }
        }));
    });
}

async fn server(instances: usize) -> TestServer {
    keep_quiet();
    TestServer::builder()
        .fast_only()
        .with(|settings| {
            settings.fast_instances = instances;
            // A run that costs next to nothing has a batch to itself.
            settings.fast_path = FastPath::Onnx;
        })
        .start()
        .await
}

/// A failure of ours: INTERNAL with its reason and the request's id.
fn assert_internal(status: &Status, reason: &str) {
    let refusal = Refusal::of(status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::Internal, reason),
        "{status:?}"
    );
    let info = status.get_details_request_info().expect("the request's id");
    assert!(!info.request_id.is_empty());
    assert!(!refusal.message.contains("injected"), "{}", refusal.message);
}

fn streamed(id: &str, text: &str) -> pb::PredictStreamRequest {
    pb::PredictStreamRequest {
        id: id.into(),
        request: Some(fast(&[text])),
        timeout_duration: None,
    }
}
