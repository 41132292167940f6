//! PredictionService over gRPC: take the call, have the door answer it, return the answer as gRPC.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

use super::stream::{ResponseStream, serve_stream};
use super::unary::{respond, take_call};
use crate::api::call::CACHE_HITS_HEADER;
use crate::api::door::Door;
use crate::api::pb::prediction_service_server::PredictionService;
use crate::api::{convert, convert_models, pb};

pub struct PredictionApi {
    door: Door,
    tasks: TaskTracker,
    drain: CancellationToken,
}

impl PredictionApi {
    /// Answers through `door`. `tasks` tracks its streams, which end once they are idle after `drain` was cancelled.
    pub fn new(door: Door, tasks: TaskTracker, drain: CancellationToken) -> Self {
        Self { door, tasks, drain }
    }
}

#[tonic::async_trait]
impl PredictionService for PredictionApi {
    async fn predict(&self, request: Request<pb::PredictRequest>) -> Result<Response<pb::PredictResponse>, Status> {
        let (call, message) = take_call(request);
        let work = async {
            call.body.grow_to(convert::held_by(&message))?;
            self.door.predict(&call, call.time(), message).await
        };
        let (metadata, predicted, extensions) = respond(&call, "Predict", work).await?.into_parts();
        let mut response = Response::from_parts(metadata, predicted.response, extensions);
        if let Some(hits) = predicted.cache_hits {
            response.metadata_mut().insert(CACHE_HITS_HEADER, hits.into());
        }
        Ok(response)
    }

    async fn explain(&self, request: Request<pb::ExplainRequest>) -> Result<Response<pb::ExplainResponse>, Status> {
        let (call, message) = take_call(request);
        let work = async {
            let bytes = message.texts.iter().map(String::capacity).sum();
            call.body.grow_to(convert::held_bytes(message.texts.len(), bytes))?;
            self.door.explain(&call, message).await
        };
        respond(&call, "Explain", work).await
    }

    type PredictStreamStream = ResponseStream;

    async fn predict_stream(
        &self,
        request: Request<tonic::Streaming<pb::PredictStreamRequest>>,
    ) -> Result<Response<ResponseStream>, Status> {
        let (call, requests) = take_call(request);
        let answers = serve_stream(self.door.clone(), &self.tasks, self.drain.clone(), call, requests);
        Ok(Response::new(answers))
    }

    async fn health(&self, request: Request<pb::HealthRequest>) -> Result<Response<pb::HealthResponse>, Status> {
        let (call, _) = take_call(request);
        let work = async { Ok(convert_models::health_response(&self.door.service)) };
        respond(&call, "Health", work).await
    }
}
