//! What an agreement with the deep model costs, by what texts are given to it: by the fast model's confidence, by a
//! forecast of the gain, or by confidence with a threshold of its own for each label that the fast model gives.
//!
//! ```sh
//! cargo run --release --example deferral -- labelled.tsv       # texts of a file, by the models in models/
//! cargo run --release --example deferral -- labelled.csv --models MODELS --fast NAME --deep NAME
//! ```
//!
//! The texts are split into halves at random, `--splits` times. One half fits (the temperature, the forecast, the
//! thresholds of the labels); on the other, texts are escalated in the order of each way until so many agree, and what
//! that costs is counted. An escalated text gets the deep model's answer, so that both agree on it. The cost is the share of
//! texts that are escalated, or, with `--by-time`, of the deep model's time for all texts.

#[path = "common/answered.rs"]
mod answered;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use tandem::model::blend::Blend;
use tandem::offline::calibration::Sample;
use tandem::offline::calibration::cascade::{Options, Reference};
use tandem::offline::calibration::curve::{Fitted, Judged};
use tandem::offline::calibration::options::Deferral;
use tandem::offline::calibration::target::{Target, Wanted};
use tandem::offline::calibration::{deferral, fit};

use answered::{Answered, Pair};

/// The shares of texts that must get the deep model's answer.
const AGREEMENTS: [f64; 5] = [0.95, 0.97, 0.98, 0.99, 0.995];
/// The ways, in the order of the columns.
const WAYS: [&str; 3] = ["confidence", "gain", "a threshold a label"];
/// How many prices of a disagreement are tried for the thresholds of the labels.
const PRICES: usize = 400;

/// Compares what an agreement costs.
#[derive(Parser)]
struct Args {
    /// Labelled texts that neither model was trained on: .tsv, .csv, .jsonl
    file: PathBuf,
    #[command(flatten)]
    pair: Pair,
    /// How many times the texts are split into halves
    #[arg(long, default_value_t = 50)]
    splits: u64,
    /// Count the deep model's measured time; without it each escalated text costs the same
    #[arg(long)]
    by_time: bool,
}

