//! grpc.health.v1, for load balancers and probes: the server (`""`), services, and models by name.
//!
//! Watch on an unknown name answers SERVICE_UNKNOWN and stays open. Every Watch hears of a drain, then ends.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::unary::{respond, take_call};
use crate::error::{Error, Reason};
use crate::service::Service;
use crate::service::catalog::health::ServingState;
use crate::timer::sleep_until;

/// The longest name that a model or a service can have, in bytes.
const MAX_NAME_BYTES: usize = 63;

pub struct HealthApi {
    service: Service,
    drain: CancellationToken,
    /// Further services, which only this port has. Their state is the server's.
    also: Arc<[&'static str]>,
}

impl HealthApi {
    /// Answers for `service`. Watch streams end when `drain` is cancelled.
    pub fn new(service: Service, drain: CancellationToken) -> Self {
        Self {
            service,
            drain,
            also: Arc::default(),
        }
    }

    /// Adds services that only this port has.
    pub fn and(self, services: &[&'static str]) -> Self {
        Self {
            also: services.into(),
            ..self
        }
    }
}

fn status_of(service: &Service, name: &str, also: &[&str]) -> Option<ServingStatus> {
    let name = if also.contains(&name) { "" } else { name };
    service.state_of_service(name).map(|state| match state {
        ServingState::Serving => ServingStatus::Serving,
        ServingState::Loading | ServingState::Draining | ServingState::Failed => ServingStatus::NotServing,
    })
}

#[tonic::async_trait]
impl Health for HealthApi {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let (call, HealthCheckRequest { service }) = take_call(request);
        let work = async {
            let status = status_of(&self.service, &service, &self.also)
                .ok_or_else(|| Error::new(Reason::ModelNotFound, "service: no service or model of that name"))?;
            Ok(HealthCheckResponse { status: status.into() })
        };
        respond(&call, "Health.Check", work).await
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let name = request.into_inner().service;
        let watch = Watch {
            service: self.service.clone(),
            drain: self.drain.clone(),
            changes: self.service.watch_health(),
            also: Arc::clone(&self.also),
            // A name that is too long to exist is answered as unknown and not kept.
            name: (name.len() <= MAX_NAME_BYTES).then_some(name),
            last: None,
        };
        let stream = futures::stream::unfold(watch, |mut watch| async move {
            let status = watch.next().await?;
            Some((Ok(HealthCheckResponse { status: status.into() }), watch))
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

struct Watch {
    service: Service,
    drain: CancellationToken,
    changes: tokio::sync::watch::Receiver<bool>,
    /// Absent if nothing can have this name.
    name: Option<String>,
    also: Arc<[&'static str]>,
    last: Option<ServingStatus>,
}

impl Watch {
    /// The next status that differs from the last one; `None` once the drain was reported.
    async fn next(&mut self) -> Option<ServingStatus> {
        loop {
            self.changes.borrow_and_update();
            let known = self.name.as_deref();
            let status = known.and_then(|name| status_of(&self.service, name, &self.also));
            let status = status.unwrap_or(ServingStatus::ServiceUnknown);
            if self.last != Some(status) {
                self.last = Some(status);
                return Some(status);
            }
            tokio::select! {
                // A change is reported before the stream ends.
                biased;
                changed = self.changes.changed() => changed.ok()?,
                () = sleep_until(self.service.next_recovery(Instant::now())) => {}
                () = self.drain.cancelled() => return None,
            }
        }
    }
}
