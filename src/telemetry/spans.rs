//! Spans: what was done, for whom, and when. `call_span.rs` notes them; where they go is not known here: see [`SpanSink`].
//! Nothing here takes a request's text.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::HeaderMap;

/// Which span it is, for others that point at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRef {
    pub trace: u128,
    pub span: u64,
}

impl SpanRef {
    /// The id of its trace, as logs and headers have it.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
    }

    pub fn span_id(self) -> String {
        format!("{:016x}", self.span)
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(Cow<'static, str>),
    Whole(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Whole(number as i64)
    }
}

pub type Attribute = (Cow<'static, str>, Value);

/// An attribute with a name of ours.
pub fn attribute(name: &'static str, value: impl Into<Value>) -> Attribute {
    (Cow::Borrowed(name), value.into())
}

/// What a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call of somebody else.
    Server,
    /// A part of one, or a batch.
    Internal,
}

/// Where a call comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    pub trace: u128,
    /// The caller's span; absent where the trace begins here.
    pub parent: Option<u64>,
    /// The header `tracestate`, which the call's spans keep.
    pub state: Arc<str>,
    /// What else the caller said for its trace.
    pub attributes: Vec<Attribute>,
}

/// A span that has ended.
#[derive(Debug)]
pub struct Span {
    pub is: SpanRef,
    pub parent: Option<u64>,
    /// Whether the parent is the caller's.
    pub parent_is_remote: bool,
    pub state: Arc<str>,
    pub kind: Kind,
    pub name: Cow<'static, str>,
    pub began: SystemTime,
    pub ended: SystemTime,
    pub attributes: Vec<Attribute>,
    pub links: Vec<SpanRef>,
    pub failed: bool,
}

/// Decides which calls are sampled, and takes their spans. None of it waits.
pub trait SpanSink: Send + Sync {
    /// Where a call with these headers comes from, if it is sampled.
    fn sample(&self, headers: &HeaderMap) -> Option<Origin>;
    /// A trace that nothing has gone by so far.
    fn new_trace(&self) -> u128;
    fn take(&self, span: Span);
}

/// Where spans go; nowhere by default.
pub type Spans = Option<Arc<dyn SpanSink>>;

/// A part of a call.
pub struct Stage {
    pub(super) name: &'static str,
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) attributes: Vec<Attribute>,
    pub(super) links: Vec<SpanRef>,
    pub(super) failed: bool,
}

impl Stage {
    pub fn new(name: &'static str, began: Instant, ended: Instant) -> Self {
        Self {
            name,
            began,
            ended,
            attributes: Vec::new(),
            links: Vec::new(),
            failed: false,
        }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push(attribute(name, value));
        self
    }

    pub fn linked(mut self, link: Option<SpanRef>) -> Self {
        self.links.extend(link);
        self
    }

    pub fn failed(mut self, failed: bool) -> Self {
        self.failed = failed;
        self
    }
}
