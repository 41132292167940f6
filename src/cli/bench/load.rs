//! The load: a closed loop of callers, or an open one that follows a schedule. Counts what comes of it; prints nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::recorder::{Failure, Recorder};
use crate::api::pb;
use crate::api::pb::prediction_service_client::PredictionServiceClient;
use crate::cli::client::{Connection, Server};

/// A client of the service on one connection.
pub type Client = PredictionServiceClient<Connection>;

/// So many connections to one server.
pub async fn connect_all(server: &Server, connections: u64) -> Result<Vec<Client>, String> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        // An answer holds what was asked, so it needs no bound of its own.
        clients.push(Client::new(server.connect().await?).max_decoding_message_size(usize::MAX));
    }
    Ok(clients)
}

/// What is asked.
#[derive(Clone)]
pub struct Calls {
    /// A call without its texts.
    pub template: pb::PredictRequest,
    /// The texts, in the order in which they are asked, over and over.
    pub texts: Vec<String>,
    /// Texts in a call.
    pub batch_size: usize,
    /// The deadlines of calls: each is drawn from these bounds.
    pub timeout: Option<(Duration, Duration)>,
    /// What random times follow from.
    pub seed: u64,
    /// Which calls are cancelled.
    pub cancel: Option<Cancel>,
    /// The label that each text must get, by its place in `texts`.
    pub expected: Option<Vec<String>>,
}

/// Which calls are cancelled.
#[derive(Clone, Copy)]
pub struct Cancel {
    /// The share of the calls.
    pub share: f64,
    /// A call is cancelled at a random moment before so much time has passed.
    pub within: Duration,
}

/// How calls come.
#[derive(Clone, Copy)]
pub enum Arrivals {
    /// So many callers, each of which waits for its answer before it asks again.
    Closed { callers: usize },
    /// So many calls a second, of which at most `max_open` are open.
    Open { rate: f64, max_open: usize },
}

/// When no more calls start; those that are open then are waited for.
#[derive(Clone, Copy)]
pub enum Until {
    Elapsed(Duration),
    Calls(u64),
}

/// What came of a load.
pub struct Outcome {
    /// What was counted.
    pub recorder: Recorder,
    /// From the first call until no more started.
    pub measured: Duration,
}

/// A load under way.
struct Load {
    calls: Arc<Calls>,
    clients: Vec<Client>,
    until: Until,
    started: Instant,
    /// When the last call had started.
    ended: OnceLock<Instant>,
    taken: AtomicU64,
    recorder: Mutex<Recorder>,
}

/// Runs a load to its end. `watch` sees how many calls were started.
pub async fn run(
    calls: &Arc<Calls>,
    clients: &[Client],
    arrivals: Arrivals,
    until: Until,
    watch: impl Fn(u64, Duration),
) -> Outcome {
    let started = Instant::now();
    let load = Arc::new(Load {
        calls: Arc::clone(calls),
        clients: clients.to_vec(),
        until,
        started,
        ended: OnceLock::new(),
        taken: AtomicU64::new(0),
        recorder: Mutex::default(),
    });
    if let Until::Elapsed(duration) = until {
        let _ = load.ended.set(started + duration);
    }
    let mut tasks = JoinSet::new();
    match arrivals {
        Arrivals::Closed { callers } => {
            for _ in 0..callers {
                let load = Arc::clone(&load);
                tasks.spawn(async move {
                    while let Some(index) = load.take() {
                        load.call(index, Instant::now()).await;
                    }
                });
            }
        }
        Arrivals::Open { rate, max_open } => {
            let load = Arc::clone(&load);
            let runtime = tokio::runtime::Handle::current();
            // On a thread of its own: the timers of the runtime are as coarse as a millisecond.
            tasks.spawn_blocking(move || follow_schedule(&load, rate, max_open, &runtime));
        }
    }
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            task = tasks.join_next() => if task.is_none() { break },
            _ = tick.tick() => watch(load.taken.load(Ordering::Relaxed), started.elapsed()),
        }
    }
    let ended = *load.ended.get().unwrap_or(&started);
    let recorder = load.recorder.lock().clone();
    Outcome {
        recorder,
        measured: ended - started,
    }
}

