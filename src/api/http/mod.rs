//! The HTTP door: `POST /predict` in the form of the tutorial, `POST /v1/predict` in proto3 JSON, an OpenAPI document, and what
//! probes and dashboards ask.
//!
//! In reading order: [`layer`] (what is HTTP's own of the layer around all calls) → [`mod@routes`] (which paths there are) → [`body`] (reading
//! a bounded body) → [`simple_predict`] → [`predict`] → [`mod@explain`] → [`models`] → [`mod@operations`] → [`answer`] and [`error`].

pub mod answer;
pub mod body;
pub mod error;
pub mod explain;
pub mod layer;
pub mod models;
pub mod operations;
pub mod predict;
pub mod routes;
pub mod simple_predict;

use std::sync::Arc;

use axum::Router;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use super::call_layer::DoorRouter;
use super::door::Door;
use super::keys::Keys;
use layer::HttpProtocol;

/// Answers from this size on are compressed for clients that ask for it.
const COMPRESS_FROM_BYTES: u64 = 1024;

/// What stands around the paths. Cheap to clone.
#[derive(Clone)]
pub struct Surroundings {
    /// Who may call.
    pub keys: Arc<Keys>,
    /// Where gRPC is, for a client that looks for it here: `port 50051`.
    pub grpc: Arc<str>,
}

/// Everything that answers on the gateway's port.
pub fn gateway(door: Door, surroundings: Surroundings) -> DoorRouter {
    finish(routes::router(|_| true), door, surroundings)
}

/// What answers on the port for operators.
pub fn operations(door: Door, surroundings: Surroundings) -> DoorRouter {
    finish(routes::router(|route| route.for_operators), door, surroundings)
}

fn finish(routes: Router<Door>, door: Door, Surroundings { keys, grpc }: Surroundings) -> DoorRouter {
    let context = Arc::clone(&door.context);
    let routes = routes
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(COMPRESS_FROM_BYTES)))
        .with_state(door);
    DoorRouter::new(routes, HttpProtocol { grpc }, context, keys)
}
