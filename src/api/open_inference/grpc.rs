//! `inference.GRPCInferenceService`: convert, have it answered, convert back. At the public port it answers texts; at the
//! admin port it loads and unloads. What each port does not do, it says.

use tonic::{Request, Response, Status};

use super::describe::describe;
use super::grpc_messages::{config, metadata, request_of, response_of};
use super::infer::infer;
use super::pb::grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer};
use super::pb::{self, repository_index_response};
use super::request::quoted;
use super::{EXTENSIONS, PLATFORM, names, repository};
use crate::api::call::{CACHE_HITS_HEADER, Call};
use crate::api::door::Door;
use crate::api::grpc::methods::operation_deadline;
use crate::api::grpc::unary::{respond, take_call};
use crate::error::{Error, Reason};
use crate::service::catalog::health::ServingState;

/// The service's name, for reflection.
pub const SERVICE: &str = "inference.GRPCInferenceService";

/// Which port a service is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    Public,
    Admin,
}

pub struct InferenceApi {
    door: Door,
    port: Port,
}

/// The service for a port.
pub fn server(door: Door, port: Port) -> GrpcInferenceServiceServer<InferenceApi> {
    let largest = door.context.max_message_bytes;
    GrpcInferenceServiceServer::new(InferenceApi { door, port })
        .max_decoding_message_size(largest)
        .max_encoding_message_size(usize::MAX)
}

impl InferenceApi {
    fn check_port(&self, wanted: Port, problem: &str) -> Result<(), Error> {
        if self.port == wanted {
            return Ok(());
        }
        Err(Error::new(Reason::MethodNotFound, problem))
    }

