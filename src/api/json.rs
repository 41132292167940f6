//! proto3 JSON for the messages of our API, both ways. Knows no message by name and decides nothing about what a field
//! may hold: that is for `service/validate.rs`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, SerializeOptions};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(super::DESCRIPTOR_SET).expect("the build wrote this descriptor set"));
fn descriptor<T: prost::Name>() -> MessageDescriptor {
    POOL.get_message_by_name(&T::full_name())
        .expect("the type was generated from this descriptor set")
}

/// Reads a message. Unknown fields, fields set twice and wrong types are errors, with the path of the field.
pub fn decode<T: prost::Message + prost::Name + Default>(
    json: &[u8],
) -> Result<T, serde_path_to_error::Error<serde_json::Error>> {
    let message = descriptor::<T>();
    with_path(json, UniqueKeys(message.clone()))?;
    let dynamic = with_path(json, message)?;
    Ok(dynamic.transcode_to().expect("both sides have the same schema"))
}

/// Writes a message: lowerCamelCase names, fields with default values too.
pub fn encode<T: prost::Message + prost::Name>(message: &T) -> Vec<u8> {
    let mut dynamic = DynamicMessage::new(descriptor::<T>());
    dynamic
        .transcode_from(message)
        .expect("both sides have the same schema");
    let mut out = serde_json::Serializer::new(Vec::new());
    let options = SerializeOptions::new().skip_default_fields(false);
    dynamic
        .serialize_with_options(&mut out, &options)
        .expect("a Vec takes every write");
    out.into_inner()
}

/// Runs one pass over the whole body; what follows the value but white space is an error too.
fn with_path<'de, S: DeserializeSeed<'de>>(
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

/// Refuses a field that is set twice, under one spelling or under two (`topK` and `top_k`): prost-reflect takes the last.
struct UniqueKeys(MessageDescriptor);

impl<'de> DeserializeSeed<'de> for UniqueKeys {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(()) // null: the field is absent
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(()) // a Duration or a Timestamp
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(UniqueKeys(self.0.clone()))?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = fields.next_key::<Cow<str>>()? {
            let field = self
                .0
                .get_field_by_json_name(&key)
                .or_else(|| self.0.get_field_by_name(&key));
            // An unknown one is named by the next pass.
            let Some(field) = field else {
                fields.next_value::<IgnoredAny>()?;
                continue;
            };
            if !seen.insert(field.number()) {
                return Err(Error::custom(format_args!("field '{key}' is set twice")));
            }
            match field.kind() {
                Kind::Message(inner) if !field.is_map() => fields.next_value_seed(UniqueKeys(inner))?,
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}
