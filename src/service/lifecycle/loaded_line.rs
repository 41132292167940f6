//! Log line for a model that was loaded.

use std::time::Duration;

use crate::model::discover::NoteKind;
use crate::model::loading::{Around, Initialized};
use crate::model::providers::Assigned;
use crate::service::catalog::model_version::ModelVersion;
use crate::telemetry::logs::millis;

/// Execution providers with how many nodes of the graph each runs: `openvino 111, cpu 37`.
fn providers(assigned: &[Assigned]) -> String {
    let one = |assigned: &Assigned| match assigned.nodes {
        Some(nodes) => format!("{} {nodes}", assigned.provider),
        None => assigned.provider.clone(),
    };
    assigned.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Logs that a version was loaded in `took`.
pub fn tell_loaded(
    version: &ModelVersion,
    initialized: &Initialized,
    took: Duration,
    around: Around,
    max_tokens: Option<usize>,
) {
    let manifest = &version.verified.manifest;
    let Initialized { golden, times, .. } = initialized;
    let neighbours = initialized.model.neighbours;
    let assumed = version.verified.assumed();
    if !assumed.is_empty() {
        tracing::warn!(model = manifest.name, version = manifest.version, "{assumed}");
    }
    let what = match around {
        Around::Quiet => "model serves",
        Around::Busy => "a new version is loaded",
    };
    tracing::info!(
        model = manifest.name,
        version = manifest.version,
        fingerprint = version.verified.fingerprint,
        tier = manifest.tier.name(),
        instances = initialized.runners.len(),
        native = initialized.native.is_some(),
        execution_providers = providers(&initialized.model.assigned),
        golden_examples = golden.examples,
        largest_logit_difference = golden.largest_difference,
        largest_batched_logit_difference = golden.largest_batched_difference,
        load_ms = millis(took),
        preprocessor_ms = millis(times.preprocessor),
        sessions_ms = millis(times.sessions),
        warm_up_ms = millis(times.warm_up),
        measuring_ms = millis(times.measuring),
        neighbours_ms = millis(times.neighbours),
        golden_ms = millis(times.golden),
        "{what}"
    );
    if let Some(remark) = neighbours.remark() {
        tracing::warn!(
            model = manifest.name,
            moved = neighbours.mixed,
            moved_at_one_length = neighbours.same_length,
            told = neighbours.told,
            "{remark}; see docs/models-hugging-face.md"
        );
    }
    if let Some(beyond) = initialized.model.tokens_beyond() {
        let doubt = beyond.doubt();
        tracing::warn!(model = manifest.name, version = manifest.version, "{doubt}");
    }
    if let Some(fewer) = &initialized.model.fewer {
        tracing::warn!(model = manifest.name, "{}", fewer.text);
    }
    if let Some(problem) = version.verified.asked_too_many(max_tokens) {
        tracing::warn!(model = manifest.name, "{problem}");
    }
    if manifest.stand_in {
        tracing::warn!(
            model = manifest.name,
            "this model is a stand-in: its answers are not meant for use"
        );
    }
    if !version.verified.verified {
        tracing::warn!(
            model = manifest.name,
            version = manifest.version,
            "not verified: nobody compared its answers with those of its training framework; see `tandem check`"
        );
    }
    tell_notes(version);
}

/// Logs what discovery found of a folder without a manifest.
fn tell_notes(version: &ModelVersion) {
    let manifest = &version.verified.manifest;
    for note in version.verified.notes.iter().filter(|note| !note.leads) {
        let text = &note.text;
        match note.kind {
            NoteKind::Found => tracing::debug!(model = manifest.name, "{text}"),
            NoteKind::Assumed => tracing::warn!(model = manifest.name, "assumed: {text}"),
            NoteKind::Doubtful | NoteKind::Wrong => tracing::warn!(model = manifest.name, "{text}"),
        }
    }
}
