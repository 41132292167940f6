//! Calls that their caller resets within the message: cancelled ones, and many of them do not keep others from being served.

use prost::Message;

use crate::support::frames::frame as grpc_message;
use crate::support::h2_bytes::*;
use crate::support::{TestServer, fast};

const CANCEL: [u8; 4] = 8u32.to_be_bytes();

/// A call of which half a message comes before it is reset.
fn taken_back(stream: u32) -> Vec<u8> {
    let message = grpc_message(false, &fast(&["좋다"]).encode_to_vec());
    [
        frame(HEADERS, END_HEADERS, stream, &call_headers()),
        frame(DATA, NONE, stream, &message[..message.len() / 2]),
        frame(RST_STREAM, NONE, stream, &CANCEL),
    ]
    .concat()
}

fn whole(stream: u32) -> Vec<u8> {
    let message = grpc_message(false, &fast(&["좋다"]).encode_to_vec());
    [
        frame(HEADERS, END_HEADERS, stream, &call_headers()),
        frame(DATA, END_STREAM, stream, &message),
    ]
    .concat()
}

#[tokio::test]
async fn a_call_that_is_taken_back_within_its_message_is_cancelled_and_a_flood_of_them_holds_up_no_call() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| settings.max_rapid_resets = 10)
        .start()
        .await;
    let start = [PREFACE, &frame(SETTINGS, NONE, 0, &[])].concat();
    let flood: Vec<u8> = (0..150).flat_map(|call| taken_back(2 * call + 1)).collect();
    let end = send(server.grpc_addr(), &[start, flood, whole(301)].concat()).await;
    assert_eq!(end, End::Answered, "the call behind them, on the same connection");
    server
        .client()
        .await
        .predict(fast(&["좋다"]))
        .await
        .expect("the next client is served");
    let metrics = server.service.metrics().text();
    let reasons: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("tandem_requests_total") && !line.contains(r#"reason="""#))
        .collect();
    assert!(!reasons.is_empty(), "{metrics}");
    assert!(
        reasons.iter().all(|line| line.contains(r#"reason="CANCELLED""#)),
        "{reasons:#?}"
    );
}
