//! Browsers: gRPC-Web at the HTTP port, which is translated to calls of gRPC, and CORS, by which browsers learn which
//! pages may call: `preflight` answers before a call, and headers of the answer say it again.

mod preflight;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method, Version, header};
use http_body_util::BodyExt;
use tonic_web::GrpcWebLayer;
use tower::{Layer, ServiceBuilder};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::api::call::{CACHE_HITS_HEADER, media_type};
use crate::api::call_layer::DoorRouter;
use crate::api::door::Door;
use crate::api::http::Surroundings;
use crate::api::http::layer::TIMEOUT_HEADER;
use crate::api::offers::Offer;
use crate::api::status::to_status;
use crate::config::origins::Origins;
use crate::error::Error;
use crate::telemetry::request_id::REQUEST_ID_HEADER;

/// How long a browser may keep the answer to its question whether a page may call.
const KEPT: std::time::Duration = std::time::Duration::from_hours(1);

/// Whether a call is gRPC itself.
pub fn is_grpc(request: &Request) -> bool {
    crate::api::http::layer::is_grpc(request.headers())
}

/// The content types of gRPC-Web, as they are spelled.
const GRPC_WEB: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

/// The content type of a call of gRPC-Web; absent for others.
fn grpc_web(request: &Request) -> Option<&'static str> {
    let given = media_type(request.headers());
    let posted = request.method() == Method::POST;
    GRPC_WEB
        .into_iter()
        .find(|known| posted && known.eq_ignore_ascii_case(given))
}

/// Whether a call is gRPC-Web. What only looks like it is left to the gateway, which says what is wrong.
fn is_grpc_web(request: &Request) -> bool {
    grpc_web(request).is_some()
}

/// The gateway as browsers may use it: with gRPC-Web, unless that is off, and for the pages of these origins.
pub fn from_browsers(
    gateway: DoorRouter,
    grpc: &DoorRouter,
    door: &Door,
    surroundings: Surroundings,
    origins: Option<&Origins>,
) -> DoorRouter {
    let mut router = gateway;
    if door.context.offers.has(Offer::GrpcWeb) {
        router = router.or_where(is_grpc_web, grpc.clone().within(&Translated));
    }
    let Some(origins) = origins else {
        return router;
    };
    let cors = cors(origins);
    // The library's layer would answer OPTIONS of any path and any origin.
    let called = router.clone().within(&cors);
    let asked = preflight::router(door, surroundings, origins, cors);
    called.or_where(preflight::is_options, router.or_where(preflight::is_preflight, asked))
}

/// Translates calls of gRPC-Web.
struct Translated;

impl Layer<DoorRouter> for Translated {
    type Service = tower::util::BoxCloneSyncService<Request, Response, std::convert::Infallible>;

    fn layer(&self, grpc: DoorRouter) -> Self::Service {
        // The translated call is one of gRPC in all but the connection that it came on.
        let of_ours = |mut request: http::Request<tonic::body::Body>| {
            *request.version_mut() = Version::HTTP_2;
            request.map(|body| Body::new(body.map_err(blamed)))
        };
        let grpc = ServiceBuilder::new().map_request(of_ours).service(grpc);
        let service = GrpcWebLayer::new().layer(grpc);
        let service = ServiceBuilder::new()
            .map_request(|mut request: Request| {
                // The translation knows one spelling, without parameters.
                if let Some(known) = grpc_web(&request) {
                    let known = HeaderValue::from_static(known);
                    request.headers_mut().insert(header::CONTENT_TYPE, known);
                }
                request
            })
            .map_response(|response: http::Response<tonic::body::Body>| response.map(Body::new))
            .service(service);
        tower::util::BoxCloneSyncService::new(service)
    }
}

/// A body that can't be translated, as the caller's mistake: the translation takes every failure for the server's.
fn blamed(status: tonic::Status) -> tonic::Status {
    if status.message().starts_with("tonic-web: ") {
        return to_status(&Error::unreadable("it is not one of gRPC-Web"), None);
    }
    status
}

/// The headers that let pages of these origins call, and read the answers.
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
