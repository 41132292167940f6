//! Metered I/O: the bytes of a connection. Notes when its peer speaks, reads in turns with other connections, and
//! rewrites authorities.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::activity::Activity;
use super::authority::AuthorityFilter;

/// The first bytes of an HTTP/2 client, which don't say whether there will be a call. As many bytes of anything else
/// are HTTP/1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How many bytes a connection may read at a time before others get their turn. Otherwise a flood of small frames,
/// which cost much for their size, would keep the thread for tens of milliseconds.
const TURN_BYTES: usize = 4 * 1024;

/// The pause after each turn of a flooded connection. With it, reading costs a few hundredths of a core.
const PAUSE: Duration = Duration::from_millis(5);

/// A stream of bytes that is metered.
pub struct MeteredIo<S> {
    stream: S,
    authorities: Option<AuthorityFilter>,
    activity: Arc<Activity>,
    /// How many bytes have come, up to the length of the preface.
    read: usize,
    /// Whether they are those of the preface.
    preface: bool,
    /// How many bytes were read since the last wait.
    read_in_turn: usize,
    /// The pause after a turn, while the connection is flooded.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> MeteredIo<S> {
    /// Reports to `activity` what is read from `stream`, which must be at its first byte. `authorities` rewrites it, if
    /// present.
    pub fn new(stream: S, activity: Arc<Activity>, authorities: Option<AuthorityFilter>) -> Self {
        Self {
            stream,
            authorities,
            activity,
            read: 0,
            preface: true,
            read_in_turn: 0,
            pause: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MeteredIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_in_turn >= TURN_BYTES {
            self.read_in_turn = 0;
            if !self.activity.is_flooded() {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let found = buffer.filled().len() - before;
        self.read_in_turn = if polled.is_ready() {
            self.read_in_turn + found
        } else {
            0
        };
        if self.read < PREFACE.len() {
            let more = found.min(PREFACE.len() - self.read);
            self.preface &= buffer.filled()[before..before + more] == PREFACE[self.read..self.read + more];
            self.read += more;
            if self.read == PREFACE.len() && !self.preface {
                self.activity.heard();
            }
        }
        if !self.preface {
            // What is not HTTP/2 has no frames: its bytes stay as they are.
            self.authorities = None;
        }
        if let Some(filter) = &mut self.authorities {
            filter.pass(&mut buffer.filled_mut()[before..]);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MeteredIo<S> {
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
    use std::time::Instant;

    use futures::task::noop_waker_ref;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn a_stream_that_always_has_more_gives_way_to_others_and_loses_nothing() {
        let endless = tokio::io::repeat(7);
        let mut stream = MeteredIo::new(endless, Activity::new(0), None);
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
        assert_eq!(turns, [TURN_BYTES; 100 / (TURN_BYTES / 1024 + 1)]);
    }

    #[tokio::test]
    async fn a_flooded_stream_has_to_wait_after_each_turn() {
        let activity = Activity::new(0);
        let mut stream = MeteredIo::new(tokio::io::repeat(7), activity.clone(), None);
        drop(activity.begin_call());
        let (started, turns) = (Instant::now(), 5);
        for _ in 0..=turns {
            stream.read_exact(&mut [0; TURN_BYTES]).await.expect("endless");
        }
        let least = PAUSE * u32::try_from(turns).expect("few");
        assert!(started.elapsed() >= least);
    }
}
