//! The codec: Protobuf, with decoding failures told as what they are, the caller's mistakes.
//!
//! The stock codec answers INTERNAL for a message that can't be decoded, which pages the wrong people.

use std::marker::PhantomData;

use bytes::Buf;
use prost::Message;
use tokio::runtime::{Handle, RuntimeFlavor};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstEncoder};

use super::status::to_status;
use crate::error::{Error, Reason};

/// From this size on a message is decoded where it delays no other task. What is decoded holds a bounded number of texts
/// (`wire.rs`), so decoding is little more than copying: smaller ones are done before the other tasks would have been moved.
const LARGE_BYTES: usize = 1 << 20;

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

/// Decodes `U`.
#[derive(Debug)]
pub struct ApiDecoder<U> {
    message: PhantomData<U>,
}

impl<U: Message + Default> Decoder for ApiDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let large = buffer.remaining() >= LARGE_BYTES;
        let decoded = match large && on_many_threads() {
            // The other tasks of this thread go on elsewhere meanwhile.
            true => tokio::task::block_in_place(|| U::decode(buffer)),
            false => U::decode(buffer),
        };
        decoded
            .map(Some)
            .map_err(|error| to_status(&decode_error(&error), None))
    }
}

/// Whether this thread is one of several.
fn on_many_threads() -> bool {
    let runtime = Handle::try_current().map(|handle| handle.runtime_flavor());
    runtime.is_ok_and(|flavor| flavor == RuntimeFlavor::MultiThread)
}

/// What prost says, which names messages and fields and never quotes their values, in our words.
fn decode_error(error: &prost::DecodeError) -> Error {
    let problem = error.to_string();
    let place = problem
        .strip_prefix("failed to decode Protobuf message: ")
        .unwrap_or(&problem);
    if !place.contains("data is not UTF-8 encoded") {
        return Error::new(
            Reason::MalformedMessage,
            format!("the message can't be decoded: {place}"),
        );
    }
    // `PredictRequest.texts: invalid string value: …`, the innermost field last before the words.
    let field = place
        .split(": ")
        .take_while(|part| part.contains('.') && !part.contains(' '))
        .last()
        .and_then(|part| part.split_once('.'))
        .map_or("texts", |(_, field)| field);
    Error {
        reason: Reason::InvalidUtf8,
        ..Error::invalid_field(field, "holds bytes that are not UTF-8")
    }
}
