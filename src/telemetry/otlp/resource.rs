//! Who sends: what this server is, for the collector.

use std::sync::LazyLock;

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;

use crate::telemetry::variables::variable;

/// The same for spans and for log lines of one process.
static INSTANCE: LazyLock<String> = LazyLock::new(|| uuid::Uuid::new_v4().to_string());

/// The sender by the variables, and by what this program knows of itself where they say nothing.
pub(super) fn resource() -> Resource {
    let found = Resource::builder().build();
    let has = |name: &'static str| found.get(&Key::from_static_str(name)).is_some();
    let mut builder = Resource::builder();
    if !has("service.version") {
        builder = builder.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    }
    if !has("service.instance.id") {
        builder = builder.with_attribute(KeyValue::new("service.instance.id", INSTANCE.clone()));
    }
    let name = found.get(&Key::from_static_str("service.name"));
    // The library lets OTEL_RESOURCE_ATTRIBUTES win over OTEL_SERVICE_NAME, which the specification has the other way round.
    if let Some(name) = variable("OTEL_SERVICE_NAME") {
        builder = builder.with_service_name(name);
    } else if name.is_none_or(|name| name.as_str().starts_with("unknown_service")) {
        builder = builder.with_service_name("tandem");
    }
    builder.build()
}
