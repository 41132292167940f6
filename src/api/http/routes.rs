//! Routes of the HTTP doors: one table, by which requests are routed, named in metrics, and admitted. A protocol of
//! others has a table of its own in its folder, which [`TABLES`] names.

use axum::Router;
use axum::extract::Extension;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::Method;

use super::error::{ErrorForm, HttpError};
use super::{explain, models, operations, predict, simple_predict};
use crate::api::call::{Access, Call};
use crate::api::door::Door;
use crate::api::offers::{Offer, Offers};
use crate::error::{Error, Reason};

/// A method and a path, and what answers it.
pub struct Route {
    pub method: &'static str,
    /// The path, which is also its name in logs and metrics. `{name}` stands for any one part, `{name}:verb` for one
    /// that ends so.
    pub path: &'static str,
    pub access: Access,
    /// Whether the port for operators has it too.
    pub for_operators: bool,
    /// What it belongs to, if that can be switched off.
    pub offer: Option<Offer>,
    /// How its failures are told; `None` for Tandem's own form.
    pub form: Option<ErrorForm>,
    handler: fn() -> MethodRouter<Door>,
}

impl Route {
    /// A path of the gateway that needs a key.
    pub const fn new(method: &'static str, path: &'static str, handler: fn() -> MethodRouter<Door>) -> Self {
        Self {
            method,
            path,
            access: Access::Keyed,
            for_operators: false,
            offer: None,
            form: None,
            handler,
        }
    }

    /// The same path as a part of `offer`, with failures told in its form.
    pub const fn of(self, offer: Offer, form: ErrorForm) -> Self {
        Self {
            offer: Some(offer),
            form: Some(form),
            ..self
        }
    }

    const fn for_operators(self) -> Self {
        Self {
            for_operators: true,
            ..self
        }
    }

    /// The same path without a key, since probes have none.
    pub const fn open_to_all(self) -> Self {
        Self {
            access: Access::Open,
            ..self
        }
    }

    /// Whether a path is one of this route's.
    fn matches(&self, path: &str) -> bool {
        let mut given = path.split('/');
        let fits = self.path.split('/').all(|part| {
            given.next().is_some_and(|given| match part.split_once('}') {
                Some((_, end)) => given.len() > end.len() && given.ends_with(end),
                None => given == part,
            })
        });
        fits && given.next().is_none()
    }

    fn is_offered(&self, offers: &Offers) -> bool {
        self.offer.is_none_or(|offer| offers.has(offer))
    }
}

static OWN: [Route; 9] = [
    Route::new("POST", "/predict", || post(simple_predict::predict)),
    Route::new("POST", "/v1/predict", || post(predict::predict)),
    Route::new("POST", "/v1/explain", || post(explain::explain)),
    Route::new("GET", "/v1/models", || get(models::list)),
    Route::new("GET", "/v1/models/{name}", || get(models::get)),
    Route::new("GET", "/openapi.json", || get(operations::openapi)),
    Route::new("GET", "/healthz", || get(operations::healthz))
        .for_operators()
        .open_to_all(),
    Route::new("GET", "/readyz", || get(operations::readyz))
        .for_operators()
        .open_to_all(),
    Route::new("GET", "/metrics", || get(operations::metrics)).for_operators(),
];

/// The tables of all that the HTTP port offers. Where two templates fit a path, the earlier one counts.
static TABLES: [&[Route]; 1] = [&OWN];

/// All routes, whether they are switched on or not.
pub fn all() -> impl Iterator<Item = &'static Route> {
    TABLES.iter().copied().flatten()
}

/// The route of a request; `None` for an unknown path. A path that does not take the method still has its name, key and
/// form. Knows all paths, also those that a port lacks.
pub fn find(method: &Method, path: &str) -> Option<&'static Route> {
    let mut of_path = all().filter(|route| route.matches(path)).peekable();
    let first = of_path.peek().copied();
    of_path.find(|route| route.method == method).or(first)
}

/// A router of the paths that are offered and that `has` picks.
pub fn router(offers: &Offers, has: impl Fn(&Route) -> bool) -> Router<Door> {
    let routes = all().filter(|route| route.is_offered(offers) && has(route));
    routes
        .fold(Router::new(), |router, route| {
            router.route(route.path, (route.handler)())
        })
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
}

async fn no_such_path(Extension(call): Extension<Call>) -> Response {
    let paths: Vec<String> = OWN
        .iter()
        .map(|Route { method, path, .. }| format!("{method} {path}"))
        .collect();
    let problem = format!("there is no such path; a gateway has {}", paths.join(", "));
    let error = Error::new(Reason::MethodNotFound, problem);
    HttpError { error, call }.into_response()
}

async fn method_not_allowed(method: Method, Extension(call): Extension<Call>) -> Response {
    let problem = if method == Method::OPTIONS {
        "this path does not take OPTIONS: requests of browsers from other origins (CORS) need a proxy in front that answers it"
    } else {
        "this path does not take this method; see /openapi.json"
    };
    let error = Error::new(Reason::MethodNotAllowed, problem);
    HttpError { error, call }.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_stands_for_one_part_of_a_path() {
        let route = |path| Route::new("GET", path, || get(models::list));
        for (template, path, fits) in [
            ("/v1/models", "/v1/models", true),
            ("/v1/models", "/v1/models/", false),
            ("/v1/models/{name}", "/v1/models/a", true),
            ("/v1/models/{name}", "/v1/models/", false),
            ("/v1/models/{name}", "/v1/models/a/b", false),
            ("/v2/models/{name}/infer", "/v2/models/a/infer", true),
            ("/v2/models/{name}/infer", "/v2/models/a/ready", false),
            ("/", "/", true),
            ("/", "/a", false),
        ] {
            assert_eq!(route(template).matches(path), fits, "{template} {path}");
        }
    }

    #[test]
    fn a_path_without_the_method_keeps_its_name() {
        let name = |method: Method, path| find(&method, path).map(|route| route.path);
        assert_eq!(name(Method::DELETE, "/v1/models/a"), Some("/v1/models/{name}"));
        assert_eq!(name(Method::GET, "/v1/models/a"), Some("/v1/models/{name}"));
        assert_eq!(name(Method::GET, "/v1/other"), None);
    }
}
