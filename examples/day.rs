//! A day of traffic that changes in the middle, replayed: when the live audit notices, and whether it cries wolf before.
//!
//! ```sh
//! cargo build --release
//! cargo run --release --example day -- labelled.tsv --other other.csv
//! ```
//!
//! Of each hour's texts after the shift a share comes from another file. First the day is simulated many times over, by
//! what both models say of the texts, with the very test that the server runs (`service/catalog/evidence.rs`). Then one
//! day is sent to a server, hour by hour, and what its metrics say is printed. The texts need no labels, but the first
//! file is read as one of labelled texts. No text comes twice on a day as long as the files have enough of them.
//!
//! The day takes seconds, so that the server's window of the last hour (`tandem_cascade_escalated_share`,
//! `tandem_cascade_out_of_range`) holds all of it; `outside` says whether the share of the hour alone is out of the range.

#[path = "common/answered.rs"]
mod answered;
#[path = "common/server.rs"]
mod server;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use tandem::api::pb;
use tandem::cli::read_args::ReadArgs;
use tandem::model::blend::Blend;
use tandem::offline::calibration::curve::{Fitted, Judged};
use tandem::offline::dataset::{DatasetColumns, Unlabelled};
use tandem::service::catalog::cascade_calibration::{Calibration, file_of};
use tandem::service::catalog::evidence::Evidence;

use answered::{Answered, Pair};
use server::{Client, Server};

/// The texts of a request.
const A_CALL: usize = 32;

/// Replays a day with a shift in the middle.
#[derive(Parser)]
struct Args {
    /// Labelled texts like those of the calibration, that neither model was trained on
    file: PathBuf,
    #[command(flatten)]
    pair: Pair,
    /// The other texts: .tsv, .csv, .jsonl, or one a line
    #[arg(long)]
    other: PathBuf,
    /// Their column
    #[arg(long)]
    other_column: Option<String>,
    /// Their share after the shift; the last one is also sent to the server
    #[arg(long, value_delimiter = ',', default_values_t = [0.3, 0.6, 1.0])]
    other_share: Vec<f64>,
    /// The texts of an hour
    #[arg(long, default_value_t = 800)]
    an_hour: usize,
    /// The hour of the shift, of 24
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(0..=24))]
    shift_at: u64,
    /// `audit_share`; the last one is also set on the server
    #[arg(long, value_delimiter = ',', default_values_t = [0.2, 1.0])]
    audit_share: Vec<f64>,
    /// The days to simulate
    #[arg(long, default_value_t = 1000)]
    days: u64,
    /// The server's program
    #[arg(long, default_value = "target/release/tandem")]
    program: PathBuf,
}

/// A text, and what the cascade does with it.
struct Text {
    text: String,
    escalated: bool,
    /// Whether the answer is not the deep model's.
    differs: bool,
}

/// The texts of one kind.
struct Source(Vec<Text>);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let [fast, _] = args.pair.open()?;
    let calibration = Calibration::read(&file_of(&args.pair.models, &fast.manifest.task))?;
    let certificate = calibration.certificates.iter().find(|one| one.of == "agreement");
    let certificate = certificate.ok_or("the calibration certifies no agreement")?;
    let columns = args.pair.labelled.columns();
    let usual = args.source(
        &args.file,
        columns.text.as_deref(),
        &args.pair.labelled.reading,
        &calibration,
    )?;
    let reading = ReadArgs::default();
    let other = args.source(&args.other, args.other_column.as_deref(), &reading, &calibration)?;
    for (name, source) in [("the usual texts", &usual), ("the other texts", &other)] {
        println!(
            "{name}: {}, {:.2}% escalated, {:.2}% with another answer than the deep model's",
            source.0.len(),
            source.share(|text| text.escalated) * 100.0,
            source.share(|text| text.differs) * 100.0
        );
    }
    println!(
        "certified: at least {:.2}% get the deep model's answer, at a confidence of {:.0}%\n",
        certificate.at_least * 100.0,
        certificate.confidence * 100.0
    );
    let fresh = || Evidence::new(1.0 - certificate.at_least, 1.0 - certificate.confidence);
    simulate(&args, &usual, &other, fresh);
    replay(&args, &usual, &other, &calibration, &fast.manifest.task).await
}

