//! Models that give each label by itself: what their logits answer, and how sure that is. Pure.
//!
//! Nothing is fitted to such models. A label's threshold says at which probability it is given, and the probabilities of a
//! manifest belong to its thresholds: another temperature would give other labels. Nothing is blended either, so the answer
//! to an escalated text is the deep model's own.

use super::verdict::Verdict;
use crate::model::agreement;
use crate::model::manifest::{Manifest, ProblemType};
use crate::model::postprocess::{Classification, Postprocessor};
use crate::offline::evaluation::tally::{Bin, Labels, Reliability};

/// The places of the models.
pub const FAST: usize = 0;
pub const DEEP: usize = 1;

/// How the logits of both models become answers: exactly as where they are served.
#[derive(Clone, Debug)]
pub struct Each {
    /// Of fast and deep; the labels of both in the deep model's order.
    postprocessors: [Postprocessor; 2],
}

impl Each {
    /// For two models with the same labels; `None` if one label of a text is right.
    pub fn of(fast: &Manifest, deep: &Manifest) -> Option<Self> {
        let is_each = |manifest: &Manifest| manifest.problem_type == ProblemType::MultiLabel;
        if !is_each(fast) || !is_each(deep) {
            return None;
        }
        let mut postprocessors = [fast, deep].map(Postprocessor::of_logits);
        let of_fast = &fast.calibration.thresholds;
        let place = |label: &String| fast.labels.iter().position(|other| other == label);
        let in_deep_order = |label: &String| place(label).and_then(|place| of_fast.get(place).copied());
        let thresholds: Option<Vec<f32>> = deep.labels.iter().map(in_deep_order).collect();
        postprocessors[FAST].thresholds = thresholds.unwrap_or_default();
        Some(Self { postprocessors })
    }

    /// The models' own temperatures.
    pub fn temperatures(&self) -> [f64; 2] {
        self.postprocessors
            .each_ref()
            .map(|postprocessor| f64::from(postprocessor.temperature))
    }

    /// The labels that a model gives a text.
    pub fn given(&self, model: usize, logits: &[f64]) -> Labels {
        self.answer(model, logits)
            .map_or_else(|| Labels::Many(Vec::new()), |answer| selected(&answer))
    }

    /// What a model says of a text that has these labels.
    pub fn verdict(&self, model: usize, logits: &[f64], truth: &Labels) -> Verdict {
        let Some(answer) = self.answer(model, logits) else {
            return Verdict::new(Labels::Many(Vec::new()), 0.0);
        };
        let sure = agreement::sureness(&answer, &self.postprocessors[model].thresholds);
        Verdict {
            rates: rates(&answer.probabilities, truth),
            ..Verdict::new(selected(&answer), f64::from(sure))
        }
    }

    /// `None` for logits that are none.
    fn answer(&self, model: usize, logits: &[f64]) -> Option<Classification> {
        let logits: Vec<f32> = logits.iter().map(|&logit| logit as f32).collect();
        self.postprocessors[model].classify(&logits).ok()
    }
}

fn selected(answer: &Classification) -> Labels {
    let labels = (0..answer.probabilities.len()).filter(|&label| answer.selects(label));
    Labels::Many(labels.map(|label| label as u32).collect())
}

/// The probabilities of all labels in bins, with how many of the labels the text has: few bins, since most labels of a
/// text are as good as impossible.
fn rates(probabilities: &[f32], truth: &Labels) -> Vec<(usize, Bin)> {
    let mut all = Reliability::default();
    for (label, &probability) in probabilities.iter().enumerate() {
        all.add(f64::from(probability), truth.has(label as u32), 1.0);
    }
    let bins = all.bins.into_iter().enumerate();
    bins.filter(|(_, bin)| bin.texts > 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::manifest::OutputKind;

    fn post(thresholds: &[f32]) -> Postprocessor {
        Postprocessor {
            output_kind: OutputKind::Logits,
            temperature: 2.0,
            problem_type: ProblemType::MultiLabel,
            thresholds: thresholds.to_vec(),
            names_winner: false,
            columns: None,
            heads: Vec::new(),
        }
    }

    #[test]
    fn an_answer_is_what_is_over_its_threshold_and_as_sure_as_its_least_sure_label() {
        let each = Each {
            postprocessors: [post(&[0.5, 0.1, 0.5]), post(&[])],
        };
        // Probabilities of 0.98, 0.12 and 0.27.
        let logits = [8.0, -4.0, -2.0];
        let truth = Labels::Many(vec![0]);
        let (fast, deep) = (each.verdict(FAST, &logits, &truth), each.verdict(DEEP, &logits, &truth));
        assert_eq!(
            (&fast.given, &deep.given),
            (&Labels::Many(vec![0, 1]), &Labels::Many(vec![0]))
        );
        assert!((deep.confidence - 0.731).abs() < 1e-3, "{}", deep.confidence);
        // The odds of the second label are 0.136, those of its threshold 0.111.
        assert!((fast.confidence - 0.5493).abs() < 1e-3, "{}", fast.confidence);
        let all: f64 = deep.rates.iter().map(|(_, bin)| bin.texts).sum();
        let right: f64 = deep.rates.iter().map(|(_, bin)| bin.right).sum();
        assert_eq!((all, right), (3.0, 1.0));
        assert_eq!(each.given(DEEP, &[f64::from(f32::MAX), -1.0]), Labels::Many(vec![0]));
        assert_eq!(each.temperatures(), [2.0, 2.0]);
    }
}
