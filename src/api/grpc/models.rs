//! ModelService over gRPC: convert, ask the service, convert back.

use tonic::{Request, Response, Status};

use super::unary::{respond, take_call};
use crate::api::pb::model_service_server::ModelService;
use crate::api::{convert_models, pb};
use crate::service::Service;

pub struct ModelApi {
    service: Service,
}

impl ModelApi {
    pub fn new(service: Service) -> Self {
        Self { service }
    }
}

#[tonic::async_trait]
impl ModelService for ModelApi {
    async fn list_models(
        &self,
        request: Request<pb::ListModelsRequest>,
    ) -> Result<Response<pb::ListModelsResponse>, Status> {
        let (call, pb::ListModelsRequest { page_size, page_token }) = take_call(request);
        let work = async {
            let page = self.service.list_models(page_size, &page_token)?;
            Ok(convert_models::list_models_response(page))
        };
        respond(&call, "ListModels", work).await
    }

    async fn get_model(&self, request: Request<pb::GetModelRequest>) -> Result<Response<pb::GetModelResponse>, Status> {
        let (call, pb::GetModelRequest { name }) = take_call(request);
        let work = async { self.service.get_model(&name).map(convert_models::get_model_response) };
        respond(&call, "GetModel", work).await
    }
}
