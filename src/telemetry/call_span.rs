//! The span of a call. A call that is not sampled has one with nothing in it, which costs a comparison wherever a stage
//! would be noted.
//!
//! Stages are noted on the call and leave with it at its end, so nobody on a request's way waits for whoever takes them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::HeaderMap;
use parking_lot::Mutex;

use super::spans::{Attribute, Kind, Span, SpanRef, SpanSink, Stage, Value, attribute};

/// The most stages of one call. Those beyond are counted.
const MAX_STAGES: usize = 256;

/// A call's span, or a place within it where stages begin; nothing where the call is not sampled. Cheap to clone.
#[derive(Clone, Default)]
pub struct CallSpan(Option<Place>);

#[derive(Clone)]
struct Place {
    call: Arc<Record>,
    /// What is noted here has this parent.
    id: u64,
}

struct Record {
    sink: Arc<dyn SpanSink>,
    is: SpanRef,
    kind: Kind,
    parent: Option<u64>,
    state: Arc<str>,
    /// The same moment by both clocks.
    began: (Instant, SystemTime),
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    name: Cow<'static, str>,
    attributes: Vec<Attribute>,
    stages: Vec<(u64, u64, Stage)>,
    /// Stages for which there was no room.
    left_out: usize,
    ended: bool,
}

impl std::fmt::Debug for CallSpan {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("CallSpan").field(&self.is()).finish()
    }
}

fn new_id() -> u64 {
    fastrand::u64(1..)
}

impl CallSpan {
    /// The span of a call that arrived now with these headers, if it is sampled.
    pub fn begin(sink: &Arc<dyn SpanSink>, headers: &HeaderMap, arrived: Instant) -> Self {
        let Some(origin) = sink.sample(headers) else {
            return Self::default();
        };
        let since = arrived.elapsed();
        let is = SpanRef {
            trace: origin.trace,
            span: new_id(),
        };
        let noted = Noted {
            attributes: origin.attributes,
            ..Noted::default()
        };
        Self(Some(Place {
            id: is.span,
            call: Arc::new(Record {
                sink: Arc::clone(sink),
                is,
                kind: Kind::Server,
                parent: origin.parent,
                state: origin.state,
                began: (arrived, SystemTime::now() - since),
                noted: Mutex::new(noted),
            }),
        }))
    }

    /// The span of one of the many requests of this call, which ends by itself.
    pub fn of_request(&self, name: &'static str, arrived: Instant) -> Self {
        let Some(Place { call, id }) = &self.0 else {
            return Self::default();
        };
        let is = SpanRef {
            trace: call.is.trace,
            span: new_id(),
        };
        let noted = Noted {
            name: Cow::Borrowed(name),
            ..Noted::default()
        };
        Self(Some(Place {
            id: is.span,
            call: Arc::new(Record {
                sink: Arc::clone(&call.sink),
                is,
                kind: Kind::Internal,
                parent: Some(*id),
                state: Arc::clone(&call.state),
                began: (arrived, call.at(arrived)),
                noted: Mutex::new(noted),
            }),
        }))
    }

    /// Whether anything is noted.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Which span the call's is.
    pub fn is(&self) -> Option<SpanRef> {
        self.0.as_ref().map(|place| place.call.is)
    }

    /// The id of the call's trace, for log lines.
    pub fn trace_id(&self) -> Option<String> {
        self.is().map(SpanRef::trace_id)
    }

    /// The id of the call's span, for log lines.
    pub fn span_id(&self) -> Option<String> {
        self.is().map(SpanRef::span_id)
    }

    /// Where its spans go.
    pub fn sink(&self) -> Option<&dyn SpanSink> {
        self.0.as_ref().map(|place| &*place.call.sink)
    }

