//! Preprocessing takes turns: by priority and client, part by part; it ends with its caller and its deadline; a text that
//! never ends takes its own model's answers with it and nobody else's.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tandem::api::pb;
use tandem::batching::job::{Owner, Part, Unfinished};
use tandem::batching::workers::{Workers, WorkersSettings};
use tandem::batching::{ClientKey, Priority, SubmitOptions};
use tandem::service::catalog::ModelState;
use tokio::task::JoinHandle;

use crate::support::server::HANG;
use crate::support::stage::options;
use crate::support::{TestServer, deep};

/// Long enough for a test never to see it.
const EVER: Duration = Duration::from_hours(1);
/// What each part of a job is expected to take.
const PART: Duration = Duration::from_millis(1);

fn workers(threads: usize, patience: Duration) -> Workers {
    Workers::start(WorkersSettings { threads, patience }).expect("threads")
}

fn by(client: u64, priority: Priority) -> SubmitOptions {
    SubmitOptions {
        client: ClientKey(client),
        priority,
        ..options()
    }
}

/// One worker, and the log of the parts that it did.
struct Bench {
    workers: Workers,
    owner: Arc<Owner>,
    began: Receiver<&'static str>,
    begin: Sender<&'static str>,
}

type Answer = JoinHandle<Result<&'static str, Unfinished>>;

impl Bench {
    fn new() -> Self {
        let (begin, began) = channel();
        Self {
            workers: workers(1, EVER),
            owner: Owner::new("test"),
            began,
            begin,
        }
    }

    /// Submits a job of so many parts, each of which tells when it begins and goes on when it may; gives what lets them.
    fn submit(&self, name: &'static str, parts: u32, options: SubmitOptions) -> (Answer, Sender<()>) {
        let (let_go, may_go) = channel();
        let (workers, owner, begin) = (self.workers.clone(), Arc::clone(&self.owner), self.begin.clone());
        let mut left = parts;
        let part = move || {
            begin.send(name).expect("the test listens");
            // An error means that it may go on for good.
            let _ = may_go.recv();
            left -= 1;
            match left {
                0 => Part::Done(name),
                left => Part::More(PART * left),
            }
        };
        let job = async move { workers.run(options, PART * parts, &owner, part).await };
        (tokio::spawn(job), let_go)
    }

