//! Body of a gRPC call, of any method: counted as it comes, cut into messages to see how long they are and when they
//! end, and bounded in time.
//!
//! The bytes of all bodies together are bounded. A call's first message must be whole within the call's time; where a
//! method takes one message, so must the whole body. On a stream any time may pass between messages, but one that has
//! begun must be whole within the usual time of a call.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use super::methods::Method;
use crate::api::call::Call;
use crate::api::status::to_status;
use crate::error::{Error, Reason};
use crate::telemetry::request_id::RequestId;

/// The bytes of a message's head: whether it is compressed, and its length.
const HEAD_BYTES: usize = 5;

/// While a handler does not read on, at most this much counts against the sender's time.
const TICK: Duration = Duration::from_secs(1);

/// A body whose bytes are counted before they are kept.
pub struct CountedBody {
    body: Body,
    call: Call,
    request_id: RequestId,
    messages: Messages,
    patience: Patience,
    /// The time for each message after the first.
    usual: Duration,
}

impl CountedBody {
    /// The body of `call`, a call of `method`.
    pub fn new(body: Body, call: &Call, method: &Method) -> Self {
        Self {
            body,
            call: call.clone(),
            request_id: call.request_id.clone(),
            messages: Messages::new(method),
            patience: Patience::new(call.deadline().saturating_duration_since(Instant::now())),
            usual: call.deadlines().default_timeout,
        }
    }

    fn count(&mut self, data: &[u8]) -> Result<(), Error> {
        // The decoder keeps the message that is not whole yet, and what came together with the end of the last one.
        let kept = self.messages.begun + data.len();
        let whole = self.messages.whole;
        self.messages.read(data, |declared| self.call.body.check_to(declared))?;
        if self.messages.whole > whole && self.messages.many {
            self.patience = Patience::new(self.usual);
        }
        self.call.body.grow_to(kept)
    }

    fn fail(&self, error: &Error) -> axum::BoxError {
        to_status(error, Some(&self.request_id)).into()
    }
}

/// The messages of a body, as far as it has come.
struct Messages {
    /// The longest message that is read, in bytes. A longer one is refused.
    largest: usize,
    /// Whether there may be more than one message.
    many: bool,
    /// How many messages are whole.
    whole: usize,
    head: [u8; HEAD_BYTES],
    /// The bytes that have come of the current message, its head included.
    begun: usize,
    /// The bytes of the current message that have not come, once its head has.
    missing: usize,
}

impl Messages {
    fn new(method: &Method) -> Self {
        Self {
            largest: method.largest,
            many: method.takes_stream,
            whole: 0,
            head: [0; HEAD_BYTES],
            begun: 0,
            missing: 0,
        }
    }

    /// Reads the next bytes. A message's declared length is checked before the rest of it comes.
    fn read(&mut self, mut data: &[u8], check: impl Fn(usize) -> Result<(), Error>) -> Result<(), Error> {
        while let Some(&first) = data.first() {
            if self.begun < HEAD_BYTES {
                if self.whole > 0 && !self.many {
                    return Err(Error::new(
                        Reason::MalformedMessage,
                        "the message can't be read: another one follows it",
                    ));
                }
                self.head[self.begun] = first;
                self.begun += 1;
                data = &data[1..];
                if self.begun < HEAD_BYTES {
                    continue;
                }
                let [_, length @ ..] = self.head;
                self.missing = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                if self.missing > self.largest {
                    return Err(Error::message_too_large(self.largest));
                }
                check(self.missing)?;
            } else {
                let taken = self.missing.min(data.len());
                self.missing -= taken;
                self.begun += taken;
                data = &data[taken..];
            }
            if self.begun >= HEAD_BYTES && self.missing == 0 {
                self.whole += 1;
                self.begun = 0;
            }
        }
        Ok(())
    }

    /// Whether the sender may take any time before the next message.
    fn may_rest(&self) -> bool {
        self.many && self.whole > 0 && self.begun == 0
    }
}

/// The time that is left to the sender.
struct Patience {
    left: Duration,
    tick: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(left: Duration) -> Self {
        Self { left, tick: None }
    }

    /// Ready when no time is left.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let length = self.left.min(TICK);
            let tick = self.tick.get_or_insert_with(|| Box::pin(tokio::time::sleep(length)));
            ready!(tick.as_mut().poll(context));
            self.tick = None;
            self.left -= length;
            if self.left.is_zero() {
                return Poll::Ready(());
            }
        }
    }
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(context) else {
            if self.messages.may_rest() {
                return Poll::Pending;
            }
            ready!(self.patience.poll(context));
            return Poll::Ready(Some(Err(self.fail(&Error::deadline_exceeded()))));
        };
        Poll::Ready(match polled {
            None => None,
            Some(Err(error)) => Some(Err(error.into())),
            Some(Ok(frame)) => {
                let counted = frame.data_ref().map_or(Ok(()), |data| self.count(data));
                Some(counted.map(|()| frame).map_err(|error| self.fail(&error)))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(many: bool) -> Messages {
        Messages {
            many,
            largest: 100,
            whole: 0,
            head: [0; HEAD_BYTES],
            begun: 0,
            missing: 0,
        }
    }

    fn message(length: u8) -> Vec<u8> {
        [&[0, 0, 0, 0, length][..], &vec![7; length.into()]].concat()
    }

    #[test]
    fn messages_are_told_apart_however_they_are_cut() {
        let body = [message(100), message(0), message(3)].concat();
        for size in 1..=body.len() {
            let mut read = messages(true);
            for piece in body.chunks(size) {
                read.read(piece, |_| Ok(())).expect("legal");
            }
            assert_eq!((read.whole, read.begun, read.missing), (3, 0, 0), "pieces of {size}");
        }
        let mut half = messages(true);
        half.read(&message(50)[..20], |_| Ok(())).expect("legal");
        assert!(half.begun == 20 && !half.may_rest());
    }

    #[test]
    fn what_is_too_long_or_too_many_is_refused_by_its_head() {
        let mut long = messages(true);
        let refused = long.read(&[0, 0, 0, 0, 101], |_| Ok(())).expect_err("too long");
        assert_eq!(
            (refused.reason, refused.fact("limit_bytes")),
            (Reason::MessageTooLarge, Some("100"))
        );
        let mut one = messages(false);
        one.read(&message(9), |_| Ok(())).expect("one");
        assert!(!one.may_rest(), "the end must come");
        assert_eq!(
            one.read(&[0], |_| Ok(())).expect_err("a second").reason,
            Reason::MalformedMessage
        );
        let mut checked = messages(false);
        checked
            .read(&[0, 0, 0, 0, 50], |declared| {
                assert_eq!(declared, 50);
                Err(Error::internal())
            })
            .expect_err("checked before it comes");
    }

    #[tokio::test]
    async fn a_senders_time_ends_and_that_in_which_nobody_reads_hardly_counts() {
        let mut patience = Patience::new(Duration::from_millis(1));
        std::future::poll_fn(|context| patience.poll(context)).await;
        let mut patience = Patience::new(10 * TICK);
        let poll_once = |patience: &mut Patience| {
            let mut context = Context::from_waker(futures::task::noop_waker_ref());
            patience.poll(&mut context)
        };
        assert!(poll_once(&mut patience).is_pending());
        // As after a minute in which nobody reads.
        patience.tick = Some(Box::pin(tokio::time::sleep(Duration::ZERO)));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(poll_once(&mut patience).is_pending());
        assert_eq!(patience.left, 9 * TICK);
    }
}