    /// Names the call, and says what is known of it from the start.
    pub fn describe(&self, described: impl FnOnce() -> (Cow<'static, str>, Vec<Attribute>)) {
        let Some(Place { call, .. }) = &self.0 else { return };
        let (name, attributes) = described();
        let mut noted = call.noted.lock();
        noted.name = name;
        noted.attributes.extend(attributes);
    }

    /// Adds to what is known of the call.
    pub fn set<V: Into<Value>>(&self, name: &'static str, value: impl FnOnce() -> V) {
        if let Some(Place { call, .. }) = &self.0 {
            let attribute = attribute(name, value());
            call.noted.lock().attributes.push(attribute);
        }
    }

    /// Notes a stage that is over.
    pub fn add(&self, stage: impl FnOnce() -> Stage) {
        if let Some(Place { call, id }) = &self.0 {
            call.note(new_id(), *id, stage());
        }
    }

    /// Does work that is a stage.
    pub fn timed<T>(&self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let _stage = self.open(name);
        work()
    }

    /// Begins a stage, which ends when it is dropped.
    pub fn open(&self, name: &'static str) -> OpenStage {
        let place = self.0.as_ref();
        let stage = place.map(|place| (name, place.id, Instant::now()));
        let within = place.map(|place| Place {
            call: Arc::clone(&place.call),
            id: new_id(),
        });
        OpenStage {
            within: Self(within),
            stage,
            attributes: Vec::new(),
        }
    }

    /// Ends the call: gives its spans away. What is noted from now on is lost.
    pub fn end(&self, outcome: impl FnOnce() -> (Vec<Attribute>, bool)) {
        let Some(Place { call, .. }) = &self.0 else { return };
        let (attributes, failed) = outcome();
        let noted = {
            let mut noted = call.noted.lock();
            if noted.ended {
                return;
            }
            let ended = Noted {
                ended: true,
                ..Noted::default()
            };
            std::mem::replace(&mut *noted, ended)
        };
        call.give_away(noted, attributes, failed);
    }
}

impl Record {
    /// A moment by the other clock.
    fn at(&self, moment: Instant) -> SystemTime {
        let (began, clock) = self.began;
        match moment.checked_duration_since(began) {
            Some(after) => clock + after,
            None => clock - began.duration_since(moment),
        }
    }

    fn note(&self, id: u64, parent: u64, stage: Stage) {
        let mut noted = self.noted.lock();
        if noted.ended {
            return;
        }
        if noted.stages.len() < MAX_STAGES {
            noted.stages.push((id, parent, stage));
        } else {
            noted.left_out += 1;
        }
    }

    fn give_away(&self, noted: Noted, outcome: Vec<Attribute>, failed: bool) {
        let mut attributes = noted.attributes;
        attributes.extend(outcome);
        if noted.left_out > 0 {
            attributes.push(attribute("tandem.stages.left_out", noted.left_out));
        }
        for (id, parent, stage) in noted.stages {
            self.sink.take(Span {
                is: SpanRef { span: id, ..self.is },
                parent: Some(parent),
                parent_is_remote: false,
                state: Arc::clone(&self.state),
                kind: Kind::Internal,
                name: Cow::Borrowed(stage.name),
                began: self.at(stage.began),
                ended: self.at(stage.ended),
                attributes: stage.attributes,
                links: stage.links,
                failed: stage.failed,
            });
        }
        self.sink.take(Span {
            is: self.is,
            parent: self.parent,
            parent_is_remote: self.kind == Kind::Server,
            state: Arc::clone(&self.state),
            kind: self.kind,
            name: noted.name,
            began: self.began.1,
            ended: self.at(Instant::now()),
            attributes,
            links: Vec::new(),
            failed,
        });
    }
}

/// A stage that is under way; nothing where the call is not sampled.
pub struct OpenStage {
    /// Where its own stages are noted.
    pub within: CallSpan,
    stage: Option<(&'static str, u64, Instant)>,
    attributes: Vec<Attribute>,
}

impl OpenStage {
    /// Says something of the stage.
    pub fn set<V: Into<Value>>(&mut self, name: &'static str, value: impl FnOnce() -> V) {
        if self.stage.is_some() {
            self.attributes.push(attribute(name, value()));
        }
    }
}

impl Drop for OpenStage {
    fn drop(&mut self) {
        if let (Some((name, parent, began)), Some(Place { call, id })) = (self.stage.take(), &self.within.0) {
            let mut stage = Stage::new(name, began, Instant::now());
            stage.attributes = std::mem::take(&mut self.attributes);
            call.note(*id, parent, stage);
        }
    }
}
