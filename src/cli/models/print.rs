//! Output of `tandem models`: tables for people, proto3 JSON for programs.

use crate::api::json;
use crate::api::pb::{self, ReloadVerdict, ServingState, VersionRole};
use crate::cli::output::{self, outln};
use crate::cli::terminal::{Table, folded, width};

/// Prints to standard output.
pub struct Printer {
    /// Whether to print JSON.
    pub json: bool,
    /// The server that answers, where several are asked: JSON names it then.
    pub server: Option<String>,
}

/// Whether the reload refused nothing.
pub fn all_went_well(report: &pb::ReloadModelsResponse) -> bool {
    let refused = [ReloadVerdict::Refused, ReloadVerdict::RefusedBefore];
    report.problem.is_empty()
        && !report
            .outcomes
            .iter()
            .any(|outcome| refused.contains(&outcome.verdict()))
}

impl Printer {
    /// Prints all versions.
    pub fn list(&self, answer: &pb::ListModelsResponse) {
        if self.as_json(answer) {
            return;
        }
        let mut table = Table::new([
            "model", "version", "role", "state", "tier", "tasks", "verified", "message",
        ]);
        for model in &answer.models {
            let which = model.model.clone().unwrap_or_default();
            table.row([
                &*which.name,
                &which.version,
                role(model.role()),
                state(model.state()),
                tier(which.tier()),
                &model.tasks.join(", "),
                if model.verified { "yes" } else { "no" },
                &model.message,
            ]);
        }
        output::painted(&table.painted());
    }

    /// Prints one model.
    pub fn show(&self, answer: &pb::GetModelResponse) {
        if self.as_json(answer) {
            return;
        }
        let model = answer.model.clone().unwrap_or_default();
        let which = model.model.clone().unwrap_or_default();
        let limits = model.limits.unwrap_or_default();
        let mut facts = Table::new(["model", &format!("{}@{}", which.name, which.version)]);
        let temperature = model.calibration.unwrap_or_default().temperature.to_string();
        for (key, value) in [
            ("role", role(model.role()).to_owned()),
            ("state", state(model.state()).to_owned()),
            ("message", model.message.clone()),
            ("description", model.description.clone()),
            ("licence", model.license.clone()),
            ("fingerprint", which.fingerprint.clone()),
            ("tier", tier(which.tier()).to_owned()),
            ("tasks", model.tasks.join(", ")),
            (
                "labels",
                folded(model.labels.iter().map(String::as_str), width().saturating_sub(20)),
            ),
            ("texts in a batch", limits.max_batch_size.to_string()),
            ("tokens or features", limits.max_token_count.to_string()),
            ("preprocessing", preprocessing(&model).to_owned()),
            ("temperature", temperature),
            ("verified", if model.verified { "yes" } else { "no" }.to_owned()),
        ] {
            if !value.is_empty() {
                facts.row([key, &value]);
            }
        }
        output::painted(&facts.painted());
        Self::versions(answer.versions.as_ref());
    }

    /// Prints the report of a reload.
    pub fn reload(&self, report: &pb::ReloadModelsResponse) {
        if self.as_json(report) {
            return;
        }
        let mut table = Table::new(["model", "version", "outcome", "message"]);
        for outcome in &report.outcomes {
            let verdict = match outcome.verdict() {
                ReloadVerdict::Unspecified => "",
                ReloadVerdict::Unchanged => "unchanged",
                ReloadVerdict::Exchanged => "exchanged",
                ReloadVerdict::Refused => "refused",
                ReloadVerdict::RefusedBefore => "refused before",
                ReloadVerdict::Gone => "gone",
                ReloadVerdict::Held => "held",
            };
            let message = match (outcome.stage.as_str(), outcome.replaced_version.as_str()) {
                ("", "") => outcome.message.clone(),
                ("", replaced) => format!("in the place of {replaced}"),
                (stage, _) => format!("{stage}: {}", outcome.message),
            };
            table.row([&*outcome.name, &outcome.version, verdict, &message]);
        }
        output::painted(&table.painted());
        for task in &report.recalibrated_tasks {
            outln!("a new calibration is in use for the task {task}");
        }
        if !report.problem.is_empty() {
            outln!("{}", report.problem);
        }
    }

