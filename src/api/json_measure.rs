//! The size of a JSON document, measured before anything is built of it: three bytes can become a text of 24. What is
//! over a bound, unknown or set twice is refused on the way.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use prost_reflect::{EnumDescriptor, Kind, MessageDescriptor};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, Reason};
use crate::service::pipeline::validate::too_many_texts;

/// The most of a field's path that an error quotes, in bytes.
pub const MAX_PATH_BYTES: usize = 80;
/// The most items of a list, or fields of an object, within a list of a document of [`Fields::Nested`]: a text and its
/// pair, and room for a mistake that decoding explains.
const MAX_INNER: usize = 8;

/// The bounds on what a document is decoded to.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most items in a list.
    pub items: usize,
    /// The most bytes in all its texts, and as many in the names of its fields; escapes count as what they stand for.
    pub bytes: usize,
}

/// The size of what a document is decoded to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// The number of texts in lists.
    pub items: usize,
    /// The bytes of all texts.
    pub bytes: usize,
}

/// Why a document was not read.
#[derive(Debug)]
pub enum Refused {
    /// It is not valid JSON of the expected form.
    Malformed(serde_path_to_error::Error<serde_json::Error>),
    /// It would be decoded to more than it may, or a field is at fault.
    Told(Error),
}

/// The fields that a document may have.
#[derive(Clone, Debug)]
pub enum Fields {
    /// The fields of a message.
    Of(MessageDescriptor),
    /// Fields of these names.
    Named(&'static [&'static str]),
    /// The same, and a value may also be a small object, or a list of small lists or objects.
    Nested(&'static [&'static str]),
}

/// A field: its number, its name in errors, and the type of the message in it, if it holds one.
struct Field {
    number: usize,
    name: String,
    message: Option<MessageDescriptor>,
    /// The values that it may have, if it is an enumeration.
    choices: Option<EnumDescriptor>,
}

impl Fields {
    fn find(&self, key: &str) -> Option<Field> {
        match self {
            Self::Of(message) => {
                let field = message
                    .get_field_by_json_name(key)
                    .or_else(|| message.get_field_by_name(key))?;
                Some(Field {
                    number: usize::try_from(field.number()).unwrap_or(usize::MAX),
                    name: field.name().to_owned(),
                    message: match field.kind() {
                        Kind::Message(inner) if !field.is_map() => Some(inner),
                        _ => None,
                    },
                    choices: match field.kind() {
                        Kind::Enum(choices) => Some(choices),
                        _ => None,
                    },
                })
            }
            Self::Named(names) | Self::Nested(names) => {
                names.iter().position(|&name| name == key).map(|number| Field {
                    number,
                    name: key.to_owned(),
                    message: None,
                    choices: None,
                })
            }
        }
    }

    /// The names as JSON writes them, for an error.
    fn names(&self) -> String {
        let names: Vec<String> = match self {
            Self::Of(message) => message.fields().map(|field| field.json_name().to_owned()).collect(),
            Self::Named(names) | Self::Nested(names) => names.iter().map(|&name| name.to_owned()).collect(),
        };
        names.join(", ")
    }
}

/// Parses the whole body once. Anything but white space after the value is an error.
pub fn with_path<'de, S: DeserializeSeed<'de>>(
    json: &'de [u8],
    seed: S,
) -> Result<S::Value, serde_path_to_error::Error<serde_json::Error>> {
    let mut json = serde_json::Deserializer::from_slice(json);
    let mut track = serde_path_to_error::Track::new();
    let value = seed
        .deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track))
        .map_err(|e| serde_path_to_error::Error::new(track.path(), e))?;
    json.end()
        .map_err(|e| serde_path_to_error::Error::new(serde_path_to_error::Track::new().path(), e))?;
    Ok(value)
}

/// Measures what a document would be decoded to; builds nothing. Refuses what is over the bounds as soon as it is seen,
/// and a field that is set twice, in one spelling or in two (`topK` and `top_k`): decoding would take the last one
/// silently.
///
/// Refuses unknown fields and unknown enumeration values, and lists the known ones.
pub fn measure(json: &[u8], fields: Fields, bounds: Bounds) -> Result<Size, Refused> {
    let mut seen = Seen {
        bounds,
        size: Size::default(),
        names: 0,
        stop: None,
    };
    let outcome = with_path(json, Object(fields, &mut seen));
    match (seen.stop, outcome) {
        (Some(Stop::Unreadable), _) | (None, Ok(())) => Ok(seen.size),
        (Some(Stop::Field { name, problem }), outcome) => {
            let path = outcome.err().map(|error| error.path().to_string()).unwrap_or_default();
            Err(Refused::Told(at_fault(&path, name.as_deref(), problem)))
        }
        (Some(Stop::TooMuch(error)), _) => Err(Refused::Told(error)),
        (None, Err(error)) => Err(Refused::Malformed(error)),
    }
}

/// What the pass has seen so far.
struct Seen {
    bounds: Bounds,
    size: Size,
    /// The bytes of field names.
    names: usize,
    /// Why the pass ended early.
    stop: Option<Stop>,
}

