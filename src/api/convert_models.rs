//! Conversion for ModelService: reports on models. Decides nothing.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use super::convert::{count, duration, model_ref, serving_state};
use super::pb;
use crate::model::manifest::{Manifest, Preprocess, Truncation};
use crate::model::providers::Assigned;
use crate::service::Service;
use crate::service::catalog::audit::Findings;
use crate::service::catalog::canary::verdict::Tally;
use crate::service::catalog::cascade_calibration::{AnsweredPoint, CascadeSetup, CertifiedShare, CurvePoint};
use crate::service::catalog::gears::Gears;
use crate::service::catalog::versions::Canary;
use crate::service::limits::RequestLimits;
use crate::service::messages::Route;
use crate::service::status::model_info::{ModelDetails, ModelPage, ModelVersions, Role, TaskDetails};
use crate::service::status::model_report::ModelReport;

/// The most points of a cascade's curve, and the most certificates, that are told.
const MOST_POINTS: usize = 256;

pub fn list_models_response(page: ModelPage) -> pb::ListModelsResponse {
    pb::ListModelsResponse {
        models: page.models.into_iter().map(model).collect(),
        next_page_token: page.next_page_token,
        tasks: page.tasks.into_iter().map(task).collect(),
    }
}

fn task(TaskDetails { name, is_default, task }: TaskDetails) -> pb::Task {
    pb::Task {
        name,
        is_default,
        default_route: match task.default_route {
            Route::Default => pb::Route::Unspecified,
            Route::Fast => pb::Route::Fast,
            Route::Deep => pb::Route::Deep,
            Route::Cascade => pb::Route::Cascade,
        }
        .into(),
        allow_fallback: task.allow_fallback,
        fast_model: task.fast.map(|version| model_ref(version.model_ref())),
        deep_model: task.deep.map(|version| model_ref(version.model_ref())),
        abstention: Some(pb::Abstention {
            min_confidence: task.abstention.of_any_route(),
            cascade_min_confidence: task.abstention.of_cascade().filter(|_| task.cascade.is_some()),
        }),
        cascade: task.cascade.as_ref().map(|setup| pb::Cascade {
            gears: gears(setup, task.gears.as_deref()),
            audit: task.watch.audit.findings().as_ref().map(audit),
            ..cascade(setup)
        }),
    }
}

fn gears(setup: &CascadeSetup, gears: Option<&Gears>) -> Vec<pb::CascadeGear> {
    let thresholds = gears.map_or(&[][..], Gears::thresholds);
    let gear = |&min_confidence: &f32| pb::CascadeGear {
        min_confidence,
        certified: setup.certificate_of(min_confidence).is_some(),
    };
    thresholds.iter().take(MOST_POINTS).map(gear).collect()
}

fn audit(found: &Findings) -> pb::CascadeAudit {
    pb::CascadeAudit {
        text_count: large_count(found.texts),
        differing_text_count: large_count(found.differ),
        certified_risk: found.certified_risk,
        evidence: found.evidence,
        alarm: found.alarm,
    }
}

fn cascade(setup: &CascadeSetup) -> pb::Cascade {
    let measured = setup.measured.as_deref();
    let points = measured.into_iter().flat_map(|calibration| &calibration.curve);
    let certified = measured.into_iter().flat_map(|calibration| &calibration.certificates);
    let answered = measured.into_iter().flat_map(|calibration| &calibration.answered);
    pb::Cascade {
        min_confidence: setup.min_confidence,
        calibrated: setup.calibrated,
        message: setup.unused.clone().unwrap_or_default(),
        escalated_share: setup.escalation.map(|escalation| escalation.share),
        curve: points.take(MOST_POINTS).map(cascade_point).collect(),
        against_deep: measured.is_some_and(|calibration| calibration.data.against_deep),
        measured_text_count: measured.map_or(0, |calibration| large_count(calibration.data.measured_on as u64)),
        certificates: certified.take(MOST_POINTS).map(certificate).collect(),
        answers_from: measured.and_then(|calibration| calibration.abstain.map(|rule| rule.min_confidence)),
        answered: answered.take(MOST_POINTS).map(answered_point).collect(),
        measured_at: measured
            .and_then(|calibration| calibration.data.measured_at.clone())
            .unwrap_or_default(),
        gears: Vec::new(),
        audit: None,
        by_gain: setup.gain.is_some(),
    }
}

