//! Peek: which of some fields a JSON document has, before it is known how it is decoded. Builds nothing, and reads no
//! further than the first of them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

/// The first of the fields `names` that an object has; `None` where it has none of them, or is no object.
pub fn first_field(json: &[u8], names: &[&'static str]) -> Option<&'static str> {
    let mut found = None;
    let look = Look {
        names,
        found: &mut found,
    };
    // It ends with an error once it has found one.
    let _ = serde_json::Deserializer::from_slice(json).deserialize_map(look);
    found
}

struct Look<'a> {
    names: &'a [&'static str],
    found: &'a mut Option<&'static str>,
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<Cow<str>>()? {
            *self.found = self.names.iter().find(|&&name| name == key).copied();
            if self.found.is_some() {
                return Err(A::Error::custom("found"));
            }
            entries.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_fields_is_told() {
        for (document, found) in [
            (r#"{"text": "a", "inputs": "b"}"#, Some("text")),
            (r#"{"raw_scores": {"text": [1]}, "inputs": 7}"#, Some("inputs")),
            (r#"{"\u0069nputs": "escaped""#, Some("inputs")),
            (r#"{"other": "text"}"#, None),
            (r#"{"other": "#, None),
            (r#"["text"]"#, None),
            ("", None),
        ] {
            assert_eq!(
                first_field(document.as_bytes(), &["text", "inputs"]),
                found,
                "{document}"
            );
        }
    }
}
