//! Request mirror of a loaded model: sends copies of its requests to whoever compares another version with it. Texts
//! are kept only until they have run, and are never logged.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc;

use super::texts::TextSubset;

/// The most copies that wait; further ones are dropped.
const COPIES: usize = 16;

/// Where copies of a model's requests go; most of the time nowhere.
#[derive(Clone, Default)]
pub struct RequestMirror {
    to: Arc<ArcSwapOption<mpsc::Sender<TextSubset>>>,
}

impl RequestMirror {
    /// Starts sending copies, until [`Self::close`].
    pub fn open(&self) -> mpsc::Receiver<TextSubset> {
        let (to, copies) = mpsc::channel(COPIES);
        self.to.store(Some(Arc::new(to)));
        copies
    }

    /// Stops sending copies.
    pub fn close(&self) {
        self.to.store(None);
    }

    /// Clones the texts of a request for a copy; `None` while no copies are sent.
    pub fn keep(&self, texts: &TextSubset) -> Option<TextSubset> {
        self.to.load().is_some().then(|| texts.clone())
    }

    /// Sends a copy; drops it where too many wait.
    pub fn send(&self, kept: Option<TextSubset>) {
        if let (Some(texts), Some(to)) = (kept, &*self.to.load()) {
            let _ = to.try_send(texts);
        }
    }
}
