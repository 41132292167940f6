//! Whether certificates keep their word, over a thousand draws of the texts: how often a bound is broken, beside how
//! often it may be.
//!
//! ```sh
//! cargo run --release --example certificates                        # texts that are made up, with a known truth
//! cargo run --release --example certificates -- labelled.tsv        # texts of a file, by the models in models/
//! cargo run --release --example certificates -- labelled.csv --models MODELS --fast NAME --deep NAME \
//!     --case "agreement>=0.95" --case "cost<=0.5 precision>=0.9"     # other models, other targets
//! ```
//!
//! The texts of a file are taken for all there are: they are drawn with repeats, and what is certified is held against
//! all of them. Name texts that neither model was trained on.

#[path = "common/answered.rs"]
mod answered;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use tandem::offline::calibration::cascade::{Options, Reference};
use tandem::offline::calibration::options::Deferral;
use tandem::offline::calibration::simulation::{KINDS, Kept, MadeUp, Population, Texts, simulate};
use tandem::offline::calibration::target::Wanted;

use answered::Pair;

/// Counts how often certificates are broken.
#[derive(Parser)]
struct Args {
    /// Labelled texts: .tsv, .csv, .jsonl [default: made-up ones]
    file: Option<PathBuf>,
    #[command(flatten)]
    pair: Pair,
    /// What is asked for: targets of `tandem calibrate`, with a space between them; may be repeated [default: a list]
    #[arg(long, requires = "file")]
    case: Vec<String>,
    /// How sure the certificates of these cases are
    #[arg(long, default_value_t = 0.95)]
    confidence: f64,
    /// The texts of a draw in these cases
    #[arg(long, default_value_t = 2000)]
    texts: usize,
}

const DRAWS: usize = 1000;

/// A line of the table: what is asked for.
struct Case {
    name: &'static str,
    /// Targets, with a space between them.
    target: String,
    confidence: f64,
    texts: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    println!("{DRAWS} draws each; half of the texts certify\n");
    println!("| population | target | texts | certificate | draws that certify | bound broken | delta |");
    println!("| --- | --- | ---: | --- | ---: | ---: | ---: |");
    let mut sound = true;
    match &args.file {
        None => {
            let labels = ["no".to_owned(), "yes".to_owned()];
            for (target, confidence, texts) in [
                ("agreement>=0.99", 0.95, 4000),
                ("agreement>=0.99", 0.95, 1000),
                ("agreement>=0.95", 0.95, 1000),
                ("agreement>=0.9", 0.9, 400),
            ] {
                let case = Case {
                    name: "made up",
                    target: target.to_owned(),
                    confidence,
                    texts,
                };
                sound &= tell(&MadeUp, &case, &labels, Reference::Deep)?;
            }
        }
        Some(file) => {
            let answered = args.pair.answers(file)?;
            let world = Texts(&answered.samples, &answered.labels);
            for case in args.cases() {
                sound &= tell(&world, &case, &answered.labels, Reference::Labels)?;
            }
        }
    }
    if !sound {
        return Err("a bound is broken more often than chance explains".into());
    }
    Ok(())
}

impl Args {
    /// The cases on the texts of a file; without any, those that suit the shipped models.
    fn cases(&self) -> Vec<Case> {
        let usual = [
            ("agreement>=0.97", 0.95, 2000),
            ("agreement>=0.95", 0.95, 2000),
            ("agreement>=0.95", 0.9, 1000),
            ("cost<=0.3", 0.95, 2000),
            ("risk<=0.13", 0.95, 1000),
            ("risk<=0.12", 0.95, 2000),
            ("cost<=0.3 precision>=0.93", 0.95, 1000),
            ("cost<=0.3 precision>=0.93", 0.9, 1000),
            ("cost<=0.3 precision>=0.95", 0.95, 2000),
        ];
        let own = self
            .case
            .iter()
            .map(|target| (target.as_str(), self.confidence, self.texts));
        let cases: Vec<_> = if self.case.is_empty() {
            usual.to_vec()
        } else {
            own.collect()
        };
        let case = |(target, confidence, texts): (&str, f64, usize)| Case {
            name: "the file",
            target: target.to_owned(),
            confidence,
            texts,
        };
        cases.into_iter().map(case).collect()
    }
}

/// Simulates and prints. Says whether the bounds were broken no more often than delta, or so little more that chance
/// explains it: by four standard errors.
fn tell(population: &impl Population, case: &Case, labels: &[String], reference: Reference) -> Result<bool, String> {
    let targets: Result<_, _> = case.target.split(' ').map(str::parse).collect();
    let wanted = Wanted::Targets(targets?);
    let options = Options {
        wanted: &wanted,
        labels,
        confidence: case.confidence,
        certifying: 0.5,
        seed: 1,
        reference,
        deep_temperature: 1.0,
        each: None,
        deferral: Deferral::Confidence,
    };
    let kept = simulate(population, &options, [DRAWS, case.texts], || {});
    let delta = 1.0 - case.confidence;
    let error = (delta * (1.0 - delta) / DRAWS as f64).sqrt();
    let mut sound = true;
    for (kind, Kept { certified, broken, .. }) in KINDS.into_iter().zip(kept) {
        let kind = kind.name();
        if certified == 0 {
            continue;
        }
        let share = broken as f64 / DRAWS as f64;
        sound &= share <= delta + 4.0 * error;
        println!(
            "| {} | {} | {} | {kind} | {certified} | {:.1}% | {:.0}% |",
            case.name,
            case.target,
            case.texts,
            share * 100.0,
            delta * 100.0
        );
    }
    Ok(sound)
}
