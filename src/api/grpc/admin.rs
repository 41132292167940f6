//! AdminService over gRPC, on the admin port only: convert, have the service do it, convert back.

use tonic::{Request, Response, Status};

use super::methods::operation_deadline;
use super::unary::{respond, take_call};
use crate::api::call::Call;
use crate::api::pb::admin_service_server::AdminService;
use crate::api::{convert_admin, convert_models, pb};
use crate::error::Error;
use crate::service::Service;
use crate::service::lifecycle::commands::Warning;

pub struct AdminApi {
    service: Service,
}

impl AdminApi {
    pub fn new(service: Service) -> Self {
        Self { service }
    }

    /// Waits for an operation until the call's deadline. After that the operation goes on, but nobody waits for it.
    async fn answered<T>(
        &self,
        call: &Call,
        method: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Response<T>, Status> {
        let within = async {
            let outcome = tokio::time::timeout_at(operation_deadline(call).into(), work).await;
            outcome.unwrap_or_else(|_| Err(Error::deadline_exceeded()))
        };
        respond(call, method, within).await
    }

    /// The versions of the model after the operation, and the operation's warning.
    fn state(&self, name: &str, warning: Warning) -> Result<(Option<pb::ModelVersions>, String), Error> {
        let (_, versions, _) = self.service.get_model(name)?;
        Ok((
            Some(convert_models::model_versions(versions)),
            warning.unwrap_or_default(),
        ))
    }
}

#[tonic::async_trait]
impl AdminService for AdminApi {
    async fn reload_models(
        &self,
        request: Request<pb::ReloadModelsRequest>,
    ) -> Result<Response<pb::ReloadModelsResponse>, Status> {
        let (call, _) = take_call(request);
        let work = async {
            let report = self.service.reload().await;
            Ok(convert_admin::reload_response(&report))
        };
        self.answered(&call, "ReloadModels", work).await
    }

    async fn promote_model(
        &self,
        request: Request<pb::PromoteModelRequest>,
    ) -> Result<Response<pb::PromoteModelResponse>, Status> {
        let (call, pb::PromoteModelRequest { name, version }) = take_call(request);
        let work = async {
            let warning = self.service.promote(&name, &version).await?;
            let (versions, warning) = self.state(&name, warning)?;
            Ok(pb::PromoteModelResponse { versions, warning })
        };
        self.answered(&call, "PromoteModel", work).await
    }

    async fn roll_back_model(
        &self,
        request: Request<pb::RollBackModelRequest>,
    ) -> Result<Response<pb::RollBackModelResponse>, Status> {
        let (call, pb::RollBackModelRequest { name, version }) = take_call(request);
        let work = async {
            let warning = self.service.roll_back(&name, &version).await?;
            let (versions, warning) = self.state(&name, warning)?;
            Ok(pb::RollBackModelResponse { versions, warning })
        };
        self.answered(&call, "RollBackModel", work).await
    }

    async fn set_canary(
        &self,
        request: Request<pb::SetCanaryRequest>,
    ) -> Result<Response<pb::SetCanaryResponse>, Status> {
        let (call, pb::SetCanaryRequest { name, version, share }) = take_call(request);
        let work = async {
            let warning = self.service.set_canary(&name, &version, share).await?;
            let (versions, warning) = self.state(&name, warning)?;
            Ok(pb::SetCanaryResponse { versions, warning })
        };
        self.answered(&call, "SetCanary", work).await
    }

    async fn load_model(
        &self,
        request: Request<pb::LoadModelRequest>,
    ) -> Result<Response<pb::LoadModelResponse>, Status> {
        let (call, pb::LoadModelRequest { name, version }) = take_call(request);
        let work = async {
            let warning = self.service.load_version(&name, &version).await?;
            let (versions, warning) = self.state(&name, warning)?;
            Ok(pb::LoadModelResponse { versions, warning })
        };
        self.answered(&call, "LoadModel", work).await
    }

    async fn unload_model(
        &self,
        request: Request<pb::UnloadModelRequest>,
    ) -> Result<Response<pb::UnloadModelResponse>, Status> {
        let (call, pb::UnloadModelRequest { name, version }) = take_call(request);
        let work = async {
            let warning = self.service.unload_version(&name, &version).await?;
            let (versions, warning) = self.state(&name, warning)?;
            Ok(pb::UnloadModelResponse { versions, warning })
        };
        self.answered(&call, "UnloadModel", work).await
    }
    async fn export_texts(
        &self,
        request: Request<pb::ExportTextsRequest>,
    ) -> Result<Response<pb::ExportTextsResponse>, Status> {
        let (call, request) = take_call(request);
        let work = async {
            let page = self.service.export_texts(convert_admin::kept_query(&request)?)?;
            Ok(convert_admin::kept_response(&page))
        };
        self.answered(&call, "ExportTexts", work).await
    }
}
