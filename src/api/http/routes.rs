//! Routes of the HTTP doors: one table, by which requests are routed, named in metrics, and admitted.

use axum::Router;
use axum::extract::Extension;
use axum::routing::{MethodRouter, get, post};
use http::Method;

use super::error::HttpError;
use super::{explain, models, operations, predict, simple_predict};
use crate::api::call::{Access, Call};
use crate::api::door::Door;
use crate::error::{Error, Reason};

/// A path, and what answers it.
pub struct Route {
    pub method: &'static str,
    /// The path, which is also its name in logs and metrics.
    pub path: &'static str,
    pub access: Access,
    /// Whether the port for operators has it too.
    pub for_operators: bool,
    handler: fn() -> MethodRouter<Door>,
}

impl Route {
    /// A path of the gateway that needs a key.
    const fn new(method: &'static str, path: &'static str, handler: fn() -> MethodRouter<Door>) -> Self {
        Self {
            method,
            path,
            access: Access::Keyed,
            for_operators: false,
            handler,
        }
    }

    const fn for_operators(self) -> Self {
        Self {
            for_operators: true,
            ..self
        }
    }

    /// The same path without a key, since probes have none.
    const fn open_to_all(self) -> Self {
        Self {
            access: Access::Open,
            ..self
        }
    }
}

/// The only path with a variable part.
const MODEL_PATH: &str = "/v1/models/{name}";

pub static ROUTES: [Route; 9] = [
    Route::new("POST", "/predict", || post(simple_predict::predict)),
    Route::new("POST", "/v1/predict", || post(predict::predict)),
    Route::new("POST", "/v1/explain", || post(explain::explain)),
    Route::new("GET", "/v1/models", || get(models::list)),
    Route::new("GET", MODEL_PATH, || get(models::get)),
    Route::new("GET", "/openapi.json", || get(operations::openapi)),
    Route::new("GET", "/healthz", || get(operations::healthz))
        .for_operators()
        .open_to_all(),
    Route::new("GET", "/readyz", || get(operations::readyz))
        .for_operators()
        .open_to_all(),
    Route::new("GET", "/metrics", || get(operations::metrics)).for_operators(),
];

/// The route of a path; `None` for an unknown one. Knows all paths, also on the port for operators, which lacks some.
pub fn find(path: &str) -> Option<&'static Route> {
    let is_model = |route: &Route| route.path == MODEL_PATH && path.starts_with("/v1/models/");
    ROUTES.iter().find(|route| route.path == path || is_model(route))
}

/// A router of the paths that `has` picks.
pub fn router(has: impl Fn(&Route) -> bool) -> Router<Door> {
    let routes = ROUTES.iter().filter(|route| has(route));
    routes
        .fold(Router::new(), |router, route| {
            router.route(route.path, (route.handler)())
        })
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
}

async fn no_such_path(Extension(call): Extension<Call>) -> HttpError {
    let paths: Vec<String> = ROUTES
        .iter()
        .map(|Route { method, path, .. }| format!("{method} {path}"))
        .collect();
    let problem = format!("there is no such path; a gateway has {}", paths.join(", "));
    HttpError {
        error: Error::new(Reason::MethodNotFound, problem),
        call,
    }
}

async fn method_not_allowed(method: Method, Extension(call): Extension<Call>) -> HttpError {
    let problem = if method == Method::OPTIONS {
        "this path does not take OPTIONS: requests of browsers from other origins (CORS) need a proxy in front that answers it"
    } else {
        "this path does not take this method; see /openapi.json"
    };
    HttpError {
        error: Error::new(Reason::MethodNotAllowed, problem),
        call,
    }
}
