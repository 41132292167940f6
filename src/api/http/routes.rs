//! Routes of the HTTP doors: one table, by which requests are routed, named in metrics, and admitted. A protocol of
//! others has a table of its own in its folder, which `TABLES` names.

use std::sync::Arc;

use axum::Router;
use axum::extract::Extension;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderValue, Method, Uri, header};

use super::error::HttpError;
use super::route::Route;
use super::{explain, models, operations, page, predict, simple_predict};
use crate::api::call::Call;
use crate::api::door::Door;
use crate::api::offers::Offers;
use crate::api::open_inference::rest;
use crate::api::{classify, connect, kserve_v1, tei};
use crate::error::{Error, Reason};

/// The path of the metrics.
pub const METRICS: &str = "/metrics";

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
    Route::new("GET", METRICS, || get(operations::metrics)).for_operators(),
];

/// The tables of all that the HTTP port offers. Where two templates fit a path, the earlier one counts.
static TABLES: [&[Route]; 7] = [
    &OWN,
    &rest::ROUTES,
    &tei::http::TABLE,
    &classify::routes::TABLE,
    &kserve_v1::TABLE,
    &connect::ROUTES,
    &page::TABLE,
];

/// All routes, whether they are switched on or not.
pub fn all() -> impl Iterator<Item = &'static Route> {
    TABLES.iter().copied().flatten()
}

/// The paths whose answers are counted as requests, of those that are switched on.
pub fn names(offers: &Offers) -> impl Iterator<Item = &'static str> {
    let offered = all().filter(|route| route.is_offered(offers));
    let counted = offered.filter(|route| !route.is_probe() && route.path != METRICS);
    counted.map(|route| route.path)
}

/// The route of a request; `None` for an unknown path. A path that does not take the method still has its name, key and
/// form. Knows all paths, also those that a port lacks.
pub fn find(method: &Method, path: &str) -> Option<&'static Route> {
    let of_path = || all().filter(|route| route.matches(path));
    let exact = of_path().find(|route| route.method == method);
    exact.or_else(|| best(of_path()))
}

/// For an unknown path the route that it is most like: the one that shares most of its first parts, and one at least.
pub fn nearest(path: &str) -> Option<&'static Route> {
    let shared = |route: &Route| {
        let parts = route.path.split('/').zip(path.split('/'));
        parts
            .take_while(|(part, given)| part.starts_with('{') || part == given)
            .count()
    };
    // Before the first stroke there is nothing, which all share.
    let like = all()
        .map(|route| (shared(route), route))
        .filter(|(shared, _)| *shared > 1);
    let most = like.reduce(|best, other| if other.0 > best.0 { other } else { best });
    most.map(|(_, route)| route)
}

/// Of the routes of a path the one that knows most of it.
fn best(of_path: impl Iterator<Item = &'static Route>) -> Option<&'static Route> {
    of_path.reduce(|best, route| {
        if route.has_verb() && !best.has_verb() {
            route
        } else {
            best
        }
    })
}

/// A router of the paths that are offered and that `has` picks.
pub fn router(offers: &Offers, has: impl Fn(&Route) -> bool) -> Router<Door> {
    let there: Arc<[&'static Route]> = all().filter(|route| route.is_offered(offers) && has(route)).collect();
    let router = there.iter().fold(Router::new(), |router, route| {
        router.route(&route.template(), route.handler())
    });
    router.fallback(no_such_path).method_not_allowed_fallback(
        async move |method: Method, uri: Uri, Extension(call): Extension<Call>| {
            method_not_allowed(&method, &allowed(&there, uri.path()), call)
        },
    )
}

/// The methods that a path takes. The router knows less: for it `{name}` and `{name}:verb` are one.
fn allowed(there: &[&'static Route], path: &str) -> String {
    let of_path = || there.iter().copied().filter(|route| route.matches(path));
    let has_verb = best(of_path()).is_some_and(Route::has_verb);
    let methods = of_path().filter(|route| route.has_verb() == has_verb);
    let methods: Vec<&str> = methods
        .flat_map(|route| match route.method {
            // A route that can be read has a head.
            "GET" => &["GET", "HEAD"][..],
            _ => std::slice::from_ref(&route.method),
        })
        .copied()
        .collect();
    methods.join(",")
}

async fn no_such_path(Extension(call): Extension<Call>) -> Response {
    let paths: Vec<String> = OWN
        .iter()
        .map(|Route { method, path, .. }| format!("{method} {path}"))
        .collect();
    let problem = format!(
        "there is no such path; a gateway has {}, and those of other protocols, which /openapi.json tells",
        paths.join(", ")
    );
    let error = Error::new(Reason::MethodNotFound, problem);
    HttpError { error, call }.into_response()
}

fn method_not_allowed(method: &Method, allowed: &str, call: Call) -> Response {
    let problem = if method == Method::OPTIONS {
        "this path does not take OPTIONS: pages of other origins may call only where cors_origins names them"
    } else {
        "this path does not take this method; see /openapi.json"
    };
    let error = Error::new(Reason::MethodNotAllowed, problem);
    let mut response = HttpError { error, call }.into_response();
    let allowed = HeaderValue::from_str(allowed).expect("methods of our tables");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_the_method_keeps_its_name() {
        let name = |method: Method, path| find(&method, path).map(|route| route.path);
        assert_eq!(name(Method::DELETE, "/v1/models/a"), Some("/v1/models/{name}"));
        assert_eq!(name(Method::GET, "/v1/models/a"), Some("/v1/models/{name}"));
        assert_eq!(name(Method::GET, "/v1/other"), None);
        assert_eq!(name(Method::POST, "/v1/models/a"), Some("/v1/models/{name}"));
        for path in ["/v1/models/a:predict", "/v1/models/a%3Apredict"] {
            assert_eq!(name(Method::DELETE, path), Some("/v1/models/{name}:predict"), "{path}");
        }
    }

    #[test]
    fn a_path_with_a_verb_takes_the_methods_of_that_alone() {
        let there: Vec<&Route> = all().collect();
        for (path, methods) in [
            ("/v1/models/a", "GET,HEAD"),
            ("/v1/models/a:predict", "POST"),
            ("/v1/models/a%3Apredict", "POST"),
            ("/", "POST,GET,HEAD"),
            ("/page", "GET,HEAD,POST"),
        ] {
            assert_eq!(allowed(&there, path), methods, "{path}");
        }
    }

    #[test]
    fn an_unknown_path_is_most_like_those_that_begin_as_it_does() {
        for (path, like) in [
            ("/v2/modles", Some("/v2")),
            ("/v2/models/a/stats", Some("/v2/models/{name}/ready")),
            (
                "/tandem.v1.PredictionService/Predictt",
                Some("/tandem.v1.PredictionService/Predict"),
            ),
            ("/v1/other", Some("/v1/predict")),
            ("/embed", None),
        ] {
            let found = nearest(path);
            // Which one of several is as good does not matter: they have one form.
            let form = |route: &Route| route.form.map(|form| form as usize);
            let expected = like.map(|like| all().find(|route| route.path == like).expect("a route"));
            assert_eq!(found.map(form), expected.map(form), "{path}");
        }
    }
}
