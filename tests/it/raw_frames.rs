//! Frames that break the protocol of HTTP/2, byte by byte: each ends its stream or its connection with an error, and the next
//! client is served. And frames that are odd but right, which are answered.
//!
//! Where RFC 9113 has a finer error, the library says PROTOCOL_ERROR of every frame that it can't read: both are right here.

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::frames::frame as grpc_message;
use crate::support::h2_bytes::*;
use crate::support::{TestServer, fast};

/// The errors of RFC 9113, section 7.
const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const COMPRESSION: u32 = 9;

/// What must become of bytes.
enum Expected {
    /// The connection ends with one of these errors, or, since the server has closed it, without a word.
    Gone(&'static [u32]),
    /// The stream is reset with this error, or the connection ends with it.
    Reset(u32),
    /// The call is answered.
    Answered,
}
use Expected::{Answered, Gone, Reset};

fn message() -> Vec<u8> {
    grpc_message(false, &fast(&["좋다"]).encode_to_vec()).to_vec()
}

/// A call on a stream.
fn call(stream: u32) -> Vec<u8> {
    let headers = frame(HEADERS, END_HEADERS, stream, &call_headers());
    [headers, frame(DATA, END_STREAM, stream, &message())].concat()
}

fn with(more: &[Vec<u8>]) -> Vec<u8> {
    frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        1,
        &[&[call_headers()][..], more].concat().concat(),
    )
}

fn without(name: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/tandem.v1.PredictionService/Predict"),
        ("content-type", "application/grpc"),
    ];
    let left = fields.iter().filter(|(key, _)| *key != name);
    let block: Vec<u8> = left.flat_map(|(key, value)| field(key, value)).collect();
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
}

/// A call whose authority is spelled out in these bytes: the length, and what follows.
fn authority(value: &[u8]) -> Vec<u8> {
    let block = [
        &field(":method", "POST")[..],
        &[1],
        value,
        &field(":scheme", "http"),
        &field(":path", "/a"),
    ]
    .concat();
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
}

