//! Codec: Protobuf, with decoding failures reported as the caller's mistakes.
//!
//! The stock codec answers INTERNAL for a message that can't be decoded, which pages the operators of the server.

use std::marker::PhantomData;

use bytes::Buf;
use prost::Message;
use tokio::runtime::{Handle, RuntimeFlavor};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstEncoder};

use crate::api::status::to_status;
use crate::error::{Error, Reason};

/// From this size on, in bytes, other tasks of the thread are moved away first. A message holds a bounded number of
/// texts (`wire.rs`), so decoding is little more than copying: a smaller one is done sooner than the tasks could be
/// moved.
const LARGE_BYTES: usize = 1 << 20;

/// How every error of prost begins, and what it says of bytes that are not UTF-8. prost tells the kind of an error only
/// in words; a test fails when they change.
const PROST_OPENING: &str = "failed to decode Protobuf message: ";
const PROST_NOT_UTF8: &str = "invalid string value: data is not UTF-8 encoded";

/// Encodes `T` and decodes `U`.
#[derive(Debug)]
pub struct ApiCodec<T, U> {
    types: PhantomData<(T, U)>,
}

impl<T, U> Default for ApiCodec<T, U> {
    fn default() -> Self {
        Self { types: PhantomData }
    }
}

impl<T, U> Codec for ApiCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ApiDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        ApiDecoder { message: PhantomData }
    }
}

#[derive(Debug)]
pub struct ApiDecoder<U> {
    message: PhantomData<U>,
}

impl<U: Message + Default> Decoder for ApiDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let large = buffer.remaining() >= LARGE_BYTES;
        let decoded = if large && on_many_threads() {
            // The other tasks of this thread move to other threads meanwhile.
            tokio::task::block_in_place(|| U::decode(buffer))
        } else {
            U::decode(buffer)
        };
        decoded
            .map(Some)
            .map_err(|error| to_status(&decode_error(&error), None))
    }
}

/// Whether the runtime has several threads, as `block_in_place` needs.
fn on_many_threads() -> bool {
    let runtime = Handle::try_current().map(|handle| handle.runtime_flavor());
    runtime.is_ok_and(|flavor| flavor == RuntimeFlavor::MultiThread)
}

/// prost's error in our words. prost names messages and fields, but never quotes their values.
pub fn decode_error(error: &prost::DecodeError) -> Error {
    let problem = error.to_string();
    let problem = problem.strip_prefix(PROST_OPENING).unwrap_or(&problem);
    let Some(place) = problem.strip_suffix(PROST_NOT_UTF8) else {
        return Error::new(
            Reason::MalformedMessage,
            format!("the message can't be decoded: {problem}"),
        );
    };
    // Such as `PredictRequest.texts: PredictStreamRequest.request: `, with the outermost field last.
    let fields = place.trim_end_matches(": ").rsplit(": ");
    let path: Vec<&str> = fields
        .filter_map(|part| part.split_once('.'))
        .map(|(_, field)| field)
        .collect();
    Error {
        reason: Reason::InvalidUtf8,
        ..Error::invalid_field(path.join("."), "holds bytes that are not UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pb::{PredictRequest, PredictStreamRequest};

    #[test]
    fn prost_says_what_is_wrong_in_the_words_that_are_read_here() {
        let broken = PredictRequest::decode(&b"\xff"[..]).expect_err("half a number");
        let words = broken.to_string();
        assert!(words.starts_with(PROST_OPENING), "{words}");
        assert_eq!(decode_error(&broken).reason, Reason::MalformedMessage);

        let not_utf8 = PredictRequest::decode(&b"\x0a\x01\xff"[..]).expect_err("not UTF-8");
        let words = format!("{PROST_OPENING}PredictRequest.texts: {PROST_NOT_UTF8}");
        assert_eq!(not_utf8.to_string(), words);
        let within = PredictStreamRequest::decode(&b"\x12\x03\x0a\x01\xff"[..]).expect_err("not UTF-8");
        let words = format!("{PROST_OPENING}PredictRequest.texts: PredictStreamRequest.request: {PROST_NOT_UTF8}");
        assert_eq!(within.to_string(), words);
        for (problem, field) in [(not_utf8, "texts"), (within, "request.texts")] {
            let error = decode_error(&problem);
            let told = (error.reason, error.violations[0].field.as_str());
            assert_eq!(told, (Reason::InvalidUtf8, field));
        }
    }
}
