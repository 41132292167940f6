//! Backend of `tandem predict` and `evaluate`: models in this process, or a server. And why a request was refused.

use std::sync::Arc;
use std::time::Instant;

use tonic_types::StatusExt;

use crate::api::pb::model_service_client::ModelServiceClient;
use crate::api::pb::prediction_service_client::PredictionServiceClient;
use crate::api::status::to_message;
use crate::api::{convert, convert_models, pb};
use crate::cli::client::{Connection, CredentialArgs, ServerAddress, connect_as, describe};
use crate::cli::models_here::not_opened;
use crate::cli::outcome::{Outcome, failure};
use crate::config::Settings;
use crate::error::{Error, Reason};
use crate::service::Service;
use crate::service::catalog::{Catalog, ModelVersion};
use crate::service::lifecycle::start::open_catalog;
use crate::service::messages::{CallTimes, ClientKey, Weight};
use crate::telemetry::call_span::CallSpan;
use crate::telemetry::metrics::Metrics;

/// Who answers requests; cheap to clone.
#[derive(Clone)]
pub enum Backend {
    /// The models in this process.
    Local(Service),
    /// A server.
    Remote(
        Box<PredictionServiceClient<Connection>>,
        Box<ModelServiceClient<Connection>>,
    ),
}

impl Backend {
    /// Connects to a server.
    pub async fn remote(address: &ServerAddress, credentials: &CredentialArgs, settings: &Settings) -> Outcome<Self> {
        let own = settings.tls_cert.as_deref().zip(settings.tls_key.as_deref());
        let connection = connect_as(address, credentials, own).await.map_err(failure)?;
        // An answer has every score of each text, so it needs no bound of its own.
        let answers = PredictionServiceClient::new(connection.clone()).max_decoding_message_size(usize::MAX);
        Ok(Self::Remote(
            Box::new(answers),
            Box::new(ModelServiceClient::new(connection)),
        ))
    }

    /// The labels of a model, in the order of its outputs.
    pub async fn labels(&mut self, model: &str) -> Result<Vec<String>, Refusal> {
        let answer = match self {
            Backend::Local(service) => convert_models::get_model_response(service.get_model(model)?),
            Backend::Remote(_, models) => {
                let name = model.to_owned();
                models.get_model(pb::GetModelRequest { name }).await?.into_inner()
            }
        };
        Ok(answer.model.unwrap_or_default().labels)
    }

    /// Classifies texts.
    pub async fn ask(&mut self, request: pb::PredictRequest) -> Result<pb::PredictResponse, Refusal> {
        match self {
            Backend::Local(service) => {
                let input = convert::predict_input(request)?;
                let times = patient(service);
                if !input.tasks.is_empty() {
                    let arrived = times.arrived;
                    let outputs = service.answer_tasks(input, times).await?;
                    let to_status = |error: &Error| to_message(error, None);
                    return Ok(convert::tasks_response(outputs, arrived.elapsed(), to_status));
                }
                let output = service.answer(input, times).await?;
                Ok(convert::predict_response(output))
            }
            Backend::Remote(client, _) => Ok(client.predict(request).await?.into_inner()),
        }
    }

    /// Explains answers.
    pub async fn explain(&mut self, request: pb::ExplainRequest) -> Result<pb::ExplainResponse, Refusal> {
        match self {
            Backend::Local(service) => {
                let input = convert::explain_input(request)?;
                let output = service.explain(input, patient(service)).await?;
                Ok(convert::explain_response(output))
            }
            Backend::Remote(client, _) => Ok(client.explain(request).await?.into_inner()),
        }
    }
}

/// The times of a request that nobody else waits behind: it gets the longest deadline.
fn patient(service: &Service) -> CallTimes {
    let arrived = Instant::now();
    CallTimes {
        arrived,
        deadline: arrived + service.settings().max_timeout.0,
        client: ClientKey::default(),
        caller: ClientKey::default(),
        weight: Weight::default(),
        span: CallSpan::default(),
    }
}

/// Opens the repository and loads the versions that are wanted.
pub fn local(settings: &Settings, is_wanted: impl Fn(&Catalog, &Arc<ModelVersion>) -> bool) -> Outcome<Service> {
    // What is asked here is no traffic: nothing of it is kept or audited.
    let mut settings = Settings {
        keep_texts: 0,
        keep_file: None,
        ..settings.clone()
    };
    for task in settings.tasks.values_mut() {
        task.cascade.audit_share = None;
    }
    let opened = open_catalog(&settings).map_err(not_opened)?;
    let service = Service::new(&settings, opened, Metrics::new("")).map_err(failure)?;
    let catalog = service.catalog();
    for version in catalog.versions().filter(|version| is_wanted(&catalog, version)) {
        service.load_model(version).map_err(failure)?;
    }
    Ok(service)
}

/// Why a request was not answered.
pub struct Refusal {
    /// The message about the whole request.
    pub message: String,
    /// The texts at fault, by their positions in the request, with what is wrong.
    pub rows: Vec<(usize, String)>,
    /// Whether the fault may be in one text, or in their number, so that smaller requests could be answered.
    pub of_some: bool,
}

impl Refusal {
    fn new<'a>(message: String, of_some: bool, fields: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut rows, mut too_many) = (Vec::new(), false);
        for (field, problem) in fields {
            let place = field.strip_suffix(']').and_then(|field| {
                let pair = field.strip_prefix("text_pairs[");
                pair.or_else(|| field.strip_prefix("texts["))?.parse().ok()
            });
            match place {
                Some(place) => rows.push((place, format!("the text {problem}"))),
                None if field == "texts" && problem.contains("the limit is") => too_many = true,
                // The scores of all texts are too large for one answer; those of fewer texts may not be.
                None if field == "top_k" => too_many = true,
                // The fault is in another field, so every request would be refused.
                None => {
                    return Self {
                        message,
                        rows: Vec::new(),
                        of_some: false,
                    };
                }
            }
        }
        Self {
            message,
            rows,
            of_some: of_some || too_many,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let of_some = matches!(error.reason, Reason::InferenceFailed | Reason::MessageTooLarge);
        let fields = error.violations.iter();
        let fields = fields.map(|violation| (violation.field.as_str(), violation.description.as_str()));
        Self::new(error.to_string(), of_some, fields)
    }
}

impl From<tonic::Status> for Refusal {
    fn from(status: tonic::Status) -> Self {
        let reason = status
            .get_details_error_info()
            .map(|info| info.reason)
            .unwrap_or_default();
        let of_some = [Reason::InferenceFailed, Reason::MessageTooLarge]
            .map(Reason::name)
            .contains(&&*reason);
        let request = status.get_details_bad_request();
        let fields = request.iter().flat_map(|request| &request.field_violations);
        let fields = fields.map(|violation| (violation.field.as_str(), violation.description.as_str()));
        Self::new(describe(&status), of_some, fields)
    }
}