    /// Waits for an operation until the call's deadline. After that the operation goes on, but nobody waits for it.
    async fn operate(&self, call: &Call, operation: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        self.check_port(
            Port::Admin,
            "loading and unloading are for operators: call the admin port",
        )?;
        let outcome = tokio::time::timeout_at(operation_deadline(call).into(), operation).await;
        outcome.unwrap_or_else(|_| Err(Error::deadline_exceeded()))
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for InferenceApi {
    async fn server_live(
        &self,
        request: Request<pb::ServerLiveRequest>,
    ) -> Result<Response<pb::ServerLiveResponse>, Status> {
        let (call, _) = take_call(request);
        let work = async { Ok(pb::ServerLiveResponse { live: true }) };
        respond(&call, "inference.GRPCInferenceService.ServerLive", work).await
    }

    async fn server_ready(
        &self,
        request: Request<pb::ServerReadyRequest>,
    ) -> Result<Response<pb::ServerReadyResponse>, Status> {
        let (call, _) = take_call(request);
        let ready = self.door.service.state() == ServingState::Serving;
        respond(&call, "inference.GRPCInferenceService.ServerReady", async {
            Ok(pb::ServerReadyResponse { ready })
        })
        .await
    }

    async fn model_ready(
        &self,
        request: Request<pb::ModelReadyRequest>,
    ) -> Result<Response<pb::ModelReadyResponse>, Status> {
        let (call, pb::ModelReadyRequest { name, version }) = take_call(request);
        let work = async {
            let service = &self.door.service;
            let ready = names::find(service, &name, &version)?.state(service) == ServingState::Serving;
            Ok(pb::ModelReadyResponse { ready })
        };
        respond(&call, "inference.GRPCInferenceService.ModelReady", work).await
    }

    async fn server_metadata(
        &self,
        request: Request<pb::ServerMetadataRequest>,
    ) -> Result<Response<pb::ServerMetadataResponse>, Status> {
        let (call, _) = take_call(request);
        let work = async {
            Ok(pb::ServerMetadataResponse {
                name: PLATFORM.to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                extensions: EXTENSIONS.map(str::to_owned).to_vec(),
            })
        };
        respond(&call, "inference.GRPCInferenceService.ServerMetadata", work).await
    }

    async fn model_metadata(
        &self,
        request: Request<pb::ModelMetadataRequest>,
    ) -> Result<Response<pb::ModelMetadataResponse>, Status> {
        let (call, pb::ModelMetadataRequest { name, version }) = take_call(request);
        let work = async { Ok(metadata(describe(&self.door, &name, &version)?)) };
        respond(&call, "inference.GRPCInferenceService.ModelMetadata", work).await
    }

    async fn model_infer(
        &self,
        request: Request<pb::ModelInferRequest>,
    ) -> Result<Response<pb::ModelInferResponse>, Status> {
        let (call, message) = take_call(request);
        let work = async {
            self.check_port(Port::Public, "texts are answered at the public port")?;
            let raw = !message.raw_input_contents.is_empty();
            let answer = infer(&self.door, &call, request_of(message)?).await?;
            Ok((answer.cache_hits, response_of(answer, raw)))
        };
        let (metadata, (hits, message), extensions) = respond(&call, "inference.GRPCInferenceService.ModelInfer", work)
            .await?
            .into_parts();
        let mut response = Response::from_parts(metadata, message, extensions);
        if let Some(hits) = hits {
            response.metadata_mut().insert(CACHE_HITS_HEADER, hits.into());
        }
        Ok(response)
    }

    async fn model_config(
        &self,
        request: Request<pb::ModelConfigRequest>,
    ) -> Result<Response<pb::ModelConfigResponse>, Status> {
        let (call, pb::ModelConfigRequest { name, version }) = take_call(request);
        let work = async {
            Ok(pb::ModelConfigResponse {
                config: Some(config(describe(&self.door, &name, &version)?)),
            })
        };
        respond(&call, "inference.GRPCInferenceService.ModelConfig", work).await
    }

    async fn repository_index(
        &self,
        request: Request<pb::RepositoryIndexRequest>,
    ) -> Result<Response<pb::RepositoryIndexResponse>, Status> {
        let (call, pb::RepositoryIndexRequest { repository_name, ready }) = take_call(request);
        let work = async {
            let entries = repository::index(&self.door.service, &repository_name, ready)?.into_iter();
            let models = entries.map(|entry| repository_index_response::ModelIndex {
                name: entry.name,
                version: entry.version,
                state: entry.state.to_owned(),
                reason: entry.reason,
            });
            Ok(pb::RepositoryIndexResponse {
                models: models.collect(),
            })
        };
        respond(&call, "inference.GRPCInferenceService.RepositoryIndex", work).await
    }

    async fn repository_model_load(
        &self,
        request: Request<pb::RepositoryModelLoadRequest>,
    ) -> Result<Response<pb::RepositoryModelLoadResponse>, Status> {
        let (call, message) = take_call(request);
        let operation = async {
            check_parameters(message.parameters.keys(), &[])?;
            repository::load(&self.door.service, &message.repository_name, &message.model_name).await
        };
        let work = async {
            self.operate(&call, operation).await?;
            Ok(pb::RepositoryModelLoadResponse {})
        };
        respond(&call, "inference.GRPCInferenceService.RepositoryModelLoad", work).await
    }

    async fn repository_model_unload(
        &self,
        request: Request<pb::RepositoryModelUnloadRequest>,
    ) -> Result<Response<pb::RepositoryModelUnloadResponse>, Status> {
        let (call, message) = take_call(request);
        let operation = async {
            check_parameters(message.parameters.keys(), &["unload_dependents"])?;
            repository::unload(&self.door.service, &message.repository_name, &message.model_name).await
        };
        let work = async {
            self.operate(&call, operation).await?;
            Ok(pb::RepositoryModelUnloadResponse {})
        };
        respond(&call, "inference.GRPCInferenceService.RepositoryModelUnload", work).await
    }
}

fn check_parameters<'a>(mut given: impl Iterator<Item = &'a String>, known: &[&str]) -> Result<(), Error> {
    let unknown = given.find(|name| !known.contains(&name.as_str()));
    unknown.map_or(Ok(()), |name| {
        let problem = format!("{} is not known", quoted(name));
        Err(Error::invalid_field("parameters", problem))
    })
}
