//! The flow of one request: [`predict`] is all of it, each stage one line.

use std::ops::Range;
use std::time::Instant;

use super::answer::{Answers, TextAnswer};
use super::auditing::audit;
use super::cascade::Threshold;
use super::cascade_metrics;
use super::keeping;
use super::route::{Chosen, Plan, plan};
use super::run_recorder::RunRecorder;
use super::validate::{AnswerOptions, ValidInput, validate};
use super::windows;
use crate::error::Error;
use crate::model::manifest::{LONGEST_LABEL, Truncation};
use crate::service::catalog::Catalog;
use crate::service::catalog::audit_queue::AuditQueue;
use crate::service::catalog::kept::KeptTexts;
use crate::service::inference::texts::TextSubset;
use crate::service::limits::{RequestLimits, WindowLimits};
use crate::service::messages::{
    CallTimes, Decision, LabelScore, PredictInput, PredictOutput, Prediction, ScoreKind, SubmitOptions, Timing, Window,
};

/// The most bytes of an answer's scores, with their labels: a bound on what one caller can have the server build and
/// hold until it is read.
pub const MOST_ANSWER_BYTES: usize = 16 << 20;
/// The bytes of a score besides its label.
const SCORE_BYTES: usize = 20;

/// What answers requests at one moment.
pub struct Serving<'a> {
    pub catalog: &'a Catalog,
    pub limits: RequestLimits,
    pub windows: WindowLimits,
    pub recorder: &'a RunRecorder<'a>,
    pub audits: &'a AuditQueue,
    /// The texts that are kept; absent where none are.
    pub kept: Option<&'a KeptTexts>,
}

/// Answers one request: validate → route → preprocess → inference → postprocess. Preprocessing and inference run once
/// for each model. Texts that are read in windows are cut before, and their answers made one after.
pub async fn predict(input: PredictInput, times: CallTimes, serving: &Serving<'_>) -> Result<PredictOutput, Error> {
    let span = serving.recorder.span();
    let input = span.timed("validate", || validate(input, serving.limits))?;
    let chosen = span.timed("route", || plan(&input, serving.catalog, times.client))?;
    answer(&input, chosen, MOST_ANSWER_BYTES, &times, serving).await
}

/// Answers a request for one task by the models that were chosen, in at most so many bytes of scores.
pub async fn answer(
    input: &ValidInput,
    Chosen {
        plan,
        rules,
        answer_from,
    }: Chosen,
    most_bytes: usize,
    times: &CallTimes,
    serving: &Serving<'_>,
) -> Result<PredictOutput, Error> {
    let (recorder, options) = (serving.recorder, input.options);
    let check_sizes = |texts| check_sizes(&plan, texts, options.top_k, most_bytes);
    check_sizes(input.texts.places.len())?;
    let truncation = options.truncation.or(rules.truncation).or_else(|| plan.truncation());
    let texts = input.texts.clone().with_truncation(truncation);
    let submit = times.submit_options(input.priority);
    let to_keep = serving.kept.map(|kept| (kept, texts.clone()));
    let mut answers = if truncation == Some(Truncation::Windows) {
        if input.cascade.min_precision.is_some() {
            return Err(Error::invalid_field(
                "min_precision",
                "does not go with windows: it was measured on texts that are read once",
            ));
        }
        let cutting = recorder.span().open("windows");
        let windows = windows::cut(&plan, &rules, texts, serving.windows, submit).await?;
        drop(cutting);
        if options.include_windows {
            check_sizes(windows.texts.places.len())?;
        }
        let answers = run(&plan, windows.texts.clone(), submit, recorder, None).await?;
        windows::pool_all(&windows, answers, &rules)?
    } else {
        run(&plan, texts, submit, recorder, Some(serving.audits)).await?
    };
    let _stage = recorder.span().open("postprocess");
    if let Some(confidence) = answer_from {
        answers.withhold_below(confidence);
    }
    if let Some((kept, texts)) = to_keep {
        let task = keeping::task_of(&input.task, &input.target, &plan, serving.catalog);
        keeping::keep(kept, task, &texts, &answers, &answers.counts.found_otherwise);
    }
    count(&plan, &answers, times);
    Ok(finish(answers, options, times, plan.told_confidence()))
}

/// Runs the texts, and counts what the cascade did with them.
async fn run(
    plan: &Plan,
    texts: TextSubset,
    options: SubmitOptions,
    recorder: &RunRecorder<'_>,
    audits: Option<&AuditQueue>,
) -> Result<Answers, Error> {
    match plan {
        Plan::Single(target) => target.answer(texts, options, recorder).await,
        Plan::Cascade(cascade) => {
            let mut answers = cascade.answer(texts.clone(), options, recorder).await?;
            if let Some(audits) = audits {
                let found = audit(cascade, &texts, &answers, audits, recorder.metrics().cascade());
                answers.counts.found_otherwise = found;
            }
            cascade_metrics::record(cascade, &answers, recorder.metrics().cascade(), Instant::now());
            Ok(answers)
        }
    }
}

