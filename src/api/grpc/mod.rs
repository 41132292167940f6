//! The gRPC door: PredictionService, ModelService, grpc.health.v1 and reflection, behind one layer that sees every
//! call.
//!
//! In reading order: [`layer`] (gRPC's own part of the call layer) and [`methods`] (what it knows of each method) →
//! [`body`] (counts the bytes of a call) → [`message`] (cuts them into messages) → [`wire`] (how much of a message is
//! decoded) → [`codec`] (decodes it) → [`prediction`] (Predict, Explain, Health) → [`unary`] (what methods with one
//! answer share) → [`stream`] (PredictStream) → [`models`] (ModelService) → [`admin`] (AdminService, on a port of its
//! own) → [`health`]; besides, [`timeout`] (the header with a call's time).

pub mod admin;
pub mod body;
pub mod codec;
pub mod health;
pub mod layer;
pub mod message;
pub mod methods;
pub mod models;
pub mod prediction;
pub mod stream;
pub mod timeout;
pub mod unary;
pub mod wire;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tower::Service;

use super::DESCRIPTOR_SET;
use super::call_layer::{self, DoorRouter};
use super::door::Door;
use super::keys::Keys;
use super::offers::Offer;
use super::open_inference::grpc as inference;
use super::orca::pb::OpenRcaServiceServer;
use super::orca::stream as orca;
use super::pb::admin_service_server::AdminServiceServer;
use super::pb::model_service_server::ModelServiceServer;
use super::pb::prediction_service_server::PredictionServiceServer;
use super::tei;
use super::tei::pb::info_server::InfoServer;
use super::tei::pb::predict_server::PredictServer;
use health::pb::health_server::HealthServer;
use layer::GrpcProtocol;

/// The services that reflection lists at the public port, besides those of protocols of others.
const PUBLIC_SERVICES: [&str; 3] = [
    "tandem.v1.PredictionService",
    "tandem.v1.ModelService",
    "grpc.health.v1.Health",
];
/// How the paths of the service begin that nearly all calls are for.
const PREDICTION: &str = "/tandem.v1.PredictionService/";
/// The services that reflection lists at the admin port.
const ADMIN_SERVICES: [&str; 3] = [
    "tandem.v1.AdminService",
    "tandem.v1.ModelService",
    "grpc.health.v1.Health",
];

/// What the methods are served with.
pub struct Surroundings {
    /// The keys of callers.
    pub keys: Arc<Keys>,
    /// Where the gateway is, such as `port 5000`, for an HTTP client that looks for it here.
    pub http: Arc<str>,
    /// Whether reflection is on.
    pub reflection: bool,
    /// When this is cancelled, Watch streams end, and idle PredictStreams soon after.
    pub drain: CancellationToken,
    /// Tracks the tasks of PredictStreams.
    pub tasks: TaskTracker,
}

/// All services of the gRPC port.
pub fn router(door: Door, surroundings: Surroundings) -> DoorRouter {
    let (drain, tasks) = (surroundings.drain.clone(), surroundings.tasks.clone());
    let service = door.service.clone();
    let prediction = PredictionServiceServer::new(prediction::PredictionApi::new(door.clone(), tasks, drain.clone()))
        .max_decoding_message_size(door.context.max_message_bytes)
        .max_encoding_message_size(usize::MAX);
    let health = health::HealthApi::new(service.clone(), drain);
    let models = ModelServiceServer::new(models::ModelApi::new(service));
    let mut others = Routes::new(models);
    let mut services = PUBLIC_SERVICES.to_vec();
    if door.context.offers.has(Offer::TextEmbeddingsInference) {
        others = with_tei(others, &door, &surroundings);
        services.extend(tei::grpc::SERVICES);
    }
    if door.context.offers.has(Offer::OpenInference) {
        others = others.add_service(inference::server(door.clone(), inference::Port::Public));
        services.push(inference::SERVICE);
    }
    if let Some(reports) = &door.context.load_reports {
        let api = orca::OrcaApi::new(Arc::clone(reports), surroundings.drain.clone());
        others = others.add_service(OpenRcaServiceServer::new(api));
        services.push(orca::SERVICE);
    }
    let health = health.and(&services[PUBLIC_SERVICES.len()..]);
    let others = others.add_service(HealthServer::new(health));
    let others = with_surroundings(others, &services, &surroundings);
    finish(PublicRoutes { prediction, others }, door, surroundings)
}

/// Adds the services of text-embeddings-inference.
fn with_tei(routes: Routes, door: &Door, surroundings: &Surroundings) -> Routes {
    let (drain, tasks) = (surroundings.drain.clone(), surroundings.tasks.clone());
    let api = tei::grpc::TeiApi::new(door.clone(), tasks, drain);
    let predict = PredictServer::new(api.clone())
        .max_decoding_message_size(door.context.max_message_bytes)
        .max_encoding_message_size(usize::MAX);
    routes.add_service(predict).add_service(InfoServer::new(api))
}

/// The services of the public port.
#[derive(Clone)]
struct PublicRoutes {
    prediction: PredictionServiceServer<prediction::PredictionApi>,
    others: Router,
}

impl call_layer::Routes for PublicRoutes {
    /// Nearly all calls are for one service: it is not searched for among the others.
    async fn answer(&self, request: Request) -> Response {
        if !request.uri().path().starts_with(PREDICTION) {
            return self.others.answer(request).await;
        }
        match self.prediction.clone().call(request).await {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        }
    }
}

/// All services of the admin port.
pub fn admin_router(door: Door, surroundings: Surroundings) -> DoorRouter {
    let service = door.service.clone();
    let health = health::HealthApi::new(service.clone(), surroundings.drain.clone()).and(&ADMIN_SERVICES[..1]);
    let models = ModelServiceServer::new(models::ModelApi::new(service.clone()));
    let mut routes = Routes::new(AdminServiceServer::new(admin::AdminApi::new(service)))
        .add_service(models)
        .add_service(HealthServer::new(health));
    let mut services = ADMIN_SERVICES.to_vec();
    if door.context.offers.has(Offer::OpenInference) {
        routes = routes.add_service(inference::server(door.clone(), inference::Port::Admin));
        services.push(inference::SERVICE);
    }
    let routes = with_surroundings(routes, &services, &surroundings);
    finish(routes, door, surroundings)
}

/// The services with reflection, if that is on.
fn with_surroundings(mut routes: Routes, services: &[&'static str], surroundings: &Surroundings) -> Router {
    if surroundings.reflection {
        routes = with_reflection(routes, services);
    }
    routes.prepare().into_axum_router()
}

fn finish(
    routes: impl call_layer::Routes,
    Door { context, .. }: Door,
    Surroundings { keys, http, .. }: Surroundings,
) -> DoorRouter {
    let protocol = GrpcProtocol {
        context: Arc::clone(&context),
        http,
    };
    DoorRouter::new(routes, protocol, context, keys)
}

/// Adds reflection in both versions: older clients know only v1alpha.
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
}