impl Args {
    /// What the cascade does with the texts of a file.
    fn source(
        &self,
        file: &Path,
        column: Option<&str>,
        reading: &ReadArgs,
        calibration: &Calibration,
    ) -> Result<Source, Box<dyn Error>> {
        let columns = DatasetColumns {
            text: column.map(str::to_owned),
            unlabelled: Unlabelled::Keep,
            ..DatasetColumns::default()
        };
        // Without labels: right is what the deep model says.
        let Answered { texts, samples, labels } = self.pair.ask(file, &columns, reading)?;
        let bias = labels
            .iter()
            .map(|label| calibration.blend.bias.get(label).copied().unwrap_or_default());
        let fitted = Fitted {
            temperatures: [&calibration.fast, &calibration.deep].map(|model| f64::from(model.temperature)),
            blend: Blend {
                fast: calibration.blend.fast,
                deep: calibration.blend.deep,
                bias: bias.collect(),
            },
            each: None,
            gain: None,
        };
        let judged = Judged::new(samples.iter().collect(), &fitted);
        let (fast, given) = (judged.at(0.0), judged.at(calibration.min_confidence));
        let text = |(at, text): (usize, String)| Text {
            text,
            escalated: (fast[at].confidence as f32) < calibration.min_confidence,
            differs: given[at].given != samples[at].truth,
        };
        Ok(Source(texts.into_iter().enumerate().map(text).collect()))
    }

    /// The texts of a day, in the order in which they come.
    fn day<'a>(&self, sources: [&'a Source; 2], other_share: f64, random: &mut fastrand::Rng) -> Vec<&'a Text> {
        let [mut usual, mut other] = sources.map(|source| source.0.iter().collect::<Vec<_>>());
        random.shuffle(&mut usual);
        random.shuffle(&mut other);
        let (mut usual, mut other) = (usual.into_iter().cycle(), other.into_iter().cycle());
        let after = |at: usize| at >= self.shift_at as usize * self.an_hour;
        let all = 0..24 * self.an_hour;
        let texts = all.map(|at| {
            let shifted = after(at) && random.f64() < other_share;
            if shifted { other.next() } else { usual.next() }
        });
        texts.flatten().collect()
    }
}

impl Source {
    fn share(&self, of: impl Fn(&Text) -> bool) -> f64 {
        self.0.iter().filter(|text| of(text)).count() as f64 / self.0.len().max(1) as f64
    }
}

/// Many days by the evidence alone, for each share of other texts and each share that is audited.
fn simulate(args: &Args, usual: &Source, other: &Source, fresh: impl Fn() -> Evidence) {
    let shift = args.shift_at as usize * args.an_hour;
    println!(
        "{} simulated days each, {shift} texts before the shift, {} after it\n",
        args.days,
        24 * args.an_hour - shift
    );
    println!(
        "| other texts | differing after | audit_share | false alarm before | alarm after | texts until then, nine of ten | of these \
         audited |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for &other_share in &args.other_share {
        for &audit_share in &args.audit_share {
            let (mut before, mut delays) = (0, Vec::new());
            for seed in 0..args.days {
                let mut random = fastrand::Rng::with_seed(seed);
                let day = args.day([usual, other], other_share, &mut random);
                let (mut evidence, mut audited) = (fresh(), 0);
                let raised = day.iter().enumerate().find_map(|(at, text)| {
                    if random.f64() >= audit_share {
                        return None;
                    }
                    audited += usize::from(at >= shift);
                    evidence.add(text.differs).then_some(at)
                });
                match raised {
                    None => {}
                    Some(at) if at < shift => before += 1,
                    Some(at) => delays.push((at + 1 - shift, audited)),
                }
            }
            delays.sort_unstable();
            let at = |share: f64| delays.get((delays.len() as f64 * share) as usize);
            let delay = match (at(0.5), at(0.9)) {
                (Some((middle, audited)), Some((most, most_audited))) => {
                    format!("{middle} ({most}) | {audited} ({most_audited})")
                }
                _ => "none | none".to_owned(),
            };
            let [usual, other] = [usual, other].map(|source| source.share(|text| text.differs));
            let of_days = |count: usize| count as f64 / args.days as f64 * 100.0;
            println!(
                "| {:.0}% | {:.2}% | {audit_share} | {:.1}% | {:.1}% | {delay} |",
                other_share * 100.0,
                ((1.0 - other_share) * usual + other_share * other) * 100.0,
                of_days(before),
                of_days(delays.len())
            );
        }
    }
    println!();
}

