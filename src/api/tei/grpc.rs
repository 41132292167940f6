//! `tei.v1.Predict` and `tei.v1.Info`: take the call, have the door answer it, return the answer as gRPC.

use futures::FutureExt;
use futures::future::BoxFuture;
use prost::Message;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::answer::{characters, predict_response};
use super::info::{Info, info_response};
use super::pb;
use super::request::GRPC_FIELD_NAMES;
use super::stream::{ResponseStream, StreamOf, serve_stream};
use crate::api::call::{Call, RequestTime};
use crate::api::convert::held_bytes;
use crate::api::door::Door;
use crate::api::field_names::renamed;
use crate::api::grpc::unary::{respond, take_call};
use crate::error::Error;
use crate::service::messages::PredictInput;

/// The services, as reflection lists them.
pub const SERVICES: [&str; 2] = ["tei.v1.Predict", "tei.v1.Info"];

#[derive(Clone)]
pub struct TeiApi {
    door: Door,
    tasks: TaskTracker,
    drain: CancellationToken,
}

impl TeiApi {
    /// Answers through `door`. `tasks` tracks its streams, which end once they are idle after `drain` was cancelled.
    pub fn new(door: Door, tasks: TaskTracker, drain: CancellationToken) -> Self {
        Self { door, tasks, drain }
    }

    /// Answers one request of a call.
    async fn answer(
        door: &Door,
        call: &Call,
        time: RequestTime,
        input: Result<PredictInput, Error>,
    ) -> Result<pb::PredictResponse, Error> {
        let input = input?;
        let characters = characters(&input);
        let output = door.answer(call, time, input).await;
        let output = output.map_err(|error| renamed(error, &GRPC_FIELD_NAMES))?;
        Ok(predict_response(characters, output))
    }

    /// Serves a stream of requests that `ask` understands.
    fn stream<Q: Message + 'static>(
        &self,
        request: Request<Streaming<Q>>,
        names: StreamOf,
        ask: fn(Q) -> Result<PredictInput, Error>,
    ) -> Response<ResponseStream> {
        let (call, requests) = take_call(request);
        let door = self.door.clone();
        let answer = move |message: Q, call: Call, time| -> BoxFuture<'static, Result<pb::PredictResponse, Error>> {
            let door = door.clone();
            async move { Self::answer(&door, &call, time, ask(message)).await }.boxed()
        };
        let largest = self.door.context.max_message_bytes;
        let answers = serve_stream(
            &self.tasks,
            self.drain.clone(),
            call,
            requests,
            (names, largest),
            answer,
        );
        Response::new(answers)
    }
}

#[tonic::async_trait]
impl pb::predict_server::Predict for TeiApi {
    async fn predict(&self, request: Request<pb::PredictRequest>) -> Result<Response<pb::PredictResponse>, Status> {
        let (call, message) = take_call(request);
        let work = async {
            call.body.grow_to(held_bytes(1, message.inputs.capacity()))?;
            Self::answer(&self.door, &call, call.time(), message.ask()).await
        };
        respond(&call, "tei.v1.Predict.Predict", work).await
    }

    async fn predict_pair(
        &self,
        request: Request<pb::PredictPairRequest>,
    ) -> Result<Response<pb::PredictResponse>, Status> {
        let (call, message) = take_call(request);
        let work = async {
            let bytes = message.inputs.iter().map(String::capacity).sum();
            call.body.grow_to(held_bytes(message.inputs.len(), bytes))?;
            Self::answer(&self.door, &call, call.time(), message.ask()).await
        };
        respond(&call, "tei.v1.Predict.PredictPair", work).await
    }

    type PredictStreamStream = ResponseStream;

    async fn predict_stream(
        &self,
        request: Request<Streaming<pb::PredictRequest>>,
    ) -> Result<Response<ResponseStream>, Status> {
        let names = StreamOf {
            method: "tei.v1.Predict.PredictStream",
            request: "tei.v1.Predict.PredictStream.request",
        };
        Ok(self.stream(request, names, pb::PredictRequest::ask))
    }

    type PredictPairStreamStream = ResponseStream;

    async fn predict_pair_stream(
        &self,
        request: Request<Streaming<pb::PredictPairRequest>>,
    ) -> Result<Response<ResponseStream>, Status> {
        let names = StreamOf {
            method: "tei.v1.Predict.PredictPairStream",
            request: "tei.v1.Predict.PredictPairStream.request",
        };
        Ok(self.stream(request, names, pb::PredictPairRequest::ask))
    }
}

#[tonic::async_trait]
impl pb::info_server::Info for TeiApi {
    async fn info(&self, request: Request<pb::InfoRequest>) -> Result<Response<pb::InfoResponse>, Status> {
        let (call, _) = take_call(request);
        let work = async { Info::of(&self.door).map(info_response) };
        respond(&call, "tei.v1.Info.Info", work).await
    }
}
