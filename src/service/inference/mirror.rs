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

/// The copies that a mirror sends, until they are dropped.
pub struct Copies {
    copies: mpsc::Receiver<TextSubset>,
    sender: Arc<mpsc::Sender<TextSubset>>,
    mirror: RequestMirror,
}

impl RequestMirror {
    /// Starts sending copies, to the one who opened it last.
    pub fn open(&self) -> Copies {
        let (sender, copies) = mpsc::channel(COPIES);
        let sender = Arc::new(sender);
        self.to.store(Some(Arc::clone(&sender)));
        Copies {
            copies,
            sender,
            mirror: self.clone(),
        }
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

impl Copies {
    /// The next copy.
    pub async fn next(&mut self) -> TextSubset {
        match self.copies.recv().await {
            Some(copy) => copy,
            // Never: `sender` is held here.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Copies {
    /// Stops the copies, unless they go to somebody else by now.
    fn drop(&mut self) {
        self.mirror.to.compare_and_swap(&self.sender, None);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn texts() -> TextSubset {
        TextSubset::all(vec!["a".into()], Vec::new(), None)
    }

    #[test]
    fn copies_go_to_who_opened_last_and_the_end_of_another_leaves_them() {
        let mirror = RequestMirror::default();
        assert!(mirror.keep(&texts()).is_none());
        let first = mirror.open();
        let mut second = mirror.open();
        drop(first);
        mirror.send(mirror.keep(&texts()));
        assert!(second.next().now_or_never().is_some());
        drop(second);
        assert!(mirror.keep(&texts()).is_none());
    }

    #[test]
    fn so_many_copies_wait_and_the_others_are_dropped() {
        let mirror = RequestMirror::default();
        let mut copies = mirror.open();
        for _ in 0..2 * COPIES {
            mirror.send(mirror.keep(&texts()));
        }
        let waited = std::iter::from_fn(|| copies.next().now_or_never()).count();
        assert_eq!(waited, COPIES);
    }
}
