//! Load: a closed loop of callers, or an open loop that follows a schedule. Counts the outcomes; prints nothing.

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

/// Opens this many connections to one server.
pub async fn connect_all(server: &Server, connections: u64) -> Result<Vec<Client>, String> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        // An answer grows with its request, so it needs no bound of its own.
        clients.push(Client::new(server.connect().await?).max_decoding_message_size(usize::MAX));
    }
    Ok(clients)
}

/// The calls of a load.
#[derive(Clone)]
pub struct Calls {
    /// The request of every call, without its texts.
    pub template: pb::PredictRequest,
    /// The texts, sent in this order, over and over.
    pub texts: Vec<String>,
    /// The number of texts in a call.
    pub batch_size: usize,
    /// The shortest and the longest deadline; each call's is drawn between them.
    pub timeout: Option<(Duration, Duration)>,
    /// The seed of all random times.
    pub seed: u64,
    /// Which calls are cancelled.
    pub cancel: Option<Cancel>,
    /// The label that each text must get, in the order of `texts`.
    pub expected: Option<Vec<String>>,
}

/// Which calls are cancelled.
#[derive(Clone, Copy)]
pub struct Cancel {
    /// The share of the calls that are cancelled, from 0 to 1.
    pub share: f64,
    /// A call is cancelled at a random moment within this time.
    pub within: Duration,
}

/// When calls start.
#[derive(Clone, Copy)]
pub enum Arrivals {
    /// This many callers, each of which waits for its answer before it calls again.
    Closed { callers: usize },
    /// This many calls per second. At most `max_open` are open; others are counted and not sent.
    Open { rate: f64, max_open: usize },
}

/// When no more calls start. Those that are open then are waited for.
#[derive(Clone, Copy)]
pub enum Until {
    Elapsed(Duration),
    Calls(u64),
}

/// The outcome of a load.
pub struct Outcome {
    /// The counts and the latencies.
    pub recorder: Recorder,
    /// From the first call until no more started.
    pub measured: Duration,
}

/// A load that is running.
struct Load {
    calls: Arc<Calls>,
    clients: Vec<Client>,
    until: Until,
    started: Instant,
    /// When the last call started.
    ended: OnceLock<Instant>,
    taken: AtomicU64,
    recorder: Mutex<Recorder>,
}

/// Runs a load to its end. `watch` gets the number of calls started and the time so far.
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
            // On a thread of its own: the runtime's timers are only exact to a millisecond.
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

/// Starts a call at each moment of the schedule. Returns when all have ended.
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
    // This ends, since every call has a deadline: the caller's, or else the server's.
    let all = u32::try_from(max_open).unwrap_or(u32::MAX);
    let _ = runtime.block_on(open.acquire_many(all));
}

impl Load {
    fn lock(&self) -> std::sync::MutexGuard<'_, Recorder> {
        self.recorder
            .lock()
            .expect("nothing panics while it holds the recorder")
    }

    /// The number of the next call; `None` if no more should start.
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

    /// Makes one call. Its latency counts from `due`.
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

    /// The share of a call's time that lies before the last call started. Work still under way at that moment counts by
    /// this share. Otherwise a load of few long calls would seem faster or slower by chance.
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
    /// The random numbers of one call, the same in each run.
    fn random(&self, index: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(index))
    }

    /// The request whose first text is `texts[from]`.
    pub fn request(&self, from: usize) -> pb::PredictRequest {
        let texts = self.texts.iter().cycle().skip(from).take(self.batch_size);
        pb::PredictRequest {
            texts: texts.cloned().collect(),
            ..self.template.clone()
        }
    }

    /// Whether the answer has a label for each text, and the right ones where they are known.
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
    /// When to cancel the call; `None` if it is not cancelled.
    fn after(self, random: &mut fastrand::Rng) -> Option<Duration> {
        (random.f64() < self.share).then(|| between(random, Duration::ZERO, self.within))
    }
}

fn between(random: &mut fastrand::Rng, least: Duration, most: Duration) -> Duration {
    least + most.saturating_sub(least).mul_f64(random.f64())
}
