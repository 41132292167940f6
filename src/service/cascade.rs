//! The cascade: the fast model answers every text, the deep one those that are not left to it, and what the deep one can't do
//! in time, or has no room for, falls back to the fast answer where that is allowed.
//!
//! Moves texts between the tiers; what to decide is `decide.rs`'s. The deep route with fallback is the same flow in which
//! no fast answer stands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::calibration::CascadeSetup;
use super::decide;
use super::observe::{CascadeWatch, Observed};
use super::route::Asked;
use super::tier::{Answer, Answers, Chosen, TierRow, TierRows};
use super::types::{Decision, Terms};
use crate::error::{Error, Reason};
use crate::model::postprocess::Classification;

/// Longer than any deadline: tells a lack of room from a lack of time.
const EVER: Duration = Duration::from_secs(7 * 24 * 3600);

/// Both tiers of a task, and how they share a request.
#[derive(Clone)]
pub struct Tandem {
    /// The fast model.
    pub fast: Asked,
    /// The deep model.
    pub deep: Asked,
    /// What was calibrated.
    pub setup: Arc<CascadeSetup>,
    /// Which fast answers stand.
    pub stands: Stands,
    /// Whether a fast answer may take the place of a deep one.
    pub allow_fallback: bool,
    /// The task's name.
    pub task: String,
    /// Whether the threshold is the task's, not the request's.
    pub own_threshold: bool,
    /// What is kept of the task's cascade.
    pub watch: Arc<CascadeWatch>,
}

/// Which fast answers stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stands {
    /// None: the deep model was asked for.
    None,
    /// Those at least as sure as this.
    From(f32),
}

/// What became of the texts that the fast model does not answer by itself.
struct Escalation {
    /// What the deep model made of those that it got.
    deep: Option<TierRows>,
    /// Their places, ascending.
    places: Vec<usize>,
    /// The places of those that fell back, with the reason.
    fallen: Vec<(usize, Decision)>,
}

impl Tandem {
    /// Answers the texts, in order.
    pub async fn answer(&self, chosen: Chosen, terms: Terms) -> Result<Answers, Error> {
        let fast = self.fast.serving.infer(chosen.clone(), terms).await?;
        let fast_temperature = self.setup.temperatures[0];
        let own = |row: &TierRow| self.fast.classify(&row.output.values, Some(fast_temperature));
        let sure = fast.rows.iter().map(own).collect::<Result<Vec<_>, _>>()?;
        let confidences: Vec<f32> = sure.iter().map(Classification::confidence).collect();
        let wanted = match self.stands {
            Stands::None => (0..sure.len()).collect(),
            Stands::From(min_confidence) => decide::uncertain(&confidences, min_confidence),
        };
        let mut observed = Observed {
            wanted: wanted.len(),
            ..Observed::default()
        };
        let escalation = self.escalate(&confidences, wanted, chosen, terms).await?;

        let mut answers: Vec<Answer> = sure
            .iter()
            .zip(&fast.rows)
            .map(|(answer, row)| Answer::new(&self.fast, answer.clone(), row, Decision::Confident))
            .collect();
        for (place, reason) in escalation.fallen {
            answers[place].decision = reason;
        }
        let mut parts = vec![self.fast.part(&fast)];
        if let Some(deep) = &escalation.deep {
            for (row, &place) in deep.rows.iter().zip(&escalation.places) {
                answers[place] = self.deep_answer(row, &sure[place])?;
                let deep_says = self.deep.classify(&row.output.values, None)?.winner;
                if self.setup.fast_of_deep[deep_says] == sure[place].winner {
                    observed.agree += 1;
                } else {
                    observed.differ += 1;
                }
            }
            parts.push(self.deep.part(deep));
        }
        observed.fast_confidences = confidences;
        Ok(Answers {
            answers,
            parts,
            observed,
        })
    }

    /// Gives the deep model what it can take, all of it in one go. Where fallback is allowed, a lack of room or of time is no
    /// failure, and enough time is left for the answer.
    async fn escalate(
        &self,
        confidences: &[f32],
        wanted: Vec<usize>,
        chosen: Chosen,
        terms: Terms,
    ) -> Result<Escalation, Error> {
        let now = Instant::now();
        let (deadline, places, given_up) = if self.allow_fallback {
            let deadline = decide::escalation_deadline(now, terms.deadline);
            let admissible = self.admissible(&chosen, wanted.len(), Terms { deadline, ..terms });
            let (places, given_up) = decide::admit(confidences, wanted, admissible);
            (deadline, places, given_up)
        } else {
            (terms.deadline, wanted, Vec::new())
        };
        let mut escalation = Escalation {
            deep: None,
            places,
            fallen: Vec::new(),
        };
        if !given_up.is_empty() {
            let ever = Terms {
                deadline: now + EVER,
                ..terms
            };
            let wanted = escalation.places.len() + given_up.len();
            let short_of = match self.admissible(&chosen, wanted, ever) < wanted {
                true => Decision::FallbackOverload,
                false => Decision::FallbackDeadline,
            };
            escalation.fallen = given_up.into_iter().map(|place| (place, short_of)).collect();
        }
        if escalation.places.is_empty() {
            return Ok(escalation);
        }
        let chosen = Chosen {
            places: escalation.places.clone(),
            ..chosen
        };
        match self.deep.serving.infer(chosen, Terms { deadline, ..terms }).await {
            Ok(rows) => escalation.deep = Some(rows),
            Err(error) => {
                // What was admitted a moment ago may be refused now, or take longer than it looked.
                let fallback = fallback_for(&error).filter(|_| self.allow_fallback).ok_or(error)?;
                let places = std::mem::take(&mut escalation.places);
                escalation
                    .fallen
                    .extend(places.into_iter().map(|place| (place, fallback)));
            }
        }
        Ok(escalation)
    }

    /// How many of `wanted` texts of the request the deep model would take now, and do in time.
    fn admissible(&self, chosen: &Chosen, wanted: usize, terms: Terms) -> usize {
        let size = chosen.bytes().div_ceil(chosen.places.len().max(1));
        self.deep.serving.admissible(terms, wanted, size)
    }

    fn deep_answer(&self, row: &TierRow, fast: &Classification) -> Result<Answer, Error> {
        if self.stands == Stands::None {
            let answer = self.deep.classify(&row.output.values, None)?;
            return Ok(Answer::new(&self.deep, answer, row, Decision::Requested));
        }
        let [fast_temperature, deep_temperature] = self.setup.temperatures;
        let deep = self.deep.classify(&row.output.values, Some(deep_temperature))?;
        let logs = |logits: &mut dyn Iterator<Item = f32>, temperature: f32| {
            decide::log_softmax(&logits.map(f64::from).collect::<Vec<_>>(), f64::from(temperature))
        };
        let in_deep_order = &mut self.setup.fast_of_deep.iter().map(|&label| fast.logits[label]);
        let blended = self.setup.blend.classify(
            &logs(in_deep_order, fast_temperature),
            &logs(&mut deep.logits.iter().copied(), deep_temperature),
        );
        Ok(Answer::new(&self.deep, blended, row, Decision::Escalated))
    }
}

/// The fallback that answers a failure, if one does: the others are not for want of time or room.
fn fallback_for(error: &Error) -> Option<Decision> {
    match error.reason {
        Reason::DeadlineExceeded => Some(Decision::FallbackDeadline),
        Reason::QueueFull => Some(Decision::FallbackOverload),
        _ => None,
    }
}
