//! Backend of `tandem predict` and `evaluate`: models in this process, a server, or a fleet of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fleet::asking::Fleet;
use super::fleet::servers::Plan;
use super::refusal::Refusal;
use crate::api::pb::model_service_client::ModelServiceClient;
use crate::api::pb::prediction_service_client::PredictionServiceClient;
use crate::api::status::to_message;
use crate::api::{convert, convert_models, pb};
use crate::cli::client::{Connection, CredentialArgs, ServerAddress, connect_as};
use crate::cli::models_here::not_opened;
use crate::cli::outcome::{Outcome, failure};
use crate::config::Settings;
use crate::error::Error;
use crate::service::Service;
use crate::service::catalog::{Catalog, ModelVersion};
use crate::service::lifecycle::start::open_catalog;
use crate::service::messages::{CallTimes, ClientKey, Weight};
use crate::telemetry::call_span::CallSpan;
use crate::telemetry::metrics::Metrics;

/// The most models of a server that are looked at.
const MOST_MODELS: usize = 10_000;

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
    /// Several servers, in a bulk job.
    Fleet(Fleet),
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

    /// Finds the servers of a bulk job.
    pub async fn fleet(
        addresses: &[ServerAddress],
        credentials: &CredentialArgs,
        settings: &Settings,
        patience: Duration,
    ) -> Outcome<Self> {
        let plan = Plan {
            addresses: addresses.to_vec(),
            credentials: credentials.clone(),
            own: settings.tls_cert.clone().zip(settings.tls_key.clone()),
            patience,
        };
        Fleet::find(plan).await.map(Self::Fleet).map_err(failure)
    }

    /// The labels of a model, in the order of its outputs.
    pub async fn labels(&mut self, model: &str) -> Result<Vec<String>, Refusal> {
        let answer = match self {
            Backend::Local(service) => convert_models::get_model_response(service.get_model(model)?),
            Backend::Remote(_, models) => {
                let name = model.to_owned();
                models.get_model(pb::GetModelRequest { name }).await?.into_inner()
            }
            Backend::Fleet(fleet) => {
                let name = model.to_owned();
                let mut models = fleet.models().await?;
                models.get_model(pb::GetModelRequest { name }).await?.into_inner()
            }
        };
        Ok(answer.model.unwrap_or_default().labels)
    }

    /// The models that serve, each as `name@version fingerprint`, by name.
    pub async fn fingerprints(&mut self) -> Result<Vec<String>, Refusal> {
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = pb::ListModelsRequest {
                page_size: 0,
                page_token: page_token.clone(),
            };
            let page = match self {
                Backend::Local(service) => convert_models::list_models_response(service.list_models(0, &page_token)?),
                Backend::Remote(_, models) => models.list_models(request).await?.into_inner(),
                Backend::Fleet(fleet) => fleet.models().await?.list_models(request).await?.into_inner(),
            };
            let serving = page
                .models
                .iter()
                .filter(|model| model.state() == pb::ServingState::Serving);
            let of_them = serving.filter_map(|model| model.model.as_ref());
            found.extend(of_them.map(|model| format!("{}@{} {}", model.name, model.version, model.fingerprint)));
            // A server that always names a next page is not followed for ever.
            if page.next_page_token.is_empty() || found.len() > MOST_MODELS {
                found.sort();
                return Ok(found);
            }
            page_token = page.next_page_token;
        }
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
            Backend::Fleet(fleet) => fleet.ask(request).await,
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
            Backend::Fleet(_) => Err(Refusal::whole("a fleet explains nothing; name one server".to_owned())),
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
