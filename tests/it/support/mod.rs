//! The harness: servers, clients, texts, and models to break.

pub mod certificates;
pub mod frames;
pub mod h2_bytes;
pub mod http;
pub mod models;
pub mod reviews;
pub mod server;
pub mod stage;

use std::path::{Path, PathBuf};

use tandem::api::pb;
use tonic::{Code, Status};
use tonic_types::StatusExt;

pub use http::HttpClient;
pub use server::TestServer;

/// A client of the prediction service.
pub type Client = pb::prediction_service_client::PredictionServiceClient<tonic::transport::Channel>;

/// A client of the admin API.
pub type AdminClient = pb::admin_service_client::AdminServiceClient<tonic::transport::Channel>;

/// The repository of the sources.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shipped models.
pub fn shipped_models() -> PathBuf {
    root().join("models")
}

/// A request for `texts` by the fast model.
pub fn fast(texts: &[&str]) -> pb::PredictRequest {
    by_route(pb::Route::Fast, texts)
}

/// A request for `texts` by the deep model.
pub fn deep(texts: &[&str]) -> pb::PredictRequest {
    by_route(pb::Route::Deep, texts)
}

/// A request for `texts` by a route.
pub fn by_route(route: pb::Route, texts: &[&str]) -> pb::PredictRequest {
    pb::PredictRequest {
        texts: texts.iter().map(|&text| text.to_owned()).collect(),
        route: route.into(),
        ..pb::PredictRequest::default()
    }
}

/// What a client reads from a failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The code.
    pub code: Code,
    /// `ErrorInfo.reason`.
    pub reason: String,
    /// The fields of `BadRequest`.
    pub fields: Vec<String>,
    /// `ErrorInfo.metadata.limit_bytes`.
    pub limit_bytes: Option<String>,
    /// The message.
    pub message: String,
}

impl Refusal {
    /// Reads the details of a status.
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        Self {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
            fields: details
                .bad_request()
                .map(|bad| bad.field_violations.iter().map(|field| field.field.clone()).collect())
                .unwrap_or_default(),
            limit_bytes: info.and_then(|info| info.metadata.get("limit_bytes").cloned()),
            message: status.message().to_owned(),
        }
    }
}
