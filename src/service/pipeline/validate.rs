//! Validation: what a request must satisfy, whatever models there are.
//!
//! Reports every field at fault, each by its name and with its limit. A [`ValidInput`] proves that its request was
//! validated.

use super::named_tasks;
use crate::error::{Error, FieldViolation};
use crate::model::manifest::{Truncation, is_name};
use crate::model::model_name::ModelName;
use crate::service::inference::texts::TextSubset;
use crate::service::limits::RequestLimits;
use crate::service::messages::{ExplainInput, PredictInput, Priority, Route, ScoreKind};

/// The most fields that one error lists.
const MAX_VIOLATIONS: usize = 16;
/// The most texts in one request for explanations: each text runs the model once for each of its n-grams.
pub const MAX_EXPLAINED_TEXTS: usize = 8;
/// The most n-grams that are listed for a label, and as many against it. The default is 10.
const MAX_CONTRIBUTIONS: usize = 100;
const DEFAULT_CONTRIBUTIONS: usize = 10;

/// A request whose fields are allowed and fit each other.
#[derive(Clone, Debug)]
pub struct ValidInput {
    /// The texts, at least one, with the second texts of pairs if there are any.
    pub texts: TextSubset,
    /// The task; empty for the default task.
    pub task: String,
    /// Several tasks, or `*` for all; empty for one.
    pub tasks: Vec<String>,
    /// The tier or the model that is asked.
    pub target: Target,
    /// What the answer should hold.
    pub options: AnswerOptions,
    /// Options of the cascade and of fallback.
    pub cascade: CascadeOptions,
    /// Requests of higher priority go first.
    pub priority: Priority,
    _checked: Checked,
}

/// A request for explanations whose fields are allowed and fit each other.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidExplain {
    /// The texts, at least one.
    pub texts: Vec<String>,
    /// The task; empty for the default task.
    pub task: String,
    /// The tier or the model whose answers are explained.
    pub target: Target,
    /// How many n-grams are listed for each label, and as many against it.
    pub most: usize,
    /// What happens to a text that is too long; absent for the model's own setting.
    pub truncation: Option<Truncation>,
    _checked: Checked,
}

/// The tier or the model that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A tier of the task.
    Route(Route),
    /// A model by name and, if given, by version.
    Model {
        name: String,
        /// The version; absent for the one that the client gets.
        version: Option<String>,
    },
}

/// What the answer should hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerOptions {
    /// How many labels to list.
    pub top_k: usize,
    /// What the listed scores are.
    pub score_kind: ScoreKind,
    /// What happens to a text that is too long; absent for the task's or the model's own setting.
    pub truncation: Option<Truncation>,
    /// Whether the answers list windows.
    pub include_windows: bool,
}

/// Options of the cascade and of fallback; absent for the task's own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CascadeOptions {
    /// The confidence, from 0 to 1, from which on the fast answer is final.
    pub min_confidence: Option<f32>,
    /// Whether the fast model may answer where the deep one can't.
    pub allow_fallback: Option<bool>,
    /// The share of given answers that must be right, above 0 and below 1.
    pub min_precision: Option<f32>,
}

/// Private, so that only this module can make the types above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Checked;

pub fn validate(input: PredictInput, limits: RequestLimits) -> Result<ValidInput, Error> {
    check_counts(&[("texts", &input.texts), ("text_pairs", &input.text_pairs)], limits)?;
    let mut faults = Faults::default();
    check_texts(&input.texts, limits, &mut faults);
    let top_k = usize::try_from(input.top_k).unwrap_or_else(|_| {
        faults.add("top_k", format!("is {}, it must be at least 0", input.top_k));
        0
    });
    check_task(&input.task, &mut faults);
    named_tasks::check(&input, |field, problem| faults.add(field, problem));
    check_pairs(&input, limits, &mut faults);
    check_cascade(&input, &mut faults);
    let target = target(input.route, &input.model, &mut faults);
    faults.into_result()?;
    Ok(ValidInput {
        texts: TextSubset::all(input.texts, input.text_pairs, None),
        task: input.task,
        tasks: input.tasks,
        target,
        options: AnswerOptions {
            top_k,
            score_kind: input.score_kind,
            truncation: input.truncation,
            include_windows: input.include_windows,
        },
        cascade: CascadeOptions {
            min_confidence: input.min_confidence,
            allow_fallback: input.allow_fallback,
            min_precision: input.min_precision,
        },
        priority: input.priority,
        _checked: Checked,
    })
}

