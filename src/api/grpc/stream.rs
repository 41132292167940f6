//! PredictStream: many requests on one call, each answered as soon as it is ready.
//!
//! The number of open requests of a stream is bounded, and so is the number of answers that wait for the reader. Past
//! either bound the stream reads no further, so a slow reader slows only itself. Open requests go on: each ends with
//! its answer or at its deadline and gives back what it held, whether anybody reads or not. The task of a stream ends
//! when its requests have ended and are answered, when the caller goes away, at the call's deadline, or in a drain once
//! everything that was read is answered. At its end all that is open or waits is dropped, before the caller gets the
//! status.

use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Status, Streaming};

use crate::api::body_budget::HeldBody;
use crate::api::call::{Call, RequestTime};
use crate::api::door::Door;
use crate::api::pb::predict_stream_response::Outcome;
use crate::api::status::{error_behind, to_message, to_status};
use crate::api::{convert, pb};
use crate::error::{Error, Reason};
use crate::timer::sleep_until;

/// The most requests of one stream that are open, or answered but not yet taken by the reader.
pub const MAX_OPEN_REQUESTS: usize = 64;
/// While this many answers wait for the reader, no further request is read. Open ones may still add theirs.
const MAX_WAITING_ANSWERS: usize = 8;
/// The longest id of a request, in bytes.
const MAX_ID_BYTES: usize = 128;
/// How long to wait in a drain for requests that may be on their way: about a round trip.
const LAST_REQUESTS: Duration = Duration::from_millis(100);
const METHOD: &str = "PredictStream";
const REQUEST: &str = "PredictStream.request";

pub type ResponseStream = ReceiverStream<Result<pb::PredictStreamResponse, Status>>;
type OpenRequest = Pin<Box<dyn Future<Output = StreamAnswer> + Send>>;

/// The answer to one request of a stream.
struct StreamAnswer {
    /// The request's id, if it was kept among the open ones.
    id: Option<String>,
    message: pb::PredictStreamResponse,
    /// The bytes of the answer, counted until the reader's connection takes it.
    _held: HeldBody,
}

/// Serves a stream in a task that `tasks` tracks, until the stream ends, or, once `drain` is cancelled, is idle.
pub fn serve_stream(
    door: Door,
    tasks: &TaskTracker,
    drain: CancellationToken,
    call: Call,
    requests: Streaming<pb::PredictStreamRequest>,
) -> ResponseStream {
    // Answers in a channel can't be taken back at the end, so all but one wait outside it.
    let (answers, reader) = mpsc::channel(1);
    // A stream without a deadline of its own may stay open: each of its requests has one.
    let deadline = call.timeout.map(|timeout| call.arrived + timeout);
    let mut server = StreamServer {
        door,
        call,
        open: FuturesUnordered::new(),
        open_ids: HashSet::new(),
        waiting: VecDeque::new(),
    };
    tasks.spawn(async move {
        // After a panic the stream must not look as if it had ended well.
        let served = AssertUnwindSafe(server.run(requests, &answers, deadline, drain)).catch_unwind();
        let outcome = tokio::select! {
            outcome = served => outcome.unwrap_or_else(|_| Err(Error::internal())),
            () = answers.closed() => Err(Error::new(Reason::Cancelled, "the caller went away")),
            () = sleep_until(deadline) => Err(Error::deadline_exceeded()),
        };
        server.call.finish(METHOD, outcome.as_ref().copied());
        let status = outcome
            .err()
            .map(|error| to_status(&error, Some(&server.call.request_id)));
        // The reader may take any time to take the status, so nothing else is kept until then.
        drop(server);
        if let Some(status) = status {
            // An error means that the reader is gone and needs no status.
            let _ = answers.send(Err(status)).await;
        }
    });
    ReceiverStream::new(reader)
}

struct StreamServer {
    door: Door,
    call: Call,
    open: FuturesUnordered<OpenRequest>,
    open_ids: HashSet<String>,
    /// Answers that the channel has no room for. With the open requests at most [`MAX_OPEN_REQUESTS`].
    waiting: VecDeque<StreamAnswer>,
}

