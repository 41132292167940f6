//! The flow of one request: [`Service::handle`] is all of it, each stage one line.

use std::time::Instant;

use super::route::{Plan, plan};
use super::tier::{Answer, Answers, Chosen};
use super::types::{CallTimes, LabelScore, PredictInput, PredictOutput, Prediction, ScoreKind, Timing};
use super::validate::{AnswerOptions, validate};
use super::{Service, observe};
use crate::error::Error;

impl Service {
    /// Answers one request: validate → route → preprocess → inference → postprocess, the two in the middle once a tier.
    pub async fn handle(&self, input: PredictInput, times: CallTimes) -> Result<PredictOutput, Error> {
        let input = validate(input, self.limits())?;
        let (plan, arm) = plan(&input, &self.catalog(), times.client)?;
        let options = input.options;
        let chosen = Chosen::all(input.texts, input.text_pairs, options.truncation);
        let terms = times.terms(input.priority);
        let answers = match &plan {
            Plan::Single(asked) => asked.answer(chosen, terms).await,
            Plan::Tandem(tandem) => tandem.answer(chosen, terms).await,
        };
        if let Some(arm) = &arm {
            self.note_arm(arm, answers.as_ref(), times.caller);
        }
        let answers = answers?;
        self.count(&plan, &answers);
        Ok(finish(answers, options, times))
    }

    fn count(&self, plan: &Plan, answers: &Answers) {
        for asked in plan.asked() {
            let tier = asked.model.tier;
            let by_it = answers.answers.iter().filter(|answer| answer.model.tier() == tier);
            asked.serving.metrics.answered(by_it.count());
        }
        if let Plan::Tandem(tandem) = plan {
            observe::record(tandem, answers, self.metrics().cascade(), Instant::now());
        }
    }
}

fn finish(answers: Answers, options: AnswerOptions, times: CallTimes) -> PredictOutput {
    let predictions = answers.answers.iter().map(|answer| postprocess(answer, options));
    PredictOutput {
        predictions: predictions.collect(),
        cache_hits: answers
            .parts
            .iter()
            .filter_map(|part| part.cache_hits)
            .reduce(|a, b| a + b),
        timing: Timing {
            total: times.arrived.elapsed(),
            preprocess: answers.parts.iter().map(|part| part.preprocess).sum(),
            tiers: answers
                .parts
                .iter()
                .map(|part| (part.model.tier, part.timing))
                .collect(),
        },
        models: answers.parts.into_iter().map(|part| part.model).collect(),
    }
}

fn postprocess(text: &Answer, options: AnswerOptions) -> Prediction {
    let answer = &text.answer;
    let labels = &text.model.manifest.labels;
    let scores = answer
        .ranking()
        .into_iter()
        .take(options.top_k)
        .map(|label| LabelScore {
            label: labels[label].clone(),
            score: match options.score_kind {
                ScoreKind::Probability => answer.probabilities[label],
                ScoreKind::Logit => answer.logits[label],
            },
            selected: answer.selects(label),
        });
    // A multi-label model may select none; of a regression, the label is the name of its value.
    let named = answer.selects(answer.winner) || answer.value().is_some();
    Prediction {
        label: if named {
            labels[answer.winner].clone()
        } else {
            String::new()
        },
        confidence: answer.confidence(),
        tier: text.model.tier(),
        decision: text.decision,
        scores: scores.collect(),
        token_count: text.token_count,
        truncated: text.truncated,
        value: answer.value(),
    }
}
