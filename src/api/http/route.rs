//! Route: one path of the HTTP doors, and all that is known of it before it is reached. Knows no table and no handler.

use axum::routing::MethodRouter;
use percent_encoding::percent_decode_str;

use super::error::ErrorForm;
use crate::api::call::Access;
use crate::api::door::Door;
use crate::api::offers::{Offer, Offers};

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

    /// The same path at the port for operators too.
    pub const fn for_operators(self) -> Self {
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

    /// Whether it asks for health. The page is open to all too, but is none.
    pub fn is_probe(&self) -> bool {
        self.access == Access::Open && self.offer != Some(Offer::Page)
    }

    /// What answers it.
    pub fn handler(&self) -> MethodRouter<Door> {
        (self.handler)()
    }

    /// The path as axum routes it, which knows parameters of whole parts only: what follows one in its part is left out,
    /// and its handler sees it.
    pub fn template(&self) -> String {
        let parts = self.path.split('/').map(|part| match part.split_once('}') {
            Some((name, _)) => format!("{name}}}"),
            None => part.to_owned(),
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Whether a path is one of this route's.
    pub fn matches(&self, path: &str) -> bool {
        let mut given = path.split('/');
        let fits = self.path.split('/').all(|part| {
            given.next().is_some_and(|given| match part.split_once('}') {
                Some((_, "")) => !given.is_empty(),
                // What follows the parameter may be escaped as it may.
                Some((_, end)) => {
                    let given = percent_decode_str(given).decode_utf8_lossy();
                    given.len() > end.len() && given.ends_with(end)
                }
                None => given == part,
            })
        });
        fits && given.next().is_none()
    }

    /// Whether its path says more than a parameter does where that stands, and so counts before one that does not.
    pub fn has_verb(&self) -> bool {
        self.path.contains("}:")
    }

    /// Whether it belongs to what is switched on.
    pub fn is_offered(&self, offers: &Offers) -> bool {
        self.offer.is_none_or(|offer| offers.has(offer))
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    #[test]
    fn a_template_stands_for_one_part_of_a_path() {
        let route = |path| Route::new("GET", path, || get(async || ()));
        for (template, path, fits) in [
            ("/v1/models", "/v1/models", true),
            ("/v1/models", "/v1/models/", false),
            ("/v1/models/{name}", "/v1/models/a", true),
            ("/v1/models/{name}", "/v1/models/", false),
            ("/v1/models/{name}", "/v1/models/a/b", false),
            ("/v1/models/{name}:predict", "/v1/models/a:predict", true),
            ("/v1/models/{name}:predict", "/v1/models/a%3Apredict", true),
            ("/v1/models/{name}:predict", "/v1/models/a%3apredic%74", true),
            ("/v1/models/{name}:predict", "/v1/models/:predict", false),
            ("/v1/models/{name}:predict", "/v1/models/%3Apredict", false),
            ("/v1/models/{name}:predict", "/v1/models/a", false),
            ("/v2/models/{name}/infer", "/v2/models/a/infer", true),
            ("/v2/models/{name}/infer", "/v2/models/a/ready", false),
            ("/", "/", true),
            ("/", "/a", false),
        ] {
            assert_eq!(route(template).matches(path), fits, "{template} {path}");
        }
        assert_eq!(route("/v1/models/{name}:predict").template(), "/v1/models/{name}");
        assert_eq!(route("/v2/models/{name}/infer").template(), "/v2/models/{name}/infer");
    }
}
