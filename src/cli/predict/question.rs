//! What is asked of a backend, and the outcome of each text. Texts at fault are separated from the others, which are
//! answered.

use std::collections::BTreeSet;

use super::backend::Backend;
use crate::api::pb;
use crate::api::pb::task_result::Outcome as TaskOutcome;
use crate::cli::outcome::{Outcome, failure};
use crate::config::settings::RouteSetting;
use crate::offline::reader::Fields;

/// What is asked about texts.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The task; empty for the only one.
    pub task: String,
    /// Several tasks at once, in place of one; empty for one.
    pub tasks: Vec<String>,
    /// The route; `None` for the task's.
    pub route: Option<RouteSetting>,
    /// A model by its name, instead of a route; empty for none.
    pub model: String,
    /// For the cascade: the confidence at which the fast answer stands.
    pub min_confidence: Option<f32>,
    /// For the cascade: the share of given answers that must be right.
    pub min_precision: Option<f32>,
    /// Whether the fast model may answer what the deep one can't.
    pub allow_fallback: bool,
    /// Whether texts that are too long are read in windows.
    pub windows: bool,
    /// Whether requests that others wait for go first.
    pub bulk: bool,
}

/// An answer, and the model that gave it, as `name@version`.
pub type Named = (pb::Prediction, String);

impl Question {
    /// The route on the wire.
    pub fn route(&self) -> pb::Route {
        match self.route {
            None => pb::Route::Unspecified,
            Some(RouteSetting::Fast) => pb::Route::Fast,
            Some(RouteSetting::Deep) => pb::Route::Deep,
            Some(RouteSetting::Cascade) => pb::Route::Cascade,
        }
    }

    fn request(&self, fields: &[&Fields]) -> pb::PredictRequest {
        let texts = fields.iter().map(|fields| fields.text.clone());
        let pairs = fields.iter().filter_map(|fields| fields.pair.clone());
        let truncation = if self.windows {
            pb::Truncation::Windows
        } else {
            pb::Truncation::Unspecified
        };
        pb::PredictRequest {
            truncation: truncation.into(),
            include_windows: self.windows,
            texts: texts.collect(),
            text_pairs: pairs.collect(),
            task: self.task.clone(),
            tasks: self.tasks.clone(),
            route: self.route().into(),
            model: self.model.clone(),
            // All of them. The scores also say which labels a multi-label model selects.
            top_k: i32::MAX,
            min_confidence: self.min_confidence,
            min_precision: self.min_precision,
            allow_fallback: self.allow_fallback.then_some(true),
            priority: if self.bulk {
                pb::Priority::Bulk
            } else {
                pb::Priority::Unspecified
            }
            .into(),
            ..pb::PredictRequest::default()
        }
    }

    /// The outcome of each row: its answer, or why it has none. The models that took part are added to `models`.
    pub async fn ask(
        &self,
        backend: &mut Backend,
        rows: &[Result<Fields, String>],
        models: &mut Vec<pb::ModelRef>,
    ) -> Outcome<Vec<Result<pb::Prediction, String>>> {
        let answers = |answer: pb::PredictResponse, _| {
            for model in answer.models {
                if !models.contains(&model) {
                    models.push(model);
                }
            }
            answer.predictions
        };
        self.ask_each(backend, rows, answers).await
    }

    /// The same with the model that gave each answer.
    pub async fn ask_named(
        &self,
        backend: &mut Backend,
        rows: &[Result<Fields, String>],
    ) -> Outcome<Vec<Result<Named, String>>> {
        let named = |answer: pb::PredictResponse, _| {
            let of_tier = |tier: pb::Tier| {
                let model = answer.models.iter().find(|model| model.tier() == tier);
                model.map_or_else(String::new, |model| format!("{}@{}", model.name, model.version))
            };
            let (fast, deep) = (of_tier(pb::Tier::Fast), of_tier(pb::Tier::Deep));
            let with = |prediction: pb::Prediction| {
                let model = if prediction.tier() == pb::Tier::Fast {
                    &fast
                } else {
                    &deep
                };
                let model = model.clone();
                (prediction, model)
            };
            answer.predictions.into_iter().map(with).collect()
        };
        self.ask_each(backend, rows, named).await
    }

