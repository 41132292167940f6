//! The answers of two models to the texts of a file.

// Each example uses a part of this.
#![allow(dead_code)]

use std::error::Error;
use std::path::{Path, PathBuf};

use tandem::cli::dataset_args::DatasetArgs;
use tandem::cli::read_args::ReadArgs;
use tandem::model::gain::TextSize;
use tandem::model::loading::FastPath;
use tandem::model::repository::{self, VerifiedModel};
use tandem::offline::calibration::Sample;
use tandem::offline::calibration::measure::{self, Said};
use tandem::offline::dataset::{self, DatasetColumns, Example, Labels};
use tandem::offline::evaluation::tally;

/// Two models, and how a file of labelled texts is read.
#[derive(clap::Args)]
pub struct Pair {
    /// The folder of the models
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/models"))]
    pub models: PathBuf,
    /// The fast model's name
    #[arg(long, default_value = "sentiment-fast")]
    pub fast: String,
    /// The deep model's name
    #[arg(long, default_value = "sentiment-deep")]
    pub deep: String,
    #[command(flatten)]
    pub labelled: DatasetArgs,
}

/// Texts with the answers of both models, and the labels in the deep model's order.
pub struct Answered {
    pub texts: Vec<String>,
    pub samples: Vec<Sample>,
    pub labels: Vec<String>,
}

impl Pair {
    /// Both models, fast and deep.
    pub fn open(&self) -> Result<[VerifiedModel; 2], Box<dyn Error>> {
        let models = repository::open(&self.models)?;
        let named = |name: &String| {
            let found = models.iter().find(|model| model.manifest.name == *name).cloned();
            found.ok_or_else(|| format!("{} lacks {name}", self.models.display()))
        };
        Ok([named(&self.fast)?, named(&self.deep)?])
    }

    /// Reads a file of labelled texts and asks both models. Texts that one of them does not answer are left out.
    pub fn answers(&self, file: &Path) -> Result<Answered, Box<dyn Error>> {
        self.ask(file, &self.labelled.columns(), &self.labelled.reading)
    }

    /// The same with columns and a way of reading. Where a text has no label, the deep model's answer stands for it.
    pub fn ask(&self, file: &Path, columns: &DatasetColumns, reading: &ReadArgs) -> Result<Answered, Box<dyn Error>> {
        let models = self.open()?;
        let [fast, deep] = &models;
        let (labels, map) = (deep.manifest.labels.clone(), self.labelled.map());
        let known = Labels::Known {
            labels: &labels,
            map: &map,
        };
        let dataset = dataset::read(file, columns, &reading.options(), known)?;
        let texts: Vec<String> = (0..dataset.len()).map(|at| dataset.text(at).into_owned()).collect();
        let asked: Vec<&str> = texts.iter().map(String::as_str).collect();
        let said = measure::run([fast, deep], &asked, 1, FastPath::default(), |_| {})?;
        let place = |label: &String| fast.manifest.labels.iter().position(|other| other == label);
        let fast_of_deep: Vec<usize> = labels.iter().filter_map(place).collect();
        let rows = texts.into_iter().zip(said).zip(&dataset.examples);
        let sample = |((text, said), example): ((String, Option<Said>), &Example)| {
            let Said {
                logits: [fast, deep],
                costs,
                features,
            } = said?;
            let fast = fast_of_deep.iter().map(|&label| fast[label]).collect();
            let unlabelled = Sample::unlabelled(example.group, fast, deep, costs);
            let sample = Sample {
                truth: tally::Labels::of(&example.target, false).unwrap_or(unlabelled.truth.clone()),
                size: TextSize {
                    bytes: text.len(),
                    features,
                },
                ..unlabelled
            };
            Some((text, sample))
        };
        let (texts, samples) = rows.filter_map(sample).unzip();
        Ok(Answered { texts, samples, labels })
    }
}
