//! Conversion for ModelService: reports on models. Decides nothing.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use super::convert::{count, model_ref, serving_state};
use super::pb;
use crate::model::manifest::{Manifest, Preprocess, Truncation};
use crate::service::catalog::canary::verdict::Tally;
use crate::service::catalog::versions::Canary;
use crate::service::status::model_info::{ModelDetails, ModelPage, ModelVersions, Role};

pub fn list_models_response(page: ModelPage) -> pb::ListModelsResponse {
    pb::ListModelsResponse {
        models: page.models.into_iter().map(model).collect(),
        next_page_token: page.next_page_token,
    }
}

pub fn get_model_response((details, versions): (ModelDetails, ModelVersions)) -> pb::GetModelResponse {
    pb::GetModelResponse {
        model: Some(model(details)),
        versions: Some(model_versions(versions)),
    }
}

pub fn model_versions(versions: ModelVersions) -> pb::ModelVersions {
    let refused = versions.refused.map(|refused| pb::ModelVersion {
        version: refused.version,
        fingerprint: String::new(),
        role: pb::VersionRole::Refused.into(),
        state: pb::ServingState::Failed.into(),
        message: format!("{}: {}", refused.refusal.stage.name(), refused.refusal),
    });
    pb::ModelVersions {
        name: versions.name,
        versions: versions.loaded.into_iter().map(version).chain(refused).collect(),
        canary: versions.canary.as_ref().map(canary),
        previous_version: versions.previous.unwrap_or_default(),
        pinned_version: versions.pins.stable.unwrap_or_default(),
        last_rollback: versions.pins.rolled_back.map(|back| pb::CanaryRollback {
            version: back.version,
            reason: back.reason,
        }),
    }
}

fn canary(canary: &Canary) -> pb::Canary {
    let seen = canary.watch.seen();
    pb::Canary {
        version: canary.version.version().to_owned(),
        share: canary.share,
        canary: Some(tally(seen.canary)),
        stable: Some(tally(seen.stable)),
        compared_text_count: large_count(seen.compared.texts),
        differing_text_count: large_count(seen.compared.differing),
        time_ratio: seen.compared.time_ratio(),
    }
}

fn tally(tally: Tally) -> pb::CanaryTally {
    pb::CanaryTally {
        request_count: large_count(tally.requests),
        failed_request_count: large_count(tally.failed),
    }
}

fn large_count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn version(details: ModelDetails) -> pb::ModelVersion {
    let report = details.report;
    pb::ModelVersion {
        version: report.model.version.to_string(),
        fingerprint: report.model.fingerprint.to_string(),
        role: role(details.role).into(),
        state: serving_state(report.state).into(),
        message: report.message,
    }
}

fn model(details: ModelDetails) -> pb::Model {
    let ModelDetails {
        version,
        report,
        role: gets,
    } = details;
    // The limits in force, which may be lower than in the folder's files.
    let loaded = version.model();
    let manifest = loaded
        .as_ref()
        .map_or(&version.verified.manifest, |model| &model.manifest);
    pb::Model {
        model: Some(model_ref(report.model)),
        role: role(gets).into(),
        state: serving_state(report.state).into(),
        message: report.message,
        description: manifest.description.clone(),
        license: manifest.license.clone(),
        task: manifest.task.clone(),
        tasks: report.tasks,
        labels: report.labels,
        limits: Some(limits(manifest)),
        preprocessing: Some(preprocessing(manifest)),
        calibration: Some(pb::ModelCalibration {
            temperature: manifest.calibration.temperature,
        }),
        metrics: Some(structure(&manifest.metrics)),
        verified: report.verified,
        stand_in: manifest.stand_in,
        queued_text_count: count(report.queued_texts),
    }
}

fn role(role: Role) -> pb::VersionRole {
    match role {
        Role::Stable => pb::VersionRole::Stable,
        Role::Canary => pb::VersionRole::Canary,
        Role::Pinned => pb::VersionRole::Pinned,
    }
}

fn limits(manifest: &Manifest) -> pb::ModelLimits {
    pb::ModelLimits {
        max_batch_size: count(manifest.limits.max_batch_size),
        max_token_count: count(manifest.max_token_count()),
        max_text_size_bytes: match &manifest.preprocess {
            Preprocess::HashedNgrams(_) => 0,
            Preprocess::Tokenizer(settings) => count(settings.max_bytes),
            Preprocess::String { max_bytes } => count(*max_bytes),
        },
    }
}

fn preprocessing(manifest: &Manifest) -> pb::Preprocessing {
    use pb::preprocessing::Kind;
    let kind = match &manifest.preprocess {
        Preprocess::HashedNgrams(settings) => Kind::HashedNgrams(pb::HashedNgramPreprocessing {
            max_code_point_count: count(settings.max_code_points),
            min_ngram_length: count(settings.min_n),
            max_ngram_length: count(settings.max_n),
            bucket_count: settings.buckets.into(),
            max_ngram_word_count: count(settings.max_words),
        }),
        Preprocess::Tokenizer(settings) => Kind::Tokenizer(pb::TokenizerPreprocessing {
            max_token_count: count(settings.max_tokens),
            max_text_size_bytes: count(settings.max_bytes),
            truncation: truncation(settings.truncation).into(),
        }),
        Preprocess::String { max_bytes } => Kind::Text(pb::TextPreprocessing {
            max_text_size_bytes: count(*max_bytes),
        }),
    };
    pb::Preprocessing { kind: Some(kind) }
}

fn truncation(truncation: Truncation) -> pb::Truncation {
    match truncation {
        Truncation::End => pb::Truncation::End,
        Truncation::Start => pb::Truncation::Start,
        Truncation::Reject => pb::Truncation::Reject,
    }
}

/// A table of the manifest, unchanged.
fn structure(table: &toml::Table) -> Struct {
    let fields = table.iter().map(|(key, value)| (key.clone(), value_of(value)));
    Struct {
        fields: fields.collect::<BTreeMap<_, _>>(),
    }
}

fn value_of(value: &toml::Value) -> Value {
    let kind = match value {
        toml::Value::String(text) => Kind::StringValue(text.clone()),
        // Beyond 2^53 digits are lost, as in all JSON. No metric is that large.
        toml::Value::Integer(number) => Kind::NumberValue(*number as f64),
        // JSON has no NaN and no infinity.
        toml::Value::Float(number) if !number.is_finite() => Kind::StringValue(number.to_string()),
        toml::Value::Float(number) => Kind::NumberValue(*number),
        toml::Value::Boolean(truth) => Kind::BoolValue(*truth),
        toml::Value::Datetime(moment) => Kind::StringValue(moment.to_string()),
        toml::Value::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(value_of).collect(),
        }),
        toml::Value::Table(table) => Kind::StructValue(structure(table)),
    };
    Value { kind: Some(kind) }
}
