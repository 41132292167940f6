//! What only a run of a scikit-learn graph can tell: whether its numbers are probabilities, and whether it finds the words
//! that it was trained on in the texts that it is given.
//!
//! Runs a few dozen short texts in a session of its own; nothing of it is kept. The texts are the graph's own words.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Notes;
use super::graph::Graph;
use super::sklearn::Facts;
use crate::model::limited::CallOff;
use crate::model::manifest::{Manifest, ProblemType};
use crate::model::onnx::{OnnxBytes, OnnxRunner, RunLimit, Runtime, SessionSettings, Source};
use crate::model::{ModelInput, RunError, Runner};

/// The longest that a run of one short text may take.
const LONGEST_RUN: Duration = Duration::from_secs(10);
/// The most words of the vocabulary that are tried.
const MAX_WORDS: usize = 24;
/// From this share of words outside ASCII on, a model that finds none of them is broken.
const MANY: usize = 10;

const LOCALE: &str = "export it with the vectorizer's option locale=\"C.UTF-8\"";
const TOKENS: &str = "export it with the vectorizer's option tokenexp=r\"[\\pL\\pN_][\\pL\\pN_]+\"";

/// What the numbers of a graph are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Numbers {
    /// Probabilities: they sum to one, or each stands for itself.
    Probabilities,
    /// From 0 to 1 each, with any sum.
    Shares,
    /// Scores; softmax of them over this temperature is what is answered.
    Scores {
        /// 2 where two columns mirror each other: softmax is then the logistic function of the second.
        temperature: f32,
    },
}

impl Numbers {
    /// The numbers as they are.
    pub const RAW: Self = Self::Scores { temperature: 1.0 };
}

/// Runs the graph and judges its numbers; the known traps of such exports go into the notes. `raw` is the manifest of the
/// numbers as they are.
pub(super) fn examine(
    folder: &Path,
    graph: &Graph,
    facts: &Facts,
    raw: Manifest,
    notes: &mut Notes,
) -> Option<Numbers> {
    let limit = RunLimit::new(LONGEST_RUN, CallOff::default());
    let opened = OnnxBytes::read(folder, &raw)
        .map_err(|error| error.problem)
        .and_then(|bytes| {
            let source = Source {
                bytes: &bytes,
                manifest: &raw,
                pad_id: 0,
                weights: None,
                limit: &limit,
            };
            OnnxRunner::load(Runtime::get()?, source, SessionSettings { intra_threads: 1 })
        });
    let mut runner = match opened {
        Ok(runner) => runner,
        Err(problem) => {
            notes.wrong(problem, "docs/models-sklearn.md shows an export that loads everywhere");
            return None;
        }
    };
    let mut probe = Probe {
        graph,
        runner: &mut runner,
    };
    let judged = probe.numbers(facts).and_then(|numbers| {
        probe.note_tokens(notes)?;
        probe.note_case(notes)?;
        Ok(numbers)
    });
    if graph.has_path("TfIdfVectorizer", &["Add", "Log"]) {
        notes.doubtful(
            "sublinear_tf=True is exported as log(1 + count), where scikit-learn takes 1 + log(count): texts that repeat a \
             word get other probabilities",
            "fit the vectorizer without sublinear_tf",
        );
    }
    judged
        .map_err(|error| notes.wrong(format!("it does not run: {error}"), "export it again"))
        .ok()
}

struct Probe<'a> {
    graph: &'a Graph,
    runner: &'a mut dyn Runner,
}

