//! The way of kept texts to who writes them into a file (`lifecycle/kept_file.rs`): it holds a bounded number of them and
//! never makes a request wait.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::text::{KeptText, Reasons};

/// The most texts that wait to be written.
pub const MOST_WAITING: usize = 256;
/// The most bytes of them.
const MOST_BYTES: usize = 8 << 20;
/// How long to wait, at the end, for what is not written yet.
const LONGEST_END: Duration = Duration::from_secs(1);

/// A text to write, and its part of the room.
pub struct Waiting {
    pub kept: Arc<KeptText>,
    pub reasons: Reasons,
    _room: OwnedSemaphorePermit,
}

/// Where kept texts are handed over.
pub struct FileQueue {
    /// `None` once nothing is written any more.
    to: Mutex<Option<SyncSender<Waiting>>>,
    room: Arc<Semaphore>,
    /// Disconnected once the writer has ended.
    ended: Mutex<Receiver<()>>,
}

impl FileQueue {
    /// A queue, and the end at which texts come out. `ended` is disconnected when their writer has ended.
    pub fn new(ended: Receiver<()>) -> (Self, Receiver<Waiting>) {
        let (to, from) = sync_channel(MOST_WAITING);
        let queue = Self {
            to: Mutex::new(Some(to)),
            room: Arc::new(Semaphore::new(MOST_BYTES)),
            ended: Mutex::new(ended),
        };
        (queue, from)
    }

    /// Hands over a text. Gives false if there is no room for it.
    pub fn offer(&self, kept: Arc<KeptText>, reasons: Reasons) -> bool {
        let bytes = u32::try_from(kept.bytes()).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes) else {
            return false;
        };
        let waiting = Waiting {
            kept,
            reasons,
            _room: room,
        };
        let to = self.to.lock();
        to.as_ref().is_some_and(|to| to.try_send(waiting).is_ok())
    }

    /// Takes no more texts, and waits a moment until those that wait are written. Blocks.
    pub fn close(&self) {
        drop(self.to.lock().take());
        let _ = self.ended.lock().recv_timeout(LONGEST_END);
    }
}
