//! Whole numbers, as fields of JSON documents hold them. For JSON Schema, and for callers whose language has one kind of
//! number, `5.0` is one too.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};

/// Reads a whole number; none for `null`.
pub fn whole<'de, D: Deserializer<'de>, T: TryFrom<i64>>(deserializer: D) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(Whole(PhantomData))
}

struct Whole<T>(PhantomData<T>);

impl<T: TryFrom<i64>> Visitor<'_> for Whole<T> {
    type Value = Option<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number within its limits")
    }

    fn visit_unit<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<T>, E> {
        let wrong = |_| E::invalid_value(Unexpected::Signed(number), &self);
        T::try_from(number).map_err(wrong).map(Some)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<T>, E> {
        let number = i64::try_from(number);
        self.visit_i64(number.map_err(|_| E::custom("is larger than any whole number here"))?)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<T>, E> {
        // Above 2^53 a float is no certain whole number.
        if number.fract() != 0.0 || number.abs() >= 2f64.powi(53) {
            return Err(E::invalid_type(Unexpected::Float(number), &self));
        }
        self.visit_i64(number as i64)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Document {
        #[serde(default, deserialize_with = "super::whole")]
        at: Option<i32>,
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        for (json, whole) in [
            ("{}", Some(None)),
            (r#"{"at": null}"#, Some(None)),
            (r#"{"at": 5}"#, Some(Some(5))),
            (r#"{"at": -5.0}"#, Some(Some(-5))),
            (r#"{"at": 5e3}"#, Some(Some(5000))),
            (r#"{"at": 5.5}"#, None),
            (r#"{"at": 2147483648}"#, None),
            (r#"{"at": 1e300}"#, None),
            (r#"{"at": 18446744073709551615}"#, None),
            (r#"{"at": "5"}"#, None),
            (r#"{"at": true}"#, None),
        ] {
            let read = serde_json::from_str::<Document>(json).ok().map(|document| document.at);
            assert_eq!(read, whole, "{json}");
        }
    }
}
