//! Routers of the doors, each of which tells callers of another where that is.

use std::sync::Arc;

use super::ports::Addresses;
use super::security::Security;
use crate::api::call_layer::{CallProtocol, DoorRouter};
use crate::api::door::Door;
use crate::api::grpc::layer::GrpcProtocol;
use crate::api::http::layer::HttpProtocol;
use crate::api::keys::Keys;
use crate::api::{grpc, http, web};
use crate::config::Address;
use crate::config::origins::Origins;

/// The routers of the doors.
pub struct Routers {
    pub grpc: DoorRouter,
    pub http: DoorRouter,
    pub admin: DoorRouter,
    pub operations: DoorRouter,
}

/// Makes them all.
pub fn routers(
    door: Door,
    security: &Security,
    addresses: Option<&Addresses>,
    origins: Option<&Origins>,
    surroundings: &dyn Fn(Arc<Keys>, Arc<str>) -> grpc::Surroundings,
) -> Routers {
    let (grpc, http) = addresses.map_or((&[][..], &[][..]), |found| (&found.grpc, &found.http));
    let (at_grpc, at_http) = (told(grpc), told(http));
    let is_shared = !grpc.is_empty() && grpc == http;
    let from_grpc = if is_shared { HERE.into() } else { at_http.clone() };
    let over_http = http::Surroundings {
        keys: Arc::clone(&security.keys),
        grpc: at_grpc,
        grpc_addresses: grpc.into(),
    };
    let from_http = http::Surroundings {
        grpc: if is_shared { HERE.into() } else { over_http.grpc.clone() },
        ..over_http.clone()
    };
    let doors = door.context.metrics.doors();
    doors.open(GrpcProtocol::DOOR, grpc::methods::own_names());
    doors.open(HttpProtocol::DOOR, http::routes::names(&door.context.offers));
    let grpc = grpc::router(door.clone(), surroundings(Arc::clone(&security.keys), from_grpc));
    let gateway = http::gateway(door.clone(), from_http.clone());
    Routers {
        http: web::from_browsers(gateway, &grpc, &door, from_http, origins),
        grpc,
        admin: grpc::admin_router(door.clone(), surroundings(Arc::clone(&security.admin_keys), at_http)),
        operations: http::operations(door, over_http),
    }
}

/// Where another door is for callers at a port that has both.
const HERE: &str = "this port too, by its content type";

/// Where a door is, as callers of another are told: a port, if it has one.
fn told(addresses: &[Address]) -> Arc<str> {
    match addresses.iter().find_map(Address::ip) {
        Some(address) => format!("port {}", address.port()).into(),
        None if addresses.is_empty() => "no port of this server".into(),
        None => "a Unix socket".into(),
    }
}