enum Stop {
    /// Decoding will fail here too, and explains it better.
    Unreadable,
    TooMuch(Error),
    /// A field is at fault. `name` is absent if the path already has it.
    Field {
        name: Option<String>,
        problem: String,
    },
}

/// The error for a field, by its path, which is cut and made one line.
fn at_fault(path: &str, name: Option<&str>, problem: String) -> Error {
    // serde_path_to_error writes a point or a question mark for a place before any field.
    let parent = Some(path).filter(|path| !["", ".", "?"].contains(path));
    let path: Vec<&str> = parent.into_iter().chain(name).collect();
    let path = path.join(".").replace(char::is_control, "\u{fffd}");
    Error {
        reason: Reason::MalformedMessage,
        ..Error::invalid_field(&path[..path.floor_char_boundary(MAX_PATH_BYTES)], problem)
    }
}

impl Seen {
    /// Ends the pass early.
    fn stop<T, E: serde::de::Error>(&mut self, why: Stop) -> Result<T, E> {
        self.stop = Some(why);
        Err(E::custom("stopped"))
    }

    fn text<E: serde::de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        self.size.bytes += bytes;
        self.within(self.size.bytes)
    }

    fn name<E: serde::de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        self.names += bytes;
        self.within(self.names)
    }

    /// Counts an item of an inner list or object, the `count`th of it.
    fn inner_item<E: serde::de::Error>(&mut self, count: usize) -> Result<(), E> {
        self.size.items += 1;
        if count <= MAX_INNER {
            return Ok(());
        }
        let problem = format!("holds more than {MAX_INNER} values");
        self.stop(Stop::Field { name: None, problem })
    }

    fn within<E: serde::de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        if bytes <= self.bounds.bytes {
            return Ok(());
        }
        self.stop(Stop::TooMuch(Error::message_too_large(self.bounds.bytes)))
    }
}

/// An object with these fields, or a list of such objects.
struct Object<'a>(Fields, &'a mut Seen);

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(()) // null: the field is absent
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.1.text(text.len()) // a Duration or a Timestamp
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self(fields, seen) = self;
        while items.next_element_seed(Object(fields.clone(), seen))?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self(fields, seen) = self;
        let mut set = HashSet::new();
        while let Some(key) = entries.next_key::<Cow<str>>()? {
            seen.name(key.len())?;
            let Some(field) = fields.find(&key) else {
                let problem = format!("is no field here; there are {}", fields.names());
                let name = Some(key.into_owned());
                return seen.stop(Stop::Field { name, problem });
            };
            if !set.insert(field.number) {
                return Err(A::Error::custom(format_args!("field '{key}' is set twice")));
            }
            match field.message {
                Some(inner) => entries.next_value_seed(Object(Fields::Of(inner), seen))?,
                None => entries.next_value_seed(Value {
                    seen,
                    list: Some(&field.name),
                    choices: field.choices.as_ref(),
                    nested: matches!(fields, Fields::Nested(_)),
                })?,
            }
        }
        Ok(())
    }
}

/// The value of a field (`list` is the field's name), or an item of its list (no name).
struct Value<'a> {
    seen: &'a mut Seen,
    list: Option<&'a str>,
    choices: Option<&'a EnumDescriptor>,
    /// Whether it may hold one more level.
    nested: bool,
}

impl Value<'_> {
    /// The seed for what is in an inner list or object.
    fn inner(seen: &mut Seen) -> Value<'_> {
        Value {
            seen,
            list: None,
            choices: None,
            nested: false,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.seen.text(text.len())?;
        match self.choices {
            Some(choices) if choices.get_value_by_name(text).is_none() => {
                let known: Vec<String> = choices.values().map(|value| value.name().to_owned()).collect();
                let problem = format!("must be one of {}", known.join(", "));
                self.seen.stop(Stop::Field { name: None, problem })
            }
            _ => Ok(()),
        }
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self {
            seen,
            list,
            choices,
            nested,
        } = self;
        let Some(name) = list else {
            // A list within a list fits no field of a message, nor a deeper one any field: decoding refuses it.
            if !nested {
                return seen.stop(Stop::Unreadable);
            }
            let mut count = 0;
            while items.next_element_seed(Value::inner(seen))?.is_some() {
                count += 1;
                seen.inner_item(count)?;
            }
            return Ok(());
        };
        let mut count = 0;
        while items
            .next_element_seed(Value {
                seen,
                list: None,
                choices,
                nested,
            })?
            .is_some()
        {
            (count, seen.size.items) = (count + 1, seen.size.items + 1);
            if count > seen.bounds.items {
                let problem = too_many_texts(seen.bounds.items);
                return seen.stop(Stop::TooMuch(Error::invalid_field(name, problem)));
            }
        }
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        if !self.nested {
            while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let mut count = 0;
        while let Some(key) = entries.next_key::<Cow<str>>()? {
            self.seen.name(key.len())?;
            entries.next_value_seed(Value::inner(self.seen))?;
            count += 1;
            self.seen.inner_item(count)?;
        }
        Ok(())
    }
}
