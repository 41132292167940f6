//! The first runs of a loaded model: the largest shapes, and how many tokens the graph really takes.

use std::time::{Duration, Instant};

use super::discover::{Note, NoteKind};
use super::input::ModelInput;
use super::loading::cost_probe::ShapeBounds;
use super::manifest::Manifest;
use super::runner::{RunError, Runner};
use super::sample::Sample;

/// How long a row may run that has more tokens than are measured: the look-up of positions comes first, and attention
/// to so many tokens would take minutes.
pub const PATIENCE_WITH_POSITIONS: Duration = Duration::from_secs(1);
/// How many positions before the first token's may be unused, if the padding's id is not known: it is usually 0 or 1.
const UNUSED_POSITIONS: [usize; 2] = [1, 2];

/// How many of the `told` tokens the graph takes. That is fewer if its table of positions ends before: families that
/// number tokens from the padding's id on leave the first positions unused, one more than the id. The error is that of
/// the row with all tokens, if none of the shorter rows runs.
/// If `ended` says that a row was ended by its time limit, whatever else is wrong with it is left to warm-up.
pub fn tokens_taken(
    runner: &mut dyn Runner,
    sample: &Sample,
    told: usize,
    pad_id: u32,
    ended: impl Fn() -> bool,
) -> Result<usize, RunError> {
    let mut fails = |tokens: usize| {
        let run = runner.run(&[&sample.of_width(tokens)]);
        run.err().filter(|_| !ended())
    };
    let Some(error) = fails(told) else {
        return Ok(told);
    };
    let after_padding = usize::try_from(pad_id).unwrap_or(told).saturating_add(1);
    let fewer = UNUSED_POSITIONS
        .into_iter()
        .chain([after_padding])
        .filter_map(|unused| told.checked_sub(unused));
    let taken = fewer
        .filter(|&tokens| tokens > 0)
        // With one token more it does not run: so the table ends right there, and nothing else is wrong with long rows.
        .find(|&tokens| fails(tokens).is_none() && fails(tokens + 1).is_some());
    taken.ok_or(error)
}

/// The note on a model that takes fewer tokens than its folder says.
pub fn fewer_tokens(manifest: &Manifest, told: &Manifest) -> Note {
    let (taken, told) = (manifest.max_token_count(), told.max_token_count());
    Note {
        kind: NoteKind::Assumed,
        text: format!(
            "it reads {taken} tokens, not {told}: its table of positions ends there, as in families that leave the first {} unused",
            told - taken
        ),
        remedy: Some(format!(
            "say so: model_max_length = {taken} in tokenizer_config.json, or preprocess.max_tokens = {taken} in a manifest.toml"
        )),
        leads: false,
    }
}

/// Runs the smallest shape and the largest ones, so that the first caller does not pay for what ONNX Runtime does only
/// once, and so that the process has the memory that it needs before it serves. Gives the time of the longest run.
pub fn warm_up(runner: &mut dyn Runner, sample: &Sample, bounds: ShapeBounds) -> Result<Duration, RunError> {
    let mut slowest = Duration::ZERO;
    for (rows, width) in bounds.largest().into_iter().chain([(1, 1)]) {
        let row = sample.of_width(width);
        let batch: Vec<&ModelInput> = std::iter::repeat_n(&row, rows).collect();
        let started = Instant::now();
        runner.run(&batch)?;
        slowest = slowest.max(started.elapsed());
    }
    Ok(slowest)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// A graph whose table has this many positions.
    struct Table(usize);

    impl Runner for Table {
        fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
            if inputs[0].width() > self.0 {
                Err(RunError("out of data bounds".into()))
            } else {
                Ok(Array2::zeros((1, 2)))
            }
        }
    }

    fn taken(table: usize, pad_id: u32) -> Option<usize> {
        let row = ModelInput::Tokens {
            ids: vec![2, 5, 3],
            type_ids: vec![0; 3],
        };
        let sample = Sample::new(row, 1, 1);
        tokens_taken(&mut Table(table), &sample, 66, pad_id, || false).ok()
    }

    #[test]
    fn positions_may_begin_after_a_padding_of_any_id() {
        for (table, pad_id, tokens) in [
            (66, 9, Some(66)),
            (65, 9, Some(65)),
            (64, 9, Some(64)),
            (56, 9, Some(56)),
            // The table ends elsewhere: the failure has another cause, which the error tells.
            (60, 9, None),
            (50, 9, None),
            (56, 1, None),
            (56, 66, None),
            (56, u32::MAX, None),
        ] {
            assert_eq!(taken(table, pad_id), tokens, "{table} {pad_id}");
        }
    }
}
