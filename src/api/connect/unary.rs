//! One message and one answer over Connect, each in the format of the request's content type.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use prost::{Message, Name};

use crate::api::call::{Call, media_type, only};
use crate::api::door::Door;
use crate::api::grpc::codec::decode_error;
use crate::api::grpc::methods::SMALL_MESSAGE_BYTES;
use crate::api::grpc::wire::decodable;
use crate::api::http::answer::json;
use crate::api::http::body::{Decoding, MostBytes, read_json_within, read_whole};
use crate::api::json::encode;
use crate::api::schema;
use crate::error::{Error, Reason};

/// Which version of Connect a client speaks; it may leave it out.
static VERSION_HEADER: HeaderName = HeaderName::from_static("connect-protocol-version");

/// How messages are written.
#[derive(Clone, Copy)]
pub enum Format {
    /// proto3 JSON.
    Json,
    /// Protobuf.
    Proto,
}

impl Format {
    /// The format of a request, which its answer has too.
    fn of(headers: &HeaderMap) -> Result<Self, Error> {
        if only(headers, &VERSION_HEADER)?.is_some_and(|version| version != "1") {
            return Err(Error::invalid_field(VERSION_HEADER.as_str(), "must be 1"));
        }
        let media_type = media_type(headers);
        if media_type.eq_ignore_ascii_case("application/json") {
            Ok(Self::Json)
        } else if media_type.eq_ignore_ascii_case("application/proto") {
            Ok(Self::Proto)
        } else {
            Err(Error::new(
                Reason::UnsupportedMediaType,
                "the content type must be application/json or application/proto; Connect's streams are not offered",
            ))
        }
    }

    /// An answer.
    pub fn answer<T: Message + Name>(self, message: &T) -> Response {
        match self {
            Self::Json => json(encode(message)),
            Self::Proto => {
                let content_type = HeaderValue::from_static("application/proto");
                ([(header::CONTENT_TYPE, content_type)], message.encode_to_vec()).into_response()
            }
        }
    }
}

/// Reads a message that holds texts. `held` tells the RAM that these take, in bytes.
pub async fn texts<T: Message + Name + Default + 'static>(
    door: &Door,
    call: &Call,
    request: Request,
    held: impl Fn(&T) -> usize + Send + 'static,
) -> Result<(T, Format), Error> {
    let most = MostBytes {
        json: door.context.max_json_bytes,
        message: door.context.max_message_bytes,
    };
    read(door, call, request, most, held).await
}

/// Reads a message of names and numbers.
pub async fn small<T: Message + Name + Default + 'static>(
    door: &Door,
    call: &Call,
    request: Request,
) -> Result<(T, Format), Error> {
    let most = MostBytes {
        // Each byte of a text may take six in JSON.
        json: 6 * SMALL_MESSAGE_BYTES,
        message: SMALL_MESSAGE_BYTES,
    };
    read(door, call, request, most, |_| 0).await
}

async fn read<T: Message + Name + Default + 'static>(
    door: &Door,
    call: &Call,
    request: Request,
    most: MostBytes,
    held: impl Fn(&T) -> usize + Send + 'static,
) -> Result<(T, Format), Error> {
    let format = Format::of(request.headers())?;
    let limits = door.context.limits;
    let message = match format {
        Format::Json => read_json_within(call, request, most, move |_| Decoding::of_message(limits)).await?,
        Format::Proto => {
            read_whole(call, request, most.message, move |bytes, body| {
                let part = decodable(bytes, &schema::message::<T>(), limits)?;
                let message = T::decode(&*part).map_err(|error| decode_error(&error))?;
                body.grow_to(held(&message))?;
                Ok(message)
            })
            .await?
        }
    };
    Ok((message, format))
}