    /// The next part that begins.
    async fn next(&self) -> &'static str {
        loop {
            match self.began.try_recv() {
                Ok(name) => return name,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    /// Waits until nothing is left: an answer is sent a moment before its work is taken off.
    async fn is_done(&self) {
        while self.workers.left() > Duration::ZERO {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until so much is expected to be left.
    async fn has_left(&self, parts: u32) {
        while self.workers.left() < PART * parts {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn fewer_workers_work_at_once_while_there_are_fewer_cores() {
    let bench = Bench {
        workers: workers(2, EVER),
        ..Bench::new()
    };
    bench.workers.set_at_once(1);
    let (first, first_may_go) = bench.submit("first", 1, by(1, Priority::Normal));
    assert_eq!(bench.next().await, "first");
    let (second, second_may_go) = bench.submit("second", 1, by(2, Priority::Normal));
    bench.has_left(2).await;
    assert!(bench.began.try_recv().is_err(), "one works");
    first_may_go.send(()).expect("it waits");
    assert_eq!(bench.next().await, "second");
    let (third, third_may_go) = bench.submit("third", 1, by(3, Priority::Normal));
    bench.has_left(2).await;
    // More cores: the one that rested begins, while the other one still works.
    bench.workers.set_at_once(2);
    assert_eq!(bench.next().await, "third");
    for let_go in [second_may_go, third_may_go] {
        let_go.send(()).expect("it waits");
    }
    for (answer, name) in [(first, "first"), (second, "second"), (third, "third")] {
        assert_eq!(answer.await.expect("no panic"), Ok(name));
    }
}

#[tokio::test]
async fn a_request_of_many_texts_lets_others_have_their_turn_between_its_parts() {
    let bench = Bench::new();
    let (hog, hog_may_go) = bench.submit("hog", 50, by(1, Priority::Normal));
    assert_eq!(bench.next().await, "hog");
    let (small, small_may_go) = bench.submit("small", 1, by(2, Priority::Normal));
    let (urgent, urgent_may_go) = bench.submit("urgent", 1, by(3, Priority::Interactive));
    bench.has_left(52).await;
    hog_may_go.send(()).expect("it waits");
    assert_eq!(bench.next().await, "urgent");
    urgent_may_go.send(()).expect("it waits");
    assert_eq!(bench.next().await, "small");
    small_may_go.send(()).expect("it waits");
    assert_eq!(urgent.await.expect("no panic"), Ok("urgent"));
    assert_eq!(small.await.expect("no panic"), Ok("small"));
    drop(hog_may_go);
    assert_eq!(hog.await.expect("no panic"), Ok("hog"));
    tokio::time::timeout(HANG, bench.is_done())
        .await
        .expect("nothing is left");
}

#[tokio::test]
async fn a_job_ends_with_its_caller_after_the_part_that_is_under_way() {
    let bench = Bench::new();
    let (gone, gone_may_go) = bench.submit("gone", 50, by(1, Priority::Normal));
    assert_eq!(bench.next().await, "gone");
    let (waiting, _) = bench.submit("waiting", 50, by(2, Priority::Normal));
    bench.has_left(100).await;
    for caller in [gone, waiting] {
        caller.abort();
        assert!(caller.await.expect_err("aborted").is_cancelled());
    }
    assert!(bench.workers.left() <= PART * 50, "what waits leaves at once");
    let (next, _) = bench.submit("next", 1, by(3, Priority::Normal));
    gone_may_go.send(()).expect("it is under way");
    assert_eq!(bench.next().await, "next", "no other part of those that have gone");
    assert_eq!(next.await.expect("no panic"), Ok("next"));
}

#[tokio::test]
async fn a_job_whose_deadline_passes_is_answered_and_never_begun() {
    let bench = Bench::new();
    let (_running, _) = bench.submit("running", 1, by(1, Priority::Normal));
    assert_eq!(bench.next().await, "running");
    let soon = SubmitOptions {
        deadline: Instant::now(),
        ..options()
    };
    let (late, _) = bench.submit("late", 1, soon);
    assert_eq!(late.await.expect("no panic"), Err(Unfinished::DeadlineExceeded));
}

#[tokio::test]
async fn a_job_that_panics_is_answered_and_its_thread_goes_on() {
    let workers = workers(1, EVER);
    let owner = Owner::new("test");
    let panics = || -> Part<()> { panic!("injected") };
    assert_eq!(
        workers.run(options(), PART, &owner, panics).await,
        Err(Unfinished::Panicked)
    );
    assert_eq!(workers.run(options(), PART, &owner, || Part::Done(7)).await, Ok(7));
}

#[tokio::test]
async fn what_never_ends_is_given_up_and_only_its_owner_fails_until_it_does() {
    let workers = workers(1, Duration::from_millis(20));
    let (stuck, other) = (Owner::new("stuck"), Owner::new("other"));
    let (end, ends) = channel::<()>();
    let endless = move || {
        let _ = ends.recv();
        Part::Done(1)
    };
    let failed = workers.run(options(), PART, &stuck, endless).await;
    assert_eq!(failed, Err(Unfinished::GivenUp));
    assert_eq!(
        workers.run(options(), PART, &other, || Part::Done(2)).await,
        Ok(2),
        "another thread took the place"
    );
    let again = workers.run(options(), PART, &stuck, || Part::Done(3)).await;
    assert_eq!(again, Err(Unfinished::GivenUp), "its owner has one that has not ended");
    drop(end);
    while workers.run(options(), PART, &stuck, || Part::Done(4)).await != Ok(4) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn closing_waits_for_nothing_and_tells_what_waits() {
    let bench = Bench::new();
    let (_endless, _held) = bench.submit("endless", 1, by(1, Priority::Normal));
    assert_eq!(bench.next().await, "endless");
    let (waiting, _) = bench.submit("waiting", 1, by(2, Priority::Normal));
    bench.has_left(2).await;
    bench.workers.close();
    assert_eq!(waiting.await.expect("no panic"), Err(Unfinished::Closed));
    let (late, _) = bench.submit("late", 1, by(2, Priority::Normal));
    assert_eq!(late.await.expect("no panic"), Err(Unfinished::Closed));
}

/// Many texts for the deep model, each as long and as hard as a text may be, by a caller who has time.
fn hostile() -> tonic::Request<pb::PredictRequest> {
    let text = format!("{}.", "q".repeat(99)).repeat(81);
    let mut request = tonic::Request::new(deep(&vec![text.as_str(); HOSTILE_TEXTS]));
    request.set_timeout(Duration::from_mins(1));
    request
}

const HOSTILE_TEXTS: usize = 128;

#[tokio::test]
async fn hard_texts_of_some_clients_keep_no_other_from_its_answers() {
    let server = TestServer::builder().start().await;
    let mut attackers = Vec::new();
    for _ in 0..3 {
        let mut client = server.client().await;
        attackers.push(tokio::spawn(async move { client.predict(hostile()).await.map(drop) }));
    }
    let open = |attackers: &[JoinHandle<_>]| attackers.iter().filter(|attacker| !attacker.is_finished()).count();
    while held_texts(&server) < attackers.len() * HOSTILE_TEXTS {
        assert_eq!(open(&attackers), attackers.len(), "they are accepted");
        tokio::task::yield_now().await;
    }
    let mut client = server.client().await;
    for priority in [pb::Priority::Interactive, pb::Priority::Normal] {
        let request = pb::PredictRequest {
            priority: priority.into(),
            ..deep(&["정말 재미있고 감동적인 최고의 영화"])
        };
        client.predict(request).await.expect("it has its turn");
    }
    assert_eq!(open(&attackers), attackers.len(), "those that came first are not done");
    for attacker in attackers {
        attacker.abort();
    }
}

/// How many texts the deep model has accepted and not answered.
fn held_texts(server: &TestServer) -> usize {
    let version = server
        .service
        .catalog()
        .stable("sentiment-deep")
        .expect("the deep model");
    match &*version.state() {
        ModelState::Serving(serving) => serving.scheduler.held().rows,
        ModelState::Loading | ModelState::Failed(_) => panic!("it serves"),
    }
}
