//! ModelService over gRPC: convert, ask the service, convert back.

use tonic::{Request, Response, Status};

use super::DOOR;
use super::prediction::take_call;
use super::status::to_status;
use crate::api::call::Call;
use crate::api::pb::model_service_server::ModelService;
use crate::api::{convert_models, pb};
use crate::error::Error;
use crate::service::Service;

/// The gRPC face of what is told of models.
pub struct ModelApi {
    service: Service,
}

impl ModelApi {
    /// A face of `service`.
    pub fn new(service: Service) -> Self {
        Self { service }
    }

    fn answered<T>(&self, call: &Call, method: &'static str, answer: Result<T, Error>) -> Result<Response<T>, Status> {
        call.finish(self.service.metrics(), DOOR, method, answer.as_ref().map(|_| ()));
        answer
            .map(Response::new)
            .map_err(|error| to_status(&error, Some(&call.request_id)))
    }
}

#[tonic::async_trait]
impl ModelService for ModelApi {
    async fn list_models(
        &self,
        request: Request<pb::ListModelsRequest>,
    ) -> Result<Response<pb::ListModelsResponse>, Status> {
        let (call, pb::ListModelsRequest { page_size, page_token }) = take_call(&self.service, request);
        let page = self.service.list_models(page_size, &page_token);
        self.answered(&call, "ListModels", page.map(convert_models::list_models_response))
    }

    async fn get_model(&self, request: Request<pb::GetModelRequest>) -> Result<Response<pb::GetModelResponse>, Status> {
        let (call, pb::GetModelRequest { name }) = take_call(&self.service, request);
        let found = self.service.get_model(&name);
        let answer = found.map(convert_models::get_model_response);
        self.answered(&call, "GetModel", answer)
    }
}
