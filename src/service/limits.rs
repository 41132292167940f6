//! The limits on one request, in size and in time.

use std::time::{Duration, Instant};

use crate::config::bodies::{largest_json, largest_message};

/// The limits on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The most texts.
    pub max_texts: usize,
    /// The longest text, in bytes of UTF-8.
    pub max_text_bytes: usize,
}

impl RequestLimits {
    /// The largest Protobuf message that a legal request can be, in bytes.
    pub fn max_message_bytes(&self) -> usize {
        largest_message(self.max_texts, self.max_text_bytes)
    }

    /// The largest JSON document that a legal request can be, in bytes.
    pub fn max_json_bytes(&self) -> usize {
        largest_json(self.max_texts, self.max_text_bytes)
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
