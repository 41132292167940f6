//! The gRPC door: PredictionService, grpc.health.v1 and reflection, behind one layer that sees every call.
//!
//! In reading order: [`layer`] (what is common to all calls) → [`prediction`] (Predict, Health) → [`stream`]
//! (PredictStream) → [`health`] → [`status`] (failures on the wire) → [`codec`].

pub mod codec;
pub mod health;
pub mod layer;
pub mod prediction;
pub mod status;
pub mod stream;
pub mod timeout;

use axum::Router;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;

use super::DESCRIPTOR_SET;
use super::pb::prediction_service_server::PredictionServiceServer;
use crate::service::Service;

/// The name of this door in logs and metrics.
pub const DOOR: &str = "grpc";

/// Everything that answers on the gRPC port. Streams that watch health end when `drain` is cancelled; the tasks of
/// PredictStream are tracked by `tasks`.
pub fn router(service: Service, drain: CancellationToken, tasks: TaskTracker) -> Router {
    let largest = service.limits().max_message_bytes();
    let prediction = PredictionServiceServer::new(prediction::PredictionApi::new(service.clone(), tasks))
        // Answers are small: compressing them for every client that could read it costs more than it saves.
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(largest)
        .max_encoding_message_size(usize::MAX);
    let health = tonic_health::pb::health_server::HealthServer::new(health::HealthApi::new(service.clone(), drain));
    let router = Routes::new(prediction)
        .add_service(health)
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
        )
        .prepare()
        .into_axum_router();
    router.layer(axum::middleware::from_fn_with_state(service, layer::around))
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // So that tools can show the details of an error.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
