//! Whether certificates keep their word, over a thousand draws of the texts: how often a bound is broken, beside how
//! often it may be.
//!
//! ```sh
//! cargo run --release --example certificates                        # texts that are made up, with a known truth
//! cargo run --release --example certificates -- labelled.tsv        # texts of a file, by the models in models/
//! ```
//!
//! The texts of a file (columns `text` and `label`) are taken for all there are: they are drawn with repeats, and what is
//! certified is held against all of them.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use tandem::model::gain::TextSize;
use tandem::model::loading::FastPath;
use tandem::model::repository;
use tandem::offline::calibration::Sample;
use tandem::offline::calibration::cascade::{Options, Reference};
use tandem::offline::calibration::measure::{self, Said};
use tandem::offline::calibration::options::Deferral;
use tandem::offline::calibration::simulation::{KINDS, Kept, MadeUp, Population, Texts, simulate};
use tandem::offline::calibration::target::Wanted;
use tandem::offline::dataset::{self, DatasetColumns, Labels};
use tandem::offline::evaluation::tally;
use tandem::offline::reader;

const DRAWS: usize = 1000;

/// A line of the table: what is asked for.
struct Case {
    name: &'static str,
    /// Targets, with a space between them.
    target: &'static str,
    confidence: f64,
    texts: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let case = |name, target, confidence, texts| Case {
        name,
        target,
        confidence,
        texts,
    };
    println!("{DRAWS} draws each; half of the texts certify\n");
    println!("| population | target | texts | certificate | draws that certify | bound broken | delta |");
    println!("| --- | --- | ---: | --- | ---: | ---: | ---: |");
    let mut sound = true;
    match std::env::args().nth(1) {
        None => {
            let labels = ["no".to_owned(), "yes".to_owned()];
            for case in [
                case("made up", "agreement>=0.99", 0.95, 4000),
                case("made up", "agreement>=0.99", 0.95, 1000),
                case("made up", "agreement>=0.95", 0.95, 1000),
                case("made up", "agreement>=0.9", 0.9, 400),
            ] {
                sound &= tell(&MadeUp, &case, &labels, Reference::Deep)?;
            }
        }
        Some(path) => {
            let (samples, labels) = answered(&PathBuf::from(path))?;
            let world = Texts(&samples, &labels);
            for case in [
                case("the file", "agreement>=0.97", 0.95, 2000),
                case("the file", "agreement>=0.95", 0.95, 2000),
                case("the file", "agreement>=0.95", 0.9, 1000),
                case("the file", "cost<=0.3", 0.95, 2000),
                case("the file", "risk<=0.13", 0.95, 1000),
                case("the file", "cost<=0.3 precision>=0.93", 0.95, 1000),
                case("the file", "cost<=0.3 precision>=0.93", 0.9, 1000),
            ] {
                sound &= tell(&world, &case, &labels, Reference::Labels)?;
            }
        }
    }
    if !sound {
        return Err("a bound is broken more often than chance explains".into());
    }
    Ok(())
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

/// The answers of the shipped models to the labelled texts of a file, and the labels.
fn answered(path: &Path) -> Result<(Vec<Sample>, Vec<String>), Box<dyn Error>> {
    let models = repository::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models"))?;
    let named = |name: &str| models.iter().find(|model| model.manifest.name == name);
    let (Some(fast), Some(deep)) = (named("sentiment-fast"), named("sentiment-deep")) else {
        return Err("models/ lacks sentiment-fast or sentiment-deep".into());
    };
    let labels = deep.manifest.labels.clone();
    let columns = DatasetColumns {
        label: Some("label".to_owned()),
        ..DatasetColumns::default()
    };
    let map = BTreeMap::new();
    let known = Labels::Known {
        labels: &labels,
        map: &map,
    };
    let dataset = dataset::read(path, &columns, &reader::Options::default(), known)?;
    let texts: Vec<_> = (0..dataset.len()).map(|at| dataset.text(at)).collect();
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    let said = measure::run([fast, deep], &texts, 1, FastPath::default(), |_| {})?;
    let place = |label: &String| fast.manifest.labels.iter().position(|other| other == label);
    let fast_of_deep: Vec<usize> = labels.iter().filter_map(place).collect();
    let samples = said
        .into_iter()
        .zip(&dataset.examples)
        .zip(&texts)
        .filter_map(|((said, example), text)| {
            let Said {
                logits: [fast, deep],
                costs,
                features,
            } = said?;
            Some(Sample {
                truth: tally::Labels::of(&example.target, false)?,
                group: example.group,
                fast: fast_of_deep.iter().map(|&label| fast[label]).collect(),
                deep,
                costs,
                size: TextSize {
                    bytes: text.len(),
                    features,
                },
            })
        });
    Ok((samples.collect(), labels))
}
