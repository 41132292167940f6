//! HTTP/2 as bytes on a TCP connection: frames that no library would send, and what the server says to them.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a client begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The kinds of frames, by number.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Flags.
pub const NONE: u8 = 0;
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&size[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header field, spelled out.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("a short text");
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// The header block of a call of Predict.
pub fn call_headers() -> Vec<u8> {
    [
        field(":method", "POST"),
        field(":scheme", "http"),
        field(":path", super::frames::PREDICT),
        field(":authority", "localhost"),
        field("content-type", "application/grpc"),
        field("te", "trailers"),
    ]
    .concat()
}

/// What became of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A call was answered to its end.
    Answered,
    /// The stream was reset, with the error's number.
    Reset(u32),
    /// The connection was ended, with the error's number.
    GoAway(u32),
    /// The connection was closed without a word.
    Closed,
}

/// Sends bytes on a new connection, and reads to the end of the call on stream 1 or of the connection.
pub async fn send(address: SocketAddr, bytes: &[u8]) -> End {
    let mut stream = TcpStream::connect(address).await.expect("the port is open");
    // The server may close before it has read all.
    let _ = stream.write_all(bytes).await;
    tokio::time::timeout(Duration::from_mins(1), read(&mut stream))
        .await
        .expect("the server says something")
}

async fn read(stream: &mut TcpStream) -> End {
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return End::Closed;
        }
        let size = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; size as usize];
        if stream.read_exact(&mut payload).await.is_err() {
            return End::Closed;
        }
        let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("four bytes"));
        match head[3] {
            GOAWAY => return End::GoAway(number(4)),
            RST_STREAM => return End::Reset(number(0)),
            DATA | HEADERS if head[4] & END_STREAM != 0 => return End::Answered,
            _ => {}
        }
    }
}
