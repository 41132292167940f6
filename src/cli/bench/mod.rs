//! `tandem bench`: puts a load on a server and measures how fast it answers, alone or compared with a reference in the
//! same minute.
//!
//! In reading order: [`args`] → [`texts`] → [`load`] (the calls) → [`recorder`] (counts and latencies) →
//! [`mod@measure`] (figures) → [`compare`] (rounds and ratios), [`overload`] (more calls than the server can answer) →
//! [`report`] (table and JSON). Besides: [`child`] starts the processes of a server and of [`echo`] and [`raw`];
//! [`probe`] asks for health meanwhile; [`progress`] shows a bar.

pub mod args;
pub mod child;
pub mod compare;
pub mod echo;
pub mod load;
pub mod measure;
pub mod overload;
pub mod probe;
pub mod progress;
pub mod raw;
pub mod recorder;
pub mod report;
pub mod texts;

use std::sync::Arc;
use std::time::Duration;

use self::args::BenchArgs;
use self::child::ServerChild;
use self::compare::{Rival, Rounds};
use self::load::{Arrivals, Calls, Cancel, Client, Until, connect_all};
use self::measure::{Target, measure, warm_up};
use self::progress::Progress;
use self::report::Report;
use super::client::{Server, ServerAddress, describe};
use super::exit::Exit;
use super::output::{complain, fail};
use super::signals::Signals;
use crate::api::pb;
use crate::config::Settings;

/// Measures a server. What this started ends with it, also at a signal.
pub fn run(args: &BenchArgs, signals: &Signals) -> Exit {
    let settings = match args.config.resolve() {
        Ok(settings) => settings,
        Err(error) => return fail(&error, Exit::Usage),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::try_from(args.client_threads).unwrap_or(1))
        .enable_all()
        .build();
    signals.begin(Duration::ZERO);
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(async {
            tokio::select! {
                outcome = bench(args, &settings) => outcome,
                // Child processes end with their handles.
                () = signals.stop.cancelled() => Err("told to stop".into()),
            }
        }),
        Err(error) => Err(error.to_string()),
    };
    match outcome {
        Ok(report) => report.write(args.json.as_deref()),
        Err(problem) => fail(&problem, Exit::Failure),
    }
}

async fn bench(args: &BenchArgs, settings: &Settings) -> Result<Report, String> {
    let texts::Texts { texts, notes } = texts::load(
        args.texts.as_deref(),
        &args.reading.options(),
        args.reading.text_column.as_deref(),
    )?;
    for note in &notes {
        complain(note);
    }
    let progress = Progress::open();
    let child = if args.spawn {
        Some(ServerChild::start(&args.config, args.server_cpus.as_deref()).await?)
    } else {
        None
    };
    let address = match (&child, &args.server) {
        (Some(child), _) => ServerAddress::Plain(child.grpc.into()),
        (None, Some(address)) => address.clone(),
        (None, None) => settings.grpc_address().clone().into(),
    };
    let reached = Server {
        address: address.clone(),
        credentials: args.credentials.clone(),
        own: settings.tls_cert.clone().zip(settings.tls_key.clone()),
    };
    let server = Target {
        clients: connect_all(&reached, args.connections).await?,
        pid: child.as_ref().map_or(args.server_pid, ServerChild::pid),
    };
    let mut calls = Calls {
        template: args.template(),
        texts,
        batch_size: count(args.batch_size),
        timeout: args
            .timeout
            .map(|most| (args.least_timeout.map_or(most.0, |least| least.0.min(most.0)), most.0)),
        seed: args.seed,
        cancel: None,
        expected: None,
    };
    let answer = calls.ask_once(&server.clients[0]).await?;
    if args.verify {
        progress.say("the label of each text");
        calls.expected = Some(calls.labels(&server.clients[0]).await?);
    }
    let mut report = Report::new(args, &address, &answer);
    let bench = Bench {
        args,
        server: &server,
        progress: &progress,
    };
    if let Some(reference) = args.reference {
        let mut rival = Rival::start(args, reference, &answer).await?;
        report.comparison = Some(bench.rounds(&Arc::new(calls)).run(&server, &mut rival).await?);
    } else {
        bench.alone(calls, &reached, &mut report).await?;
    }
    if args.verify || args.cancel_share.is_some() {
        report.leftover = Some(probe::leftover(&server.clients[0]).await?);
    }
    progress.finish();
    Ok(report)
}