    /// Prints the versions after a change.
    pub fn changed<T: prost::Message + prost::Name>(&self, versions: Option<&pb::ModelVersions>, answer: &T) {
        if !self.as_json(answer) {
            Self::versions(versions);
        }
    }

    fn versions(versions: Option<&pb::ModelVersions>) {
        let Some(versions) = versions else { return };
        let mut table = Table::new(["version", "role", "state", "fingerprint", "message"]);
        for version in &versions.versions {
            table.row([
                &*version.version,
                role(version.role()),
                state(version.state()),
                &version.fingerprint,
                &version.message,
            ]);
        }
        output::painted(&table.painted());
        if let Some(canary) = &versions.canary {
            outln!("{}", told_of(canary));
        }
        match versions.pinned_version.as_str() {
            "" => outln!("stable: the newest version, after every reload"),
            pinned => outln!("stable: version {pinned}, until another one is promoted"),
        }
        if !versions.previous_version.is_empty() {
            outln!("a roll-back goes to version {}", versions.previous_version);
        }
        if let Some(pb::CanaryRollback { version, reason }) = &versions.last_rollback {
            outln!("version {version} was rolled back: {reason}");
        }
    }

    /// Prints the answer as JSON if that was asked for; returns whether it did.
    fn as_json<T: prost::Message + prost::Name>(&self, answer: &T) -> bool {
        if self.json {
            let answer = String::from_utf8_lossy(&json::encode(answer)).into_owned();
            match &self.server {
                None => outln!("{answer}"),
                Some(address) => outln!(r#"{{"address":{},"answer":{answer}}}"#, serde_json::json!(address)),
            }
        }
        self.json
    }
}

fn told_of(canary: &pb::Canary) -> String {
    let tally = |tally: Option<pb::CanaryTally>| {
        let tally = tally.unwrap_or_default();
        format!(
            "{} of {} requests failed",
            tally.failed_request_count, tally.request_count
        )
    };
    let (texts, differing) = (canary.compared_text_count, canary.differing_text_count);
    let clients = format!(
        "canary: version {} for {}% of the clients",
        canary.version,
        100.0 * canary.share
    );
    let asked = |tally: &Option<pb::CanaryTally>| tally.as_ref().is_some_and(|tally| tally.request_count > 0);
    if texts == 0 && !asked(&canary.canary) && !asked(&canary.stable) {
        return format!("{clients}, which sent no requests yet");
    }
    format!(
        "{clients}: {}, of the stable version {}; {differing} of {texts} compared texts got another label{}",
        tally(canary.canary),
        tally(canary.stable),
        // Without a ratio nothing was compared yet.
        if canary.time_ratio > 0.0 {
            format!(", in {:.2} times the time", canary.time_ratio)
        } else {
            String::new()
        },
    )
}

pub fn role(role: VersionRole) -> &'static str {
    match role {
        VersionRole::Unspecified => "",
        VersionRole::Stable => "stable",
        VersionRole::Canary => "canary",
        VersionRole::Pinned => "by name",
        VersionRole::Refused => "refused",
    }
}

pub fn state(state: ServingState) -> &'static str {
    match state {
        ServingState::Unspecified => "",
        ServingState::Loading => "loading",
        ServingState::Serving => "serving",
        ServingState::Draining => "draining",
        ServingState::Failed => "failed",
    }
}

fn tier(tier: pb::Tier) -> &'static str {
    match tier {
        pb::Tier::Unspecified => "",
        pb::Tier::Fast => "fast",
        pb::Tier::Deep => "deep",
    }
}

fn preprocessing(model: &pb::Model) -> &'static str {
    use pb::preprocessing::Kind;
    match model
        .preprocessing
        .as_ref()
        .and_then(|preprocessing| preprocessing.kind.as_ref())
    {
        Some(Kind::Tokenizer(_)) => "tokenizer",
        Some(Kind::HashedNgrams(_)) => "hashed n-grams",
        Some(Kind::Text(_)) => "the model's own",
        None => "",
    }
}
