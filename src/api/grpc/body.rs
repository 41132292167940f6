//! The body of a gRPC call, counted as it comes: what all bodies together may hold is bounded.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::status::to_status;
use crate::api::call::Call;
use crate::error::Error;
use crate::service::bodies::HeldBody;
use crate::telemetry::request_id::RequestId;

/// The head of a message: whether it is compressed, and its length.
const HEAD_BYTES: usize = 5;

/// A body whose bytes are counted before anybody keeps them.
pub struct CountedBody {
    body: Body,
    held: Arc<HeldBody>,
    request_id: RequestId,
    /// The longest message that is read; longer ones are refused for that.
    largest: usize,
    begun: bool,
}

impl CountedBody {
    /// The body of `call`, whose messages may be as long as `largest`.
    pub fn new(body: Body, call: &Call, largest: usize) -> Self {
        Self {
            body,
            held: Arc::clone(&call.body),
            request_id: call.request_id.clone(),
            largest,
            begun: false,
        }
    }

    fn count(&mut self, data: &Bytes) -> Result<(), Error> {
        if !std::mem::replace(&mut self.begun, true) {
            // What the first message says of its length is enough to refuse it before the rest of it comes.
            let declared = data.first_chunk::<HEAD_BYTES>().map_or(0, declared_length);
            if declared <= self.largest {
                self.held.bodies().check(declared.max(data.len()))?;
            }
        }
        self.held.add(data.len())
    }
}

fn declared_length(head: &[u8; HEAD_BYTES]) -> usize {
    let [_, length @ ..] = *head;
    usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX)
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        Poll::Ready(match std::task::ready!(polled) {
            None => None,
            Some(Err(error)) => Some(Err(error.into())),
            Some(Ok(frame)) => {
                let counted = frame.data_ref().map_or(Ok(()), |data| self.count(data));
                Some(match counted {
                    Ok(()) => Ok(frame),
                    Err(error) => Err(to_status(&error, Some(&self.request_id)).into()),
                })
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
