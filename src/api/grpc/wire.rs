//! Wire: a look at a Protobuf message before it is decoded. Two bytes can become a text of 24, and unknown fields cost
//! time. Builds nothing, so it is cheap whatever the message holds.

use std::borrow::Cow;

use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::api::schema::max_items;
use crate::error::{Error, Reason};
use crate::service::limits::RequestLimits;

/// The most fields of a message, without the items of lists: each costs time, even an unknown one.
const MAX_FIELDS: usize = 1024;

/// The longest piece of a packed list of numbers, in bytes: a byte can become a number of eight. No list of numbers
/// here needs as much.
const MAX_PACKED_BYTES: usize = 1024;

/// The part of a message that should be decoded. A list over the limit is cut after the first item past it, and what
/// follows in its message is left out. So just enough is built to see that it is too much;
/// `service/pipeline/validate.rs` refuses it. A long packed list of numbers is left out with what follows it. What can't
/// be read is left for the decoder to refuse.
pub fn decodable<'a>(message: &'a [u8], of: &MessageDescriptor, limits: RequestLimits) -> Result<Cow<'a, [u8]>, Error> {
    Look {
        limits,
        fields: 0,
        items: Vec::new(),
    }
    .part(message, of)
}

/// The counts of a message so far. Inner messages that come in pieces are merged when decoded, so their lists count
/// together.
struct Look {
    limits: RequestLimits,
    fields: usize,
    items: Vec<(FieldDescriptor, usize)>,
}

impl Look {
    fn part<'a>(&mut self, message: &'a [u8], of: &MessageDescriptor) -> Result<Cow<'a, [u8]>, Error> {
        let mut kept = Kept {
            message,
            rebuilt: None,
            taken: 0,
        };
        let mut groups = 0_usize;
        let mut rest = message;
        while !rest.is_empty() {
            let start = message.len() - rest.len();
            let Ok((number, wire_type)) = decode_key(&mut rest) else {
                break;
            };
            match wire_type {
                WireType::StartGroup => groups += 1,
                WireType::EndGroup => groups = groups.saturating_sub(1),
                WireType::Varint if decode_varint(&mut rest).is_err() => break,
                WireType::Varint | WireType::LengthDelimited | WireType::SixtyFourBit | WireType::ThirtyTwoBit => {}
            }
            let Some(payload) = payload(&mut rest, wire_type) else {
                break;
            };
            // A field within a group is unknown.
            let field = of.get_field(number).filter(|_| groups == 0);
            let inner = field.as_ref().map(FieldDescriptor::kind);
            match field {
                Some(field) if field.is_list() => {
                    let packed = !matches!(inner, Some(Kind::Message(_) | Kind::String | Kind::Bytes));
                    let long = packed && payload.len() > MAX_PACKED_BYTES;
                    let most = max_items(&field, self.limits);
                    if long || self.item(field) > most + 1 {
                        return Ok(kept.until(start));
                    }
                }
                _ => self.field()?,
            }
            if let (Some(Kind::Message(inner)), WireType::LengthDelimited) = (inner, wire_type) {
                let part = self.part(payload, &inner)?;
                if part.len() < payload.len() {
                    kept.replace(start..message.len() - rest.len(), number, &part);
                }
            }
        }
        Ok(kept.until(message.len()))
    }

    /// Counts one more item of a list; returns how many it has now.
    fn item(&mut self, field: FieldDescriptor) -> usize {
        match self.items.iter_mut().find(|(known, _)| *known == field) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.items.push((field, 1));
                1
            }
        }
    }

    fn field(&mut self) -> Result<(), Error> {
        self.fields += 1;
        if self.fields <= MAX_FIELDS {
            return Ok(());
        }
        Err(Error::new(
            Reason::MalformedMessage,
            format!("the message can't be decoded: it has more than {MAX_FIELDS} fields beside its lists"),
        ))
    }
}

/// Takes the content of a field after its key, if all of it is there.
fn payload<'a>(rest: &mut &'a [u8], wire_type: WireType) -> Option<&'a [u8]> {
    let bytes = match wire_type {
        WireType::LengthDelimited => usize::try_from(decode_varint(rest).ok()?).ok()?,
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::Varint | WireType::StartGroup | WireType::EndGroup => 0,
    };
    rest.split_off(..bytes)
}

/// The result: the message itself, or a copy once an inner message was cut.
struct Kept<'a> {
    message: &'a [u8],
    rebuilt: Option<Vec<u8>>,
    /// The copy holds what the message holds up to this position.
    taken: usize,
}

impl<'a> Kept<'a> {
    /// Replaces the field at `place` by a shorter inner message.
    fn replace(&mut self, place: std::ops::Range<usize>, number: u32, part: &[u8]) {
        let copy = self.rebuilt.get_or_insert_default();
        copy.extend_from_slice(&self.message[self.taken..place.start]);
        encode_key(number, WireType::LengthDelimited, copy);
        encode_varint(part.len() as u64, copy);
        copy.extend_from_slice(part);
        self.taken = place.end;
    }