/// What is sent after the preface and empty settings.
#[rustfmt::skip] // A row is a line.
fn table() -> Vec<(&'static str, Vec<u8>, Expected)> {
    let headers = call_headers();
    let half = headers.len() / 2;
    let bytes: Vec<u8> = message().iter().flat_map(|&byte| frame(DATA, NONE, 1, &[byte])).collect();
    let padded = [&[3][..], &message(), &[0; 3]].concat();
    let opened = || frame(HEADERS, END_HEADERS, 1, &call_headers());
    let message_then_trailers = [
        opened(),
        frame(DATA, NONE, 1, &message()),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &field("x-end", "a")),
    ];
    let in_two_frames = [
        frame(HEADERS, NONE, 1, &headers[..half]),
        frame(CONTINUATION, END_HEADERS, 1, &headers[half..]),
        frame(DATA, END_STREAM, 1, &message()),
    ];
    let open_end = || frame(HEADERS, NONE, 1, &call_headers());
    let another_calls = frame(CONTINUATION, END_HEADERS, 3, &[]);
    let endless = frame(SETTINGS, NONE, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]);
    vec![
        ("DATA on stream 0", frame(DATA, NONE, 0, b"a"), Gone(&[PROTOCOL])),
        ("HEADERS on stream 0", frame(HEADERS, END_HEADERS, 0, &headers), Gone(&[PROTOCOL])),
        ("RST_STREAM on stream 0", frame(RST_STREAM, NONE, 0, &[0; 4]), Gone(&[PROTOCOL])),
        ("CONTINUATION on stream 0", frame(CONTINUATION, END_HEADERS, 0, &headers), Gone(&[PROTOCOL])),
        ("SETTINGS on a stream", frame(SETTINGS, NONE, 1, &[]), Gone(&[PROTOCOL])),
        ("PING on a stream", frame(PING, NONE, 1, &[0; 8]), Gone(&[PROTOCOL])),
        ("GOAWAY on a stream", frame(GOAWAY, NONE, 1, &[0; 8]), Gone(&[PROTOCOL])),
        ("PUSH_PROMISE from a client", frame(PUSH_PROMISE, END_HEADERS, 1, &headers), Gone(&[PROTOCOL])),
        ("SETTINGS of seven bytes", frame(SETTINGS, NONE, 0, &[0; 7]), Gone(&[FRAME_SIZE, PROTOCOL])),
        ("an acknowledgement with content", frame(SETTINGS, ACK, 0, &[0; 6]), Gone(&[FRAME_SIZE, PROTOCOL])),
        ("PING of seven bytes", frame(PING, NONE, 0, &[0; 7]), Gone(&[FRAME_SIZE, PROTOCOL])),
        ("RST_STREAM of three bytes", [opened(), frame(RST_STREAM, NONE, 1, &[0; 3])].concat(), Gone(&[FRAME_SIZE, PROTOCOL])),
        ("WINDOW_UPDATE of three bytes", frame(WINDOW_UPDATE, NONE, 0, &[0; 3]), Gone(&[FRAME_SIZE, PROTOCOL])),
        ("GOAWAY of seven bytes", frame(GOAWAY, NONE, 0, &[0; 7]), Gone(&[FRAME_SIZE, PROTOCOL])),
        ("a frame over 16 KiB", [opened(), frame(DATA, NONE, 1, &[0; 16_385])].concat(), Gone(&[FRAME_SIZE])),
        ("a setting that is not allowed", frame(SETTINGS, NONE, 0, &[0, 5, 0, 0, 0, 1]), Gone(&[PROTOCOL])),
        ("a window that is too large", endless, Gone(&[FLOW_CONTROL, PROTOCOL])),
        ("a window that grows by nothing", frame(WINDOW_UPDATE, NONE, 0, &[0; 4]), Gone(&[PROTOCOL])),
        ("a window that overflows", frame(WINDOW_UPDATE, NONE, 0, &[0x7f, 0xff, 0xff, 0xff]), Gone(&[FLOW_CONTROL])),
        ("RST_STREAM on a stream that is not open", frame(RST_STREAM, NONE, 1, &[0; 4]), Gone(&[PROTOCOL])),
        ("DATA on a stream that is not open", frame(DATA, NONE, 1, b"a"), Gone(&[PROTOCOL, STREAM_CLOSED])),
        ("CONTINUATION without HEADERS", frame(CONTINUATION, END_HEADERS, 1, &headers), Gone(&[PROTOCOL])),
        ("HEADERS without an end, then DATA", [open_end(), frame(DATA, END_STREAM, 1, &[])].concat(), Gone(&[PROTOCOL])),
        ("HEADERS without an end, then another call's", [open_end(), another_calls].concat(), Gone(&[PROTOCOL])),
        ("HEADERS on a stream of the server's", frame(HEADERS, END_HEADERS, 2, &headers), Gone(&[PROTOCOL])),
        ("a header block that can't be unpacked", frame(HEADERS, END_HEADERS, 1, &[0xff; 20]), Gone(&[COMPRESSION, PROTOCOL])),
        ("more padding than there is", frame(DATA, PADDED, 1, &[9, 0]), Gone(&[PROTOCOL])),
        ("a path in the trailers, which is overlooked", [opened(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &headers)].concat(), Answered),
        ("no method", without(":method"), Reset(PROTOCOL)),
        ("no path, which is none of ours", without(":path"), Answered),
        ("an authority that is no host", authority(b"\x03%2F"), Answered),
        ("the same, packed", authority(b"\x83\x54\x58\x7f"), Answered),
        ("an empty authority", authority(b"\0"), Reset(PROTOCOL)),
        ("a name with a capital", with(&[field("X-Upper", "a")]), Reset(PROTOCOL)),
        ("a connection header", with(&[field("connection", "close")]), Reset(PROTOCOL)),
        ("a stream that depends on itself", frame(PRIORITY, NONE, 1, &[0, 0, 0, 1, 0]), Reset(PROTOCOL)),
        ("headers alone", frame(HEADERS, END_HEADERS | END_STREAM, 1, &headers), Answered),
        ("a call", call(1), Answered),
        ("a call on stream 7", call(7), Answered),
        ("a message of one byte a frame", [opened(), bytes, frame(DATA, END_STREAM, 1, &[])].concat(), Answered),
        ("a message with padding", [opened(), frame(DATA, END_STREAM | PADDED, 1, &padded)].concat(), Answered),
        ("a message, then trailers", message_then_trailers.concat(), Answered),
        ("headers in two frames", in_two_frames.concat(), Answered),
        ("a kind of frame that nobody knows", [frame(0xbe, 0xff, 0, b"anything"), call(1)].concat(), Answered),
        ("a setting that nobody knows", [frame(SETTINGS, NONE, 0, &[0xbe, 0xef, 1, 2, 3, 4]), call(1)].concat(), Answered),
        ("PRIORITY before a call", [frame(PRIORITY, NONE, 1, &[0, 0, 0, 0, 9]), call(1)].concat(), Answered),
    ]
}

#[tokio::test]
async fn each_broken_frame_ends_with_its_error_and_each_odd_one_is_answered() {
    let server = TestServer::shared().await;
    let start = [PREFACE, &frame(SETTINGS, NONE, 0, &[])].concat();
    let mut wrong = Vec::new();
    for (case, bytes, expected) in table() {
        let end = send(server.grpc_addr(), &[&start[..], &bytes].concat()).await;
        let right = match expected {
            Gone(errors) => end == End::Closed || errors.iter().any(|&error| end == End::GoAway(error)),
            Reset(error) => end == End::Reset(error) || end == End::GoAway(error),
            Answered => end == End::Answered,
        };
        if !right {
            wrong.push(format!("{case}: {end:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    server
        .client()
        .await
        .predict(fast(&["좋다"]))
        .await
        .expect("the next client is served");
}

#[tokio::test]
async fn what_does_not_begin_with_the_preface_is_closed() {
    let server = TestServer::shared().await;
    for begin in [
        &b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"[..],
        b"POST /tandem.v1.PredictionService/Predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n and more of it",
        b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n and more of it",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 the hello of TLS, cut",
        &[0; 64],
    ] {
        let mut stream = TcpStream::connect(server.grpc_addr()).await.expect("the port is open");
        let _ = stream.write_all(begin).await;
        let mut said = Vec::new();
        // With or without a word, by end or by reset.
        let _ = stream.read_to_end(&mut said).await;
        assert!(!said.starts_with(b"HTTP/1.1 200"), "{begin:?}");
    }
    server
        .client()
        .await
        .predict(fast(&["좋다"]))
        .await
        .expect("the next client is served");
}
