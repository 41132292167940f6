//! PredictStream: many requests on one call, each answered as soon as it is ready.
//!
//! A bounded number of requests of one stream is open at a time, and a bounded number of answers waits for the reader:
//! past either bound the stream reads no further, so a slow reader slows itself. Open requests go on all the same: each ends
//! with its answer or at its deadline, and gives back what it held, whether or not anybody reads. The task of a stream ends when
//! its requests have ended and are answered, when the caller goes away, at the call's deadline, or in a drain, once what was
//! read is answered. At its end all that is open or waits is dropped, before the caller is told.

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

use super::status::{error_behind, to_status};
use crate::api::body_budget::HeldBody;
use crate::api::call::{Call, RequestTime};
use crate::api::door::Door;
use crate::api::pb::predict_stream_response::Outcome;
use crate::api::{convert, pb};
use crate::error::{Error, Reason};
use crate::timer::sleep_until;

/// The most requests of one stream that are open or answered and not taken by the reader.
pub const MAX_OPEN_REQUESTS: usize = 64;
/// While so many answers wait for the reader, no further request is read. Those that are open may add theirs.
const MAX_WAITING_ANSWERS: usize = 8;
/// The longest id of a request, in bytes.
const MAX_ID_BYTES: usize = 128;
/// How long requests of a stream may be on their way to a server that drains: about a round trip.
const LAST_REQUESTS: Duration = Duration::from_millis(100);
const METHOD: &str = "PredictStream";

/// The answers of a stream.
pub type ResponseStream = ReceiverStream<Result<pb::PredictStreamResponse, Status>>;
type OpenRequest = Pin<Box<dyn Future<Output = StreamAnswer> + Send>>;

/// The answer to one request.
struct StreamAnswer {
    /// The request's id, if it was kept among those that are open.
    id: Option<String>,
    message: pb::PredictStreamResponse,
    /// The bytes of the message, counted until the reader's connection takes it.
    _held: HeldBody,
}

/// Starts to serve a stream, in a task that `tasks` tracks, until it ends or, shortly after `drain` is cancelled, is idle.
pub fn serve_stream(
    door: Door,
    tasks: &TaskTracker,
    drain: CancellationToken,
    call: Call,
    requests: Streaming<pb::PredictStreamRequest>,
) -> ResponseStream {
    // What is in the channel can't be taken back at the end, so all but one of the answers wait before it.
    let (answers, reader) = mpsc::channel(1);
    // A stream without a deadline of its own may stay open; each of its requests has one.
    let deadline = call.timeout.map(|timeout| call.arrived + timeout);
    let mut server = StreamServer {
        door,
        call,
        open: FuturesUnordered::new(),
        open_ids: HashSet::new(),
        waiting: VecDeque::new(),
    };
    tasks.spawn(async move {
        // A panic must not end the stream as if all were well.
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
        // It may take the reader any time to take the status: nothing else waits with it.
        drop(server);
        if let Some(status) = status {
            // An error here means that the reader has gone, and wants no status.
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
    /// Answers for which the reader has no room yet: at most [`MAX_OPEN_REQUESTS`], with what is open.
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
            // No arm may wait for anything after it was chosen: what is open would stand still.
            tokio::select! {
                message = requests.message(), if reading && self.has_room() => match message {
                    Ok(Some(request)) => {
                        // What it took to read the largest message stays with the stream.
                        self.call.body.grow_to(request.encoded_len())?;
                        self.start(request, deadline);
                    }
                    Ok(None) => reading = false,
                    // What follows a message that can't be read can't be told apart.
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
        // It is held until it is answered.
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
        let (door, call) = (self.door.clone(), self.call.clone());
        let held = checked.is_ok().then(|| id.clone());
        if let Some(id) = &held {
            self.open_ids.insert(id.clone());
        }
        self.open.push(Box::pin(async move {
            let answer = async {
                room?;
                let timeout = checked?;
                let own = call.deadlines().deadline(arrived, timeout);
                // Without a limit of its own, a request has what is left of the call's.
                let deadline = match (timeout, deadline) {
                    (None, Some(call)) => call,
                    (_, Some(call)) => own.min(call),
                    (_, None) => own,
                };
                let message = request.ok_or_else(|| Error::invalid_field("request", "is missing"))?;
                let time = RequestTime { arrived, deadline };
                door.predict(&call, time, message).await.map_err(within_request)
            };
            // A panic is this request's alone: the stream goes on.
            let outcome: Result<_, Error> = AssertUnwindSafe(answer)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(Error::internal()));
            call.count_request("PredictStream.request", outcome.as_ref().err(), arrived.elapsed());
            let outcome = match outcome {
                Ok(predicted) => Outcome::Response(predicted.response),
                Err(error) => Outcome::Status(to_rpc_status(&error, &call)),
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

/// Fields of the inner message are named from the stream's message on.
fn within_request(mut error: Error) -> Error {
    for violation in &mut error.violations {
        violation.field = format!("request.{}", violation.field);
    }
    error
}

/// An id that is too long comes back cut, so that its answer can still be told apart.
fn cut_id(mut id: String) -> String {
    id.truncate(id.floor_char_boundary(MAX_ID_BYTES));
    id
}

fn to_rpc_status(error: &Error, call: &Call) -> tonic_types::Status {
    let status = to_status(error, Some(&call.request_id));
    prost::Message::decode(status.details()).expect("the details of a status of ours are a google.rpc.Status")
}
