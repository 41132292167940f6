//! Whether a row's outputs depend on the other rows of its batch, and so which rows may share one.
//!
//! Three kinds of graphs do: one that quantises as it runs takes one range for all rows; one without a mask reads the
//! padding that its neighbours cause; a head that looks for an end token looks in every row. No file says so, so the
//! load runs rows alone and together, and compares.

use super::input::{BatchBounds, ModelInput, batches};
use super::manifest::{Batch, Truncation};
use super::preprocess::Preprocessor;
use super::runner::Runner;
use super::sample::Sample;
use super::side_by_side;

/// How far an output may move because of neighbours, relative to the row's largest output (at least 1). This is above
/// the effect of adding 32-bit floats in another order (about 1e-6 to 2e-5), and too little to move a probability by
/// 1e-4.
pub const BOUND: f32 = 1e-4;
/// The most rows that run together.
const MOST_ROWS: usize = 8;
/// The widths of the rows that run with rows of the same width.
const WIDTHS: [usize; 2] = [6, 24];
/// The number of rows of each of those widths.
const ROWS_OF_A_WIDTH: usize = 4;

/// Of the texts below, one in so many takes part where somebody waits, the last one among them.
const FEWER: usize = 2;
/// The width of long rows there.
const WIDE_ENOUGH: usize = 32;

/// Short and long texts in several scripts, and an empty one.
pub const TEXTS: [&str; 12] = [
    "",
    "a",
    "good",
    "This is a plain sentence.",
    "I loved every minute of it!",
    "It was not bad, but not good either; I would not see it again.",
    "재미있게 봤어요.",
    "시간이 아까운 영화였다",
    "日本語の文です。",
    "Ünïcödé — and an emoji: 👍🏽",
    "UPPER CASE, digits 0123456789 and\ttabs",
    "A long text goes on and on, sentence after sentence, so that a model of few tokens has to cut it somewhere. It speaks of \
     the weather, of a train that came late, of a meal that was fine, and of a film that nobody liked. Then it speaks of the \
     weather again, since nothing else comes to mind, and it ends where it began.",
];

/// What was measured about neighbours, and what follows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Neighbours {
    /// Which rows may share a batch.
    pub batch: Batch,
    /// Whether the manifest sets `batch`, whatever was measured.
    pub told: bool,
    /// The furthest that an output moved when rows of several lengths ran together; infinite if such rows can't.
    pub mixed: f32,
    /// The furthest that an output moved when rows of the same length ran together.
    pub same_length: f32,
    /// Whether outputs moved further than the bound.
    pub beyond: bool,
}

impl Neighbours {
    /// What people should know about it, with its figures; `None` if any texts may share a batch and no output moves.
    pub fn remark(&self) -> Option<String> {
        let Self { mixed, same_length, .. } = self;
        let held = match self.batch {
            Batch::Any if self.beyond => "an answer depends on the texts that share its batch (limits.batch = \"any\")",
            Batch::Any => return None,
            Batch::SameLength => "texts of as many tokens alone share a batch",
            Batch::Alone => "each text runs alone",
        };
        // A model that runs one row at a time was never compared.
        let figures = match (self.beyond, self.told) {
            (true, _) => {
                format!(
                    ": outputs move by up to {mixed:.1e} with other texts, {same_length:.1e} with those of its length"
                )
            }
            (false, true) => ": limits.batch of its manifest says so".to_owned(),
            (false, false) => ": it takes one at a time".to_owned(),
        };
        Some(format!("{held}{figures}"))
    }
}

/// A row, and the outputs that it had when it ran alone.
pub type Alone = (ModelInput, Vec<f32>);

