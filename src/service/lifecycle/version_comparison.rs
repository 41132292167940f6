//! Version comparison: two versions of a model run the same texts; their labels and times are compared. Callers never
//! wait for it. Texts are kept only until they have run, and are never logged.

use std::time::{Duration, Instant};

use crate::batching::{BatchShape, ClientKey, Priority, RowOutput, SubmitOptions, Weight};
use crate::error::{Error, Reason};
use crate::service::catalog::canary::verdict::{Compared, ComparisonBounds};
use crate::service::inference::loaded_model::LoadedModel;
use crate::service::inference::outputs::TextOutput;
use crate::service::inference::texts::TextSubset;

/// How many times as long as both versions worked they rest after each copy, since they share the processors with what
/// serves.
const REST: u32 = 3;
/// How many times each version runs a copy; the quickest run counts.
const RUNS: usize = 4;
/// The longest that a copy may take on each version.
const PATIENCE: Duration = Duration::from_secs(10);

/// The outcome for one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComparedText {
    /// Whether the new version gives other labels, or no answer.
    pub differs: bool,
    /// Whether that is because it failed.
    pub failed: bool,
    /// The processor time of the new version's batch with the text. Other threads that use the processor do not count.
    pub took: Duration,
    /// The processor time that the old version would take for such a batch, reckoned from its own run.
    pub expected: Duration,
}

/// How a text counts that the new version failed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// As a text with another label.
    Differs,
    /// Not at all: such failures are counted elsewhere.
    Ignored,
}

/// Counts the outcomes.
pub fn counted(texts: &[ComparedText], bounds: &ComparisonBounds, failed: Failed) -> Compared {
    let mut compared = Compared::default();
    let counts = |text: &&ComparedText| failed == Failed::Differs || !text.failed;
    for text in texts.iter().filter(counts) {
        compared.texts += 1;
        compared.differing += u64::from(text.differs);
        compared.slower += u64::from(text.took > text.expected.mul_f64(bounds.max_slowdown));
        compared.canary_time += text.took;
        compared.stable_time += text.expected;
    }
    compared
}

/// Runs a request on both versions at once, at bulk priority, then rests. Empty where one of them had no room or no
/// time.
pub async fn compare(old: &LoadedModel, new: &LoadedModel, texts: TextSubset) -> Vec<ComparedText> {
    let started = Instant::now();
    let count = texts.places.len();
    let (by_old, by_new) = tokio::join!(run_warm(old, &texts), run_warm(new, &texts));
    let compared = match (by_old, by_new) {
        (Ok(by_old), Ok(by_new)) => {
            let pairs = by_old.iter().zip(&by_new);
            pairs
                .map(|(by_old, by_new)| both(old, new, &by_old.output, &by_new.output))
                .collect()
        }
        (Ok(_), Err(error)) if error.reason == Reason::InferenceFailed => {
            let failed = ComparedText {
                differs: true,
                failed: true,
                took: Duration::ZERO,
                expected: Duration::ZERO,
            };
            vec![failed; count]
        }
        _ => Vec::new(),
    };
    tokio::time::sleep(started.elapsed() * REST).await;
    compared
}

/// The quickest of several runs. The version that serves has its weights in the processor's caches, the other one only
/// after a few runs.
async fn run_warm(version: &LoadedModel, texts: &TextSubset) -> Result<Vec<TextOutput>, Error> {
    let worked = |rows: &Vec<TextOutput>| rows.iter().map(|row| row.output.worked_for).sum::<Duration>();
    let mut best = run(version, texts.clone()).await?;
    for _ in 1..RUNS {
        let again = run(version, texts.clone()).await?;
        if worked(&again) < worked(&best) {
            best = again;
        }
    }
    Ok(best)
}

async fn run(version: &LoadedModel, texts: TextSubset) -> Result<Vec<TextOutput>, Error> {
    let options = SubmitOptions {
        deadline: Instant::now() + PATIENCE,
        priority: Priority::Bulk,
        client: ClientKey::default(),
        weight: Weight::default(),
    };
    version.run_unseen(texts, options).await.map(|outputs| outputs.rows)
}

fn both(old: &LoadedModel, new: &LoadedModel, by_old: &RowOutput, by_new: &RowOutput) -> ComparedText {
    let ran = old.batch_cost(by_old.batch).as_secs_f64();
    let would_run = old.batch_cost(as_wide_as(by_new, by_old)).as_secs_f64();
    let larger = if ran > 0.0 { would_run / ran } else { 1.0 };
    ComparedText {
        differs: labels(old, by_old) != labels(new, by_new),
        failed: false,
        took: by_new.worked_for,
        expected: by_old.worked_for.mul_f64(larger),
    }
}

/// The labels that a version gives, sorted, since two versions may have them in another order.
fn labels<'a>(version: &'a LoadedModel, output: &RowOutput) -> Option<Vec<&'a String>> {
    let answer = version.model.postprocess(&output.values, None).ok()?;
    let labels = version.model.manifest.labels.iter().enumerate();
    let mut given: Vec<&String> = labels
        .filter_map(|(at, label)| answer.selects(at).then_some(label))
        .collect();
    given.sort_unstable();
    Some(given)
}

/// The shape of the batch that held `output`, at the width that the other model's tokens for the same text (`there`)
/// would give it.
fn as_wide_as(output: &RowOutput, there: &RowOutput) -> BatchShape {
    let width = (output.batch.width * there.width).div_ceil(output.width.max(1));
    BatchShape {
        width: width.max(1),
        ..output.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(width: usize, batch_width: usize) -> RowOutput {
        RowOutput {
            values: Vec::new(),
            queued_for: Duration::ZERO,
            ran_for: Duration::ZERO,
            worked_for: Duration::ZERO,
            width,
            batch: BatchShape {
                rows: 8,
                width: batch_width,
            },
        }
    }

    #[test]
    fn a_batch_is_reckoned_at_the_width_that_the_other_model_reads() {
        let width = |here: RowOutput, there: RowOutput| as_wide_as(&here, &there).width;
        assert_eq!(width(output(10, 40), output(10, 10)), 40);
        // This model cuts the texts into half as many tokens.
        assert_eq!(width(output(10, 40), output(5, 80)), 20);
        assert_eq!(width(output(0, 0), output(0, 0)), 1);
    }
}
