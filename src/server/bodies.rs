//! The bodies of a connection's calls and answers, which tell the connection how each call ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::activity::OpenCall;

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

/// The body of an answer, which keeps its call open until it is sent.
pub struct AnswerBody {
    body: axum::body::Body,
    _call: Arc<OpenCall>,
}

impl AnswerBody {
    /// The body of `call`'s answer.
    pub fn new(body: axum::body::Body, call: Arc<OpenCall>) -> Self {
        call.answered();
        Self { body, _call: call }
    }
}

impl Body for AnswerBody {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
