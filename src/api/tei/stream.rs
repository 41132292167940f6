//! A stream of requests whose answers come in the order of the requests, since neither has an id.
//!
//! The bounds and the end are those of `grpc/stream.rs`. Here a failure of one request ends the stream with its status,
//! after the answers to those before it.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Status, Streaming};

use super::pb::PredictResponse;
use crate::api::body_budget::HeldBody;
use crate::api::call::{Call, RequestTime};
use crate::api::grpc::stream::MAX_OPEN_REQUESTS;
use crate::api::status::{error_behind, to_status};
use crate::error::{Error, Reason};
use crate::timer::sleep_until;

/// While this many answers wait for the reader, no further request is read.
const MAX_WAITING_ANSWERS: usize = 8;
/// How long to wait in a drain for requests that may be on their way: about a round trip.
const LAST_REQUESTS: Duration = Duration::from_millis(100);

pub type ResponseStream = ReceiverStream<Result<PredictResponse, Status>>;
type OpenRequest = Pin<Box<dyn Future<Output = Result<StreamAnswer, Error>> + Send>>;

/// The names of a stream in metrics: of its calls, and of their requests.
#[derive(Clone, Copy)]
pub struct StreamOf {
    pub method: &'static str,
    pub request: &'static str,
}

/// The answer to one request.
struct StreamAnswer {
    message: PredictResponse,
    /// The bytes of the answer, counted until the reader's connection takes it.
    _held: HeldBody,
}

/// Serves a stream in a task that `tasks` tracks, until it ends, or, once `drain` is cancelled, is idle. `answer`
/// answers one request; `largest` is the size of the largest message, in bytes.
pub fn serve_stream<Q: Message + 'static>(
    tasks: &TaskTracker,
    drain: CancellationToken,
    call: Call,
    requests: Streaming<Q>,
    (names, largest): (StreamOf, usize),
    answer: impl Fn(Q, Call, RequestTime) -> BoxFuture<'static, Result<PredictResponse, Error>> + Send + Sync + 'static,
) -> ResponseStream {
    // Answers in a channel can't be taken back at the end, so all but one wait outside it.
    let (answers, reader) = mpsc::channel(1);
    // A stream without a deadline of its own may stay open: each of its requests has one.
    let deadline = call.timeout.map(|timeout| call.arrived + timeout);
    let mut server = StreamServer {
        call,
        names,
        largest,
        deadline,
        answer,
        open: FuturesOrdered::new(),
        waiting: VecDeque::new(),
    };
    tasks.spawn(async move {
        // After a panic the stream must not look as if it had ended well.
        let served = AssertUnwindSafe(server.run(requests, &answers, drain)).catch_unwind();
        let outcome = tokio::select! {
            outcome = served => outcome.unwrap_or_else(|_| Err(Error::internal())),
            () = answers.closed() => Err(Error::new(Reason::Cancelled, "the caller went away")),
            () = sleep_until(deadline) => Err(Error::deadline_exceeded()),
        };
        server.call.finish(names.method, outcome.as_ref().copied());
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

struct StreamServer<F> {
    call: Call,
    names: StreamOf,
    largest: usize,
    deadline: Option<Instant>,
    answer: F,
    /// Gives the answers in the order of the requests.
    open: FuturesOrdered<OpenRequest>,
    /// Answers that the channel has no room for. With the open requests at most [`MAX_OPEN_REQUESTS`].
    waiting: VecDeque<StreamAnswer>,
}

impl<F> StreamServer<F> {
    /// Reads requests and sends answers until there are no more of either, or one has failed.
    async fn run<Q: Message + 'static>(
        &mut self,
        mut requests: Streaming<Q>,
        answers: &mpsc::Sender<Result<PredictResponse, Status>>,
        drain: CancellationToken,
    ) -> Result<(), Error>
    where
        F: Fn(Q, Call, RequestTime) -> BoxFuture<'static, Result<PredictResponse, Error>>,
    {
        let mut last_requests = pin!(async {
            drain.cancelled().await;
            tokio::time::sleep(LAST_REQUESTS).await;
        });
        let mut reading = true;
        // What the stream ends with, once the answers before it are sent.
        let mut end = Ok(());
        while reading || !self.open.is_empty() || !self.waiting.is_empty() {
            // No branch may wait once it is chosen: open requests would stand still.
            tokio::select! {
                message = requests.message(), if reading && self.has_room() => match message {
                    Ok(Some(request)) => {
                        // The RAM for the largest message so far stays with the stream.
                        match self.call.body.grow_to(request.encoded_len()) {
                            Ok(()) => self.start(request),
                            Err(error) => {
                                reading = false;
                                end = Err(error);
                            }
                        }
                    }
                    Ok(None) => reading = false,
                    // After a message that can't be read, the next one can't be found.
                    Err(status) => {
                        reading = false;
                        end = Err(error_behind(&status, self.largest));
                    }
                },
                Some(answer) = self.open.next(), if !self.open.is_empty() => match answer {
                    Ok(answer) => self.waiting.push_back(answer),
                    Err(error) => {
                        reading = false;
                        end = Err(error);
                        self.open = FuturesOrdered::new();
                    }
                },
                room = answers.reserve(), if !self.waiting.is_empty() => {
                    let room = room.map_err(|_| Error::new(Reason::Cancelled, "the caller went away"))?;
                    if let Some(answer) = self.waiting.pop_front() {
                        room.send(Ok(answer.message));
                    }
                }
                () = &mut last_requests, if reading => reading = false,
            }
        }
        end
    }

    /// Whether one more request may be read.
    fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING_ANSWERS && self.open.len() + self.waiting.len() < MAX_OPEN_REQUESTS
    }

    fn start<Q: Message + 'static>(&mut self, request: Q)
    where
        F: Fn(Q, Call, RequestTime) -> BoxFuture<'static, Result<PredictResponse, Error>>,
    {
        let arrived = Instant::now();
        // Held until the request is answered.
        let body = HeldBody::new(self.call.body.holder().clone());
        let room = body.grow_to(request.encoded_len());
        let call = self.call.of_request(self.names.request, arrived);
        let own = call.deadlines().deadline(arrived, None);
        let deadline = self.deadline.unwrap_or(own);
        let answer = room.map(|()| (self.answer)(request, call.clone(), RequestTime { arrived, deadline }));
        let name = self.names.request;
        self.open.push_back(Box::pin(async move {
            let work = async { answer?.await };
            let outcome = AssertUnwindSafe(work).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| Err(Error::internal()));
            call.end_request(name, outcome.as_ref().err(), arrived.elapsed());
            let message = outcome?;
            body.release();
            body.add_answer(message.encoded_len());
            Ok(StreamAnswer { message, _held: body })
        }));
    }
}
