//! Reloads: up to which SIGHUP the files of keys and certificates, and the models, have been looked at.

use tokio::sync::watch;

/// Tells how many SIGHUPs have been heeded; cheap to clone.
#[derive(Clone)]
pub struct Heeded {
    keys: watch::Receiver<u64>,
    models: watch::Receiver<u64>,
}

/// Where those who heed them say so.
pub struct Heeding {
    pub keys: watch::Sender<u64>,
    pub models: watch::Sender<u64>,
}

/// Both ends; none is heeded yet.
pub fn channel() -> (Heeding, Heeded) {
    let (to_keys, keys) = watch::channel(0);
    let (to_models, models) = watch::channel(0);
    let heeding = Heeding {
        keys: to_keys,
        models: to_models,
    };
    (heeding, Heeded { keys, models })
}

impl Heeded {
    /// Returns once all is looked at that the first `count` SIGHUPs ask for, or once nobody looks any more.
    pub async fn up_to(&mut self, count: u64) {
        for by in [&mut self.keys, &mut self.models] {
            // An error: the server drains.
            let _ = by.wait_for(|heeded| *heeded >= count).await;
        }
    }
}

/// Waits for the next SIGHUP, also one that came before, and says how many came so far; for ever if none can come any more.
pub async fn next_hang_up(hang_up: &mut watch::Receiver<u64>) -> u64 {
    if hang_up.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    *hang_up.borrow_and_update()
}
