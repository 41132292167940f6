//! proto3 JSON for the messages of our API, both ways. Knows no message by name, and decides nothing about what a field
//! may hold; `service/pipeline/validate.rs` does. Only the size that a document may grow to is bounded first
//! (`json_measure.rs`).

use prost_reflect::{DynamicMessage, SerializeOptions};

pub use super::json_measure::{Bounds, Fields, MAX_PATH_BYTES, Refused, Size, measure, with_path};
use super::schema;

/// Reads a message of any size. Unknown fields, fields that are set twice and wrong types are errors, with the field's
/// path.
pub fn decode<T: prost::Message + prost::Name + Default>(json: &[u8]) -> Result<T, Refused> {
    let all = Bounds {
        items: usize::MAX,
        bytes: usize::MAX,
    };
    measure(json, Fields::Of(schema::message::<T>()), all)?;
    build(json)
}

/// Reads a message that [`measure`] has passed.
pub fn build<T: prost::Message + prost::Name + Default>(json: &[u8]) -> Result<T, Refused> {
    let dynamic = with_path(json, schema::message::<T>()).map_err(Refused::Malformed)?;
    Ok(dynamic.transcode_to().expect("both sides have the same schema"))
}

/// Writes a message, with lowerCamelCase names; fields with default values are written too.
pub fn encode<T: prost::Message + prost::Name>(message: &T) -> Vec<u8> {
    let mut dynamic = DynamicMessage::new(schema::message::<T>());
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
