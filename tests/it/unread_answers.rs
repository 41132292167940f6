//! Answers that nobody reads are counted with their caller's bodies: it makes no more calls, others do, and none is lost if it
//! reads after all; a connection that never does is cut.

use std::collections::HashSet;
use std::time::Duration;

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::frames::frame as grpc_message;
use crate::support::h2_bytes::*;
use crate::support::{TestServer, fast};

/// Calls that are begun at once, each with an answer of some KiB.
const CALLS: u32 = 200;

struct Reader {
    stream: TcpStream,
    answered: HashSet<u32>,
    refused: HashSet<u32>,
}

impl Reader {
    /// A connection that grants the server nothing for answers, yet.
    async fn connect(address: std::net::SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("open");
        let no_window = frame(SETTINGS, NONE, 0, &[0, 4, 0, 0, 0, 0]);
        stream
            .write_all(&[PREFACE, &no_window].concat())
            .await
            .expect("written");
        Self {
            stream,
            answered: HashSet::new(),
            refused: HashSet::new(),
        }
    }

    async fn call(&mut self, stream: u32, message: &[u8]) {
        let call = [
            frame(HEADERS, END_HEADERS, stream, &call_headers()),
            frame(DATA, END_STREAM, stream, message),
        ];
        self.stream.write_all(&call.concat()).await.expect("written");
    }

    /// Reads one frame. A call is refused if it ends with its first headers, and answered if it ends after data.
    async fn read(&mut self) {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.expect("the connection is open");
        let size = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; size as usize];
        self.stream.read_exact(&mut payload).await.expect("a whole frame");
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let ended = head[4] & END_STREAM != 0;
        match head[3] {
            DATA => {
                self.answered.insert(stream);
            }
            HEADERS if ended && !self.answered.contains(&stream) => {
                self.refused.insert(stream);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn who_does_not_read_makes_no_more_calls_and_loses_nothing() {
    let server = TestServer::builder()
        .fast_only()
        .max_texts(64)
        .max_text_bytes(100)
        .max_connections(4)
        // Little more than the largest body.
        .with(|settings| settings.max_inflight_body_bytes = 200_000)
        .start()
        .await;
    let texts = vec!["좋다"; 64];
    let message = grpc_message(false, &fast(&texts).encode_to_vec());
    let mut reader = Reader::connect(server.grpc_addr()).await;
    for call in 0..CALLS {
        reader.call(2 * call + 1, &message).await;
    }
    // Refusals have no data: they come although nothing is read.
    while reader.refused.is_empty() {
        reader.read().await;
    }
    let mut client = server.client().await;
    for _ in 0..10 {
        client.predict(fast(&texts)).await.expect("others are answered");
    }
    let window = frame(SETTINGS, NONE, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]);
    let of_all = frame(WINDOW_UPDATE, NONE, 0, &0x3fff_ffff_u32.to_be_bytes());
    reader
        .stream
        .write_all(&[window, of_all].concat())
        .await
        .expect("written");
    let calls = usize::try_from(CALLS).expect("few");
    while reader.answered.union(&reader.refused).count() < calls {
        reader.read().await;
    }
    assert!(!reader.answered.is_empty());
    // What was read is counted no more.
    client.predict(fast(&texts)).await.expect("an answer");
}

#[tokio::test]
async fn a_connection_that_takes_nothing_of_its_answers_is_cut() {
    let server = TestServer::builder()
        .fast_only()
        .max_timeout(Duration::from_secs(1))
        .start()
        .await;
    let message = grpc_message(false, &fast(&["좋다"]).encode_to_vec());
    let mut reader = Reader::connect(server.grpc_addr()).await;
    reader.call(1, &message).await;
    let mut rest = Vec::new();
    let _ = reader.stream.read_to_end(&mut rest).await;
    assert!(!rest.is_empty(), "the headers of an answer");
}