/// One day, sent to a server.
async fn replay(
    args: &Args,
    usual: &Source,
    other: &Source,
    calibration: &Calibration,
    task: &str,
) -> Result<(), Box<dyn Error>> {
    let last = |shares: &[f64]| shares.last().copied().unwrap_or_default();
    let (other_share, audit_share) = (last(&args.other_share), last(&args.audit_share));
    let settings =
        format!("[tasks.{task}]\ndefault_route = \"cascade\"\n[tasks.{task}.cascade]\naudit_share = {audit_share:?}");
    let server = Server::start(&args.program, &args.pair.models, &settings)?;
    let mut client = server.client().await?;
    let range = calibration.escalation;
    println!(
        "one day on a server: {:.0}% other texts from hour {}, audit_share {audit_share}; expected share escalated: {:.3} to {:.3}\n",
        other_share * 100.0,
        args.shift_at,
        range.low,
        range.high
    );
    println!(
        "| hour | escalated in it | outside | escalated_share | out_of_range | audited | differ | evidence | alarm |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let day = args.day([usual, other], other_share, &mut fastrand::Rng::with_seed(args.days));
    let (mut fired, mut audited) = (None, 0.0);
    for (hour, texts) in day.chunks(args.an_hour).enumerate() {
        let mut escalated = 0;
        for (at, texts) in texts.chunks(A_CALL).enumerate() {
            escalated += ask(&mut client, task, texts).await?;
            let expected = (texts.len() as f64 * audit_share).ceil();
            audited = caught_up(&server, task, audited + expected).await?;
            if fired.is_none() && server.metric("tandem_cascade_audit_alarm")? > 0.0 {
                fired = Some(hour * args.an_hour + at * A_CALL + texts.len());
            }
        }
        let share = escalated as f64 / texts.len() as f64;
        let [same, differ] = of_audit(&server, task)?;
        println!(
            "| {hour} | {share:.3} | {} | {:.3} | {} | {} | {differ} | {:.3} | {} |",
            u8::from(share < range.low || share > range.high),
            server.metric("tandem_cascade_escalated_share")?,
            server.metric("tandem_cascade_out_of_range")?,
            same + differ,
            server.metric("tandem_cascade_audit_evidence")?,
            server.metric("tandem_cascade_audit_alarm")?
        );
    }
    let shift = args.shift_at as usize * args.an_hour;
    match fired {
        None => println!("\nno alarm"),
        Some(at) if at <= shift => println!("\na false alarm after {at} texts"),
        Some(at) => println!(
            "\nthe alarm came {} texts after the shift, to a call of {A_CALL}",
            at - shift
        ),
    }
    println!(
        "dropped by the audit: {}",
        server.metric("tandem_cascade_audit_dropped_texts_total")?
    );
    Ok(())
}

/// The audited texts that got the deep model's answer, and the others.
fn of_audit(server: &Server, task: &str) -> Result<[f64; 2], Box<dyn Error>> {
    let name = |agree: &str| format!("tandem_cascade_audited_texts_total{{task=\"{task}\",agree=\"{agree}\"}}");
    Ok([server.metric(&name("yes"))?, server.metric(&name("no"))?])
}

/// Waits until so many texts are audited, or for a moment: a day is longer than this one, and the audit, which makes way for
/// requests, catches up in it. Gives how many are.
async fn caught_up(server: &Server, task: &str, expected: f64) -> Result<f64, Box<dyn Error>> {
    for _ in 0..40 {
        let audited = of_audit(server, task)?.iter().sum::<f64>();
        if audited >= expected {
            return Ok(audited);
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    Ok(of_audit(server, task)?.iter().sum())
}

/// Sends a request, and gives how many of its texts were escalated.
async fn ask(client: &mut Client, task: &str, texts: &[&Text]) -> Result<usize, Box<dyn Error>> {
    let request = pb::PredictRequest {
        texts: texts.iter().map(|text| text.text.clone()).collect(),
        task: task.to_owned(),
        ..pb::PredictRequest::default()
    };
    let answer = client.predict(request).await?.into_inner();
    let escalated = |one: &&pb::Prediction| one.decision() == pb::Decision::Escalated;
    Ok(answer.predictions.iter().filter(escalated).count())
}
