//! What a connection is doing: whether its peer has spoken yet, and how long it has had no call.
//!
//! Counts only; what follows from it is decided in `connection.rs`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The bytes after which a peer counts as heard: the length of HTTP/2's preface.
const PREFACE_BYTES: usize = 24;

/// What a connection may read in one go, in bytes, before others get their turn: a flood of small frames, which cost much for
/// their size, would keep its thread for tens of milliseconds.
const TURN_BYTES: usize = 4 * 1024;

/// The calls of one connection.
pub struct Activity {
    opened_at: Instant,
    open_calls: AtomicUsize,
    /// When the last call ended, in milliseconds after `opened_at`.
    quiet_since_ms: AtomicU64,
    heard: CancellationToken,
}

impl Activity {
    /// A connection that was opened just now.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            opened_at: Instant::now(),
            open_calls: AtomicUsize::new(0),
            quiet_since_ms: AtomicU64::new(0),
            heard: CancellationToken::new(),
        })
    }

    /// Counts a call as open until the guard is dropped.
    pub fn begin_call(self: &Arc<Self>) -> OpenCall {
        self.open_calls.fetch_add(1, Ordering::AcqRel);
        self.heard.cancel();
        OpenCall(Arc::clone(self))
    }

    /// Waits until the peer has sent a preface or a request.
    pub async fn heard(&self) {
        self.heard.cancelled().await;
    }

    /// Waits until there has been no call for `limit`; for ever if it is zero.
    pub async fn idle_for(&self, limit: Duration) {
        if limit.is_zero() {
            return std::future::pending().await;
        }
        loop {
            let now = Instant::now();
            let left = self.until_idle(now, limit);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep_until(now + left).await;
        }
    }

    /// The time after which it is worth looking again; zero if there has been no call for `limit`.
    fn until_idle(&self, now: Instant, limit: Duration) -> Duration {
        if self.open_calls.load(Ordering::Acquire) > 0 {
            return limit;
        }
        let quiet_since = self.opened_at + Duration::from_millis(self.quiet_since_ms.load(Ordering::Acquire));
        limit.saturating_sub(now.saturating_duration_since(quiet_since))
    }
}

/// A call that is being answered.
pub struct OpenCall(Arc<Activity>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        let millis = u64::try_from(self.0.opened_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.quiet_since_ms.store(millis, Ordering::Release);
        self.0.open_calls.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The body of an answer, which keeps its call open until it is sent.
pub struct AnswerBody {
    body: axum::body::Body,
    _call: OpenCall,
}

impl AnswerBody {
    /// The body of `call`'s answer.
    pub fn new(body: axum::body::Body, call: OpenCall) -> Self {
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

/// A stream of bytes that tells when its peer was heard, and is read in turns.
pub struct HeardStream<S> {
    stream: S,
    activity: Arc<Activity>,
    read: usize,
    /// Read since this last had to wait.
    read_in_turn: usize,
}

impl<S> HeardStream<S> {
    /// Tells `activity` of what is read from `stream`.
    pub fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            activity,
            read: 0,
            read_in_turn: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeardStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_in_turn >= TURN_BYTES {
            self.read_in_turn = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let found = buffer.filled().len() - before;
        self.read_in_turn = if polled.is_ready() {
            self.read_in_turn + found
        } else {
            0
        };
        if self.read < PREFACE_BYTES {
            self.read += found;
            if self.read >= PREFACE_BYTES {
                self.activity.heard.cancel();
            }
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeardStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker_ref;

    use super::*;

    #[test]
    fn a_stream_that_always_has_more_gives_way_to_others_and_loses_nothing() {
        let endless = tokio::io::repeat(7);
        let mut stream = HeardStream::new(endless, Activity::new());
        let mut context = Context::from_waker(noop_waker_ref());
        let mut turns = Vec::new();
        let mut in_turn = 0;
        for _ in 0..100 {
            let mut room = [0; 1024];
            let mut buffer = ReadBuf::new(&mut room);
            match Pin::new(&mut stream).poll_read(&mut context, &mut buffer) {
                Poll::Ready(outcome) => {
                    outcome.expect("endless");
                    in_turn += buffer.filled().len();
                }
                Poll::Pending => turns.push(std::mem::take(&mut in_turn)),
            }
        }
        assert_eq!(turns, [TURN_BYTES; 5]);
    }

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn idleness_counts_from_the_end_of_the_last_call() {
        let activity = Activity::new();
        let after = |seconds| activity.opened_at + Duration::from_secs(seconds);
        assert_eq!(activity.until_idle(after(8), LIMIT), Duration::from_secs(2));
        let call = activity.begin_call();
        assert_eq!(
            activity.until_idle(after(60), LIMIT),
            LIMIT,
            "an open call is no idleness"
        );
        drop(call);
        assert_eq!(activity.until_idle(after(60), LIMIT), Duration::ZERO);
        activity.quiet_since_ms.store(55_000, Ordering::Release);
        assert_eq!(activity.until_idle(after(60), LIMIT), Duration::from_secs(5));
    }
}
