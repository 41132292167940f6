//! The bodies of a connection's calls and answers, which tell the connection how each call ends.

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
/// tonic takes the body of a call that its caller cancelled for one that is whole, as hyper does where the reason is none. Here
/// that is an error of its own: half a message is a cancelled call, not a broken message.
pub struct CallBody {
    body: Incoming,
    multiplexed: bool,
    call: Arc<OpenCall>,
}

impl CallBody {
    /// The body of `call`, which came over HTTP/2 if it is `multiplexed`.
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

/// What a connection gets of an answer at a time, in bytes: one frame's. Each piece that was written shows that its peer reads.
const PIECE_BYTES: usize = 16 << 10;

/// The body of an answer, which keeps its call open until it is sent.
///
/// Its bytes are counted from when they are there to when the last piece of them has been written: the count goes with the memory,
/// whoever holds it.
pub struct AnswerBody {
    body: axum::body::Body,
    /// Who holds it; nobody for answers that came without a word of that.
    holder: Option<Holder>,
    /// What has come of `body` and has not been handed out.
    rest: Bytes,
    call: Arc<OpenCall>,
}

impl AnswerBody {
    /// The body of `call`'s answer, which `holder` holds.
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

/// Bytes and the room that they take.
struct Counted {
    bytes: Bytes,
    _held: HeldBody,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes that the connection has and its peer has not.
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
            // An empty rest would still hold all of it.
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
