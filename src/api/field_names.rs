//! Field names: an error of the service in the words of a protocol whose fields have other names.

use crate::error::{Error, FieldViolation};

/// Renames the fields of an error: of its violations, or, where it has none, the one that its message begins with. `names`
/// gives for the beginning of the service's name the protocol's: `texts` → `inputs` makes `inputs[3]` of `texts[3]`. A field
/// that begins with none of them keeps its name.
pub fn renamed(error: Error, names: &[(&str, &str)]) -> Error {
    let new = |field: &str| {
        names
            .iter()
            .find_map(|(ours, theirs)| Some(format!("{theirs}{}", field.strip_prefix(ours)?)))
    };
    if error.violations.is_empty() {
        let said = error.message.split_once(": ");
        let message = said.and_then(|(field, problem)| Some(format!("{}: {problem}", new(field)?)));
        return Error {
            message: message.unwrap_or(error.message),
            ..error
        };
    }
    let violations = error
        .violations
        .into_iter()
        .map(|FieldViolation { field, description }| FieldViolation {
            field: new(&field).unwrap_or(field),
            description,
        });
    Error {
        reason: error.reason,
        retry_after: error.retry_after,
        facts: error.facts,
        ..Error::invalid_fields(violations.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;

    #[test]
    fn a_field_is_renamed_where_it_is_named() {
        let names = [("texts", "inputs"), ("route", "do_fast")];
        let told = |error| renamed(error, &names).message;
        assert_eq!(
            told(Error::invalid_field("texts[3]", "is empty")),
            "inputs[3]: is empty"
        );
        assert_eq!(
            told(Error::new(Reason::TierNotConfigured, "route: there is no deep model")),
            "do_fast: there is no deep model"
        );
        assert_eq!(
            told(Error::new(Reason::ModelNotFound, "model: there is no model `texts: a`")),
            "model: there is no model `texts: a`"
        );
        assert_eq!(
            told(Error::new(Reason::QueueFull, "the queue is full: route: later")),
            "the queue is full: route: later"
        );
    }
}
