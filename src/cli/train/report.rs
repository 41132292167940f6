//! The report of a training.

use super::figures::shown;
use super::told::Told;
use crate::cli::{command_line, costs};
use crate::model::loading::FastPath;
use crate::model::preprocess::ngrams::NgramExtractor;
use crate::model::repository::VerifiedModel;
use crate::offline::dataset::{Dataset, Facts};
use crate::offline::report::disagreements::LabelledBy;
use crate::offline::report::page::{Block, Page, Section, Table};
use crate::offline::report::{
    classes, confusion, data_card, disagreements, learning_curve, ngrams, origin, reliability,
};
use crate::offline::training::informative::informative;

/// How many n-grams are told of each class.
const NGRAMS: usize = 12;
/// The most trials that the page lists.
const MOST_TRIALS: usize = 60;

/// What stands around the figures of the model.
pub struct Around {
    /// What answers cost, if it was measured.
    pub costs: Option<Section>,
    /// The models that it is of, with their fingerprints, and what else the page was made from.
    pub origins: Vec<(String, String)>,
    pub next: Section,
    /// Whose the labels are that it was trained on.
    pub labelled_by: LabelledBy,
}

impl Around {
    /// Of a model that was trained from labels.
    pub fn of(told: &Told<'_>, model: &VerifiedModel) -> Self {
        let name = format!("{}@{}", told.place.name, told.place.version);
        Self {
            costs: costs::of_model(&name, costs::measure(model, told.dataset, FastPath::default()).as_ref()),
            origins: vec![model_fact(model)],
            next: next(told),
            labelled_by: LabelledBy::People,
        }
    }
}

/// The page.
pub fn page(told: &Told<'_>, around: Around) -> Page {
    let Told {
        place,
        dataset,
        judged,
        figures,
        ..
    } = told;
    let mut summary = vec![summary(told)];
    let learned: Vec<learning_curve::Learned> = told
        .trained
        .learning_curve
        .iter()
        .map(|&(rows, quality)| learning_curve::Learned {
            rows: rows as u64,
            quality,
        })
        .collect();
    summary.extend(told.findings());
    summary.extend(learning_curve::forecast(&learned));
    let mut sections = vec![figures_section(told)];
    sections.extend(around.costs);
    sections.push(classes::section(&dataset.labels, &figures.evaluation.classes));
    if told.is_single_label() {
        let evaluation = &figures.evaluation;
        sections.push(confusion::section(
            &dataset.labels,
            &evaluation.classes,
            &evaluation.confusions,
        ));
    }
    sections.push(reliability::section(
        "the model, on held-out texts",
        &figures.evaluation.tally.reliability,
    ));
    sections.push(learning_curve::section(told.quality, &learned));
    sections.push(data_card::section(data_card::DataCard {
        facts: &dataset.facts,
        labels: &dataset.labels,
        parts: &[],
        notes: &dataset.notes,
    }));
    if !told.options.without_texts {
        sections.push(ngrams_section(told));
    }
    sections.push(disagreements::section(doubted(told, judged), around.labelled_by));
    sections.extend(search_section(told));
    sections.push(around.next);
    sections.push(origin::section(&origin::Origin {
        command: command_line::told(),
        seed: Some(told.options.seed),
        facts: facts(told, around.origins),
    }));
    Page {
        title: format!("train: {} {}", place.name, place.version),
        summary,
        sections,
    }
}

/// What the model does, and how well, in a sentence.
fn summary(told: &Told<'_>) -> String {
    let (does, right) = if told.is_single_label() {
        (format!("tells {} apart", told.labels()), "right")
    } else {
        let does = format!("gives {}, each by itself", told.labels());
        (does, "right with all labels")
    };
    format!(
        "{} {} {does}: {} of {} held-out texts are {right} ({}).",
        told.place.name,
        told.place.version,
        shown(&told.figures.evaluation.accuracy),
        told.figures.rows.len(),
        told.judged_by
    )
}

