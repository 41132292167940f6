//! The gRPC door: PredictionService, ModelService, grpc.health.v1 and reflection, behind one layer that sees every call.
//!
//! In reading order: [`layer`] (what is common to all calls) → [`prediction`] (Predict, Health) → [`stream`]
//! (PredictStream) → [`models`] (ModelService) → [`health`] → [`status`] (failures on the wire) → [`codec`] → [`body`]
//! (what calls may hold).

pub mod body;
pub mod codec;
pub mod health;
pub mod layer;
pub mod models;
pub mod prediction;
pub mod status;
pub mod stream;
pub mod timeout;

use std::sync::Arc;

use axum::Router;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;

use super::DESCRIPTOR_SET;
use super::keys::Keys;
use super::pb::model_service_server::ModelServiceServer;
use super::pb::prediction_service_server::PredictionServiceServer;
use crate::service::Service;

/// The name of this door in logs and metrics.
pub const DOOR: &str = "grpc";

/// What stands around the methods.
pub struct Surroundings {
    /// Who may call.
    pub keys: Arc<Keys>,
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
        reflection: reflects,
        drain,
        tasks,
    } = surroundings;
    let largest = service.limits().max_message_bytes();
    let prediction =
        PredictionServiceServer::new(prediction::PredictionApi::new(service.clone(), tasks, drain.clone()))
            // Answers are small: compressing them for every client that could read it costs more than it saves.
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(largest)
            .max_encoding_message_size(usize::MAX);
    let health = tonic_health::pb::health_server::HealthServer::new(health::HealthApi::new(service.clone(), drain));
    let models = ModelServiceServer::new(models::ModelApi::new(service.clone()));
    let mut routes = Routes::new(prediction).add_service(models).add_service(health);
    if reflects {
        routes = routes
            .add_service(
                reflection()
                    .build_v1()
                    .expect("the build checked these descriptor sets"),
            )
            // Older clients speak this version only.
            .add_service(
                reflection()
                    .build_v1alpha()
                    .expect("the build checked these descriptor sets"),
            );
    }
    routes
        .prepare()
        .into_axum_router()
        .layer(axum::middleware::from_fn_with_state((service, keys), layer::around))
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // So that tools can show the details of an error.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
