//! Request body over HTTP: its content type, its compression, its size, the time it may take, and its decoding.

use std::marker::PhantomData;

use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio_util::sync::CancellationToken;

use super::error::malformed;
use crate::api::body_budget::HeldBody;
use crate::api::call::{Call, media_type};
use crate::api::convert::held_bytes;
use crate::api::decoding::{ON_THE_SPOT_BYTES, elsewhere, unpack_small};
use crate::api::door_context::DoorContext;
use crate::api::gzip::{Packing, unpack};
use crate::api::json::{self, Bounds, Fields, Refused, measure};
use crate::api::object::Object;
use crate::api::schema;
use crate::error::{Error, Reason};
use crate::service::limits::RequestLimits;

/// How a JSON document is decoded to a `T`.
pub struct Decoding<T> {
    /// The fields that it may have.
    pub fields: Fields,
    /// The most items in one of its lists.
    pub items: usize,
    /// Decodes it, once it is known to be within the bounds.
    pub build: fn(&[u8]) -> Result<T, Refused>,
}

impl<T: prost::Message + prost::Name + Default> Decoding<T> {
    /// For a message in proto3 JSON.
    pub fn of_message(limits: RequestLimits) -> Self {
        let message = schema::message::<T>();
        Self {
            items: schema::max_items_of_any(&message, limits),
            fields: Fields::Of(message),
            build: json::build,
        }
    }
}

impl<T> Decoding<T> {
    /// For a document of another protocol with these fields, whose lists hold texts.
    pub fn of_texts(
        names: &'static [&'static str],
        limits: RequestLimits,
        build: fn(&[u8]) -> Result<T, Refused>,
    ) -> Self {
        Self {
            fields: Fields::Nested(names),
            items: limits.max_texts,
            build,
        }
    }
}

/// Decodes a document of another protocol, which was measured.
pub fn build<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, Refused> {
    let document = json::with_path(json, PhantomData).map_err(Refused::Malformed);
    document.map(|Object(document)| document)
}

/// Reads and decodes the JSON body of a request, within the limits on messages and the call's deadline.
pub async fn read_json<T: Send + 'static>(
    context: &DoorContext,
    call: &Call,
    request: Request,
    decoding: Decoding<T>,
) -> Result<T, Error> {
    read_json_by(context, call, request, move |_| decoding).await
}

/// The same where the document itself tells how it is decoded.
pub async fn read_json_by<T: Send + 'static>(
    context: &DoorContext,
    call: &Call,
    request: Request,
    decoding: impl FnOnce(&[u8]) -> Decoding<T> + Send + 'static,
) -> Result<T, Error> {
    let most = MostBytes {
        json: context.max_json_bytes,
        message: context.max_message_bytes,
    };
    read_json_within(call, request, most, decoding).await
}

/// The most bytes of a message.
#[derive(Clone, Copy)]
pub struct MostBytes {
    /// As a JSON document.
    pub json: usize,
    /// Of what is read of that, as Protobuf would have it.
    pub message: usize,
}

/// The same within other limits than those of messages that hold texts.
pub async fn read_json_within<T: Send + 'static>(
    call: &Call,
    request: Request,
    most: MostBytes,
    decoding: impl FnOnce(&[u8]) -> Decoding<T> + Send + 'static,
) -> Result<T, Error> {
    check_type(request.headers())?;
    read_whole(call, request, most.json, move |json, held| {
        decode(json, most.message, held, decoding)
    })
    .await
}

/// Reads the body of a request, unpacked, and makes something of it, within the call's deadline. The body has at most
/// `limit` bytes, packed or not; its bytes are counted before they are kept. A large one is unpacked and decoded on
/// another thread.
pub async fn read_whole<T: Send + 'static>(
    call: &Call,
    request: Request,
    limit: usize,
    decode: impl FnOnce(&[u8], &HeldBody) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let packing = packing(request.headers(), &[Packing::Gzip])?;
    let decode = move |body: Bytes, held: &HeldBody| decode(&body, held);
    read_as(limit, packing, call, request, decode).await
}

