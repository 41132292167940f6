//! What text-embeddings-inference tells of a server: which model answers, and the limits.

use std::collections::BTreeMap;

use serde::Serialize;

use super::pb;
use crate::api::door::Door;
use crate::api::target_name::TargetName;
use crate::cores;
use crate::error::{Error, Reason};
use crate::model::manifest::{Preprocess, Truncation};
use crate::service::messages::Route;

/// The type of the numbers that models answer with.
const DTYPE: &str = "float32";

/// What is told.
#[derive(Serialize)]
pub struct Info {
    /// The model that answers: of a cascade the deep one.
    model_id: String,
    /// Its fingerprint.
    model_sha: Option<String>,
    model_dtype: &'static str,
    /// The task.
    served_model_name: String,
    model_type: ModelType,
    max_concurrent_requests: usize,
    max_input_length: usize,
    max_batch_tokens: usize,
    max_batch_requests: Option<usize>,
    max_client_batch_size: usize,
    auto_truncate: bool,
    tokenization_workers: usize,
    version: &'static str,
    sha: Option<&'static str>,
    docker_label: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum ModelType {
    Classifier(Labels),
}

#[derive(Serialize)]
struct Labels {
    id2label: BTreeMap<String, String>,
    label2id: BTreeMap<String, usize>,
}

impl Labels {
    fn new(labels: &[String]) -> Self {
        let numbered = || labels.iter().enumerate();
        Self {
            id2label: numbered().map(|(id, label)| (id.to_string(), label.clone())).collect(),
            label2id: numbered().map(|(id, label)| (label.clone(), id)).collect(),
        }
    }
}

impl Info {
    /// What is told of the default task, by its default route.
    pub fn of(door: &Door) -> Result<Self, Error> {
        let catalog = door.service.catalog();
        let target = TargetName::Task {
            name: String::new(),
            route: Route::Default,
        };
        let version = target.versions(&catalog).pop().ok_or_else(|| {
            let problem = "task: this server has several tasks and no default_task, so that no model is its one";
            Error::new(Reason::TaskNotFound, problem)
        })?;
        let loaded = version.model();
        let manifest = loaded
            .as_ref()
            .map_or(&version.verified.manifest, |model| &model.manifest);
        let manifest = &target.seen(manifest, &catalog);
        let (longest, rows) = (manifest.max_token_count(), manifest.limits.most_texts());
        let model = version.model_ref();
        let settings = door.service.settings();
        Ok(Self {
            model_id: model.name.to_string(),
            model_sha: Some(model.fingerprint.to_string()),
            model_dtype: DTYPE,
            served_model_name: target.name(&catalog),
            model_type: ModelType::Classifier(Labels::new(&manifest.labels)),
            max_concurrent_requests: settings.max_queue_texts,
            max_input_length: longest,
            max_batch_tokens: longest.saturating_mul(rows),
            max_batch_requests: Some(rows),
            max_client_batch_size: door.context.limits.max_texts,
            auto_truncate: match &manifest.preprocess {
                Preprocess::Tokenizer(settings) => settings.truncation != Truncation::Reject,
                Preprocess::HashedNgrams(_) | Preprocess::String { .. } => true,
            },
            tokenization_workers: cores::usable(),
            version: env!("CARGO_PKG_VERSION"),
            sha: None,
            docker_label: None,
        })
    }
}

/// The same over gRPC.
pub fn info_response(info: Info) -> pb::InfoResponse {
    let count = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    pb::InfoResponse {
        version: info.version.to_owned(),
        sha: None,
        docker_label: None,
        model_id: info.model_id,
        model_sha: info.model_sha,
        model_dtype: info.model_dtype.to_owned(),
        model_type: pb::ModelType::Classifier.into(),
        max_concurrent_requests: count(info.max_concurrent_requests),
        max_input_length: count(info.max_input_length),
        max_batch_tokens: count(info.max_batch_tokens),
        max_batch_requests: info.max_batch_requests.map(count),
        max_client_batch_size: count(info.max_client_batch_size),
        tokenization_workers: count(info.tokenization_workers),
    }
}
