//! Many small requests on a stream, each in a frame of its own, at any pace of their reader: none is lost, and the connection
//! stays. A client writes as far as its windows let it.

use std::collections::HashMap;

use prost::Message;
use tandem::api::pb;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::frames::frame as grpc_message;
use crate::support::h2_bytes::*;
use crate::support::server::HANG;
use crate::support::{TestServer, fast};

/// Settings, by number.
const INITIAL_WINDOW: u16 = 4;
/// What HTTP/2 gives a connection that says nothing.
const DEFAULT_WINDOW: i64 = 65_535;

/// A client of HTTP/2 that keeps to its windows.
struct Peer {
    connection: TcpStream,
    /// What it may send: on the connection, on a stream, and on each that has begun.
    window: i64,
    initial: i64,
    streams: HashMap<u32, Stream>,
}

#[derive(Default)]
struct Stream {
    window: i64,
    sent: usize,
    answers: usize,
    /// Bytes of an answer that is not whole.
    begun: Vec<u8>,
}

impl Peer {
    /// Connects, with room for answers of `window` bytes on each stream.
    async fn connect(server: &TestServer, window: u32) -> Self {
        let mut connection = TcpStream::connect(server.grpc_addr()).await.expect("the port is open");
        let settings = [&INITIAL_WINDOW.to_be_bytes()[..], &window.to_be_bytes()].concat();
        let start = [PREFACE.to_vec(), frame(SETTINGS, NONE, 0, &settings)].concat();
        connection.write_all(&start).await.expect("open");
        let mut peer = Self {
            connection,
            window: DEFAULT_WINDOW,
            initial: DEFAULT_WINDOW,
            streams: HashMap::new(),
        };
        // The server gives a connection more than it has from the start.
        while peer.window == DEFAULT_WINDOW {
            peer.read().await;
        }
        peer.ping().await;
        peer
    }

    fn open(&mut self, id: u32) -> Vec<u8> {
        let headers = [
            field(":method", "POST"),
            field(":scheme", "http"),
            field(":path", "/tandem.v1.PredictionService/PredictStream"),
            field(":authority", "localhost"),
            field("content-type", "application/grpc"),
            field("te", "trailers"),
        ];
        let stream = Stream {
            window: self.initial,
            ..Stream::default()
        };
        self.streams.insert(id, stream);
        frame(HEADERS, END_HEADERS, id, &headers.concat())
    }

    /// The next request of a stream, if there is room for it.
    fn request(&mut self, id: u32) -> Option<Vec<u8>> {
        let stream = self.streams.get_mut(&id).expect("it is open");
        let request = pb::PredictStreamRequest {
            id: stream.sent.to_string(),
            request: Some(fast(&["a"])),
            timeout_duration: None,
        };
        let message = grpc_message(false, &request.encode_to_vec());
        let size = i64::try_from(message.len()).expect("short");
        if stream.window.min(self.window) < size {
            return None;
        }
        stream.window -= size;
        self.window -= size;
        stream.sent += 1;
        Some(frame(DATA, NONE, id, &message))
    }

    /// Writes requests, a frame of each stream in turn, until there is room for no more, or each has had `most`.
    async fn write(&mut self, most: usize) {
        let mut ids: Vec<u32> = self.streams.keys().copied().collect();
        ids.sort_unstable();
        loop {
            let mut frames = Vec::new();
            for &id in &ids {
                if self.streams[&id].sent < most {
                    frames.extend(self.request(id).unwrap_or_default());
                }
            }
            if frames.is_empty() {
                return;
            }
            self.connection.write_all(&frames).await.expect("open");
        }
    }

    /// Makes room for answers.
    async fn take_answers(&mut self) {
        let more = 0x4000_0000_u32.to_be_bytes();
        let mut updates = frame(WINDOW_UPDATE, NONE, 0, &more);
        for &id in self.streams.keys() {
            updates.extend(frame(WINDOW_UPDATE, NONE, id, &more));
        }
        self.connection.write_all(&updates).await.expect("open");
    }

    /// Waits until the server has read everything so far.
    async fn ping(&mut self) {
        self.connection
            .write_all(&frame(PING, NONE, 0, &[7; 8]))
            .await
            .expect("open");
        while self.read().await != PING {}
    }

    /// Reads a frame, and says of which kind it was.
    async fn read(&mut self) -> u8 {
        let mut head = [0; 9];
        let reading = self.connection.read_exact(&mut head);
        let read = tokio::time::timeout(HANG, reading).await.expect("no hang");
        read.expect("the connection stays");
        let size = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; size as usize];
        self.connection.read_exact(&mut payload).await.expect("a whole frame");
        let id = u32::from_be_bytes(head[5..].try_into().expect("four bytes"));
        match head[3] {
            SETTINGS if head[4] & ACK == 0 => {
                for setting in payload.chunks(6) {
                    if setting[..2] == INITIAL_WINDOW.to_be_bytes() {
                        self.initial = u32::from_be_bytes(setting[2..].try_into().expect("four bytes")).into();
                    }
                }
                let ack = frame(SETTINGS, ACK, 0, &[]);
                self.connection.write_all(&ack).await.expect("open");
            }
            WINDOW_UPDATE => {
                let more = i64::from(u32::from_be_bytes(payload[..4].try_into().expect("four bytes")));
                match self.streams.get_mut(&id) {
                    Some(stream) => stream.window += more,
                    None => self.window += more,
                }
            }
            DATA => self.streams.get_mut(&id).expect("it is open").answered(&payload),
            GOAWAY => panic!("told to go: {}", String::from_utf8_lossy(&payload[8..])),
            RST_STREAM => panic!("a stream was reset"),
            _ => {}
        }
        head[3]
    }
}

impl Stream {
    fn answered(&mut self, data: &[u8]) {
        self.begun.extend(data);
        while let Some(head) = self.begun.first_chunk::<5>() {
            let [_, size @ ..] = *head;
            let end = 5 + u32::from_be_bytes(size) as usize;
            if self.begun.len() < end {
                return;
            }
            self.begun.drain(..end);
            self.answers += 1;
        }
    }
}

#[tokio::test]
async fn streams_full_of_the_smallest_requests_wait_for_their_reader_and_then_all_are_answered() {
    let server = TestServer::builder().fast_only().start().await;
    let mut peer = Peer::connect(&server, 0).await;
    let opened: Vec<u8> = (0..16).flat_map(|stream| peer.open(2 * stream + 1)).collect();
    peer.connection.write_all(&opened).await.expect("open");
    peer.write(usize::MAX).await;
    peer.ping().await;
    let sent: Vec<usize> = peer.streams.values().map(|stream| stream.sent).collect();
    assert!(sent.iter().all(|&sent| sent > 3000), "the windows are full: {sent:?}");
    server
        .client()
        .await
        .predict(fast(&["a"]))
        .await
        .expect("others are served");
    peer.take_answers().await;
    while peer.streams.values().any(|stream| stream.answers < stream.sent) {
        peer.read().await;
    }
}

#[tokio::test]
async fn a_stream_of_many_small_requests_is_answered_to_its_end() {
    const REQUESTS: usize = 20_000;
    let server = TestServer::builder().fast_only().start().await;
    let mut peer = Peer::connect(&server, 0).await;
    let opened = peer.open(1);
    peer.connection.write_all(&opened).await.expect("open");
    peer.take_answers().await;
    while peer.streams[&1].answers < REQUESTS {
        peer.write(REQUESTS).await;
        peer.read().await;
    }
}
