//! The first runs of a loaded model: the largest shapes, and how many tokens the graph really takes.

use std::time::{Duration, Instant};

use super::cost::{self, ShapeBounds};
use super::discover::{Note, NoteKind};
use super::manifest::Manifest;
use super::preprocess::ModelInput;
use super::{RunError, Runner};

/// How long a row of more tokens than are measured runs: positions are looked up first, and attention to so many would take minutes.
pub const PATIENCE_WITH_POSITIONS: Duration = Duration::from_secs(1);
/// How many positions may be left unused before the first token's: as many as the padding's id and one.
const UNUSED_POSITIONS: [usize; 2] = [1, 2];

/// How many tokens the graph takes of the `told` ones: fewer where its table of positions ends one or two before, since families
/// that number them from the padding on leave the first ones unused. The error is that of the row of all, where none of these run.
/// What else may be wrong with a row that `ended` says was ended for its time is for warm-up to find.
pub fn tokens_taken(
    runner: &mut dyn Runner,
    sample: &ModelInput,
    told: usize,
    ended: impl Fn() -> bool,
) -> Result<usize, RunError> {
    let mut fails = |tokens: usize| {
        let run = runner.run(&[&cost::of_width(sample, tokens)]);
        run.err().filter(|_| !ended())
    };
    let Some(error) = fails(told) else {
        return Ok(told);
    };
    let fewer = UNUSED_POSITIONS
        .into_iter()
        .filter_map(|unused| told.checked_sub(unused));
    let taken = fewer
        .filter(|&tokens| tokens > 0)
        .find(|&tokens| fails(tokens).is_none());
    taken.ok_or(error)
}

/// What is told of a model that takes fewer tokens than its folder says.
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

/// Runs the smallest shape and the largest ones, so that the first caller does not pay for what ONNX Runtime does once,
/// and so that the memory which the process needs is its own before it serves. Says how long the longest run took.
pub fn warm_up(runner: &mut dyn Runner, sample: &ModelInput, bounds: ShapeBounds) -> Result<Duration, RunError> {
    let mut slowest = Duration::ZERO;
    for (rows, width) in bounds.largest().into_iter().chain([(1, 1)]) {
        let row = cost::of_width(sample, width);
        let batch: Vec<&ModelInput> = std::iter::repeat_n(&row, rows).collect();
        let started = Instant::now();
        runner.run(&batch)?;
        slowest = slowest.max(started.elapsed());
    }
    Ok(slowest)
}
