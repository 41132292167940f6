//! Messages of a gRPC call, one by one, before tonic sees them: their frames, their compression, and how much of each
//! is decoded. Where a method takes one message, it is passed on once its end is known.
//!
//! tonic would unpack on the async threads, and would overlook a second message.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName};
use http_body::{Body as HttpBody, Frame};
use prost_reflect::{MessageDescriptor, MethodDescriptor};
use tokio_util::sync::CancellationToken;

use super::methods::Method;
use super::wire::decodable;
use crate::api::call::Call;
use crate::api::decoding::{elsewhere, unpack_small};
use crate::api::gzip::{Packing, unpack};
use crate::api::status::to_status;
use crate::error::{Error, Reason};
use crate::service::limits::RequestLimits;

/// The header that names the compression of the messages.
pub static ENCODING_HEADER: HeaderName = HeaderName::from_static("grpc-encoding");

/// The bytes of a message's head: whether it is compressed, and its length.
const HEAD_BYTES: usize = 5;

/// Whether messages may be compressed, by the headers. An error for two compressions, or any but gzip.
pub fn compressed(headers: &HeaderMap) -> Result<bool, Error> {
    let mut named = headers.get_all(&ENCODING_HEADER).iter();
    match (named.next(), named.next()) {
        (None, _) => Ok(false),
        (Some(name), None) if name.as_bytes().eq_ignore_ascii_case(b"gzip") => Ok(true),
        (Some(name), None) if name.as_bytes().eq_ignore_ascii_case(b"identity") => Ok(false),
        _ => Err(Error::new(
            Reason::UnsupportedEncoding,
            "the message's compression is not supported, the server takes gzip and identity",
        )),
    }
}

/// A body that passes messages on whole, uncompressed, and cut to what it takes to refuse them if they are too much.
pub struct Messages<B> {
    body: B,
    rules: Rules,
    call: Call,
    /// Bytes that have come and were not passed on.
    come: BytesMut,
    /// Whether the body has ended.
    ended: bool,
    /// Whether the one message of the method has not begun yet.
    awaits_first: bool,
    unpacking: Option<Unpacking>,
    /// Pieces to pass on next.
    ready: VecDeque<Bytes>,
}

type Unpacking = Pin<Box<dyn Future<Output = Result<Vec<u8>, Error>> + Send>>;

/// The rules for a method's messages.
#[derive(Clone)]
struct Rules {
    /// The type of the messages; absent for an unknown method, whose messages nobody reads.
    message: Option<MessageDescriptor>,
    single: bool,
    compressed: bool,
    limits: RequestLimits,
    largest: usize,
}

impl<B> Messages<B> {
    /// The messages in `body`, the body of a call of `method`. `compressed`: what [`compressed`] says of its headers.
    pub fn new(body: B, call: &Call, method: &Method, compressed: bool, limits: RequestLimits) -> Self {
        let single = method.descriptor.is_some() && !method.takes_stream;
        Self {
            body,
            rules: Rules {
                message: method.descriptor.map(MethodDescriptor::input),
                single,
                compressed,
                limits,
                largest: method.largest,
            },
            call: call.clone(),
            come: BytesMut::new(),
            ended: false,
            awaits_first: single,
            unpacking: None,
            ready: VecDeque::new(),
        }
    }

    /// Ends after a failure: nothing more is passed on.
    fn end(&mut self) {
        self.come.clear();
        self.ended = true;
        self.awaits_first = false;
    }

    /// Takes up the next message, if all of it has come, and, for a method of one message, the end of the body too.
    fn begin(&mut self) -> Result<bool, Error> {
        let Some(&[flag, ref length @ ..]) = self.come.first_chunk::<HEAD_BYTES>() else {
            return match self.ended {
                true if !self.come.is_empty() => Err(Error::unreadable("it ends early")),
                true if self.awaits_first => Err(Error::unreadable("there is none")),
                _ => Ok(false),
            };
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if flag > u8::from(self.rules.compressed) {
            return Err(Error::unreadable("its frame is broken"));
        }
        if length > self.rules.largest {
            return Err(Error::message_too_large(self.rules.largest));
        }
        let whole = HEAD_BYTES + length;
        if self.rules.single && self.come.len() > whole {
            return Err(Error::unreadable("more follows the one message that the method takes"));
        }
        if self.come.len() < whole {
            return if self.ended {
                Err(Error::unreadable("it ends early"))
            } else {
                Ok(false)
            };
        }
        if self.rules.single && !self.ended {
            return Ok(false);
        }
        self.awaits_first = false;
        let framed = self.come.split_to(whole).freeze();
        let message = framed.slice(HEAD_BYTES..);
        if flag == 0 {
            let part = self.rules.part(&message)?;
            if part.len() == length {
                self.ready.push_back(framed);
            } else {
                self.ready.extend(self.rules.framed(part)?);
            }
            return Ok(true);
        }
        match unpack_small(Packing::Gzip, &message, self.rules.largest, &self.call.body) {
            Some(unpacked) => self
                .ready
                .extend(self.rules.framed(self.rules.part(&unpacked?.into())?)?),
            None => {
                let (call, largest) = (self.call.clone(), self.rules.largest);
                let work = move |cancelled: &CancellationToken| {
                    unpack(Packing::Gzip, &message, largest, &call.body, cancelled)
                };
                self.unpacking = Some(Box::pin(elsewhere(work)));
            }
        }
        Ok(true)
    }
}

impl Rules {
    /// The part of a message that will be decoded.
    fn part(&self, message: &Bytes) -> Result<Bytes, Error> {
        let Some(of) = &self.message else {
            return Ok(message.clone());
        };
        Ok(match decodable(message, of, self.limits)? {
            Cow::Borrowed(part) => message.slice_ref(part),
            Cow::Owned(part) => part.into(),
        })
    }

    /// A message as it is passed on: its head, and this part of it.
    fn framed(&self, part: Bytes) -> Result<[Bytes; 2], Error> {
        let mut head = BytesMut::with_capacity(HEAD_BYTES);
        head.put_u8(0);
        head.put_u32(u32::try_from(part.len()).map_err(|_| Error::message_too_large(self.largest))?);
        Ok([head.freeze(), part])
    }
}

impl<B> HttpBody for Messages<B>
where
    B: HttpBody<Data = Bytes, Error = axum::BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        loop {
            if let Some(next) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(next))));
            }
            let outcome = match &mut this.unpacking {
                Some(unpacking) => {
                    let unpacked = ready!(unpacking.as_mut().poll(context));
                    this.unpacking = None;
                    let part = unpacked.and_then(|message| this.rules.part(&message.into()));
                    let framed = part.and_then(|part| this.rules.framed(part));
                    framed.map(|framed| {
                        this.ready.extend(framed);
                        true
                    })
                }
                None => this.begin(),
            };
            match outcome {
                Ok(true) => continue,
                Ok(false) if this.ended => return Poll::Ready(None),
                Ok(false) => {}
                Err(error) => {
                    this.end();
                    return Poll::Ready(Some(Err(to_status(&error, Some(&this.call.request_id)).into())));
                }
            }
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                None => this.ended = true,
                Some(Err(error)) => {
                    this.end();
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(frame)) => {
                    // Trailers are dropped: no client sends any that mean something.
                    if let Ok(data) = frame.into_data() {
                        this.come.extend_from_slice(&data);
                    }
                    this.ended = this.body.is_end_stream();
                }
            }
        }
    }
}