/// Runs rows alone and together, on all of these instances; half as many unless it is to be `thorough`. `told` is what
/// the manifest says, and overrules what is measured. A row that fails alone is skipped; if rows fail only together, each
/// runs alone. Among the rows that are given back is one of the width `widest`.
pub fn measure(
    runners: &mut [&mut dyn Runner],
    preprocessor: &Preprocessor,
    sample: &Sample,
    most: BatchBounds,
    widest: usize,
    (told, thorough): (Option<Batch>, bool),
) -> (Neighbours, Vec<Alone>) {
    let BatchBounds { rows, cells } = most;
    let rows = rows.min(MOST_ROWS);
    let of = |rows| BatchBounds { rows, cells };
    let texts = TEXTS
        .iter()
        .enumerate()
        .filter(|(at, _)| thorough || at % FEWER == 1)
        .filter_map(|(_, text)| preprocessor.encode(text, None, Some(Truncation::End)).ok())
        .map(|encoding| encoding.input)
        .map(|row| match row.width() {
            WIDE_ENOUGH.. if !thorough => sample.of_width(WIDE_ENOUGH),
            _ => row,
        });
    let mut mixed = Apart::default();
    let mut same = Apart::default();
    let mut several = alone(runners, texts.collect());
    for width in WIDTHS {
        let of_one_length = alone(runners, of_one_length(sample, width));
        let sizes = [2, rows.min(ROWS_OF_A_WIDTH)].into_iter().filter(|_| rows > 1);
        for size in sizes.skip(usize::from(!thorough)) {
            same.compare(runners, &of_one_length, of(size));
        }
        several.extend(of_one_length.into_iter().take(2));
    }
    let mut reference = several.clone();
    reference.extend(alone(runners, vec![sample.of_width(widest)]));
    if rows < 2 {
        let alone = Neighbours {
            batch: Batch::Alone,
            told: told.is_some(),
            ..Neighbours::default()
        };
        return (alone, reference);
    }
    for size in [2, rows] {
        mixed.compare(runners, &several, of(size));
    }
    // Wide and narrow rows together: the widest one comes next to the first ones, which are short.
    several.sort_by_key(|(input, _)| std::cmp::Reverse(input.width()));
    several.truncate(rows.div_ceil(2));
    let short = alone(runners, vec![sample.of_width(sample.around() + 1)]);
    several.splice(0..0, short);
    mixed.compare(runners, &several, of(rows));
    let found = match (mixed.within && same.within, same.within) {
        (true, _) => Batch::Any,
        (false, true) if same.compared => Batch::SameLength,
        (false, _) => Batch::Alone,
    };
    let found = Neighbours {
        batch: told.unwrap_or(found),
        told: told.is_some(),
        mixed: mixed.largest,
        same_length: same.largest,
        beyond: found != Batch::Any,
    };
    (found, reference)
}

/// How far outputs move on another session of the model, for rows alone and in the batches that `neighbours` allows;
/// `None` within the bound. With more threads, sums may be added in another order, and parts quantised otherwise.
pub fn moved_elsewhere(
    runners: &mut [&mut dyn Runner],
    rows: &[Alone],
    neighbours: Neighbours,
    cells: usize,
) -> Option<f32> {
    let of = |rows| BatchBounds { rows, cells };
    let mut apart = Apart::default();
    apart.compare(runners, rows, of(1));
    match neighbours.batch {
        // Outputs that move anyway can't be compared.
        Batch::Any if !neighbours.beyond => apart.compare(runners, rows, of(MOST_ROWS)),
        Batch::SameLength if !neighbours.told => {
            for of_one_length in rows.chunk_by(|(one, _), (other, _)| one.width() == other.width()) {
                apart.compare(runners, of_one_length, of(ROWS_OF_A_WIDTH));
            }
        }
        Batch::Any | Batch::SameLength | Batch::Alone => {}
    }
    (!apart.within).then_some(apart.largest)
}

/// Different rows of the same width. The last one holds twice the tokens that the tokenizer puts after every text, as a
/// text does in which a caller wrote those tokens.
fn of_one_length(sample: &Sample, width: usize) -> Vec<ModelInput> {
    let inner = width.saturating_sub(sample.around());
    if sample.ids().len() < width || inner == 0 {
        return Vec::new();
    }
    let mut rows: Vec<ModelInput> = (0..ROWS_OF_A_WIDTH)
        .map(|at| sample.with_body(width, at * inner))
        .collect();
    if let Some(ModelInput::Tokens { ids, .. }) = rows.last_mut() {
        let after = width - (sample.around() - sample.before());
        ids.copy_within(after.., width / 2 - (width - after) / 2);
    }
    rows
}