/// A text: those of the lowest score are escalated first.
#[derive(Clone, Copy)]
struct Row {
    score: f64,
    /// What the fast model says.
    label: usize,
    differs: bool,
    /// The seconds of the deep model, or 1.
    cost: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let Answered { samples, labels, .. } = args.pair.answers(&args.file)?;
    let wanted = Wanted::Targets(vec![Target::Agreement(0.95)]);
    let options = Options {
        wanted: &wanted,
        labels: &labels,
        confidence: 0.95,
        certifying: 0.5,
        seed: 1,
        reference: Reference::Labels,
        deep_temperature: 1.0,
        each: None,
        deferral: Deferral::Gain,
    };
    let mut found = vec![[const { Vec::new() }; WAYS.len()]; AGREEMENTS.len()];
    for seed in 0..args.splits {
        let mut shuffled: Vec<&Sample> = samples.iter().collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
        let (fitting, held_out) = shuffled.split_at(samples.len() / 2);
        for (way, rows) in ways(fitting, held_out, &options, args.by_time)?.iter().enumerate() {
            for (at, least) in AGREEMENTS.into_iter().enumerate() {
                found[at][way].push(cost_at(rows, least));
            }
        }
    }
    println!(
        "{} texts, {} labels, {} splits\n",
        samples.len(),
        labels.len(),
        args.splits
    );
    println!(
        "| agreement | {} | gain - confidence | a threshold a label - confidence |",
        WAYS.join(" | ")
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for (least, costs) in AGREEMENTS.into_iter().zip(&found) {
        let middle = |way: usize| mean_and_spread(&costs[way]).0;
        let against = |way: usize| {
            let more: Vec<f64> = costs[way]
                .iter()
                .zip(&costs[0])
                .map(|(one, other)| one - other)
                .collect();
            let (mean, spread) = mean_and_spread(&more);
            format!("{mean:+.4} ({spread:.4})")
        };
        println!(
            "| {:.1}% | {:.4} | {:.4} | {:.4} | {} | {} |",
            least * 100.0,
            middle(0),
            middle(1),
            middle(2),
            against(1),
            against(2)
        );
    }
    println!("\nIn brackets: the standard deviation of the difference over the splits.");
    Ok(())
}

/// The held-out texts in each way.
fn ways(
    fitting: &[&Sample],
    held_out: &[&Sample],
    options: &Options<'_>,
    by_time: bool,
) -> Result<[Vec<Row>; 3], String> {
    let truth = Sample::label;
    let pairs = fitting.iter().map(|one| (one.fast.as_slice(), one.fast[truth(one)]));
    let by_confidence = Fitted {
        temperatures: [fit::temperature(pairs), 1.0],
        blend: Blend::deep_alone(options.labels.len()),
        each: None,
        gain: None,
    };
    let (by_gain, _) = deferral::choose(fitting, by_confidence.clone(), options)?;
    let confidence = rows(held_out, &by_confidence, by_time);
    let label = by_label(
        &rows(fitting, &by_confidence, by_time),
        &confidence,
        options.labels.len(),
    );
    Ok([confidence, rows(held_out, &by_gain, by_time), label])
}

fn rows(samples: &[&Sample], fitted: &Fitted, by_time: bool) -> Vec<Row> {
    let judged = Judged::new(samples.to_vec(), fitted);
    let fast = judged.at(0.0);
    let both = judged.gains(true).into_iter().zip(fast);
    let row =
        |((sample, score, gain), fast): ((&Sample, f32, f64), &tandem::offline::calibration::verdict::Verdict)| {
            let costs = sample.costs.iter().flatten().map(|[_, deep]| *deep);
            Row {
                score: f64::from(score),
                label: fast.given.places().first().map_or(0, |&label| label as usize),
                differs: gain > 0.0,
                cost: if by_time {
                    costs.clone().sum::<f64>() / costs.count().max(1) as f64
                } else {
                    1.0
                },
            }
        };
    both.map(row).collect()
}

/// Scores texts by the lowest price of a disagreement at which the fitted threshold of their label escalates them.
fn by_label(fitted: &[Row], held_out: &[Row], labels: usize) -> Vec<Row> {
    let all: f64 = fitted.iter().map(|row| row.cost).sum();
    // In units of the deep model's mean cost of a text: from a hundredth to ten thousand, on a logarithmic scale.
    let mean = all / fitted.len() as f64;
    let price = |step: usize| mean * 10_f64.powf(-2.0 + 6.0 * step as f64 / PRICES as f64);
    let mut thresholds = vec![vec![0.0; PRICES]; labels];
    for (label, thresholds) in thresholds.iter_mut().enumerate() {
        let mut of_label: Vec<Row> = fitted.iter().copied().filter(|row| row.label == label).collect();
        of_label.sort_by(|a, b| a.score.total_cmp(&b.score));
        let mut highest = 0.0_f64;
        for (step, threshold) in thresholds.iter_mut().enumerate() {
            highest = highest.max(cheapest(&of_label, price(step)));
            *threshold = highest;
        }
    }
    let scored = |row: &Row| {
        let steps = &thresholds[row.label];
        let first = steps.iter().position(|&threshold| row.score < threshold);
        // Within a step, and beyond all of them, confidence decides.
        Row {
            score: first.unwrap_or(PRICES) as f64 + row.score,
            ..*row
        }
    };
    held_out.iter().map(scored).collect()
}

/// The threshold at which cost and disagreements together are cheapest; the rows ascend.
fn cheapest(rows: &[Row], price: f64) -> f64 {
    let (mut total, mut least, mut threshold) = (0.0, 0.0, 0.0);
    for (at, row) in rows.iter().enumerate() {
        total += row.cost - if row.differs { price } else { 0.0 };
        if total < least {
            least = total;
            threshold = rows.get(at + 1).map_or(1.1, |next| next.score);
        }
    }
    threshold
}

/// The cost if texts are escalated, the lowest scores first, until so many agree.
fn cost_at(rows: &[Row], least: f64) -> f64 {
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| a.score.total_cmp(&b.score));
    let all: f64 = rows.iter().map(|row| row.cost).sum();
    let may = ((1.0 - least) * rows.len() as f64).floor() as usize;
    let mut left = rows.iter().filter(|row| row.differs).count();
    let mut spent = 0.0;
    for row in sorted {
        if left <= may {
            break;
        }
        spent += row.cost;
        left -= usize::from(row.differs);
    }
    spent / all
}

fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}
