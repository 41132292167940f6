//! Door context: what all doors of a server share besides the service: how long calls may take, how large messages may
//! be, the room for bodies, and the metrics. The doors don't ask the service for any of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::body_budget::BodyBudget;
use super::offers::Offers;
use super::orca::reports::LoadReports;
use crate::config::Settings;
use crate::config::bodies::{largest_json, largest_message};
use crate::service::limits::RequestLimits;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::spans::Spans;

pub struct DoorContext {
    pub deadlines: Deadlines,
    /// The limits on one request, the same as the service's.
    pub limits: RequestLimits,
    /// The size of the largest Protobuf message that a valid request can have, in bytes.
    pub max_message_bytes: usize,
    /// The size of the largest JSON document that a valid request can have, in bytes.
    pub max_json_bytes: usize,
    /// The header whose value tells clients apart; absent if connections do.
    pub client_header: Option<String>,
    /// What the doors offer besides Tandem's own API.
    pub offers: Offers,
    /// The bound on the bytes of bodies.
    pub bodies: BodyBudget,
    pub metrics: Metrics,
    /// The share of answered calls that get a line in the log, from 0 to 1.
    pub access_log: f64,
    /// What is told of the load; absent where that is off.
    pub load_reports: Option<Arc<LoadReports>>,
    /// Where spans go; nowhere where tracing is off.
    pub spans: Spans,
}

impl DoorContext {
    /// By the settings, for a service with these limits on one request.
    pub fn new(settings: &Settings, limits: RequestLimits, metrics: Metrics) -> Self {
        let RequestLimits {
            max_texts,
            max_text_bytes,
        } = limits;
        metrics.set_inflight_body_limit(settings.body_room());
        Self {
            deadlines: Deadlines {
                default_timeout: settings.default_timeout.0,
                max_timeout: settings.max_timeout.0,
            },
            limits,
            max_message_bytes: largest_message(max_texts, max_text_bytes),
            max_json_bytes: largest_json(max_texts, max_text_bytes),
            client_header: settings.client_header.clone(),
            offers: Offers::new(settings),
            bodies: BodyBudget::new(settings.room_size(), metrics.inflight_body_bytes()),
            metrics,
            access_log: settings.access_log,
            load_reports: LoadReports::new(settings).map(Arc::new),
            spans: None,
        }
    }
}

/// The limits on the time of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// The time of a request whose caller says none.
    pub default_timeout: Duration,
    /// The longest time that a caller gets.
    pub max_timeout: Duration,
}

impl Deadlines {
    /// The deadline of a request that arrived at `arrived` and whose caller allows `timeout`, if it says so.
    pub fn deadline(&self, arrived: Instant, timeout: Option<Duration>) -> Instant {
        arrived + timeout.unwrap_or(self.default_timeout).min(self.max_timeout)
    }
}
