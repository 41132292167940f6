//! Windows: texts that are longer than their models read, whole. Each is cut into parts (`model/preprocess/windows.rs`),
//! the parts go the way of any texts, and their answers become one (`model/pooling.rs`).
//!
//! So whatever holds for texts holds for windows: batches, deadlines, room in the queues, the cascade, its fallback, the
//! answer cache. In a cascade the fast model reads every window and the deep one those of which the fast one is not sure
//! enough; both see the same windows, which are cut so that each model reads them whole. The alternative, windows for
//! each tier by its own width, would have the fast model decide for a part of which it saw only a part.
//!
//! Cutting is work before any room is reserved for windows, whose number it tells. Meanwhile the texts themselves hold
//! room in the queue of the model that reads first: what is cut at a time is bounded, and a full queue refuses before it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::answer::{Answers, ReadText, TextAnswer};
use super::route::{Plan, WindowRules};
use super::target::ModelTarget;
use crate::error::{Error, Reason};
use crate::model::agreement;
use crate::model::loaded::Model;
use crate::model::manifest::{ProblemType, Truncation};
use crate::model::pooling::{Pooled, Pooling, WindowSays, pool};
use crate::model::postprocess::DEFAULT_THRESHOLD;
use crate::model::preprocess::windows::{WindowSize, Windows};
use crate::service::inference::errors::inference_failed;
use crate::service::inference::shared_runs::{CutKey, CutTexts};
use crate::service::inference::texts::TextSubset;
use crate::service::limits::WindowLimits;
use crate::service::messages::{Decision, SubmitOptions};

/// Cuts the texts into windows that every model of the plan reads whole. The deep model's tokens count, if it is asked. Tasks of
/// one request that cut alike do so once.
pub async fn cut(
    plan: &Plan,
    rules: &WindowRules,
    texts: TextSubset,
    limits: WindowLimits,
    options: SubmitOptions,
) -> Result<Arc<CutTexts>, Error> {
    let targets: Vec<_> = plan.targets().collect();
    let Some(shared) = targets.first().and_then(|target| target.shared.as_ref()) else {
        return cut_here(plan, rules, texts, limits, options).await;
    };
    let fingerprint = |target: &&ModelTarget| target.loaded.model.fingerprint.clone();
    let cell = shared.cut(CutKey {
        models: targets.iter().map(fingerprint).collect(),
        size: size(rules, limits),
        truncation: texts.truncation,
    });
    let cut = || cut_here(plan, rules, texts, limits, options);
    cell.get_or_try_init(cut).await.cloned()
}

fn size(rules: &WindowRules, limits: WindowLimits) -> WindowSize {
    WindowSize {
        width: rules.settings.width,
        stride: rules.settings.stride,
        most: limits.of_text,
    }
}

async fn cut_here(
    plan: &Plan,
    rules: &WindowRules,
    texts: TextSubset,
    limits: WindowLimits,
    options: SubmitOptions,
) -> Result<Arc<CutTexts>, Error> {
    let targets: Vec<_> = plan.targets().collect();
    let (Some(first), Some(lead)) = (targets.first(), targets.last()) else {
        return Err(Error::invalid_field("route", "names no model"));
    };
    let size = size(rules, limits);
    let _held = first.loaded.hold(&texts, options)?;
    let other = (targets.len() > 1).then(|| Arc::clone(&first.loaded.model));
    let of_text = lead.loaded.windows(other, texts.clone(), size, options).await?;
    let windows: usize = of_text.iter().map(|windows| windows.spans.len()).sum();
    check_amount(&texts, &of_text, windows, limits)?;
    for windows in &of_text {
        lead.loaded.metrics.windows(windows.spans.len());
    }
    let texts = if windows == of_text.len() && of_text.iter().all(|windows| !windows.stopped) {
        texts.with_truncation(Some(Truncation::End))
    } else {
        parts(&texts, &of_text)
    };
    Ok(Arc::new(CutTexts { texts, of_text }))
}

/// Refuses a request whose windows no queue would ever take.
fn check_amount(texts: &TextSubset, of_text: &[Windows], windows: usize, limits: WindowLimits) -> Result<(), Error> {
    if windows > limits.of_request {
        let most = limits.of_request;
        let problem =
            format!("are {windows} windows together, the limit is {most} (max_queue_texts): send fewer texts");
        return Err(Error::invalid_field("texts", problem));
    }
    let of_text = of_text.iter().enumerate();
    let sizes = of_text.map(|(place, windows)| {
        let pair = texts.pair(place).map_or(0, str::len);
        windows.spans.iter().map(|span| span.len() + pair).sum::<usize>()
    });
    let (bytes, most) = (sizes.sum::<usize>(), limits.bytes);
    if bytes > most {
        let problem =
            format!("have windows of {bytes} bytes together, the limit is {most} (max_queue_bytes): send fewer texts");
        return Err(Error::invalid_field("texts", problem));
    }
    Ok(())
}