/// The same for a body that is packed in another way.
pub async fn read_as<T: Send + 'static>(
    limit: usize,
    packing: Option<Packing>,
    call: &Call,
    request: Request,
    decode: impl FnOnce(Bytes, &HeldBody) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    // A declared length is enough to refuse the body. A compressed body only becomes larger.
    let declared = request.body().size_hint().lower();
    let declared = usize::try_from(declared).unwrap_or(usize::MAX);
    if declared <= limit {
        call.body.check(declared)?;
    } else if request.headers().contains_key(header::EXPECT) {
        // A client that waits for "100 Continue" has not sent the body yet. Others are sending already, and would not
        // see an answer that comes before they have finished.
        return Err(Error::message_too_large(limit));
    }
    let work = async {
        let body = read(request.into_body(), &call.body, limit).await?;
        match packing {
            None if body.len() <= ON_THE_SPOT_BYTES => return decode(body, &call.body),
            Some(packing) => {
                if let Some(small) = unpack_small(packing, &body, limit, &call.body) {
                    return decode(small?.into(), &call.body);
                }
            }
            None => {}
        }
        let call = call.clone();
        elsewhere(move |cancelled: &CancellationToken| {
            let body = match packing {
                Some(packing) => unpack(packing, &body, limit, &call.body, cancelled)?.into(),
                None => body,
            };
            decode(body, &call.body)
        })
        .await
    };
    tokio::time::timeout_at(call.deadline().into(), work)
        .await
        .map_err(|_| Error::deadline_exceeded())?
}

/// Decodes a document. What it is decoded to is counted first.
fn decode<T>(
    json: &[u8],
    most_bytes: usize,
    held: &HeldBody,
    decoding: impl FnOnce(&[u8]) -> Decoding<T>,
) -> Result<T, Error> {
    // Some clients write a byte order mark first; RFC 8259 allows us to skip it.
    let json = json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(json);
    let decoding = decoding(json);
    let bounds = Bounds {
        items: decoding.items,
        bytes: most_bytes,
    };
    let size = measure(json, decoding.fields, bounds).map_err(|refused| malformed(refused, json))?;
    held.grow_to(held_bytes(size.items, size.bytes))?;
    (decoding.build)(json).map_err(|refused| malformed(refused, json))
}

fn check_type(headers: &HeaderMap) -> Result<(), Error> {
    if !media_type(headers).eq_ignore_ascii_case("application/json") {
        return Err(Error::new(
            Reason::UnsupportedMediaType,
            "the content type must be application/json",
        ));
    }
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let parameters = value.unwrap_or("").split(';').skip(1);
    for parameter in parameters {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let utf8 = ["utf-8", "us-ascii"];
        let known = |value: &str| utf8.iter().any(|utf8| value.eq_ignore_ascii_case(utf8));
        if name.trim().eq_ignore_ascii_case("charset") && !known(value.trim().trim_matches('"')) {
            return Err(Error::new(Reason::UnsupportedMediaType, "the charset of JSON is utf-8"));
        }
    }
    Ok(())
}

/// How the body is packed, by the headers, if it is: in one of the ways that are `taken`. `x-gzip` is another name for
/// gzip. Packing twice is refused.
pub fn packing(headers: &HeaderMap, taken: &[Packing]) -> Result<Option<Packing>, Error> {
    let mut found = None;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for coding in value.as_bytes().split(|&byte| byte == b',') {
            let packing = match coding.trim_ascii().to_ascii_lowercase().as_slice() {
                b"" | b"identity" => continue,
                b"gzip" | b"x-gzip" => Some(Packing::Gzip),
                b"deflate" => Some(Packing::Zlib),
                _ => None,
            };
            let packing = packing.filter(|packing| taken.contains(packing));
            if packing.is_none() || found.is_some() {
                let also = if taken.contains(&Packing::Zlib) {
                    " or deflate"
                } else {
                    ""
                };
                return Err(Error::new(
                    Reason::UnsupportedEncoding,
                    format!("the content encoding must be gzip{also}, once, or identity"),
                ));
            }
            found = packing;
        }
    }
    Ok(found)
}

/// Reads a whole body. Its bytes are counted before they are kept.
pub async fn read(body: Body, held: &HeldBody, limit: usize) -> Result<Bytes, Error> {
    let mut body = Limited::new(body, limit);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Error::message_too_large(limit)
            } else {
                Error::new(
                    Reason::MalformedMessage,
                    "the body can't be read: its framing is broken",
                )
            }
        })?;
        if let Ok(data) = frame.into_data() {
            held.add(data.len())?;
            if whole.is_empty() && body.is_end_stream() {
                return Ok(data);
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}