    /// The same for several tasks: the outcomes of each row, by task.
    pub async fn ask_tasks(
        &self,
        backend: &mut Backend,
        rows: &[Result<Fields, String>],
    ) -> Outcome<Vec<Result<TaskOutcomes, String>>> {
        let mut failed = BTreeSet::new();
        let by_row = |answer, rows| {
            let (outcomes, of_tasks) = by_row(answer, rows);
            failed.extend(of_tasks);
            outcomes
        };
        let mut outcomes = self.ask_each(backend, rows, by_row).await?;
        // A task that failed is asked alone: it may be that only some of the texts are at fault.
        for task in failed {
            let alone = Self {
                task: task.clone(),
                tasks: Vec::new(),
                ..self.clone()
            };
            let Ok(of_task) = alone.ask(backend, rows, &mut Vec::new()).await else {
                continue;
            };
            for (row, outcome) in outcomes.iter_mut().zip(of_task) {
                let found = row
                    .as_mut()
                    .ok()
                    .and_then(|row| row.iter_mut().find(|(name, _)| *name == task));
                if let Some((_, place)) = found {
                    *place = outcome;
                }
            }
        }
        Ok(outcomes)
    }

    /// What `answers` makes of each answer for the rows that it is for, or why a row has none.
    async fn ask_each<T>(
        &self,
        backend: &mut Backend,
        rows: &[Result<Fields, String>],
        mut answers: impl FnMut(pb::PredictResponse, usize) -> Vec<T>,
    ) -> Outcome<Vec<Result<T, String>>> {
        let mut outcomes: Vec<Option<Result<T, String>>> =
            rows.iter().map(|row| row.as_ref().err().cloned().map(Err)).collect();
        let readable = (0..rows.len()).filter(|at| rows[*at].is_ok()).collect();
        let mut parts: Vec<Vec<usize>> = vec![readable];
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let fields: Vec<&Fields> = part.iter().filter_map(|at| rows[*at].as_ref().ok()).collect();
            match backend.ask(self.request(&fields)).await {
                Ok(answer) => {
                    let answers = answers(answer, part.len());
                    if answers.len() != part.len() {
                        return Err(failure(
                            "the server gave another number of answers than it was asked for",
                        ));
                    }
                    for (at, answer) in part.into_iter().zip(answers) {
                        outcomes[at] = Some(Ok(answer));
                    }
                }
                Err(refusal) if !refusal.rows.is_empty() => {
                    for (at, problem) in &refusal.rows {
                        if let Some(at) = part.get(*at) {
                            outcomes[*at] = Some(Err(problem.clone()));
                        }
                    }
                    let before = part.len();
                    part.retain(|at| outcomes[*at].is_none());
                    if part.len() == before {
                        return Err(failure(refusal.message));
                    }
                    parts.push(part);
                }
                // Halves show which of the texts it is.
                Err(refusal) if refusal.of_some && part.len() > 1 => {
                    parts.push(part.split_off(part.len() / 2));
                    parts.push(part);
                }
                Err(refusal) if refusal.of_some => outcomes[part[0]] = Some(Err(refusal.message)),
                Err(refusal) => return Err(failure(refusal.message)),
            }
        }
        let unanswered = || Err("no answer".to_owned());
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(unanswered))
            .collect())
    }
}

/// The outcomes of one row: for each task its answer, or why it has none.
pub type TaskOutcomes = Vec<(String, Result<pb::Prediction, String>)>;

/// The outcomes of a request of so many rows for several tasks, by row; and the tasks that failed.
fn by_row(answer: pb::PredictResponse, rows: usize) -> (Vec<TaskOutcomes>, Vec<String>) {
    let mut failed = Vec::new();
    let mut by_row: Vec<TaskOutcomes> = vec![Vec::new(); rows];
    for pb::TaskResult { task, outcome } in answer.task_results {
        let (answers, problem) = match outcome {
            Some(TaskOutcome::Response(answer)) => (answer.predictions, "no answer".to_owned()),
            Some(TaskOutcome::Status(status)) => {
                failed.push(task.clone());
                (Vec::new(), status.message)
            }
            None => (Vec::new(), "no answer".to_owned()),
        };
        let mut answers = answers.into_iter();
        for row in &mut by_row {
            row.push((task.clone(), answers.next().ok_or_else(|| problem.clone())));
        }
    }
    (by_row, failed)
}
