//! Bodies of a connection's calls and answers, which tell the connection how each call ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::activity::OpenCall;
use crate::api::body_budget::{HeldBody, Holder};

/// The peer reset its call before the message was whole.
#[derive(Debug, thiserror::Error)]
#[error("the call was taken back")]
pub struct TakenBack;

/// The body of a call.
///
/// When a caller cancels its call, tonic takes the part of the body that has come for all of it, and so does hyper if
/// the reset has no error code. Here that is an error of its own: half a message is a cancelled call, not a broken
/// message.
pub struct CallBody {
    body: Incoming,
    multiplexed: bool,
    call: Arc<OpenCall>,
}

impl CallBody {
    /// The body of `call`. `multiplexed`: it came over HTTP/2.
    pub fn new(body: Incoming, multiplexed: bool, call: Arc<OpenCall>) -> Self {
        Self {
            body,
            multiplexed,
            call,
        }
    }
}

impl Body for CallBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(match polled {
            Some(Ok(frame)) => Some(Ok(frame)),
            None if !self.multiplexed || self.body.is_end_stream() => None,
            Some(Err(error)) if !self.multiplexed => Some(Err(error.into())),
            None | Some(Err(_)) => {
                self.call.taken_back();
                Some(Err(TakenBack.into()))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How many bytes of an answer the connection gets at a time: one frame. Each piece that is written shows that the peer
/// reads.
const PIECE_BYTES: usize = 16 << 10;

/// The body of an answer, which keeps its call open until it is sent.
///
/// Its bytes are counted from the moment they exist until the last piece of them is written. The count belongs to the
/// buffer, whoever holds that.
pub struct AnswerBody {
    body: axum::body::Body,
    /// Who holds the bytes; absent for an answer that names no holder.
    holder: Option<Holder>,
    /// What has come of `body` and was not handed out yet.
    rest: Bytes,
    call: Arc<OpenCall>,
}

impl AnswerBody {
    /// The body of `call`'s answer.
    pub fn new(body: axum::body::Body, holder: Option<Holder>, call: Arc<OpenCall>) -> Self {
        call.answered();
        Self {
            body,
            holder,
            rest: Bytes::new(),
            call,
        }
    }

    fn counted(&self, bytes: Bytes) -> Bytes {
        let Some(holder) = &self.holder else { return bytes };
        let held = HeldBody::new(holder.clone());
        held.add_answer(bytes.len());
        Bytes::from_owner(Counted { bytes, _held: held })
    }
}

/// Bytes, with the room that they take.
struct Counted {
    bytes: Bytes,
    _held: HeldBody,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes that the connection has but its peer has not.
struct Piece {
    bytes: Bytes,
    call: Arc<OpenCall>,
}

impl Piece {
    fn hand_out(bytes: Bytes, call: &Arc<OpenCall>) -> Bytes {
        call.handed_out();
        let call = Arc::clone(call);
        Bytes::from_owner(Self { bytes, call })
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.call.taken();
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) else {
                return Poll::Ready(None);
            };
            match frame?.into_data() {
                Ok(data) if !data.is_empty() => self.rest = self.counted(data),
                Ok(empty) => return Poll::Ready(Some(Ok(Frame::data(empty)))),
                Err(other) => return Poll::Ready(Some(Ok(other))),
            }
        }
        let piece = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(piece);
        if self.rest.is_empty() {
            // An empty slice would still keep the whole buffer.
            self.rest = Bytes::new();
        }
        Poll::Ready(Some(Ok(Frame::data(Piece::hand_out(piece, &self.call)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut size, rest) = (self.body.size_hint(), self.rest.len() as u64);
        if let Some(upper) = size.upper() {
            size.set_upper(upper + rest);
        }
        size.set_lower(size.lower() + rest);
        size
    }
}
