//! Door: what every door does with a request, whatever its protocol: convert, take its texts from the key's rate, call
//! the service, convert back.

use std::sync::Arc;

use super::call::{Call, RequestTime};
use super::call_line::Asked;
use super::door_context::DoorContext;
use super::status::to_message;
use super::{convert, pb};
use crate::config::Settings;
use crate::error::Error;
use crate::service::Service;
use crate::service::messages::{PredictInput, PredictOutput};
use crate::telemetry::spans::Spans;

/// What the methods of a door work with; cheap to clone.
#[derive(Clone)]
pub struct Door {
    pub service: Service,
    /// What all doors share besides the service.
    pub context: Arc<DoorContext>,
}

/// An answer to Predict, for the wire.
pub struct Predicted {
    pub response: pb::PredictResponse,
    /// How many texts were answered from the cache; absent where it is off.
    pub cache_hits: Option<usize>,
}

impl Door {
    /// A door to this service, by the settings; `spans` is where the spans of its calls go.
    pub fn new(settings: &Settings, service: Service, spans: Spans) -> Self {
        let context = DoorContext {
            spans,
            ..DoorContext::new(settings, service.limits(), service.metrics().clone())
        };
        Self {
            service,
            context: Arc::new(context),
        }
    }

    /// Answers a request of `call` that arrived and ends as `time` says.
    pub async fn predict(
        &self,
        call: &Call,
        time: RequestTime,
        request: pb::PredictRequest,
    ) -> Result<Predicted, Error> {
        let input = convert::predict_input(request)?;
        call.asks(self.asked(&input));
        if !input.tasks.is_empty() {
            return self.predict_tasks(call, time, input).await;
        }
        let output = self.answer(call, time, input).await?;
        Ok(Predicted {
            cache_hits: output.cache_hits,
            response: convert::predict_response(output),
        })
    }

    /// The same for a request for several tasks: each text counts once for each of them.
    async fn predict_tasks(&self, call: &Call, time: RequestTime, input: PredictInput) -> Result<Predicted, Error> {
        let texts = input.texts.len() * self.service.task_count(&input.tasks);
        let times = call.take_texts(texts, time)?;
        let arrived = times.arrived;
        let outputs = self.service.answer_tasks(input, times).await?;
        for output in &outputs {
            call.count_request("Predict.task", output.outcome.as_ref().err(), arrived.elapsed());
        }
        let hits = outputs
            .iter()
            .filter_map(|output| output.outcome.as_ref().ok()?.cache_hits);
        let cache_hits = hits.reduce(|a, b| a + b);
        let to_status = |error: &Error| to_message(error, Some(&call.request_id));
        let response = convert::tasks_response(outputs, arrived.elapsed(), to_status);
        Ok(Predicted { response, cache_hits })
    }

    /// The same for a request that is converted already.
    pub async fn answer(&self, call: &Call, time: RequestTime, input: PredictInput) -> Result<PredictOutput, Error> {
        call.asks(self.asked(&input));
        let times = call.take_texts(input.texts.len(), time)?;
        self.service.answer(input, times).await
    }

    /// What a request asks for, for the log: only names that the server knows, since nothing else of a request gets there.
    fn asked(&self, input: &PredictInput) -> Asked {
        let catalog = self.service.catalog();
        let known = |task: &&String| !task.is_empty() && catalog.task(task).is_some();
        let tasks = std::iter::once(&input.task).chain(&input.tasks).filter(known);
        let model = input.model.split('@').next().unwrap_or_default();
        Asked {
            task: tasks.map(String::as_str).collect::<Vec<_>>().join(","),
            model: catalog.stable(model).map(|_| model.to_owned()).unwrap_or_default(),
            route: input.route.name(),
        }
    }

    /// Explains the answers to the texts of a call.
    pub async fn explain(&self, call: &Call, request: pb::ExplainRequest) -> Result<pb::ExplainResponse, Error> {
        let input = convert::explain_input(request)?;
        let times = call.take_texts(input.texts.len(), call.time())?;
        let output = self.service.explain(input, times).await?;
        Ok(convert::explain_response(output))
    }
}
