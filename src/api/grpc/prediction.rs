//! PredictionService over gRPC: convert, call the service, convert back.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

use super::DOOR;
use super::status::to_status;
use super::stream::{ResponseStream, serve_stream};
use crate::api::call::{CACHE_HITS_HEADER, Call, CancelGuard};
use crate::api::pb::prediction_service_server::PredictionService;
use crate::api::{convert, pb};
use crate::service::Service;

/// The gRPC face of the service.
pub struct PredictionApi {
    service: Service,
    tasks: TaskTracker,
    drain: CancellationToken,
}

impl PredictionApi {
    /// A face of `service` whose streams are tracked by `tasks`, and end after `drain` is cancelled when they are idle.
    pub fn new(service: Service, tasks: TaskTracker, drain: CancellationToken) -> Self {
        Self { service, tasks, drain }
    }
}

#[tonic::async_trait]
impl PredictionService for PredictionApi {
    async fn predict(&self, request: Request<pb::PredictRequest>) -> Result<Response<pb::PredictResponse>, Status> {
        let (call, message) = take_call(&self.service, request);
        let guard = CancelGuard {
            service: &self.service,
            call: &call,
            door: DOOR,
            method: "Predict",
        };
        let answer = predict(&self.service, &call, message).await;
        call.finish(
            self.service.metrics(),
            guard.door,
            guard.method,
            answer.as_ref().map(|_| ()),
        );
        answer.map_err(|error| to_status(&error, Some(&call.request_id)))
    }

    async fn explain(&self, request: Request<pb::ExplainRequest>) -> Result<Response<pb::ExplainResponse>, Status> {
        let (call, message) = take_call(&self.service, request);
        let guard = CancelGuard {
            service: &self.service,
            call: &call,
            door: DOOR,
            method: "Explain",
        };
        let answer = explain(&self.service, &call, message).await;
        call.finish(
            self.service.metrics(),
            guard.door,
            guard.method,
            answer.as_ref().map(|_| ()),
        );
        answer
            .map(Response::new)
            .map_err(|error| to_status(&error, Some(&call.request_id)))
    }

    type PredictStreamStream = ResponseStream;

    async fn predict_stream(
        &self,
        request: Request<tonic::Streaming<pb::PredictStreamRequest>>,
    ) -> Result<Response<ResponseStream>, Status> {
        let (call, requests) = take_call(&self.service, request);
        let answers = serve_stream(self.service.clone(), &self.tasks, self.drain.clone(), call, requests);
        Ok(Response::new(answers))
    }

    async fn health(&self, request: Request<pb::HealthRequest>) -> Result<Response<pb::HealthResponse>, Status> {
        let (call, _) = take_call(&self.service, request);
        call.finish(self.service.metrics(), DOOR, "Health", Ok(()));
        Ok(Response::new(convert::health_response(&self.service)))
    }
}

async fn predict(
    service: &Service,
    call: &Call,
    message: pb::PredictRequest,
) -> Result<Response<pb::PredictResponse>, crate::error::Error> {
    call.body.grow_to(convert::held_by(&message))?;
    let input = convert::predict_input(message)?;
    call.allow(input.texts.len())?;
    let output = service.answer(input, call.times(service.deadlines())).await?;
    let hits = output.cache_hits;
    let mut response = Response::new(convert::predict_response(output));
    if let Some(hits) = hits {
        response.metadata_mut().insert(CACHE_HITS_HEADER, hits.into());
    }
    Ok(response)
}

async fn explain(
    service: &Service,
    call: &Call,
    message: pb::ExplainRequest,
) -> Result<pb::ExplainResponse, crate::error::Error> {
    call.body.grow_to(convert::held_bytes(
        message.texts.len(),
        message.texts.iter().map(String::capacity).sum(),
    ))?;
    let input = convert::explain_input(message)?;
    call.allow(input.texts.len())?;
    let output = service.explain(input, call.times(service.deadlines())).await?;
    Ok(convert::explain_response(output))
}

/// The call that the layer put beside the message.
pub(super) fn take_call<T>(service: &Service, mut request: Request<T>) -> (Call, T) {
    let call = request.extensions_mut().remove::<Call>();
    let call = call
        .unwrap_or_else(|| Call::from_headers(service, request.metadata().as_ref(), std::time::Instant::now(), None));
    (call, request.into_inner())
}