impl Probe<'_> {
    fn run(&mut self, text: &str) -> Result<Vec<f32>, RunError> {
        let input = ModelInput::Text(Arc::from(text.replace('\0', " ")));
        Ok(self.runner.run(&[&input])?.into_raw_vec_and_offset().0)
    }

    fn numbers(&mut self, facts: &Facts) -> Result<Numbers, RunError> {
        let mut texts = vec![String::new(), "0".into(), "a b c d e f g".into(), "가 나 다".into()];
        texts.extend(some(self.known_words(), |_| true));
        let mut rows = Vec::with_capacity(texts.len());
        for text in &texts {
            rows.push(self.run(text)?);
        }
        let all = |test: fn(&[f32]) -> bool| rows.iter().all(|row| test(row));
        let within = all(|row| row.iter().all(|value| (-1e-6..=1.0 + 1e-6).contains(value)));
        if facts.problem_type == ProblemType::Regression || !within {
            // A single column is spread over two labels when it is read, and needs no temperature for it.
            let mirrored = all(|row| row.len() == 2 && (row[0] + row[1]).abs() <= 1e-4 * (1.0 + row[0].abs()));
            let temperature = if mirrored && !facts.single_column { 2.0 } else { 1.0 };
            return Ok(Numbers::Scores { temperature });
        }
        let whole = all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-3);
        let each = facts.problem_type == ProblemType::MultiLabel;
        Ok(if whole || each {
            Numbers::Probabilities
        } else {
            Numbers::Shares
        })
    }

    /// Tells whether the graph finds nothing in texts outside ASCII.
    fn note_tokens(&mut self, notes: &mut Notes) -> Result<(), RunError> {
        let Some(pattern) = self.graph.token_pattern() else {
            return Ok(());
        };
        let known = self.known_words();
        let all = known.len();
        let (ascii, foreign): (Vec<String>, Vec<String>) = known.into_iter().partition(|words| words.is_ascii());
        let many = foreign.len() * MANY >= all;
        let (ascii, foreign) = (some(ascii, |_| true), some(foreign, |_| true));
        if !ascii.is_empty() && self.reads_none_of(&ascii)? {
            // Words alone tell nothing of this graph.
            return Ok(());
        }
        let what = format!("its token pattern `{pattern}` finds ASCII alone, skl2onnx's silent default");
        if foreign.is_empty() {
            let korean = ["정말 재미있는 영화", "지루하고 아깝다"].map(str::to_owned);
            if self.reads_none_of(&korean)? {
                notes.assumed(
                    format!("texts are in ASCII: {what}; others are answered like an empty one"),
                    TOKENS,
                );
            }
        } else if self.reads_none_of(&foreign)? {
            let told = format!("it was trained on words outside ASCII and finds none of them: {what}");
            if many {
                notes.wrong(told, TOKENS)
            } else {
                notes.doubtful(told, TOKENS)
            }
        }
        Ok(())
    }

    /// Tells whether upper case is folded as in training, and whether it is on every machine.
    fn note_case(&mut self, notes: &mut Notes) -> Result<(), RunError> {
        let Some(locale) = self.graph.folding_locale() else {
            return Ok(());
        };
        let cased = |words: &str| {
            let upper = words.to_uppercase();
            !words.is_ascii() && upper != words && upper.to_lowercase() == words
        };
        for words in some(self.known_words(), cased) {
            if self.run(&words)? != self.run(&words.to_uppercase())? {
                notes.doubtful(
                    format!("its locale `{locale}` folds the case of ASCII alone, scikit-learn that of every letter"),
                    LOCALE,
                );
                return Ok(());
            }
        }
        if !["C", "POSIX", "C.UTF-8", "C.utf8"].contains(&locale.as_str()) {
            notes.assumed(
                format!("every machine that serves it has the locale `{locale}`, without which it does not load"),
                LOCALE,
            );
        }
        Ok(())
    }

    /// Whether every one of these texts is answered like an empty one.
    fn reads_none_of(&mut self, texts: &[String]) -> Result<bool, RunError> {
        let nothing = self.run("")?;
        for text in texts {
            if self.run(text)? != nothing {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The shortest n-grams that the graph counts, as texts.
    fn known_words(&self) -> Vec<String> {
        let ngrams = self.graph.shortest_ngrams().unwrap_or_default();
        // Words of one character each are what `analyzer="char"` counts.
        let characters = ngrams.iter().flatten().all(|word| word.chars().count() == 1);
        let separator = if characters { "" } else { " " };
        let texts = ngrams.into_iter().map(|words| words.join(separator));
        texts.filter(|words| !words.trim().is_empty()).collect()
    }
}

/// At most [`MAX_WORDS`] of the words that are wanted, from all over the list.
fn some(words: Vec<String>, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let words: Vec<String> = words.into_iter().filter(|words| wanted(words)).collect();
    let step = words.len().div_ceil(MAX_WORDS).max(1);
    words.into_iter().step_by(step).collect()
}
