//! The codec: Protobuf, with decoding failures told as what they are, the caller's mistakes.
//!
//! The stock codec answers INTERNAL for a message that can't be decoded, which pages the wrong people.

use std::marker::PhantomData;

use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstEncoder};

use super::status::to_status;
use crate::error::{Error, Reason};

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
        U::decode(buffer)
            .map(Some)
            .map_err(|error| to_status(&decode_error(&error), None))
    }
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