pub fn validate_explain(input: ExplainInput, limits: RequestLimits) -> Result<ValidExplain, Error> {
    let limits = RequestLimits {
        max_texts: limits.max_texts.min(MAX_EXPLAINED_TEXTS),
        ..limits
    };
    check_counts(&[("texts", &input.texts)], limits)?;
    let mut faults = Faults::default();
    check_texts(&input.texts, limits, &mut faults);
    let most = usize::try_from(input.max_contributions).unwrap_or(usize::MAX);
    if most > MAX_CONTRIBUTIONS {
        let found = input.max_contributions;
        faults.add(
            "max_contribution_count",
            format!("is {found}, it must be from 0 to {MAX_CONTRIBUTIONS}"),
        );
    }
    check_task(&input.task, &mut faults);
    if input.route == Route::Cascade {
        faults.add("route", "names two models: explain one of them");
    }
    if input.truncation == Some(Truncation::Windows) {
        faults.add("truncation", "TRUNCATION_WINDOWS is for Predict only");
    }
    let target = target(input.route, &input.model, &mut faults);
    faults.into_result()?;
    Ok(ValidExplain {
        texts: input.texts,
        task: input.task,
        target,
        most: if most == 0 { DEFAULT_CONTRIBUTIONS } else { most },
        truncation: input.truncation,
        _checked: Checked,
    })
}

/// The error text for a list of more than `limit` texts. It does not say how many there are: decoding stops at the
/// first text past the limit.
pub fn too_many_texts(limit: usize) -> String {
    format!("holds more than {limit} texts, the limit is {limit}")
}

/// Too many texts are refused before anything else is looked at, as they are during decoding.
fn check_counts(lists: &[(&str, &Vec<String>)], limits: RequestLimits) -> Result<(), Error> {
    let found = lists.iter().find(|(_, texts)| texts.len() > limits.max_texts);
    found.map_or(Ok(()), |(field, _)| {
        Err(Error::invalid_field(*field, too_many_texts(limits.max_texts)))
    })
}

fn check_texts(texts: &[String], limits: RequestLimits, faults: &mut Faults) {
    let count = texts.len();
    if count == 0 {
        faults.add(
            "texts",
            format!("holds no text, it must hold from 1 to {}", limits.max_texts),
        );
    }
    for (at, text) in texts.iter().enumerate() {
        if text.len() > limits.max_text_bytes {
            faults.add(
                format!("texts[{at}]"),
                format!(
                    "has {} bytes of UTF-8, the limit is {}",
                    text.len(),
                    limits.max_text_bytes
                ),
            );
        }
    }
}

/// Whether a model accepts pairs is checked by routing.
fn check_pairs(input: &PredictInput, limits: RequestLimits, faults: &mut Faults) {
    let (pairs, texts) = (input.text_pairs.len(), input.texts.len());
    if pairs > 0 && pairs != texts {
        faults.add(
            "text_pairs",
            format!("holds {pairs} texts, it must hold none or one for each of the {texts} texts"),
        );
    }
    for (at, (pair, text)) in input.text_pairs.iter().zip(&input.texts).enumerate() {
        let together = pair.len() + text.len();
        if together > limits.max_text_bytes && text.len() <= limits.max_text_bytes {
            faults.add(
                format!("text_pairs[{at}]"),
                format!(
                    "has with its text {together} bytes of UTF-8, the limit is {}",
                    limits.max_text_bytes
                ),
            );
        }
    }
}

fn check_task(task: &str, faults: &mut Faults) {
    if !task.is_empty() && !is_name(task) {
        faults.add("task", "must match [a-z0-9][a-z0-9_-]{0,62}");
    }
}