fn figures_section(told: &Told<'_>) -> Section {
    let evaluation = &told.figures.evaluation;
    let mut table = Table::new("Figures of held-out texts, with 95% intervals", ["figure", "value"]);
    table.strong_row([told.quality.to_owned(), shown(&evaluation.accuracy)]);
    table.row(["macro-F1".to_owned(), shown(&evaluation.macro_f1)]);
    table.row(["micro-F1".to_owned(), shown(&evaluation.micro_f1)]);
    table.row(["calibration error".to_owned(), shown(&evaluation.calibration_error)]);
    table.row(["log loss".to_owned(), format!("{:.4}", evaluation.log_loss.value)]);
    for coverage in &evaluation.coverages {
        table.row([
            format!("answered alone at a precision of {:.0}%", coverage.wanted * 100.0),
            format!("{:.1}%", coverage.covered * 100.0),
        ]);
    }
    Section::new("How good it is").with(Block::Table(table))
}

fn ngrams_section(told: &Told<'_>) -> Section {
    let extractor = NgramExtractor::new(told.trained.recipe.features());
    let found = informative(&told.trained.model, told.trained.link, &extractor, told.dataset, NGRAMS);
    let of_class = found
        .into_iter()
        .zip(&told.dataset.labels)
        .map(|(ngrams, label)| ngrams::ClassNgrams {
            label: label.clone(),
            ngrams: ngrams
                .into_iter()
                .map(|found| (found.ngram, f64::from(found.weight)))
                .collect(),
        });
    ngrams::section(&of_class.collect::<Vec<_>>())
}

fn doubted(told: &Told<'_>, judged: &Dataset) -> Vec<disagreements::Disagreement> {
    let figures = told.figures;
    let doubt = |&at: &usize| disagreements::Disagreement {
        line: judged.examples[figures.rows[at]].line,
        text: (!told.options.without_texts).then(|| judged.text(figures.rows[at]).into_owned()),
        labelled: figures.known[at].truth.names(judged),
        said: figures.answers[at].given.names(judged),
        confidence: figures.answers[at].confidence,
    };
    figures.doubted.iter().map(doubt).collect()
}

fn search_section(told: &Told<'_>) -> Option<Section> {
    let found = told.trained.found.as_ref()?;
    let mut table = Table::new(
        "Recipes that were tried, the best first",
        ["recipe", "right", "log loss"],
    );
    let mut trials = found.trials.clone();
    trials.sort_by(|a, b| a.loss.total_cmp(&b.loss));
    for trial in trials.iter().take(MOST_TRIALS) {
        let cells = [
            trial.recipe.words(),
            format!("{:.2}%", trial.accuracy * 100.0),
            format!("{:.4}", trial.loss),
        ];
        if trial.recipe == found.best {
            table.strong_row(cells);
        } else {
            table.row(cells);
        }
    }
    Some(Section::new("The search").with(Block::Table(table)))
}

fn facts(told: &Told<'_>, origins: Vec<(String, String)>) -> Vec<(String, String)> {
    let judged = (!std::ptr::eq(told.judged, told.dataset)).then_some(told.judged);
    let files = std::iter::once(told.dataset).chain(judged);
    let mut facts = vec![("recipe".to_owned(), told.trained.recipe.words())];
    facts.extend(origins);
    facts.extend(files.filter_map(|dataset| data_fact(&dataset.facts)));
    facts
}

/// The fingerprint of a model, by its name.
pub fn model_fact(model: &VerifiedModel) -> (String, String) {
    let name = format!("fingerprint of {}@{}", model.manifest.name, model.manifest.version);
    (name, model.fingerprint.clone())
}

/// The fingerprint of a file of texts, by its name.
pub fn data_fact(facts: &Facts) -> Option<(String, String)> {
    let sum = facts.sha256.clone()?;
    Some((format!("SHA-256 of {}", facts.file), sum))
}

fn next(told: &Told<'_>) -> Section {
    let place = &told.place;
    let folder = place.folder.display().to_string();
    let measure = ["evaluate", "OTHERS.tsv", "--model", &folder].map(str::to_owned);
    let again = place.repository.join(&place.name).join("NEXT").display().to_string();
    let again = ["train", "MORE.tsv", "--out", &again].map(str::to_owned);
    let reading = told.reading.iter().cloned();
    let with_columns = |words: [String; 4]| command_line::of(words.into_iter().chain(reading.clone()).collect());
    origin::next(&[
        ("Serve it.".to_owned(), told.serve()),
        ("Ask it, with grpcurl.".to_owned(), told.ask()),
        (
            "Measure it on other texts, which took no part.".to_owned(),
            with_columns(measure),
        ),
        (
            "Train it again on more texts, into the next folder; a server that runs takes it at SIGHUP.".to_owned(),
            with_columns(again),
        ),
    ])
}
