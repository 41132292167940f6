//! The HTTP door: `POST /predict` in the form of the tutorial, `POST /v1/predict` in proto3 JSON, an OpenAPI document,
//! and paths for probes and dashboards.
//!
//! In reading order: [`layer`] (HTTP's own part of the call layer) → [`mod@route`] (one path) → [`mod@routes`] (the
//! table of paths) → [`body`] (reads a bounded body; [`peek`]: of which
//! form; [`texts`] and [`whole`]: what is in it) → [`simple_predict`] → [`predict`] → [`mod@explain`] →
//! [`models`] → [`mod@operations`] → [`answer`] and [`error`].

pub mod answer;
pub mod body;
pub mod error;
pub mod explain;
pub mod layer;
pub mod models;
pub mod operations;
pub mod page;
pub mod peek;
pub mod predict;
pub mod route;
pub mod routes;
pub mod simple_predict;
pub mod texts;
pub mod whole;

use std::sync::Arc;

use axum::{Extension, Router};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use super::call_layer::DoorRouter;
use super::door::Door;
use super::keys::Keys;
use super::offers::Offers;
use crate::config::Address;
use layer::HttpProtocol;
use page::PageFacts;

/// Answers of at least this size are compressed for clients that accept it.
const COMPRESS_FROM_BYTES: u64 = 1024;

/// What the paths are served with; cheap to clone.
#[derive(Clone)]
pub struct Surroundings {
    /// The keys of callers.
    pub keys: Arc<Keys>,
    /// Where gRPC is, such as `port 50051`, for a gRPC client that looks for it here.
    pub grpc: Arc<str>,
    /// Where gRPC listens.
    pub grpc_addresses: Arc<[Address]>,
}

/// All paths of the gateway's port.
pub fn gateway(door: Door, surroundings: Surroundings) -> DoorRouter {
    let offers = door.context.offers;
    finish(routes::router(&offers, |_| true), offers, door, surroundings)
}

/// The paths of the port for operators.
pub fn operations(door: Door, surroundings: Surroundings) -> DoorRouter {
    let offers = Offers::none();
    let routes = routes::router(&offers, |route| route.for_operators);
    finish(routes, offers, door, surroundings)
}

fn finish(routes: Router<Door>, offers: Offers, door: Door, surroundings: Surroundings) -> DoorRouter {
    let Surroundings {
        keys,
        grpc,
        grpc_addresses,
    } = surroundings;
    let context = Arc::clone(&door.context);
    let facts = PageFacts {
        keys: Arc::clone(&keys),
        grpc: grpc_addresses,
    };
    let routes = routes
        .layer(Extension(facts))
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(COMPRESS_FROM_BYTES)))
        .with_state(door);
    DoorRouter::new(routes, HttpProtocol { grpc, offers }, context, keys)
}
