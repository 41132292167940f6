//! Cascade: the fast model answers every text; the deep one answers those of which the fast one is not sure enough.
//! What the deep model has no time or no room for falls back to the fast answer, where that is allowed.
//!
//! This file moves texts between the tiers; `escalation.rs` decides, by how sure an answer is (`model/agreement.rs`). The
//! deep route with fallback is the same flow with no fast answer sure enough.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::{Answers, CascadeCounts, TextAnswer};
use super::escalation;
use super::run_recorder::RunRecorder;
use super::target::{Classified, ModelTarget};
use crate::error::{Error, Reason};
use crate::model::agreement;
use crate::model::blend::log_softmax;
use crate::model::gain::{Gain, TextSize};
use crate::model::postprocess::{Classification, Selection};
use crate::service::catalog::cascade_calibration::CascadeSetup;
use crate::service::catalog::escalation_drift::CascadeWatch;
use crate::service::catalog::gears::Gear;
use crate::service::inference::outputs::TextOutput;
use crate::service::inference::texts::TextSubset;
use crate::service::messages::{Decision, SubmitOptions};

/// Longer than any deadline, to tell a lack of room from a lack of time.
const EVER: Duration = Duration::from_hours(7 * 24);

/// Both tiers of a task, and how they share a request.
#[derive(Clone)]
pub struct CascadePlan {
    pub fast: ModelTarget,
    pub deep: ModelTarget,
    /// Temperatures and blending.
    pub setup: Arc<CascadeSetup>,
    /// Which fast answers are final.
    pub threshold: Threshold,
    /// Whether a fast answer may replace a deep one that can't be had.
    pub allow_fallback: bool,
    pub task: String,
    /// Whether the threshold is the task's own, neither the request's nor one that the load chose.
    pub own_threshold: bool,
    /// The share of its texts that is audited; absent if none is.
    pub audit_share: Option<f64>,
    /// The gear that the load chose; absent where it chooses none.
    pub gear: Option<Gear>,
    /// The counts of the task's cascade.
    pub watch: Arc<CascadeWatch>,
}

/// Which fast answers are final.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// None of them: the request asked for the deep model.
    None,
    /// Those that are at least this sure, from 0 to 1.
    From(f32),
}

impl Threshold {
    /// How sure a fast answer is at least that is final; `None` where none is.
    pub fn confidence(self) -> Option<f32> {
        match self {
            Threshold::None => None,
            Threshold::From(confidence) => Some(confidence),
        }
    }
}

/// The outcome for the texts whose fast answer is not final.
struct Escalation {
    /// What the deep model made of those that it got; absent if it got none.
    deep: Option<Classified>,
    /// Their positions, ascending.
    places: Vec<usize>,
    /// The positions of those that fell back, with the reason.
    fallen: Vec<(usize, Decision)>,
}

impl CascadePlan {
    /// Answers the texts, in order.
    pub async fn answer(
        &self,
        texts: TextSubset,
        options: SubmitOptions,
        recorder: &RunRecorder<'_>,
    ) -> Result<Answers, Error> {
        let [fast_temperature, _] = self.setup.temperatures;
        let fast = self
            .fast
            .classify(texts.clone(), options, Some(fast_temperature), recorder)
            .await?;
        let thresholds = self.fast.head.thresholds();
        let sureness = |says: &Classification| agreement::sureness(says, thresholds);
        let confidences: Vec<f32> = fast.says.iter().map(sureness).collect();
        let by_gain = self.setup.gain.as_ref().filter(|_| self.own_threshold);
        let scores = by_gain.map(|(gain, _)| scores(gain, &fast, &texts));
        let scores = scores.as_ref().unwrap_or(&confidences);
        let wanted = match self.threshold {
            Threshold::None => (0..fast.says.len()).collect(),
            Threshold::From(least) => escalation::uncertain(scores, by_gain.map_or(least, |(_, least)| *least)),
        };
        let mut counts = CascadeCounts {
            wanted: wanted.len(),
            ..CascadeCounts::default()
        };
        let escalated = self.escalate(scores, wanted, texts, options, recorder).await;
        let Escalation { deep, places, fallen } = escalated.inspect_err(|_| self.audit_unanswered(counts.wanted))?;

        let mut answers: Vec<TextAnswer> = fast
            .says
            .iter()
            .zip(&fast.outputs.rows)
            .map(|(says, row)| self.fast.text_answer(says.clone(), row, Decision::Confident))
            .collect();
        for (place, reason) in fallen {
            answers[place].decision = reason;
        }
        let mut parts = vec![self.fast.part(&fast.outputs)];
        if let Some(deep) = deep {
            parts.push(self.deep.part(&deep.outputs));
            for ((says, row), place) in deep.says.into_iter().zip(&deep.outputs.rows).zip(places) {
                if agreement::is_same(&says, &fast.says[place], &self.setup.fast_of_deep) {
                    counts.agree += 1;
                } else {
                    counts.differ += 1;
                }
                let own = (says.winner, says.selection.clone());
                answers[place] = self.deep_answer(says, row, &fast.says[place]);
                let given = &answers[place].answer;
                if (given.winner, &given.selection) != (own.0, &own.1) {
                    counts.not_as_deep.push((place, own.0));
                }
            }
        }
        counts.fast_confidences = confidences;
        Ok(Answers {
            texts: answers,
            parts,
            counts,
            read: Vec::new(),
        })
    }