/// Options that don't fit the request are refused, not ignored. Where the task's default route decides, routing checks
/// them.
fn check_cascade(input: &PredictInput, faults: &mut Faults) {
    if let Some(confidence) = input.min_confidence {
        if !(0.0..=1.0).contains(&confidence) {
            faults.add("min_confidence", "must be a number from 0 to 1");
        } else if !input.model.is_empty() || matches!(input.route, Route::Fast | Route::Deep) {
            faults.add("min_confidence", "applies to ROUTE_CASCADE only");
        }
    }
    if let Some(precision) = input.min_precision {
        if !(precision > 0.0 && precision < 1.0) {
            faults.add("min_precision", "must be a number above 0 and below 1");
        } else if !input.model.is_empty() || matches!(input.route, Route::Fast | Route::Deep) {
            faults.add("min_precision", "applies to ROUTE_CASCADE only");
        } else if input.min_confidence.is_some() {
            faults.add(
                "min_precision",
                "does not go with min_confidence: it was measured at the task's own threshold",
            );
        }
    }
    if input.allow_fallback == Some(true) && !input.model.is_empty() {
        faults.add("allow_fallback", "does not go with model: one model was asked for");
    }
}

fn target(route: Route, model: &str, faults: &mut Faults) -> Target {
    if model.is_empty() {
        return Target::Route(route);
    }
    if route != Route::Default {
        faults.add("model", "excludes route: set one of the two");
    }
    let Some(ModelName { name, version }) = ModelName::parse(model) else {
        faults.add(
            "model",
            "must be a name or name@version, each matching [a-z0-9][a-z0-9_-]{0,62}",
        );
        return Target::Route(route);
    };
    Target::Model { name, version }
}

#[derive(Default)]
struct Faults {
    found: Vec<FieldViolation>,
}

impl Faults {
    fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        if self.found.len() < MAX_VIOLATIONS {
            self.found.push(FieldViolation {
                field: field.into(),
                description: description.into(),
            });
        }
    }

    fn into_result(self) -> Result<(), Error> {
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid_fields(self.found))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RequestLimits = RequestLimits {
        max_texts: 3,
        max_text_bytes: 6,
    };

    fn request(texts: &[&str]) -> PredictInput {
        PredictInput {
            texts: texts.iter().map(|&text| text.to_owned()).collect(),
            ..PredictInput::default()
        }
    }

    fn fields(input: PredictInput) -> Vec<String> {
        let error = validate(input, LIMITS).expect_err("invalid");
        error.violations.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn the_bounds_are_part_of_what_is_allowed() {
        assert!(validate(request(&["한글", "", "abcdef"]), LIMITS).is_ok());
        assert_eq!(fields(request(&[])), ["texts"]);
        assert_eq!(fields(request(&["a", "b", "c", "d"])), ["texts"]);
        assert_eq!(fields(request(&["a", "한글a"])), ["texts[1]"]);
    }

    #[test]
    fn every_field_at_fault_is_named() {
        let input = PredictInput {
            text_pairs: vec!["b".into(), "c".into()],
            route: Route::Cascade,
            top_k: -1,
            min_confidence: Some(f32::NAN),
            allow_fallback: Some(true),
            model: "Bad Name".into(),
            task: "Bad Task".into(),
            ..request(&["a"])
        };
        assert_eq!(
            fields(input),
            [
                "top_k",
                "task",
                "text_pairs",
                "min_confidence",
                "allow_fallback",
                "model",
                "model"
            ]
        );
    }

    #[test]
    fn an_error_lists_a_bounded_number_of_fields() {
        let limits = RequestLimits {
            max_texts: 100,
            max_text_bytes: 1,
        };
        let error = validate(request(&["too long"; 100]), limits).expect_err("invalid");
        assert_eq!(error.violations.len(), MAX_VIOLATIONS);
    }

    #[test]
    fn a_model_may_be_pinned_to_a_version() {
        let input = PredictInput {
            model: "a-1@2".into(),
            ..request(&["a"])
        };
        let target = validate(input, LIMITS).expect("valid").target;
        assert_eq!(
            target,
            Target::Model {
                name: "a-1".into(),
                version: Some("2".into())
            }
        );
    }
}