impl StreamServer {
    /// Reads requests and sends answers until there are no more of either.
    async fn run(
        &mut self,
        mut requests: Streaming<pb::PredictStreamRequest>,
        answers: &mpsc::Sender<Result<pb::PredictStreamResponse, Status>>,
        deadline: Option<Instant>,
        drain: CancellationToken,
    ) -> Result<(), Error> {
        let mut last_requests = pin!(async {
            drain.cancelled().await;
            tokio::time::sleep(LAST_REQUESTS).await;
        });
        let mut reading = true;
        while reading || !self.open.is_empty() || !self.waiting.is_empty() {
            // No branch may wait once it is chosen: open requests would stand still.
            tokio::select! {
                message = requests.message(), if reading && self.has_room() => match message {
                    Ok(Some(request)) => {
                        // The RAM for the largest message so far stays with the stream.
                        self.call.body.grow_to(request.encoded_len())?;
                        self.start(request, deadline);
                    }
                    Ok(None) => reading = false,
                    // After a message that can't be read, the next one can't be found.
                    Err(status) => return Err(error_behind(&status, self.door.context.max_message_bytes)),
                },
                Some(answer) = self.open.next(), if !self.open.is_empty() => {
                    if let Some(id) = &answer.id {
                        self.open_ids.remove(id);
                    }
                    self.waiting.push_back(answer);
                }
                room = answers.reserve(), if !self.waiting.is_empty() => {
                    let room = room.map_err(|_| Error::new(Reason::Cancelled, "the caller went away"))?;
                    if let Some(answer) = self.waiting.pop_front() {
                        room.send(Ok(answer.message));
                    }
                }
                () = &mut last_requests, if reading => reading = false,
            }
        }
        Ok(())
    }

    /// Whether one more request may be read.
    fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING_ANSWERS && self.open.len() + self.waiting.len() < MAX_OPEN_REQUESTS
    }

    fn start(&mut self, request: pb::PredictStreamRequest, deadline: Option<Instant>) {
        let arrived = Instant::now();
        // Held until the request is answered.
        let body = HeldBody::new(self.call.body.holder().clone());
        let room = body.grow_to(
            request
                .encoded_len()
                .max(request.request.as_ref().map_or(0, convert::held_by)),
        );
        let pb::PredictStreamRequest {
            id,
            request,
            timeout_duration,
        } = request;
        let checked = self.check(&id, timeout_duration.as_ref());
        let (door, call) = (self.door.clone(), self.call.of_request(REQUEST, arrived));
        let held = checked.is_ok().then(|| id.clone());
        if let Some(id) = &held {
            self.open_ids.insert(id.clone());
        }
        self.open.push(Box::pin(async move {
            let answer = async {
                room?;
                let timeout = checked?;
                let own = call.deadlines().deadline(arrived, timeout);
                // A request without a time of its own has what is left of the call's.
                let deadline = match (timeout, deadline) {
                    (None, Some(call)) => call,
                    (_, Some(call)) => own.min(call),
                    (_, None) => own,
                };
                let message = request.ok_or_else(|| Error::invalid_field("request", "is missing"))?;
                let time = RequestTime { arrived, deadline };
                door.predict(&call, time, message).await.map_err(within_request)
            };
            // A panic ends only this request; the stream goes on.
            let outcome: Result<_, Error> = AssertUnwindSafe(answer)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(Error::internal()));
            call.end_request(REQUEST, outcome.as_ref().err(), arrived.elapsed());
            let outcome = match outcome {
                Ok(predicted) => Outcome::Response(predicted.response),
                Err(error) => Outcome::Status(to_message(&error, Some(&call.request_id))),
            };
            let message = pb::PredictStreamResponse {
                id: cut_id(id),
                outcome: Some(outcome),
            };
            body.release();
            body.add_answer(message.encoded_len());
            StreamAnswer {
                id: held,
                message,
                _held: body,
            }
        }));
    }

    fn check(&self, id: &str, timeout: Option<&prost_types::Duration>) -> Result<Option<Duration>, Error> {
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            let found = id.len();
            return Err(Error::invalid_field(
                "id",
                format!("has {found} bytes, it must have from 1 to {MAX_ID_BYTES}"),
            ));
        }
        if self.open_ids.contains(id) {
            return Err(Error::invalid_field("id", "is still open on this stream"));
        }
        let Some(timeout) = timeout else { return Ok(None) };
        let timeout = Duration::try_from(*timeout)
            .map_err(|_| Error::invalid_field("timeout_duration", "must be a valid duration of at least 0"))?;
        Ok(Some(timeout))
    }
}

/// Renames fields of the inner message to begin at the stream's message.
fn within_request(mut error: Error) -> Error {
    for violation in &mut error.violations {
        violation.field = format!("request.{}", violation.field);
    }
    error
}

/// An id that is too long comes back cut, so that its answer can still be recognized.
fn cut_id(mut id: String) -> String {
    id.truncate(id.floor_char_boundary(MAX_ID_BYTES));
    id
}
