//! Routers of the doors, each of which tells callers of another where that is.

use std::sync::Arc;

use super::ports::Addresses;
use super::security::Security;
use crate::api::call_layer::DoorRouter;
use crate::api::door::Door;
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
    let at_grpc = told(addresses.and_then(|addresses| addresses.grpc.first()));
    let at_http = told(addresses.and_then(|addresses| addresses.http.first()));
    let over_http = http::Surroundings {
        keys: Arc::clone(&security.keys),
        grpc: at_grpc,
    };
    let grpc = grpc::router(door.clone(), surroundings(Arc::clone(&security.keys), at_http.clone()));
    let gateway = http::gateway(door.clone(), over_http.clone());
    Routers {
        http: web::from_browsers(gateway, &grpc, &door, origins),
        grpc,
        admin: grpc::admin_router(door.clone(), surroundings(Arc::clone(&security.admin_keys), at_http)),
        operations: http::operations(door, over_http),
    }
}

/// Where a door is, as callers of another are told.
fn told(address: Option<&Address>) -> Arc<str> {
    match address {
        Some(Address::Ip(address)) => format!("port {}", address.port()).into(),
        Some(_) => "a Unix socket".into(),
        None => "no port of this server".into(),
    }
}
