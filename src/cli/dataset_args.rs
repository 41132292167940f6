//! Arguments of commands that read a file of labelled texts: `tandem train`, `distill`, `calibrate` and `evaluate`.

use std::collections::BTreeMap;
use std::path::Path;

use super::output::complain;
use super::read_args::ReadArgs;
use crate::model::manifest::{Manifest, ProblemType};
use crate::offline::dataset::columns::DEFAULT_SEPARATOR;
use crate::offline::dataset::{self, Dataset, DatasetColumns, Labels, Unlabelled};

/// How a file of labelled texts is read.
#[derive(Clone, Debug, clap::Args)]
pub struct DatasetArgs {
    /// How the file is read.
    #[command(flatten)]
    pub reading: ReadArgs,
    /// The column, or key, of the label [default: label, unless columns of probabilities are named]
    #[arg(long, value_name = "NAME", help_heading = "Labels")]
    pub label_column: Option<String>,
    /// What a value of the label column means, if it is neither a label's name nor its place from 0; with --multi-label, VALUE= means no label; may be repeated
    #[arg(long, value_name = "VALUE=LABEL", value_parser = meaning, help_heading = "Labels")]
    pub map: Vec<(String, String)>,
    /// Take spaces around labels off
    #[arg(long, help_heading = "Labels")]
    pub trim: bool,
    /// Leave rows without a label out
    #[arg(long, help_heading = "Labels")]
    pub skip_unlabelled: bool,
    /// A row may have several labels, or none
    #[arg(long, help_heading = "Labels")]
    pub multi_label: bool,
    /// What stands between the labels of a row; JSON Lines may have lists
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_SEPARATOR, requires = "multi_label", value_parser = separator, help_heading = "Labels")]
    pub label_separator: String,
    /// The column of the probability, or the votes, of a label; may be repeated
    #[arg(long, value_name = "LABEL=COLUMN", value_parser = meaning, help_heading = "Labels")]
    pub soft_column: Vec<(String, String)>,
    /// The column of the probabilities of all labels: {"label": 0.9, …}, or `scores` of what `tandem predict --scores` writes
    #[arg(long, value_name = "NAME", help_heading = "Labels")]
    pub probabilities_column: Option<String>,
    /// The column of the weight: how much a row counts, 1 being usual
    #[arg(long, value_name = "NAME", help_heading = "Labels")]
    pub weight_column: Option<String>,
}

fn meaning(text: &str) -> Result<(String, String), String> {
    let (name, other) = text.split_once('=').ok_or("there is no = in it")?;
    Ok((name.to_owned(), other.to_owned()))
}

fn separator(text: &str) -> Result<String, String> {
    match text {
        "" => Err("is empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

impl DatasetArgs {
    /// The columns to read. Rows without a label are refused unless the arguments skip them.
    pub fn columns(&self) -> DatasetColumns {
        let soft = !self.soft_column.is_empty() || self.probabilities_column.is_some();
        let usual = (!soft).then(|| "label".to_owned());
        DatasetColumns {
            text: self.reading.text_column.clone(),
            label: self.label_column.clone().or(usual),
            weight: self.weight_column.clone(),
            soft: self.soft_column.clone(),
            probabilities: self.probabilities_column.clone(),
            multi_label: self.multi_label,
            label_separator: self.label_separator.clone(),
            trim: self.trim,
            unlabelled: if self.skip_unlabelled {
                Unlabelled::LeaveOut
            } else {
                Unlabelled::Refuse
            },
        }
    }

    /// Like [`Self::columns`], for a model: where it gives each label by itself, a row may have several labels, or none. The
    /// error is one line.
    pub fn columns_for(&self, manifest: &Manifest) -> Result<DatasetColumns, String> {
        let multi_label = manifest.problem_type == ProblemType::MultiLabel;
        if self.multi_label && !multi_label {
            return Err(format!(
                "--multi-label: `{}` gives a text one label of all, so that one is right",
                manifest.name
            ));
        }
        Ok(DatasetColumns {
            multi_label,
            ..self.columns()
        })
    }

    /// How the file is read, as flags for another command on a file like it.
    pub fn arguments(&self) -> Vec<String> {
        let mut words = self.reading.arguments();
        let mut named = |flag: &str, value: &str| words.push(format!("--{flag}={value}"));
        let columns = [
            ("label-column", &self.label_column),
            ("probabilities-column", &self.probabilities_column),
            ("weight-column", &self.weight_column),
        ];
        for (flag, value) in columns {
            if let Some(value) = value {
                named(flag, value);
            }
        }
        for (label, column) in &self.soft_column {
            named("soft-column", &format!("{label}={column}"));
        }
        for (value, label) in &self.map {
            named("map", &format!("{value}={label}"));
        }
        if self.multi_label && self.label_separator != DEFAULT_SEPARATOR {
            named("label-separator", &self.label_separator);
        }
        let switches = [
            ("--trim", self.trim),
            ("--skip-unlabelled", self.skip_unlabelled),
            ("--multi-label", self.multi_label),
        ];
        words.extend(
            switches
                .into_iter()
                .filter(|(_, on)| *on)
                .map(|(flag, _)| flag.to_owned()),
        );
        words
    }

    /// What values of the label column mean.
    pub fn map(&self) -> BTreeMap<String, String> {
        self.map.iter().cloned().collect()
    }

    /// Reads a file and says on standard error what people should know of it. The labels are those of models, or else
    /// those that the file has. The error is one line that names the file.
    pub fn read(&self, path: &Path, columns: &DatasetColumns, known: Option<&[String]>) -> Result<Dataset, String> {
        let map = self.map();
        let labels = match known {
            Some(labels) => Labels::Known { labels, map: &map },
            None => Labels::Found { map: &map },
        };
        let of_file = |told: &str| format!("{}: {told}", path.display());
        let read = dataset::read(path, columns, &self.reading.options(), labels);
        let read = read.map_err(|problem| of_file(&problem))?;
        read.notes.iter().for_each(|note| complain(&of_file(note)));
        Ok(read)
    }
}