    fn until(self, end: usize) -> Cow<'a, [u8]> {
        match self.rebuilt {
            None => Cow::Borrowed(&self.message[..end]),
            Some(mut copy) => {
                copy.extend_from_slice(&self.message[self.taken..end]);
                Cow::Owned(copy)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::api::open_inference::pb as inference;
    use crate::api::{pb, schema};

    const LIMITS: RequestLimits = RequestLimits {
        max_texts: 2,
        max_text_bytes: 100,
    };

    fn texts(count: usize) -> Vec<String> {
        (0..count).map(|at| at.to_string()).collect()
    }

    fn request(count: usize, pairs: usize) -> pb::PredictRequest {
        pb::PredictRequest {
            texts: texts(count),
            text_pairs: texts(pairs),
            task: "sentiment".into(),
            ..pb::PredictRequest::default()
        }
    }

    fn seen<T: Message + prost::Name + Default>(message: &[u8]) -> Result<T, Reason> {
        let part = decodable(message, &schema::message::<T>(), LIMITS).map_err(|error| error.reason)?;
        Ok(T::decode(&*part).expect("what was whole is still a message"))
    }

    #[test]
    fn a_list_is_cut_behind_the_first_item_over_the_limit() {
        for (count, pairs) in [(0, 0), (2, 2), (3, 0), (3, 3)] {
            let whole = request(count, pairs);
            assert_eq!(seen(&whole.encode_to_vec()), Ok(whole));
        }
        let cut: pb::PredictRequest = seen(&request(1_000_000, 1).encode_to_vec()).expect("a part of it");
        assert_eq!((cut.texts, cut.text_pairs, cut.task.as_str()), (texts(3), texts(0), ""));
        let cut: pb::PredictRequest = seen(&request(1, 1_000_000).encode_to_vec()).expect("a part of it");
        assert_eq!((cut.texts, cut.text_pairs), (texts(1), texts(3)));
    }

    #[test]
    fn lists_that_hold_no_texts_have_limits_of_their_own() {
        let whole = pb::PredictRequest {
            tasks: texts(32),
            ..request(1, 0)
        };
        assert_eq!(seen(&whole.encode_to_vec()), Ok(whole));
        // Numbers one by one, as some clients write them, and what follows.
        let reason = [2 << 3, 1];
        let tail = pb::ExportTextsRequest {
            page_token: "a".into(),
            ..pb::ExportTextsRequest::default()
        };
        let message = [reason.repeat(16), tail.encode_to_vec()].concat();
        let read: pb::ExportTextsRequest = seen(&message).expect("whole");
        assert_eq!((read.reasons.len(), read.page_token.as_str()), (16, "a"));
        let read: pb::ExportTextsRequest = seen(&reason.repeat(100)).expect("a part of it");
        assert_eq!(read.reasons.len(), 17, "one more than may be, so that it is refused");
    }

    #[test]
    fn an_inner_message_that_is_cut_leaves_its_outer_one_whole() {
        let inner = |count| pb::PredictStreamRequest {
            request: Some(request(count, 0)),
            ..pb::PredictStreamRequest::default()
        };
        let id = pb::PredictStreamRequest {
            id: "it".into(),
            ..pb::PredictStreamRequest::default()
        };
        // In pieces, which are merged. Each alone would pass, and the id comes last.
        let pieces = [inner(2), inner(2), inner(2), id]
            .map(|piece| piece.encode_to_vec())
            .concat();
        let seen: pb::PredictStreamRequest = seen(&pieces).expect("a part of it");
        assert_eq!((seen.id.as_str(), seen.request.expect("it").texts.len()), ("it", 3));
    }

    #[test]
    fn lists_within_the_items_of_a_list_are_cut_too() {
        use inference::model_infer_request::InferInputTensor;
        let tensor = |texts: usize, shape: usize| InferInputTensor {
            shape: vec![1; shape],
            contents: Some(inference::InferTensorContents {
                bytes_contents: vec![Vec::new(); texts],
                ..inference::InferTensorContents::default()
            }),
            ..InferInputTensor::default()
        };
        let seen = |inputs: Vec<InferInputTensor>| {
            let request = inference::ModelInferRequest {
                inputs,
                ..inference::ModelInferRequest::default()
            };
            let seen: inference::ModelInferRequest = seen(&request.encode_to_vec()).expect("a part of it");
            seen.inputs
        };
        // The texts of both tensors count together: twice two, and one that is too much.
        let whole = vec![tensor(2, 1), tensor(2, 1)];
        assert_eq!(seen(whole.clone()), whole);
        assert_eq!(seen(vec![tensor(1_000_000, 1)]), [tensor(5, 1)]);
        assert_eq!(
            seen(vec![tensor(3, 1), tensor(1_000_000, 1)]),
            [tensor(3, 1), tensor(2, 1)]
        );
        assert_eq!(seen(vec![tensor(0, 1); 1000]).len(), 17);
        // A long list of numbers is left out, and what comes behind it.
        let [long] = &seen(vec![tensor(1, 1_000_000)])[..] else {
            panic!("one tensor")
        };
        assert_eq!((long.shape.len(), long.contents.as_ref()), (0, None));
    }

    #[test]
    fn fields_that_nobody_knows_are_bounded_and_count_for_nothing() {
        let number_99 = [0x98, 0x06, 0x01];
        let group = [0x9b, 0x06, 0x0a, 0x00, 0x9c, 0x06];
        let good = request(2, 0).encode_to_vec();
        // The task is a field too, and a group counts as three.
        for (unknown, most) in [(&number_99[..], MAX_FIELDS - 1), (&group[..], (MAX_FIELDS - 1) / 3)] {
            let with = |count| [good.clone(), unknown.repeat(count)].concat();
            assert_eq!(seen(&with(most)), Ok(request(2, 0)));
            assert_eq!(
                seen::<pb::PredictRequest>(&with(most + 1)),
                Err(Reason::MalformedMessage)
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_to_the_decoder() {
        for broken in [
            &b"\xff"[..],
            b"\x0a",
            b"\x0a\xff\x01a",
            b"\x08",
            b"\x0f",
            b"\x00",
            b"\x0d\x01",
        ] {
            let part = decodable(broken, &schema::message::<pb::PredictRequest>(), LIMITS).expect("no judgement");
            assert_eq!(&*part, broken);
        }
    }
}
