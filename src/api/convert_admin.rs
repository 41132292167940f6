//! Conversion for AdminService: the report of a reload. Decides nothing.

use super::pb;
use crate::service::lifecycle::report::{Outcome, ReloadReport, Verdict};

pub fn reload_response(report: &ReloadReport) -> pb::ReloadModelsResponse {
    pb::ReloadModelsResponse {
        outcomes: report.outcomes.iter().map(reload_outcome).collect(),
        problem: report.problem.clone().unwrap_or_default(),
        recalibrated_tasks: report.recalibrated.clone(),
    }
}

fn reload_outcome(outcome: &Outcome) -> pb::ReloadOutcome {
    let mut converted = pb::ReloadOutcome {
        name: outcome.model.clone(),
        version: outcome.version.clone(),
        ..pb::ReloadOutcome::default()
    };
    let verdict = match &outcome.verdict {
        Verdict::Unchanged => pb::ReloadVerdict::Unchanged,
        Verdict::Exchanged { from } => {
            converted.replaced_version = from.clone().unwrap_or_default();
            pb::ReloadVerdict::Exchanged
        }
        Verdict::Refused(refusal) => {
            (converted.stage, converted.message) = (refusal.stage.name().to_owned(), refusal.to_string());
            pb::ReloadVerdict::Refused
        }
        Verdict::RefusedBefore(refusal) => {
            (converted.stage, converted.message) = (refusal.stage.name().to_owned(), refusal.to_string());
            pb::ReloadVerdict::RefusedBefore
        }
        Verdict::Gone => pb::ReloadVerdict::Gone,
        Verdict::Held { newest } => {
            converted.message = format!("version `{newest}` is newer, and was left alone: this one is pinned");
            pb::ReloadVerdict::Held
        }
    };
    converted.verdict = verdict.into();
    converted
}
