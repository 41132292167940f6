//! What a failed call says: that the server has no room now, that it is gone, or that the request itself is at fault.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::cli::predict::refusal::Refusal;

/// What to do after a failed call.
pub enum Verdict {
    /// The server has no room now, and may say for how long.
    Later(Option<Duration>),
    /// The server took too long to have an answer.
    TooLong,
    /// The server is gone, or going.
    Gone,
    /// Another try would end the same.
    Final(Refusal),
}

/// Judges a failed call.
pub fn of(status: Status) -> Verdict {
    let reason = status.get_details_error_info().map(|info| info.reason);
    let pause = status.get_details_retry_info().and_then(|info| info.retry_delay);
    match (status.code(), &reason) {
        (Code::ResourceExhausted, _) if pause.is_some() => Verdict::Later(pause),
        // The request has more texts than the key may ever send at a time; fewer will do.
        (Code::ResourceExhausted, Some(reason)) if reason == "RATE_LIMITED" => {
            let mut refusal = Refusal::from(status);
            refusal.of_some = true;
            Verdict::Final(refusal)
        }
        (Code::DeadlineExceeded, _) => Verdict::TooLong,
        (Code::Unavailable, _) => Verdict::Gone,
        // Not from a server of ours: the connection broke, or what is between here and there.
        (Code::Unknown | Code::Internal | Code::Cancelled | Code::DataLoss | Code::Aborted, None) => Verdict::Gone,
        _ => Verdict::Final(Refusal::from(status)),
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn judged(code: Code, reason: Option<&str>, pause: Option<Duration>) -> &'static str {
        let mut details = ErrorDetails::new();
        if let Some(reason) = reason {
            details.set_error_info(reason, "tandem.v1", []);
        }
        if pause.is_some() {
            details.set_retry_info(pause);
        }
        match of(Status::with_error_details(code, "", details)) {
            Verdict::Later(said) => {
                assert_eq!(said, pause);
                "later"
            }
            Verdict::TooLong => "too long",
            Verdict::Gone => "gone",
            Verdict::Final(refusal) if refusal.of_some => "in smaller requests",
            Verdict::Final(_) => "final",
        }
    }

    #[test]
    fn each_failure_is_what_the_table_of_errors_says() {
        let pause = Some(Duration::from_millis(40));
        for (code, reason, pause, expected) in [
            (Code::ResourceExhausted, Some("QUEUE_FULL"), pause, "later"),
            (Code::ResourceExhausted, Some("RATE_LIMITED"), pause, "later"),
            (
                Code::ResourceExhausted,
                Some("RATE_LIMITED"),
                None,
                "in smaller requests",
            ),
            (
                Code::ResourceExhausted,
                Some("MESSAGE_TOO_LARGE"),
                None,
                "in smaller requests",
            ),
            (Code::ResourceExhausted, None, None, "final"),
            (Code::DeadlineExceeded, Some("DEADLINE_EXCEEDED"), None, "too long"),
            (Code::Unavailable, Some("SERVER_DRAINING"), None, "gone"),
            (Code::Unavailable, None, None, "gone"),
            (Code::Unknown, None, None, "gone"),
            (Code::Internal, None, None, "gone"),
            (Code::Internal, Some("INFERENCE_FAILED"), None, "in smaller requests"),
            (Code::Internal, Some("INTERNAL"), None, "final"),
            (Code::NotFound, Some("TASK_NOT_FOUND"), None, "final"),
            (Code::Unauthenticated, Some("UNAUTHENTICATED"), None, "final"),
        ] {
            assert_eq!(judged(code, reason, pause), expected, "{code:?} {reason:?}");
        }
    }
}