/// The windows as texts.
fn parts(texts: &TextSubset, of_text: &[Windows]) -> TextSubset {
    let spans = of_text.iter().enumerate();
    let spans = spans.flat_map(|(place, windows)| windows.spans.iter().map(move |span| (place, span.clone())));
    let (mut parts, mut pairs) = (Vec::new(), Vec::new());
    for (place, span) in spans {
        parts.push(texts.texts[place][span].to_owned());
        pairs.extend(texts.pair(place).map(str::to_owned));
    }
    TextSubset::all(parts, pairs, Some(Truncation::End))
}

/// Makes the answers to windows those to the texts.
pub fn pool_all(cut: &CutTexts, answers: Answers, rules: &WindowRules) -> Result<Answers, Error> {
    let mut of_windows = answers.texts.into_iter();
    let mut texts = Vec::with_capacity(cut.of_text.len());
    let mut read = Vec::with_capacity(cut.of_text.len());
    for Windows { spans, stopped } in &cut.of_text {
        let bytes = spans.last().map_or(0, |last| last.end);
        let windows: Vec<_> = spans.iter().cloned().zip(&mut of_windows).collect();
        let mut answer = pooled(&windows, rules)?;
        answer.truncated |= stopped;
        texts.push(answer);
        read.push(ReadText { windows, bytes });
    }
    Ok(Answers { texts, read, ..answers })
}

/// The answer to a text by those to its windows. That of a single one stays as it is.
fn pooled(windows: &[(Range<usize>, TextAnswer)], rules: &WindowRules) -> Result<TextAnswer, Error> {
    let answers = || windows.iter().map(|(_, answer)| answer);
    // The labels are in the order of the deep model's, if it answered any.
    let model = answers().map(|answer| &answer.model).max_by_key(|model| model.tier());
    let (Some(model), [(_, first), others @ ..]) = (model, windows) else {
        return Err(Error::new(Reason::Internal, "a text without a window"));
    };
    if others.is_empty() {
        return Ok(first.clone());
    }
    let says: Vec<WindowSays> = windows.iter().map(|(span, answer)| says(model, span, answer)).collect();
    let problem = model.manifest.problem_type;
    let pooling = rules.settings.pooling.unwrap_or_else(|| Pooling::for_problem(problem));
    let answer = match pool(&says, problem, pooling, rules.settings.min_confidence) {
        Pooled::Window(at) => windows[at].1.clone(),
        Pooled::Mixed(probabilities) => TextAnswer {
            answer: model
                .of_probabilities(&probabilities)
                .map_err(|_| inference_failed(model))?,
            model: Arc::clone(model),
            decision: decision(answers().map(|answer| answer.decision)),
            ..first.clone()
        },
    };
    Ok(TextAnswer {
        token_count: answers().map(|answer| answer.token_count).sum(),
        truncated: answers().any(|answer| answer.truncated),
        ..answer
    })
}

/// What a window says, by the labels of `model`, and where each is right or not by itself, by its thresholds.
fn says(model: &Model, span: &Range<usize>, window: &TextAnswer) -> WindowSays {
    let own = &window.answer.probabilities;
    let labels = &window.model.manifest.labels;
    let probabilities = if Arc::as_ptr(&window.model) == std::ptr::from_ref(model) {
        own.clone()
    } else {
        // Tiers of a task have the same labels, in any order.
        let places: HashMap<&str, usize> = labels
            .iter()
            .enumerate()
            .map(|(at, label)| (label.as_str(), at))
            .collect();
        let of = |thresholds: &[f32], at: usize| thresholds.get(at).copied().unwrap_or(DEFAULT_THRESHOLD);
        let each = model.manifest.problem_type == ProblemType::MultiLabel;
        let of_label = |(at, label): (usize, &String)| match places.get(label.as_str()) {
            None => 0.0,
            Some(&place) if each => {
                let thresholds = (of(window.model.thresholds(), place), of(model.thresholds(), at));
                agreement::by_threshold(own[place], thresholds.0, thresholds.1)
            }
            Some(&place) => own[place],
        };
        model.manifest.labels.iter().enumerate().map(of_label).collect()
    };
    WindowSays {
        probabilities,
        sureness: agreement::sureness(&window.answer, window.model.thresholds()),
        bytes: span.len(),
    }
}

/// Why an answer is what it is that all windows share: a fallback of one is told first, then an escalation.
fn decision(windows: impl Iterator<Item = Decision>) -> Decision {
    let weight = |decision: &Decision| Decision::ALL.iter().position(|other| other == decision);
    windows.max_by_key(weight).unwrap_or(Decision::Requested)
}