fn answered_point(point: &AnsweredPoint) -> pb::AnsweredPoint {
    pb::AnsweredPoint {
        answers_from: point.min_confidence,
        coverage: point.coverage,
        precision: point.precision,
        precision_low: point.precision_low,
    }
}

fn cascade_point(point: &CurvePoint) -> pb::CascadePoint {
    pb::CascadePoint {
        min_confidence: point.min_confidence,
        escalated_share: point.escalated,
        cost: point.cost,
        accuracy: point.accuracy,
        accuracy_low: point.accuracy_low,
        accuracy_high: point.accuracy_high,
    }
}

fn certificate(certified: &CertifiedShare) -> pb::CascadeCertificate {
    pb::CascadeCertificate {
        measure: certified.of.clone(),
        at_least: certified.at_least,
        confidence: certified.confidence,
        min_confidence: certified.min_confidence,
        text_count: large_count(certified.texts as u64),
        label: certified.label.clone().unwrap_or_default(),
        answers_from: certified.answers_from,
        error_count: large_count(certified.errors as u64),
        by_gain: certified.by_gain,
    }
}

pub fn get_model_response(
    (details, versions, tasks): (ModelDetails, ModelVersions, Vec<TaskDetails>),
) -> pb::GetModelResponse {
    pb::GetModelResponse {
        model: Some(model(details)),
        versions: Some(model_versions(versions)),
        tasks: tasks.into_iter().map(task).collect(),
    }
}

/// The state of the server and its models, for the wire.
pub fn health_response(service: &Service) -> pb::HealthResponse {
    let RequestLimits {
        max_texts,
        max_text_bytes,
    } = service.limits();
    pb::HealthResponse {
        state: serving_state(service.state()).into(),
        version: env!("CARGO_PKG_VERSION").into(),
        uptime_duration: duration(service.uptime()),
        models: service.model_reports().into_iter().map(model_health).collect(),
        max_text_count: count(max_texts),
        max_text_size_bytes: count(max_text_bytes),
        certificates: task_certificates(service.task_details()),
    }
}

fn model_health(report: ModelReport) -> pb::ModelHealth {
    pb::ModelHealth {
        model: Some(model_ref(report.model)),
        state: serving_state(report.state).into(),
        message: report.message,
        queued_text_count: count(report.queued_texts),
        labels: report.labels,
        max_token_count: count(report.max_token_count),
        tasks: report.tasks,
        verified: report.verified,
        execution_providers: execution_providers(report.execution_providers),
    }
}

fn execution_providers(assigned: Vec<Assigned>) -> Vec<pb::ExecutionProvider> {
    let one = |assigned: Assigned| pb::ExecutionProvider {
        name: assigned.provider,
        node_count: count(assigned.nodes.unwrap_or_default()),
    };
    assigned.into_iter().map(one).collect()
}

/// What is certified of the cascades of tasks.
fn task_certificates(tasks: Vec<TaskDetails>) -> Vec<pb::TaskCertificate> {
    tasks.iter().flat_map(of_task).collect()
}

fn of_task(TaskDetails { name, task, .. }: &TaskDetails) -> Vec<pb::TaskCertificate> {
    let Some(setup) = &task.cascade else {
        return Vec::new();
    };
    let Some(measured) = &setup.measured else {
        return Vec::new();
    };
    let models = task.models().map(|version| model_ref(version.model_ref()));
    let models: Vec<pb::ModelRef> = models.collect();
    let own = match &setup.gain {
        Some((_, min_score)) => (Some(*min_score), true),
        None => (setup.min_confidence, false),
    };
    let alarm = task.watch.audit.findings().is_some_and(|found| found.alarm);
    let certificate = |certified: &CertifiedShare| pb::TaskCertificate {
        task: name.clone(),
        models: models.clone(),
        measure: certified.of.clone(),
        label: certified.label.clone().unwrap_or_default(),
        at_least: certified.at_least,
        confidence: certified.confidence,
        min_confidence: certified.min_confidence,
        in_force: (Some(certified.min_confidence), certified.by_gain) == own,
        text_count: large_count(certified.texts as u64),
        measured_at: measured.data.measured_at.clone().unwrap_or_default(),
        alarm: alarm && certified.of == "agreement",
    };
    measured
        .certificates
        .iter()
        .take(MOST_POINTS)
        .map(certificate)
        .collect()
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
        execution_providers: execution_providers(report.execution_providers),
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
        max_batch_size: count(manifest.limits.most_texts()),
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
        Truncation::Windows => pb::Truncation::Windows,
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