fn count(plan: &Plan, answers: &Answers, times: &CallTimes) {
    // The deep route with fallback asks the deep model.
    let asked = match plan {
        Plan::Cascade(cascade) if cascade.threshold == Threshold::None => plan.targets().last(),
        _ => plan.targets().next(),
    };
    if let Some(target) = asked {
        let in_cascade = matches!(plan, Plan::Cascade(_));
        target.loaded.metrics.took(in_cascade, times.arrived.elapsed());
    }
    for target in plan.targets() {
        let tier = target.model.tier;
        let by_it = || answers.texts.iter().filter(|answer| answer.model.tier() == tier);
        let withheld = by_it().filter(|answer| answer.decision == Decision::Abstained);
        target.loaded.metrics.answered(by_it().count(), withheld.count());
    }
}

/// Refuses a request whose scores would take too many bytes together, whichever model answers.
fn check_sizes(plan: &Plan, texts: usize, top_k: usize, most_bytes: usize) -> Result<(), Error> {
    let mut targets = plan.targets();
    targets.try_for_each(|target| check_size(&target.head.manifest.labels, texts, top_k, most_bytes))
}

/// Refuses a request whose scores would take too many bytes together.
fn check_size(labels: &[String], texts: usize, top_k: usize, most_bytes: usize) -> Result<(), Error> {
    let scores = texts * top_k.min(labels.len());
    if scores * (LONGEST_LABEL + SCORE_BYTES) <= most_bytes {
        return Ok(());
    }
    let longest = labels.iter().map(String::len).max().unwrap_or_default();
    if scores * (longest + SCORE_BYTES) <= most_bytes {
        return Ok(());
    }
    let most = most_bytes / (longest + SCORE_BYTES) / texts.max(1);
    Err(Error::invalid_field(
        "top_k",
        format!(
            "asks for {scores} scores, which are more than {most_bytes} bytes with their labels; with so many texts, tasks, or windows that are listed, the most is {most}"
        ),
    ))
}

fn finish(answers: Answers, options: AnswerOptions, times: &CallTimes, min_confidence: Option<f32>) -> PredictOutput {
    let mut read = answers.read.into_iter();
    let predictions = answers.texts.iter().map(|answer| {
        let mut prediction = postprocess(answer, options);
        if let Some(read) = read.next() {
            prediction.read_bytes = read.bytes;
            if options.include_windows {
                let windows = read.windows.iter();
                prediction.windows = windows.map(|(bytes, answer)| window(bytes, answer, options)).collect();
                if answer.decision == Decision::Abstained {
                    prediction.windows.iter_mut().for_each(withhold);
                }
            }
        }
        prediction
    });
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
        min_confidence,
    }
}

fn postprocess(text: &TextAnswer, options: AnswerOptions) -> Prediction {
    let answer = &text.answer;
    let labels = &text.model.manifest.labels;
    let withheld = text.decision == Decision::Abstained;
    // What is not said as the answer is listed, at least.
    let listed = if withheld { options.top_k.max(1) } else { options.top_k };
    let scores = answer.ranking(listed).into_iter().map(|label| LabelScore {
        label: labels[label].clone(),
        score: match options.score_kind {
            ScoreKind::Probability => answer.probabilities[label],
            ScoreKind::Logit => answer.logits[label],
        },
        selected: answer.selects(label) && !withheld,
    });
    // A multi-label model may select no label; for a regression, the label is the name of its value.
    let named = (answer.selects(answer.winner) || answer.value().is_some()) && !withheld;
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
        windows: Vec::new(),
        read_bytes: 0,
    }
}

/// A window of a text that is not answered tells no answer either.
fn withhold(window: &mut Window) {
    window.label = String::new();
    window.scores.iter_mut().for_each(|score| score.selected = false);
}

fn window(bytes: &Range<usize>, answer: &TextAnswer, options: AnswerOptions) -> Window {
    let Prediction {
        label,
        confidence,
        tier,
        scores,
        token_count,
        value,
        ..
    } = postprocess(answer, options);
    Window {
        bytes: bytes.clone(),
        label,
        confidence,
        tier,
        scores,
        token_count,
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(count: usize, bytes: usize) -> Vec<String> {
        (0..count).map(|at| format!("{at:0bytes$}")).collect()
    }

    #[test]
    fn scores_are_bounded_by_their_bytes() {
        for (count, bytes, texts, top_k, most) in [
            (4_000, 10, 128, 4_000, None),
            (4_000, 10, 128, usize::MAX, None),
            (10_000, 256, 6, 10_000, None),
            (10_000, 256, 7, 10_000, Some(8_683)),
            (10_000, 256, 7, 8_683, None),
            (10_000, 256, 128, usize::MAX, Some(474)),
            (10_000, 256, 128, 474, None),
            (10_000, 256, 128, 475, Some(474)),
            (2, 8, 128, usize::MAX, None),
            (0, 8, 128, usize::MAX, None),
        ] {
            let refused = check_size(&labels(count, bytes), texts, top_k, MOST_ANSWER_BYTES).err();
            let told = most.map(|most| format!("the most is {most}"));
            assert_eq!(refused.is_some(), told.is_some(), "{count} {bytes} {texts} {top_k}");
            if let (Some(error), Some(told)) = (refused, told) {
                assert!(error.message.ends_with(&told), "{}", error.message);
            }
        }
    }
}
