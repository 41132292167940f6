//! The JSON files of a folder, read as tolerantly as Python reads them: `NaN` and `Infinity`, repeated keys, a byte
//! order mark; numbers and flags that were written as strings.
//!
//! An error names the file and the key, quotes nothing from the file, and has a remedy.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::file_names::TOKENIZER_FILE;
use super::place::{Place, Problem};
use crate::model::files;

/// Reads a JSON object from the folder. Of a repeated key the last value counts, as in Python.
pub(super) fn read_json<T: DeserializeOwned>(place: &Place<'_>, file: &str) -> Result<T, Problem> {
    let most = match file {
        TOKENIZER_FILE => files::MOST_OF_TOKENIZER,
        _ => files::MOST_OF_JSON,
    };
    let bytes = place.read(file, most)?;
    object(&bytes).map_err(|Fault { at, problem }| match at {
        Some(key) => Problem::new(
            format!("{file}: {key}: {problem}"),
            format!("write {key} so in {file}, or leave it out"),
        ),
        None => Problem::new(
            format!("{file}: {problem}"),
            "copy it again from the folder that the model was exported from",
        ),
    })
}

/// What is wrong with a file, and at which key.
struct Fault {
    at: Option<String>,
    problem: String,
}

fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let bytes = plain(bytes);
    let malformed = |error: serde_json::Error| Fault {
        at: None,
        problem: match error.classify() {
            serde_json::error::Category::Data => "not an object".to_owned(),
            _ => format!("line {}: not JSON, or cut off", error.line()),
        },
    };
    // Values that nobody asks for stay undecoded.
    let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(&bytes).map_err(malformed)?;
    let key = Cell::new("");
    let read = fields.iter().map(|(name, value)| {
        key.set(name);
        (name.as_ref(), *value)
    });
    T::deserialize(MapDeserializer::new(read)).map_err(|error: serde_json::Error| Fault {
        at: Some(key.get().to_owned()),
        problem: match error.to_string() {
            told if told.starts_with(SHOULD) => told,
            _ => "not what is expected there".to_owned(),
        },
    })
}

/// How error messages of this module begin; messages of others may quote the file.
const SHOULD: &str = "should be ";

/// The text without its byte order mark, and with `null` in place of numbers that Python writes and JSON does not have.
fn plain(bytes: &[u8]) -> Cow<'_, [u8]> {
    let bytes = files::without_mark(bytes);
    if !memmem(bytes, b"NaN") && !memmem(bytes, b"Infinity") {
        return Cow::Borrowed(bytes);
    }
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut quoted = false;
    while let Some(&first) = rest.first() {
        let odd = ["NaN", "Infinity", "-Infinity"];
        let odd = odd.iter().find(|word| !quoted && rest.starts_with(word.as_bytes()));
        let passed = match (odd, first) {
            (Some(word), _) => {
                plain.extend_from_slice(b"null");
                rest = &rest[word.len()..];
                continue;
            }
            (None, b'\\') if quoted => rest.len().min(2),
            (None, b'"') => {
                quoted = !quoted;
                1
            }
            _ => 1,
        };
        plain.extend_from_slice(&rest[..passed]);
        rest = &rest[passed..];
    }
    Cow::Owned(plain)
}

fn memmem(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// Reads a whole number, also if it is written as a string, with a decimal point, or as the only item of a list. `None`
/// for `null`.
pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let value = match Value::deserialize(from)? {
        Value::Array(mut all) if all.len() == 1 => all.remove(0),
        value => value,
    };
    match value {
        Value::Null => Ok(None),
        value => whole_of(&value)
            .map(Some)
            .ok_or_else(|| D::Error::custom("should be a whole number")),
    }
}

/// The whole number that a value stands for, however it is written.
pub(super) fn whole_of(value: &Value) -> Option<i64> {
    let number = number_of(value)?;
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

/// Reads a number, also if it is written as a string. `None` for `null`.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        value => number_of(&value)
            .map(Some)
            .ok_or_else(|| D::Error::custom("should be a number")),
    }
}

/// The number that a value stands for, however it is written.
fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Reads a flag, also if it is written as a string or as 0 or 1. `None` for `null`.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        value => flag_of(&value)
            .map(Some)
            .ok_or_else(|| D::Error::custom("should be true or false")),
    }
}

/// The flag that a value stands for, also if it is written as a string or as 0 or 1.
pub(super) fn flag_of(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        value => whole_of(value)
            .filter(|number| (0..=1).contains(number))
            .map(|number| number == 1),
    }
}

/// Reads a string. `None` for `null` and for an empty string.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        _ => Err(D::Error::custom("should be a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Sample {
        #[serde(deserialize_with = "whole")]
        most: Option<i64>,
        #[serde(deserialize_with = "number")]
        length: Option<f64>,
        #[serde(deserialize_with = "flag")]
        lower: Option<bool>,
        #[serde(deserialize_with = "text")]
        name: Option<String>,
    }

    fn sample(text: &str) -> Result<Sample, (Option<String>, String)> {
        object(text.as_bytes()).map_err(|fault| (fault.at, fault.problem))
    }

    #[test]
    fn what_python_reads_is_read() {
        for (written, most) in [
            ("64", Some(64)),
            ("\"64\"", Some(64)),
            ("64.0", Some(64)),
            ("[64]", Some(64)),
            ("-1", Some(-1)),
            ("null", None),
            ("Infinity", None),
            ("-Infinity", None),
            ("NaN", None),
            ("3, \"most\": 4", Some(4)),
        ] {
            let read = sample(&format!(
                "\u{feff}{{\"other\": [NaN, {{\"a\": -Infinity}}], \"most\": {written}}}"
            ));
            assert_eq!(read.expect(written).most, most, "{written}");
        }
        let read = sample(r#"{"length": "512", "lower": "True", "name": "a \"NaN\" \\"}"#).expect("read");
        assert_eq!((read.length, read.lower), (Some(512.0), Some(true)));
        assert_eq!(read.name.as_deref(), Some("a \"NaN\" \\"), "texts stay as they are");
        assert_eq!(sample(r#"{"lower": 0, "name": ""}"#).expect("read").lower, Some(false));
    }

    #[test]
    fn an_error_names_the_key_and_quotes_nothing() {
        for (text, at, problem) in [
            ("{\"most\": \"secret\"}", Some("most"), "should be a whole number"),
            ("{\"most\": [1, 2]}", Some("most"), "should be a whole number"),
            ("{\"most\": 1.5}", Some("most"), "should be a whole number"),
            ("{\"length\": {}}", Some("length"), "should be a number"),
            ("{\"lower\": 2}", Some("lower"), "should be true or false"),
            ("{\"name\": 7}", Some("name"), "should be a text"),
            ("[1]", None, "not an object"),
            ("{\n\"most\": 1", None, "line 2: not JSON, or cut off"),
        ] {
            let (found, told) = sample(text).expect_err(text);
            assert_eq!((found.as_deref(), told.as_str()), (at, problem), "{text}");
        }
    }
}
