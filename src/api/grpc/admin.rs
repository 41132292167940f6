//! AdminService over gRPC, on the admin port alone: convert, have the service do it, convert back.

use std::time::{Duration, Instant};

use tonic::{Request, Response, Status};

use super::DOOR;
use super::prediction::take_call;
use super::status::to_status;
use crate::api::call::{Call, CancelGuard};
use crate::api::pb::admin_service_server::AdminService;
use crate::api::{convert_admin, convert_models, pb};
use crate::error::Error;
use crate::service::Service;
use crate::service::lifecycle::commands::Warning;

/// How long a call may take that does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// The longest that one may take.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// The deadline of an operator's call.
pub(super) fn deadline(call: &Call) -> Instant {
    call.arrived + call.timeout.unwrap_or(DEFAULT_TIMEOUT).min(MAX_TIMEOUT)
}

/// The gRPC face of what operators do.
pub struct AdminApi {
    service: Service,
}

impl AdminApi {
    /// A face of `service`.
    pub fn new(service: Service) -> Self {
        Self { service }
    }

    /// Does something until the call's deadline; past it the work goes on, and nobody waits for it.
    async fn answered<T>(
        &self,
        call: &Call,
        method: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Response<T>, Status> {
        let guard = CancelGuard {
            service: &self.service,
            call,
            door: DOOR,
            method,
        };
        let within = tokio::time::timeout_at(deadline(call).into(), work);
        let answer = within.await.unwrap_or_else(|_| Err(Error::deadline_exceeded()));
        let outcome = answer.as_ref().map(|_| ());
        call.finish(self.service.metrics(), guard.door, guard.method, outcome);
        answer
            .map(Response::new)
            .map_err(|error| to_status(&error, Some(&call.request_id)))
    }

    /// The state that results, and what else is to be said.
    fn state(&self, name: &str, warning: Warning) -> Result<(Option<pb::ModelVersions>, String), Error> {
        let (_, versions) = self.service.get_model(name)?;
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
        let (call, _) = take_call(&self.service, request);
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
        let (call, pb::PromoteModelRequest { name, version }) = take_call(&self.service, request);
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
        let (call, pb::RollBackModelRequest { name, version }) = take_call(&self.service, request);
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
        let (call, pb::SetCanaryRequest { name, version, share }) = take_call(&self.service, request);
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
        let (call, pb::LoadModelRequest { name, version }) = take_call(&self.service, request);
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
        let (call, pb::UnloadModelRequest { name, version }) = take_call(&self.service, request);
        let work = async {
            let warning = self.service.unload_version(&name, &version).await?;
            let (versions, warning) = self.state(&name, warning)?;
            Ok(pb::UnloadModelResponse { versions, warning })
        };
        self.answered(&call, "UnloadModel", work).await
    }
}
