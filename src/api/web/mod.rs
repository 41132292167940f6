//! Browsers: gRPC-Web at the HTTP port, which is translated to calls of gRPC, and CORS, by which browsers learn which
//! pages may call.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method, Version, header};
use tonic_web::GrpcWebLayer;
use tower::{Layer, ServiceBuilder};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::api::call::{CACHE_HITS_HEADER, media_type};
use crate::api::call_layer::DoorRouter;
use crate::api::door::Door;
use crate::api::http::layer::TIMEOUT_HEADER;
use crate::api::offers::Offer;
use crate::config::origins::Origins;
use crate::telemetry::request_id::REQUEST_ID_HEADER;

/// How long a browser may keep the answer to its question whether a page may call.
const KEPT: std::time::Duration = std::time::Duration::from_hours(1);

/// Whether a call is gRPC itself.
pub fn is_grpc(request: &Request) -> bool {
    crate::api::http::layer::is_grpc(request.headers())
}

/// Whether a call is gRPC-Web.
fn is_grpc_web(request: &Request) -> bool {
    let media_type = media_type(request.headers()).to_ascii_lowercase();
    media_type.starts_with("application/grpc-web")
}

/// The gateway as browsers may use it: with gRPC-Web, unless that is off, and for the pages of these origins.
pub fn from_browsers(gateway: DoorRouter, grpc: &DoorRouter, door: &Door, origins: Option<&Origins>) -> DoorRouter {
    let mut router = gateway;
    if door.context.offers.has(Offer::GrpcWeb) {
        router = router.or_where(is_grpc_web, grpc.clone().within(&Translated));
    }
    match origins {
        Some(origins) => router.within(&cors(origins)),
        None => router,
    }
}

/// Translates calls of gRPC-Web.
struct Translated;

impl Layer<DoorRouter> for Translated {
    type Service = tower::util::BoxCloneSyncService<Request, Response, std::convert::Infallible>;

    fn layer(&self, grpc: DoorRouter) -> Self::Service {
        // The translated call is one of gRPC in all but the connection that it came on.
        let of_ours = |mut request: http::Request<tonic::body::Body>| {
            *request.version_mut() = Version::HTTP_2;
            request.map(Body::new)
        };
        let grpc = ServiceBuilder::new().map_request(of_ours).service(grpc);
        let service = GrpcWebLayer::new().layer(grpc);
        let service = ServiceBuilder::new()
            .map_response(|response: http::Response<tonic::body::Body>| response.map(Body::new))
            .service(service);
        tower::util::BoxCloneSyncService::new(service)
    }
}

/// The answers to browsers that ask which pages may call. They have no key, so they come before keys are asked for.
fn cors(origins: &Origins) -> CorsLayer {
    let allowed = if origins.has_all() {
        AllowOrigin::any()
    } else {
        let named = origins
            .named()
            .iter()
            .filter_map(|origin| HeaderValue::from_str(origin).ok());
        AllowOrigin::list(named)
    };
    let name = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            REQUEST_ID_HEADER.clone(),
            TIMEOUT_HEADER.clone(),
            name("x-grpc-web"),
            name("x-user-agent"),
            name("grpc-timeout"),
            name("connect-protocol-version"),
            name("connect-timeout-ms"),
            name("traceparent"),
            name("tracestate"),
        ])
        .expose_headers([
            REQUEST_ID_HEADER.clone(),
            header::RETRY_AFTER,
            name("grpc-status"),
            name("grpc-message"),
            name("grpc-status-details-bin"),
            name("grpc-retry-pushback-ms"),
            name(CACHE_HITS_HEADER),
        ])
        .max_age(KEPT)
}
