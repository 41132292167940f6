//! An object of a JSON document of another protocol. What serde derives for a struct takes a list for it too, its values
//! for the fields in the order of their declaration; a caller who wrote a list meant something else, and is told.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A value that is read from an object alone.
#[derive(Debug, Default)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pair {
        a: i32,
        #[serde(default)]
        b: Option<Object<Inner>>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        c: i32,
    }

    fn read(json: &str) -> Result<(i32, Option<i32>), String> {
        let found: Result<Object<Pair>, _> = serde_json::from_str(json);
        let Object(pair) = found.map_err(|error| error.to_string())?;
        Ok((pair.a, pair.b.map(|inner| inner.0.c)))
    }

    #[test]
    fn a_list_is_no_object_wherever_it_stands() {
        assert_eq!(read(r#"{"a": 1}"#), Ok((1, None)));
        assert_eq!(read(r#"{"a": 1, "b": {"c": 2}}"#), Ok((1, Some(2))));
        assert_eq!(read(r#"{"a": 1, "b": null}"#), Ok((1, None)));
        for json in [
            "[1]",
            r#"[1, {"c": 2}]"#,
            r#"{"a": 1, "b": [2]}"#,
            "1",
            "null",
            r#""a""#,
        ] {
            let problem = read(json).expect_err(json);
            assert!(problem.contains("expected an object"), "{problem}");
        }
        assert!(
            read(r#"{"a": 1, "z": 2}"#)
                .expect_err("unknown")
                .contains("unknown field `z`")
        );
    }
}
