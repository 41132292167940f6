//! Why a request was not answered, here or by a server, and which of its texts are at fault.

use tonic_types::StatusExt;

use crate::cli::client::describe;
use crate::error::{Error, Reason};

/// Why a request was not answered.
pub struct Refusal {
    /// The message about the whole request.
    pub message: String,
    /// The texts at fault, by their positions in the request, with what is wrong.
    pub rows: Vec<(usize, String)>,
    /// Whether the fault may be in one text, or in their number, so that smaller requests could be answered.
    pub of_some: bool,
}

impl Refusal {
    /// That of a whole request, which is no better with fewer texts.
    pub fn whole(message: String) -> Self {
        Self {
            message,
            rows: Vec::new(),
            of_some: false,
        }
    }

    fn new<'a>(message: String, of_some: bool, fields: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut rows, mut too_many) = (Vec::new(), false);
        for (field, problem) in fields {
            let place = field.strip_suffix(']').and_then(|field| {
                let pair = field.strip_prefix("text_pairs[");
                pair.or_else(|| field.strip_prefix("texts["))?.parse().ok()
            });
            match place {
                Some(place) => rows.push((place, format!("the text {problem}"))),
                None if field == "texts" && problem.contains("the limit is") => too_many = true,
                // The scores of all texts are too large for one answer; those of fewer texts may not be.
                None if field == "top_k" => too_many = true,
                // The fault is in another field, so every request would be refused.
                None => return Self::whole(message),
            }
        }
        Self {
            message,
            rows,
            of_some: of_some || too_many,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let of_some = matches!(error.reason, Reason::InferenceFailed | Reason::MessageTooLarge);
        let fields = error.violations.iter();
        let fields = fields.map(|violation| (violation.field.as_str(), violation.description.as_str()));
        Self::new(error.to_string(), of_some, fields)
    }
}

impl From<tonic::Status> for Refusal {
    fn from(status: tonic::Status) -> Self {
        let reason = status
            .get_details_error_info()
            .map(|info| info.reason)
            .unwrap_or_default();
        let of_some = [Reason::InferenceFailed, Reason::MessageTooLarge]
            .map(Reason::name)
            .contains(&&*reason);
        let request = status.get_details_bad_request();
        let fields = request.iter().flat_map(|request| &request.field_violations);
        let fields = fields.map(|violation| (violation.field.as_str(), violation.description.as_str()));
        Self::new(describe(&status), of_some, fields)
    }
}
