//! Conversion for AdminService: the report of a reload, and texts that are kept. Decides nothing.

use super::{convert, pb};
use crate::error::Error;
use crate::service::catalog::kept::line::moment;
use crate::service::catalog::kept::page::{KeptPage, KeptQuery, MAX_REASONS};
use crate::service::catalog::kept::text::{KeepReason, KeptText, Reasons};
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

/// Which texts are asked for.
pub fn kept_query(request: &pb::ExportTextsRequest) -> Result<KeptQuery<'_>, Error> {
    if request.reasons.len() > MAX_REASONS {
        let problem = format!("holds more than {MAX_REASONS} reasons, the limit is {MAX_REASONS}");
        return Err(Error::invalid_field("reasons", problem));
    }
    let reasons = request.reasons.iter().map(|number| {
        keep_reason(*number).ok_or_else(|| {
            let problem = "must be KEEP_REASON_ABSTAINED, KEEP_REASON_DIFFERED or KEEP_REASON_RANDOM";
            Error::invalid_field("reasons", problem)
        })
    });
    Ok(KeptQuery {
        task: &request.task,
        reasons: reasons.collect::<Result<Reasons, _>>()?,
        page_size: request.page_size,
        page_token: &request.page_token,
    })
}

/// The reason of that number; `None` for a number that means none.
fn keep_reason(number: i32) -> Option<KeepReason> {
    pb::KeepReason::try_from(number).ok().and_then(from_keep_reason)
}

pub fn from_keep_reason(found: pb::KeepReason) -> Option<KeepReason> {
    KeepReason::ALL
        .into_iter()
        .find(|reason| to_keep_reason(*reason) == found)
}

pub fn to_keep_reason(reason: KeepReason) -> pb::KeepReason {
    match reason {
        KeepReason::Abstained => pb::KeepReason::Abstained,
        KeepReason::Differed => pb::KeepReason::Differed,
        KeepReason::Random => pb::KeepReason::Random,
    }
}

pub fn kept_response(page: &KeptPage) -> pb::ExportTextsResponse {
    pb::ExportTextsResponse {
        texts: page
            .texts
            .iter()
            .map(|(kept, reasons)| kept_text(kept, *reasons))
            .collect(),
        next_page_token: page.next_page_token.clone(),
    }
}

fn kept_text(kept: &KeptText, reasons: Reasons) -> pb::KeptText {
    let answer = &kept.answer;
    let deep = kept.deep.clone();
    pb::KeptText {
        task: kept.task.clone(),
        text: kept.text.clone(),
        text_pair: kept.pair.clone(),
        reasons: reasons.iter().map(|reason| to_keep_reason(reason).into()).collect(),
        label: answer.label.clone(),
        predicted_labels: answer.predicted.clone(),
        confidence: answer.confidence,
        tier: convert::tier(answer.tier).into(),
        model: answer.model.clone(),
        deep_answer: deep.map(|labels| pb::DeepAnswer { labels }),
        kept_at: moment(kept.at),
        multi_label: answer.multi_label,
        withheld: answer.withheld,
    }
}