/// The rows that can run alone, each with its outputs.
fn alone(runners: &mut [&mut dyn Runner], inputs: Vec<ModelInput>) -> Vec<Alone> {
    let outputs = side_by_side::share(runners, inputs.len(), |runner, at| {
        Some(runner.run(&[&inputs[at]]).ok()?.row(0).to_vec())
    });
    let rows = inputs.into_iter().zip(outputs);
    rows.filter_map(|(input, outputs)| Some((input, outputs?))).collect()
}

/// How far outputs moved.
struct Apart {
    largest: f32,
    within: bool,
    compared: bool,
}

impl Default for Apart {
    fn default() -> Self {
        Self {
            largest: 0.0,
            within: true,
            compared: false,
        }
    }
}

impl Apart {
    /// Runs the rows in batches of these bounds, and compares each with its outputs alone.
    fn compare(&mut self, runners: &mut [&mut dyn Runner], rows: &[Alone], most: BatchBounds) {
        let mut batches = batches(rows, most, |(input, _)| input.width());
        batches.retain(|batch| batch.len() > 1 || most.rows == 1);
        let outputs = side_by_side::share(runners, batches.len(), |runner, at| {
            let inputs: Vec<&ModelInput> = batches[at].iter().map(|(input, _)| input).collect();
            runner.run(&inputs).ok()
        });
        for (batch, outputs) in batches.into_iter().zip(outputs) {
            self.compared = true;
            let Some(outputs) = outputs else {
                self.largest = f32::INFINITY;
                self.within = false;
                continue;
            };
            for (row, (_, alone)) in outputs.rows().into_iter().zip(batch) {
                let size = alone
                    .iter()
                    .filter(|value| value.is_finite())
                    .fold(1.0_f32, |most, value| most.max(value.abs()));
                for (&found, &expected) in row.iter().zip(alone) {
                    let moved = difference(found, expected);
                    self.largest = self.largest.max(moved);
                    self.within &= moved <= BOUND * size;
                }
            }
        }
    }
}

fn difference(found: f32, expected: f32) -> f32 {
    if found == expected || found.is_nan() && expected.is_nan() {
        return 0.0;
    }
    let moved = (found - expected).abs();
    if moved.is_nan() { f32::INFINITY } else { moved }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::runner::RunError;

    /// Answers each row with its width, and moves all outputs, or only those of rows in company.
    struct Moving {
        all: f32,
        company: f32,
    }

    impl Runner for Moving {
        fn run(&mut self, inputs: &[&ModelInput]) -> Result<ndarray::Array2<f32>, RunError> {
            let moved = if inputs.len() > 1 { self.company } else { self.all };
            let rows = inputs.iter().map(|input| input.width() as f32 + moved).collect();
            ndarray::Array2::from_shape_vec((inputs.len(), 1), rows).map_err(|error| RunError(error.to_string()))
        }
    }

    #[test]
    fn another_session_is_compared_alone_and_in_the_batches_that_rows_may_share() {
        let row = |width| ModelInput::Features(vec![1; width]);
        let rows: Vec<Alone> = [3, 3, 5, 5].map(|width| (row(width), vec![width as f32])).into();
        let moved = |all, company, batch| {
            let neighbours = Neighbours {
                batch,
                ..Neighbours::default()
            };
            moved_elsewhere(&mut [&mut Moving { all, company }], &rows, neighbours, 256)
        };
        for batch in [Batch::Any, Batch::SameLength, Batch::Alone] {
            assert_eq!(moved(0.0, 0.0, batch), None);
            assert!(moved(0.01, 0.0, batch).is_some_and(|moved| moved > 0.009), "{batch:?}");
        }
        assert!(moved(0.0, 0.01, Batch::Any).is_some());
        assert!(moved(0.0, 0.01, Batch::SameLength).is_some());
        assert_eq!(moved(0.0, 0.01, Batch::Alone), None, "no batch is ever shared");
    }
}
