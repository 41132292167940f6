//! Small changes to an ONNX file in memory, before a session reads it: more outputs, another locale.
//!
//! Works on the encoded messages, with numbers as in `onnx.proto`, and copies everything that it does not change.

use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

const MODEL_GRAPH: u32 = 7;
const GRAPH_NODE: u32 = 1;
const GRAPH_OUTPUT: u32 = 12;
const VALUE_NAME: u32 = 1;
const NODE_OPERATION: u32 = 4;
const NODE_ATTRIBUTE: u32 = 5;
const ATTRIBUTE_NAME: u32 = 1;
const ATTRIBUTE_TEXT: u32 = 4;
const ATTRIBUTE_GRAPH: u32 = 6;
const ATTRIBUTE_KIND: u32 = 20;
/// `AttributeProto.STRING`.
const KIND_TEXT: u64 = 3;

/// The model with these values as outputs too. Protobuf merges a message that comes twice, so the outputs can be
/// appended at the end.
pub(super) fn with_outputs(mut model: Vec<u8>, names: &[&str]) -> Vec<u8> {
    let mut graph = Vec::new();
    for name in names {
        let mut value = Vec::new();
        put(&mut value, VALUE_NAME, name.as_bytes());
        put(&mut graph, GRAPH_OUTPUT, &value);
    }
    put(&mut model, MODEL_GRAPH, &graph);
    model
}

/// The model with this locale wherever it changes the case of texts; `None` if it can't be decoded.
pub(super) fn with_locale(model: &[u8], locale: &str) -> Option<Vec<u8>> {
    changed(model, MODEL_GRAPH, &|graph| graph_with_locale(graph, locale))
}

fn graph_with_locale(graph: &[u8], locale: &str) -> Option<Vec<u8>> {
    changed(graph, GRAPH_NODE, &|node| node_with_locale(node, locale))
}

fn node_with_locale(node: &[u8], locale: &str) -> Option<Vec<u8>> {
    let all = fields(node)?;
    let is = |field: &Field<'_>, tag, value: &[u8]| field.tag == tag && field.content == Some(value);
    if !all.iter().any(|field| is(field, NODE_OPERATION, b"StringNormalizer")) {
        // Nodes may contain graphs.
        return changed(node, NODE_ATTRIBUTE, &|attribute| {
            changed(attribute, ATTRIBUTE_GRAPH, &|graph| graph_with_locale(graph, locale))
        });
    }
    let mut changed = Vec::with_capacity(node.len() + 32);
    for field in &all {
        let inner = field.content.filter(|_| field.tag == NODE_ATTRIBUTE).and_then(fields);
        let told = inner.is_some_and(|inner| inner.iter().any(|field| is(field, ATTRIBUTE_NAME, b"locale")));
        if !told {
            changed.extend_from_slice(field.whole);
        }
    }
    let mut attribute = Vec::new();
    put(&mut attribute, ATTRIBUTE_NAME, b"locale");
    put(&mut attribute, ATTRIBUTE_TEXT, locale.as_bytes());
    encode_key(ATTRIBUTE_KIND, WireType::Varint, &mut attribute);
    encode_varint(KIND_TEXT, &mut attribute);
    put(&mut changed, NODE_ATTRIBUTE, &attribute);
    Some(changed)
}

/// A field of a message.
struct Field<'a> {
    tag: u32,
    /// The whole field, tag and length included.
    whole: &'a [u8],
    /// The content, if the field is a message, a string or bytes.
    content: Option<&'a [u8]>,
}

/// The fields of a message; `None` if the bytes are not a message.
fn fields(mut rest: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let start = rest;
        let (tag, kind) = decode_key(&mut rest).ok()?;
        let content = match kind {
            WireType::Varint => decode_varint(&mut rest).ok().map(|_| None)?,
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                let (content, after) = rest.split_at_checked(length)?;
                rest = after;
                Some(content)
            }
            WireType::ThirtyTwoBit => rest.split_at_checked(4).map(|(_, after)| rest = after).map(|()| None)?,
            WireType::SixtyFourBit => rest.split_at_checked(8).map(|(_, after)| rest = after).map(|()| None)?,
            WireType::StartGroup | WireType::EndGroup => return None,
        };
        let whole = &start[..start.len() - rest.len()];
        found.push(Field { tag, whole, content });
    }
    Some(found)
}

/// The message with `change` applied to every field with this tag.
fn changed(message: &[u8], tag: u32, change: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut changed = Vec::with_capacity(message.len() + 64);
    for field in fields(message)? {
        match field.content {
            Some(content) if field.tag == tag => put(&mut changed, tag, &change(content)?),
            _ => changed.extend_from_slice(field.whole),
        }
    }
    Some(changed)
}

fn put(message: &mut Vec<u8>, tag: u32, content: &[u8]) {
    encode_key(tag, WireType::LengthDelimited, message);
    encode_varint(content.len() as u64, message);
    message.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u32, content: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        put(&mut message, tag, content);
        message
    }

    /// A model with one node that has these attributes.
    fn model(operation: &[u8], attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut node = message(NODE_OPERATION, operation);
        for attribute in attributes {
            put(&mut node, NODE_ATTRIBUTE, attribute);
        }
        message(MODEL_GRAPH, &message(GRAPH_NODE, &node))
    }

    fn contains(bytes: &[u8], part: &[u8]) -> usize {
        bytes.windows(part.len()).filter(|window| *window == part).count()
    }

    #[test]
    fn the_locale_takes_the_place_of_the_one_there() {
        let mut old = message(ATTRIBUTE_NAME, b"locale");
        put(&mut old, ATTRIBUTE_TEXT, b"en_US.UTF-8");
        let kept = message(ATTRIBUTE_NAME, b"case_change_action");
        let found = with_locale(&model(b"StringNormalizer", &[old.clone(), kept]), "C.UTF-8").expect("a model");
        assert_eq!((contains(&found, b"en_US"), contains(&found, b"C.UTF-8")), (0, 1));
        assert_eq!(contains(&found, b"case_change_action"), 1);
        let other = model(b"Tokenizer", &[old]);
        assert_eq!(with_locale(&other, "C.UTF-8"), Some(other));
    }

    #[test]
    fn nodes_in_graphs_of_nodes_are_changed_too() {
        let inner = message(GRAPH_NODE, &message(NODE_OPERATION, b"StringNormalizer"));
        let scan = model(b"Scan", &[message(ATTRIBUTE_GRAPH, &inner)]);
        let found = with_locale(&scan, "C.UTF-8").expect("a model");
        assert_eq!(contains(&found, b"C.UTF-8"), 1);
    }

    #[test]
    fn what_is_no_message_is_left_alone() {
        assert_eq!(with_locale(&[0x3a, 0x7f, 1, 2], "C.UTF-8"), None);
        assert_eq!(with_locale(b"\xff\xff\xff", "C.UTF-8"), None);
    }
}
