//! The request mirror of a loaded model: copies of what it is asked go to whoever compares another version with it. Texts are kept
//! only until they have run; none is logged.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc;

use super::texts::TextSubset;

/// The most copies that wait; more are dropped.
const COPIES: usize = 16;

/// Where copies of a model's requests go; most of the time nowhere.
#[derive(Clone, Default)]
pub struct RequestMirror {
    to: Arc<ArcSwapOption<mpsc::Sender<TextSubset>>>,
}

impl RequestMirror {
    /// Has copies of requests sent, until it is closed.
    pub fn open(&self) -> mpsc::Receiver<TextSubset> {
        let (to, copies) = mpsc::channel(COPIES);
        self.to.store(Some(Arc::new(to)));
        copies
    }

    /// No more copies are sent.
    pub fn close(&self) {
        self.to.store(None);
    }

    /// Keeps the texts of a request for a copy, if copies are wanted.
    pub fn keep(&self, texts: &TextSubset) -> Option<TextSubset> {
        self.to.load().is_some().then(|| texts.clone())
    }

    /// Sends a copy on; drops it where too many wait.
    pub fn send(&self, kept: Option<TextSubset>) {
        if let (Some(texts), Some(to)) = (kept, &*self.to.load()) {
            let _ = to.try_send(texts);
        }
    }
}
