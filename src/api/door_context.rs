//! What the doors work with beside the service: how long calls may take, how large their messages may be, the room for their bodies, and
//! where calls are counted. One for all doors of a server; the service is asked for none of it.

use std::time::{Duration, Instant};

use super::body_budget::BodyBudget;
use crate::config::Settings;
use crate::config::bodies::{largest_json, largest_message};
use crate::service::limits::RequestLimits;
use crate::telemetry::metrics::Metrics;

/// What all doors of a server share.
pub struct DoorContext {
    /// How long calls may take.
    pub deadlines: Deadlines,
    /// The limits on one request, which are the service's too.
    pub limits: RequestLimits,
    /// The largest Protobuf message that a legal request can be, in bytes.
    pub max_message_bytes: usize,
    /// The largest JSON document that a legal request can be, in bytes.
    pub max_json_bytes: usize,
    /// The header whose value tells clients apart; none if connections do.
    pub client_header: Option<String>,
    /// The bound on the bytes of bodies, of all doors together.
    pub bodies: BodyBudget,
    /// Where calls are counted.
    pub metrics: Metrics,
}

impl DoorContext {
    /// What the settings say, for a service with these limits on one request.
    pub fn new(settings: &Settings, limits: RequestLimits, metrics: Metrics) -> Self {
        let RequestLimits {
            max_texts,
            max_text_bytes,
        } = limits;
        Self {
            deadlines: Deadlines {
                default_timeout: settings.default_timeout.0,
                max_timeout: settings.max_timeout.0,
            },
            limits,
            max_message_bytes: largest_message(max_texts, max_text_bytes),
            max_json_bytes: largest_json(max_texts, max_text_bytes),
            client_header: settings.client_header.clone(),
            bodies: BodyBudget::new(settings.room_size(), metrics.inflight_body_bytes()),
            metrics,
        }
    }
}

/// How long requests may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For a request that does not say.
    pub default_timeout: Duration,
    /// The longest that is kept.
    pub max_timeout: Duration,
}

impl Deadlines {
    /// The deadline of a request that arrived at `arrived` and asked for `timeout`, if it did.
    pub fn deadline(&self, arrived: Instant, timeout: Option<Duration>) -> Instant {
        arrived + timeout.unwrap_or(self.default_timeout).min(self.max_timeout)
    }
}
