//! What is asked of a backend, and the outcome of each text. Texts at fault are separated from the others, which are
//! answered.

use super::backend::Backend;
use crate::api::pb;
use crate::cli::outcome::{Outcome, failure};
use crate::config::settings::RouteSetting;
use crate::offline::reader::Fields;

/// What is asked about texts.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The task; empty for the only one.
    pub task: String,
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
}

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
            route: self.route().into(),
            model: self.model.clone(),
            // All of them. The scores also say which labels a multi-label model selects.
            top_k: i32::MAX,
            min_confidence: self.min_confidence,
            min_precision: self.min_precision,
            allow_fallback: self.allow_fallback.then_some(true),
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
        let mut outcomes: Vec<Option<Result<pb::Prediction, String>>> =
            rows.iter().map(|row| row.as_ref().err().cloned().map(Err)).collect();
        let readable = (0..rows.len()).filter(|at| rows[*at].is_ok()).collect();
        let mut parts: Vec<Vec<usize>> = vec![readable];
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let fields: Vec<&Fields> = part.iter().filter_map(|at| rows[*at].as_ref().ok()).collect();
            match backend.ask(self.request(&fields)).await {
                Ok(answer) if answer.predictions.len() == part.len() => {
                    for model in answer.models {
                        if !models.contains(&model) {
                            models.push(model);
                        }
                    }
                    for (at, prediction) in part.into_iter().zip(answer.predictions) {
                        outcomes[at] = Some(Ok(prediction));
                    }
                }
                Ok(_) => {
                    return Err(failure(
                        "the server gave another number of answers than it was asked for",
                    ));
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
