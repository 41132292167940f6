//! Reloading: new versions are found, checked, loaded, tried beside those that serve, and put in their place, in one step.
//!
//! Whatever goes wrong, what serves goes on. In reading order: [`seen`] (what was seen before) → [`steps`] (of one reload) → [`shadow`].

pub mod seen;
pub mod shadow;
pub mod steps;

use super::owner::Owner;
use super::report::ReloadReport;
use crate::config::Settings;
use crate::model::repository::signature::{self, Signature};
use crate::service::catalog::sources;

/// Does one reload. One that nobody asked for does nothing unless files changed and have been quiet since the last look.
pub fn reload(owner: &mut Owner, asked: bool) -> ReloadReport {
    let whole = look(&owner.settings);
    let due = asked || owner.seen.settled(whole);
    if !due || owner.is_stopping() {
        return ReloadReport::default();
    }
    owner.seen.act_on(whole);
    let report = match sources::folders(&owner.settings) {
        Ok(folders) => steps::Pass::new(owner, whole).run(&folders),
        Err(error) => {
            tracing::error!(%error, "the model repository can't be read, what serves goes on");
            ReloadReport {
                problem: Some(error.problem),
                ..ReloadReport::default()
            }
        }
    };
    report.sorted()
}

/// What everything that a reload reads looks like: the repository, and the calibrations that lie elsewhere.
fn look(settings: &Settings) -> Signature {
    let tasks = settings.tasks.values();
    let elsewhere = tasks.filter_map(|task| task.cascade.calibration.as_deref());
    signature::of(sources::roots(settings).into_iter().chain(elsewhere))
}