/// Starts a call at each moment of the schedule, and returns when all have ended.
fn follow_schedule(load: &Arc<Load>, rate: f64, max_open: usize, runtime: &tokio::runtime::Handle) {
    let open = Arc::new(Semaphore::new(max_open));
    while let Some(index) = load.take() {
        let due = load.started + Duration::from_secs_f64(index as f64 / rate);
        if matches!(load.until, Until::Elapsed(duration) if due >= load.started + duration) {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let Ok(place) = Arc::clone(&open).try_acquire_owned() else {
            load.recorder.lock().surplus += 1;
            continue;
        };
        let load = Arc::clone(load);
        runtime.spawn(async move {
            load.call(index, due).await;
            drop(place);
        });
    }
    // A caller has a deadline, or the server's; so this ends.
    let all = u32::try_from(max_open).unwrap_or(u32::MAX);
    let _ = runtime.block_on(open.acquire_many(all));
}

impl Load {
    /// The number of the next call; nothing if no more are to start.
    fn take(&self) -> Option<u64> {
        match self.until {
            Until::Elapsed(duration) if self.started.elapsed() >= duration => None,
            Until::Elapsed(_) => Some(self.taken.fetch_add(1, Ordering::Relaxed)),
            Until::Calls(count) => {
                let index = self.taken.fetch_add(1, Ordering::Relaxed);
                if index + 1 >= count {
                    let _ = self.ended.set(Instant::now());
                }
                (index < count).then_some(index)
            }
        }
    }

    /// One call, whose latency counts from `due`.
    async fn call(&self, index: u64, due: Instant) {
        let calls = &self.calls;
        let from = first_text(index, calls.batch_size, calls.texts.len());
        let mut request = tonic::Request::new(calls.request(from));
        let mut random = calls.random(index);
        let timeout = calls.timeout.map(|(least, most)| between(&mut random, least, most));
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        let mut client = self.clients[index as usize % self.clients.len()].clone();
        let sent = Instant::now();
        let answer = client.predict(request);
        let answer = match calls.cancel.and_then(|cancel| cancel.after(&mut random)) {
            None => Some(answer.await),
            Some(moment) => tokio::time::timeout(moment, answer).await.ok(),
        };
        let now = Instant::now();
        let took = now - due;
        let mut recorder = self.recorder.lock();
        recorder.late.record(sent - due);
        match answer {
            None => recorder.cancelled += 1,
            Some(Err(status)) => recorder.failed(Failure::of(&status, took, timeout), status.message(), took),
            Some(Ok(response)) => {
                let response = response.into_inner();
                recorder.wrong += u64::from(!calls.is_right(from, &response));
                let share = self.share_within(sent, now);
                let in_time = timeout.is_none_or(|timeout| took <= timeout);
                recorder.answered(calls.batch_size, took, share, in_time, response.timing.as_ref());
            }
        }
    }

    /// The share of a call's time before the last call had started. Work that is still under way then counts by this, or
    /// a load of few long calls would seem faster or slower by chance.
    fn share_within(&self, sent: Instant, answered: Instant) -> f64 {
        let Some(&ended) = self.ended.get() else { return 1.0 };
        if answered <= ended {
            return 1.0;
        }
        let within = ended.saturating_duration_since(sent).as_secs_f64();
        within / (answered - sent).as_secs_f64()
    }
}

impl Calls {
    /// The random times of one call, the same in each run.
    fn random(&self, index: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(index))
    }

    /// The call whose first text is `from`.
    pub fn request(&self, from: usize) -> pb::PredictRequest {
        let texts = self.texts.iter().cycle().skip(from).take(self.batch_size);
        pb::PredictRequest {
            texts: texts.cloned().collect(),
            ..self.template.clone()
        }
    }

    /// Whether the answer has a label for each text, and the right one as far as that is known.
    fn is_right(&self, from: usize, response: &pb::PredictResponse) -> bool {
        let Some(expected) = &self.expected else { return true };
        let expected = expected.iter().cycle().skip(from).take(self.batch_size);
        let labels = response.predictions.iter().map(|prediction| &prediction.label);
        labels.eq(expected)
    }
}

fn first_text(index: u64, batch_size: usize, texts: usize) -> usize {
    let at = u128::from(index) * batch_size as u128 % texts as u128;
    usize::try_from(at).unwrap_or(0)
}

impl Cancel {
    /// When the call is cancelled, if it is.
    fn after(self, random: &mut fastrand::Rng) -> Option<Duration> {
        (random.f64() < self.share).then(|| between(random, Duration::ZERO, self.within))
    }
}

fn between(random: &mut fastrand::Rng, least: Duration, most: Duration) -> Duration {
    least + most.saturating_sub(least).mul_f64(random.f64())
}
