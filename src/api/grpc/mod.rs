//! The gRPC door: PredictionService, ModelService, grpc.health.v1 and reflection, behind one layer that sees every call.
//!
//! In reading order: [`layer`] (what is common to all calls, by what is known of their [`methods`]) → [`prediction`] (Predict, Health) → [`stream`]
//! (PredictStream) → [`models`] (ModelService) → [`admin`] (AdminService, at a port of its own) → [`health`]
//! → [`status`] (failures on the wire) → [`body`] (what calls may hold) → [`message`] (their messages, one by one) → [`wire`] (how much
//! of a message is decoded) → [`codec`].

pub mod admin;
pub mod body;
pub mod codec;
pub mod health;
pub mod layer;
pub mod message;
pub mod methods;
pub mod models;
pub mod prediction;
pub mod status;
pub mod stream;
pub mod timeout;
pub mod wire;

use std::sync::Arc;

use axum::Router;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;

use super::DESCRIPTOR_SET;
use super::keys::Keys;
use super::pb::admin_service_server::AdminServiceServer;
use super::pb::model_service_server::ModelServiceServer;
use super::pb::prediction_service_server::PredictionServiceServer;
use crate::service::Service;

/// The name of this door in logs and metrics.
pub const DOOR: &str = "grpc";

/// What reflection lists at the public port.
const PUBLIC_SERVICES: [&str; 3] = [
    "tandem.v1.PredictionService",
    "tandem.v1.ModelService",
    "grpc.health.v1.Health",
];
/// What it lists at the admin port.
const ADMIN_SERVICES: [&str; 3] = [
    "tandem.v1.AdminService",
    "tandem.v1.ModelService",
    "grpc.health.v1.Health",
];

/// What stands around the methods.
pub struct Surroundings {
    /// Who may call.
    pub keys: Arc<Keys>,
    /// Where the gateway is, for a client that looks for it here: `port 5000`.
    pub http: Arc<str>,
    /// Whether reflection answers.
    pub reflection: bool,
    /// Streams that watch health end when this is cancelled, and idle streams of predictions soon after.
    pub drain: CancellationToken,
    /// Where the tasks of PredictStream are tracked.
    pub tasks: TaskTracker,
}

/// Everything that answers on the gRPC port.
pub fn router(service: Service, surroundings: Surroundings) -> Router {
    let Surroundings {
        keys,
        http,
        reflection: reflects,
        drain,
        tasks,
    } = surroundings;
    let largest = service.limits().max_message_bytes();
    let prediction =
        PredictionServiceServer::new(prediction::PredictionApi::new(service.clone(), tasks, drain.clone()))
            .max_decoding_message_size(largest)
            .max_encoding_message_size(usize::MAX);
    let health = HealthServer::new(health::HealthApi::new(service.clone(), drain));
    let models = ModelServiceServer::new(models::ModelApi::new(service.clone()));
    let mut routes = Routes::new(prediction).add_service(models).add_service(health);
    if reflects {
        routes = with_reflection(routes, &PUBLIC_SERVICES);
    }
    finish(routes, service, keys, http)
}

/// Everything that answers on the admin port.
pub fn admin_router(service: Service, surroundings: Surroundings) -> Router {
    let Surroundings {
        keys,
        http,
        reflection: reflects,
        drain,
        ..
    } = surroundings;
    let admin = AdminServiceServer::new(admin::AdminApi::new(service.clone()));
    let models = ModelServiceServer::new(models::ModelApi::new(service.clone()));
    let health = health::HealthApi::new(service.clone(), drain).and(ADMIN_SERVICES[0]);
    let mut routes = Routes::new(admin)
        .add_service(models)
        .add_service(HealthServer::new(health));
    if reflects {
        routes = with_reflection(routes, &ADMIN_SERVICES);
    }
    finish(routes, service, keys, http)
}

fn finish(routes: Routes, service: Service, keys: Arc<Keys>, http: Arc<str>) -> Router {
    routes
        .prepare()
        .into_axum_router()
        .layer(axum::middleware::from_fn_with_state(
            (service, keys, http),
            layer::around,
        ))
}

/// Adds reflection, in both versions: older clients speak the second only.
fn with_reflection(routes: Routes, services: &[&'static str]) -> Routes {
    let known = "the build checked these descriptor sets";
    let (v1, v1alpha) = (reflection(services).build_v1(), reflection(services).build_v1alpha());
    routes.add_service(v1.expect(known)).add_service(v1alpha.expect(known))
}

fn reflection(services: &[&'static str]) -> tonic_reflection::server::Builder<'static> {
    let builder = tonic_reflection::server::Builder::configure();
    let reflection = [
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    let listed = services.iter().chain(&reflection);
    listed
        .fold(builder, |builder, &name| builder.with_service_name(name))
        .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
