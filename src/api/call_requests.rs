//! The many requests of one call: of a stream, or of several tasks. Each is counted under a name of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::Call;
use super::call_spans;
use crate::error::Error;

impl Call {
    /// The same call, for one of its many requests, which has a span of its own.
    pub fn of_request(&self, name: &'static str, arrived: Instant) -> Self {
        Self {
            facts: Arc::clone(&self.facts),
            span: self.span.of_request(name, arrived),
        }
    }

    /// Counts such a request, and ends its span. Writes no log line.
    pub fn end_request(&self, name: &'static str, failure: Option<&Error>, took: Duration) {
        self.count_request(name, failure, took);
        self.span.end(|| call_spans::request_outcome(failure));
    }

    /// Counts one of many requests of a call, under a name of its own. Writes no log line.
    pub fn count_request(&self, name: &'static str, failure: Option<&Error>, took: Duration) {
        let doors = self.context.metrics.doors();
        doors.answered((self.door, name), failure, self.key.as_deref(), (took, self.span.is()));
    }
}
