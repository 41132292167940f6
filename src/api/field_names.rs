//! Field names: an error of the service in the words of a protocol whose fields have other names.

use crate::error::{Error, FieldViolation};

/// Renames the fields of an error. `names` gives for the beginning of the service's name the protocol's: `texts` →
/// `inputs` makes `inputs[3]` of `texts[3]`. A field that begins with none of them keeps its name.
pub fn renamed(error: Error, names: &[(&str, &str)]) -> Error {
    if error.violations.is_empty() {
        return error;
    }
    let violations = error
        .violations
        .into_iter()
        .map(|FieldViolation { field, description }| {
            let new = names
                .iter()
                .find_map(|(ours, theirs)| Some(format!("{theirs}{}", field.strip_prefix(ours)?)));
            FieldViolation {
                field: new.unwrap_or(field),
                description,
            }
        });
    Error {
        reason: error.reason,
        retry_after: error.retry_after,
        facts: error.facts,
        ..Error::invalid_fields(violations.collect())
    }
}
