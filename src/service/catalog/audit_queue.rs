//! The way of a request's audited texts to who runs them (`lifecycle/audit.rs`): it holds a bounded number of them and
//! never makes a request wait. No text is kept once it has run.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::cascade_calibration::CascadeSetup;
use super::escalation_drift::CascadeWatch;
use crate::model::loaded::Model;
use crate::model::postprocess::Classification;
use crate::service::inference::loaded_model::LoadedModel;
use crate::service::inference::texts::TextSubset;

/// The most requests whose audited texts wait.
const MOST_WAITING: usize = 64;
/// The most bytes that wait: of texts, and of what was said of them.
const MOST_BYTES: usize = 4 << 20;

/// The audited texts of one request.
pub struct Audited {
    pub task: String,
    pub watch: Arc<CascadeWatch>,
    pub setup: Arc<CascadeSetup>,
    /// The model that gave `says`.
    pub fast: Arc<Model>,
    pub deep: Arc<LoadedModel>,
    /// For each text, in order, whether it got another answer than the deep model's, where that is known since the deep model
    /// took part. The order must not depend on the answers.
    pub differs: Vec<Option<bool>>,
    /// The others, which the fast model answered, in order.
    pub texts: TextSubset,
    /// What it said of them.
    pub says: Vec<Classification>,
}

/// A request's audited texts, and their part of the room.
pub struct Waiting {
    pub audited: Audited,
    _room: OwnedSemaphorePermit,
}

/// Where requests hand over their audited texts; cheap to clone.
#[derive(Clone)]
pub struct AuditQueue {
    to: mpsc::Sender<Waiting>,
    from: Arc<Mutex<Option<mpsc::Receiver<Waiting>>>>,
    room: Arc<Semaphore>,
}

impl Default for AuditQueue {
    fn default() -> Self {
        let (to, from) = mpsc::channel(MOST_WAITING);
        Self {
            to,
            from: Arc::new(Mutex::new(Some(from))),
            room: Arc::new(Semaphore::new(MOST_BYTES)),
        }
    }
}

impl AuditQueue {
    /// Hands over a request's audited texts. Gives false if there is no room for them, and drops them then.
    pub fn offer(&self, audited: Audited) -> bool {
        let said = audited.says.iter().map(|says| 8 * says.logits.len()).sum::<usize>();
        let bytes = u32::try_from(audited.texts.bytes() + said).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes) else {
            return false;
        };
        self.to.try_send(Waiting { audited, _room: room }).is_ok()
    }

    /// The end at which they come out; it can be taken once.
    pub fn take(&self) -> Option<mpsc::Receiver<Waiting>> {
        self.from.lock().take()
    }
}
