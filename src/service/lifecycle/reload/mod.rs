//! Reload: new versions are found, checked, loaded, tried on copies of requests, and put in place, in one step.
//!
//! Whatever goes wrong, the old versions go on serving. In reading order: [`seen`] (what earlier reloads saw) →
//! [`steps`] (of one reload) → [`shadow`] (the trial on copies).

pub mod seen;
pub mod shadow;
pub mod steps;

use super::owner::Owner;
use super::report::ReloadReport;
use crate::config::Settings;
use crate::model::repository::signature::{self, Signature};
use crate::service::catalog::sources;

/// Does one reload. Unless `requested`, it does nothing if no files changed, or if they changed since the last look.
pub fn reload(owner: &mut Owner, requested: bool) -> ReloadReport {
    // Another revision is there as a whole: nobody is still copying.
    let requested = owner.follow_store() || requested;
    let everything = look(&owner.settings);
    let due = requested || owner.seen.settled(everything);
    if !due || owner.is_stopping() {
        return ReloadReport::default();
    }
    owner.seen.act_on(everything);
    let report = match sources::folders(&owner.settings) {
        Ok(folders) => steps::Pass::new(owner, everything).run(&folders),
        Err(error) => {
            tracing::error!(%error, "the model repository can't be read, what serves goes on");
            ReloadReport {
                problem: Some(error.problem),
                ..ReloadReport::default()
            }
        }
    };
    owner.let_go();
    report.sorted()
}

/// The signature of everything that a reload reads: the repository, and the calibrations that lie outside it.
fn look(settings: &Settings) -> Signature {
    let tasks = settings.tasks.values();
    let elsewhere = tasks.filter_map(|task| task.cascade.calibration.as_deref());
    signature::of(sources::roots(settings).into_iter().chain(elsewhere))
}
