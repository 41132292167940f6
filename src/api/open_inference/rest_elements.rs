//! The elements of a tensor in JSON: a list of texts, read no further than it takes to see that they are too many.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};

use super::request::Elements;
use crate::api::json::with_path;
use crate::error::{Error, Reason};
use crate::service::pipeline::validate::too_many_texts;

/// The texts of a list; each alone, or in a list of its own.
pub fn elements_of(data: &str, place: &str, max_texts: usize) -> Result<Elements, Error> {
    let mut found = Found {
        texts: Vec::new(),
        max_texts,
        too_many: false,
    };
    let read = with_path(data.as_bytes(), Texts(&mut found));
    if found.too_many {
        return Err(Error::invalid_field(place, too_many_texts(max_texts)));
    }
    read.map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { "" } else { path.as_str() };
        let problem = "must be a list of texts, each alone or in a list of its own";
        Error {
            reason: Reason::MalformedMessage,
            ..Error::invalid_field(format!("{place}{path}"), problem)
        }
    })?;
    Ok(Elements::Typed(found.texts))
}

/// The texts so far.
struct Found {
    texts: Vec<Vec<u8>>,
    max_texts: usize,
    /// Whether reading ended since there are too many.
    too_many: bool,
}

/// The whole list.
struct Texts<'a>(&'a mut Found);

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self(found) = self;
        while items.next_element_seed(Text { found, alone: true })?.is_some() {}
        Ok(())
    }
}

/// A text, or, if it is alone, a list of one.
struct Text<'a> {
    found: &'a mut Found,
    alone: bool,
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if self.found.texts.len() == self.found.max_texts {
            self.found.too_many = true;
            return Err(E::custom("too many"));
        }
        self.found.texts.push(text.as_bytes().to_vec());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { found, alone } = self;
        let first = alone && items.next_element_seed(Text { found, alone: false })?.is_some();
        if first && items.next_element::<IgnoredAny>()?.is_none() {
            return Ok(());
        }
        Err(A::Error::invalid_length(0, &"a list of one text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_may_be_flat_or_nested() {
        for data in [r#"["a", "\u00e9"]"#, r#"[["a"], ["é"]]"#] {
            let elements = elements_of(data, "text.data", 3).expect("texts");
            assert_eq!(elements, Elements::Typed(vec![b"a".to_vec(), "é".into()]), "{data}");
        }
    }

    #[test]
    fn elements_that_are_no_texts_are_told_by_their_place() {
        for (data, place) in [
            (r#"["a", 1]"#, "text.data[1]"),
            (r#"[["a", "b"]]"#, "text.data[0]"),
            (r#"[[["a"]]]"#, "text.data[0][0]"),
            (r"[[]]", "text.data[0]"),
            (r#""a""#, "text.data"),
            (r#"["a", "a", "a", "a"]"#, "text.data"),
        ] {
            let error = elements_of(data, "text.data", 3).expect_err("no list of texts");
            assert_eq!(error.violations[0].field, place, "{data}: {error}");
        }
    }
}