/// What every kind of measurement needs.
struct Bench<'a> {
    args: &'a BenchArgs,
    server: &'a Target,
    progress: &'a Progress,
}

impl Bench<'_> {
    fn time(&self) -> Duration {
        self.args
            .duration
            .map_or(Duration::from_secs(10), |duration| duration.0)
    }

    fn until(&self) -> Until {
        self.args.calls.map_or(Until::Elapsed(self.time()), Until::Calls)
    }

    fn rounds<'a>(&'a self, calls: &'a Arc<Calls>) -> Rounds<'a> {
        Rounds {
            calls,
            callers: count(self.args.concurrency),
            until: self.until(),
            time: self.time(),
            warm_up: self.args.warm_up.0,
            count: self.args.rounds,
            progress: self.progress,
        }
    }

    /// Measures the server without a reference.
    async fn alone(&self, mut calls: Calls, reached: &Server, report: &mut Report) -> Result<(), String> {
        let bulk = self.bulk(&calls, reached).await?;
        let plain = Arc::new(Calls {
            timeout: None,
            ..calls.clone()
        });
        let (args, callers) = (self.args, count(self.args.concurrency));
        let median = warm_up(self.server, &plain, callers, args.warm_up.0, self.progress).await;
        calls.cancel = args.cancel_share.map(|share| Cancel {
            share,
            // At every stage of a call, but seldom after its answer.
            within: median.map_or(Duration::from_millis(20), |millis| {
                Duration::from_secs_f64(millis / 1e3)
            }),
        });
        let calls = Arc::new(calls);
        let load = self.measure(&calls, report);
        let load = async {
            tokio::select! {
                outcome = load => outcome,
                () = bulk => Err("the bulk callers ended first".into()),
            }
        };
        if args.probe_health {
            let (outcome, health) = probe::beside(reached, load).await?;
            outcome?;
            report.health = health;
            Ok(())
        } else {
            load.await
        }
    }

    async fn measure(&self, calls: &Arc<Calls>, report: &mut Report) -> Result<(), String> {
        let (args, callers, max_open) = (self.args, count(self.args.concurrency), count(self.args.max_open));
        if let Some(factor) = args.capacity_factor {
            let sizes = (callers, max_open);
            let overload = overload::run(self.server, calls, sizes, factor, self.until(), self.progress);
            report.overload = Some(overload.await?);
            return Ok(());
        }
        let arrivals = match args.rate {
            None => Arrivals::Closed { callers },
            Some(rate) => Arrivals::Open { rate, max_open },
        };
        self.progress.say("measuring");
        report.measured = Some(measure(self.server, calls, arrivals, self.until(), self.progress).await);
        Ok(())
    }

    /// Callers of bulk calls, on a connection of their own. The returned future never ends.
    async fn bulk(&self, calls: &Calls, reached: &Server) -> Result<impl Future<Output = ()> + use<>, String> {
        let callers = count(self.args.bulk_callers);
        let clients = connect_all(reached, 1).await?;
        let calls = Arc::new(Calls {
            template: pb::PredictRequest {
                priority: pb::Priority::Bulk.into(),
                ..calls.template.clone()
            },
            batch_size: 32,
            timeout: None,
            expected: None,
            ..calls.clone()
        });
        Ok(async move {
            if callers > 0 {
                load::run(
                    &calls,
                    &clients,
                    Arrivals::Closed { callers },
                    Until::Calls(u64::MAX),
                    |_, _| {},
                )
                .await;
            }
            std::future::pending::<()>().await;
        })
    }
}

impl Calls {
    /// The first call, which shows whether the server accepts such calls at all.
    async fn ask_once(&self, client: &Client) -> Result<pb::PredictResponse, String> {
        let answer = client.clone().predict(self.request(0)).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| describe(&status))
    }

    /// The label of each text, asked for one call after the other.
    async fn labels(&self, client: &Client) -> Result<Vec<String>, String> {
        let mut labels = Vec::with_capacity(self.texts.len());
        for texts in self.texts.chunks(self.batch_size) {
            let request = pb::PredictRequest {
                texts: texts.to_vec(),
                ..self.template.clone()
            };
            let answer = client.clone().predict(request).await;
            let answer = answer.map_err(|status| describe(&status))?.into_inner();
            labels.extend(answer.predictions.into_iter().map(|prediction| prediction.label));
        }
        Ok(labels)
    }
}

fn count(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