    /// Counts for the audit what a failed request wanted of the deep model, as if it had got it: see `auditing.rs`.
    fn audit_unanswered(&self, wanted: usize) {
        if let Some(share) = self.audit_share.filter(|_| self.own_threshold) {
            let drawn = (0..wanted).filter(|_| fastrand::f64() < share).count();
            if drawn > 0 {
                self.watch.audit.add(&self.setup, std::iter::repeat_n(false, drawn));
            }
        }
    }

    /// Gives the deep model what it can take, in one request. Where fallback is allowed, a lack of room or of time is
    /// no failure, and the deadline is a little earlier, so that the fast answers are still in time.
    async fn escalate(
        &self,
        confidences: &[f32],
        wanted: Vec<usize>,
        texts: TextSubset,
        options: SubmitOptions,
        recorder: &RunRecorder<'_>,
    ) -> Result<Escalation, Error> {
        let mut stage = recorder.span().open("escalate");
        stage.set("tandem.texts.not_sure", || wanted.len());
        let now = Instant::now();
        let (deadline, places, given_up) = if self.allow_fallback {
            let deadline = escalation::escalation_deadline(now, options.deadline);
            let admissible = self.admissible(&texts, wanted.len(), SubmitOptions { deadline, ..options });
            let (places, given_up) = escalation::admit(confidences, wanted, admissible);
            (deadline, places, given_up)
        } else {
            (options.deadline, wanted, Vec::new())
        };
        let mut escalation = Escalation {
            deep: None,
            places,
            fallen: Vec::new(),
        };
        if !given_up.is_empty() {
            let ever = SubmitOptions {
                deadline: now + EVER,
                ..options
            };
            let wanted = escalation.places.len() + given_up.len();
            let short_of = if self.admissible(&texts, wanted, ever) < wanted {
                Decision::FallbackOverload
            } else {
                Decision::FallbackDeadline
            };
            escalation.fallen = given_up.into_iter().map(|place| (place, short_of)).collect();
        }
        stage.set("tandem.texts.escalated", || escalation.places.len());
        stage.set("tandem.texts.fallen_back", || escalation.fallen.len());
        drop(stage);
        if escalation.places.is_empty() {
            return Ok(escalation);
        }
        // Where the deep answer is not blended, the manifest's own temperature holds.
        let temperature = match self.threshold {
            Threshold::None => None,
            Threshold::From(_) => Some(self.setup.temperatures[1]),
        };
        let texts = texts.at(escalation.places.clone());
        let options = SubmitOptions { deadline, ..options };
        match self.deep.classify(texts, options, temperature, recorder).await {
            Ok(deep) => escalation.deep = Some(deep),
            Err(error) => {
                // The queue would have taken these a moment ago, but may refuse them now, or take longer than
                // expected.
                let fallback = fallback_for(&error).filter(|_| self.allow_fallback).ok_or(error)?;
                let places = std::mem::take(&mut escalation.places);
                escalation
                    .fallen
                    .extend(places.into_iter().map(|place| (place, fallback)));
            }
        }
        Ok(escalation)
    }

    /// How many of `wanted` texts the deep model would take now and finish in time.
    fn admissible(&self, texts: &TextSubset, wanted: usize, options: SubmitOptions) -> usize {
        if self.deep.shares_rows() {
            // Some of them may be running for another task, and need no room. The queue refuses what is too much.
            return wanted;
        }
        let size = texts.bytes().div_ceil(texts.places.len().max(1));
        self.deep.loaded.admissible(options, wanted, size)
    }

    /// The answer to a text that the deep model ran: its own, or the blend of both. Where each label is right or not by
    /// itself, nothing is blended.
    fn deep_answer(&self, deep: Classification, row: &TextOutput, fast: &Classification) -> TextAnswer {
        if self.threshold == Threshold::None {
            return self.deep.text_answer(deep, row, Decision::Requested);
        }
        if matches!(deep.selection, Selection::Each(_)) {
            return self.deep.text_answer(deep, row, Decision::Escalated);
        }
        let [fast_temperature, deep_temperature] = self.setup.temperatures;
        let logs = |logits: &mut dyn Iterator<Item = f32>, temperature: f32| {
            log_softmax(&logits.map(f64::from).collect::<Vec<_>>(), f64::from(temperature))
        };
        let in_deep_order = &mut self.setup.fast_of_deep.iter().map(|&label| fast.logits[label]);
        let blended = self.setup.blend.classify(
            &logs(in_deep_order, fast_temperature),
            &logs(&mut deep.logits.iter().copied(), deep_temperature),
        );
        self.deep.text_answer(blended, row, Decision::Escalated)
    }
}

/// What the fast answers are escalated by where that is a forecast of the gain.
fn scores(gain: &Gain, fast: &Classified, texts: &TextSubset) -> Vec<f32> {
    let answers = fast.says.iter().zip(&fast.outputs.rows).zip(texts.sizes());
    let score = |((says, row), bytes): ((&Classification, &TextOutput), usize)| {
        let features = row.token_count;
        gain.score(&says.probabilities, TextSize { bytes, features })
    };
    answers.map(score).collect()
}

/// The reason for a fallback in place of this error; `None` if the error is not for want of time or room.
fn fallback_for(error: &Error) -> Option<Decision> {
    match error.reason {
        Reason::DeadlineExceeded => Some(Decision::FallbackDeadline),
        Reason::QueueFull => Some(Decision::FallbackOverload),
        _ => None,
    }
}
