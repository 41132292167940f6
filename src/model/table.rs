//! Finds out which ids of a tokenizer the graph knows. Tokens may have been added to the tokenizer and not to the
//! model: `Gather` fails on ids beyond its table, and with it every row of the batch.
//!
//! The graph itself is asked, with rows of one token and the tokens around every text: its table may be quantised,
//! tied, or behind other nodes.

use super::input::ModelInput;
use super::onnx::RunLimit;
use super::preprocess::Preprocessor;
use super::runner::Runner;
use super::sample;
use super::sample::Sample;

/// Limits the tokenizer to the ids that the graph knows, and gives the sample that the tokenizer makes then. The error
/// is a part of a line.
pub fn fit(
    runner: &mut dyn Runner,
    preprocessor: &Preprocessor,
    sample: Sample,
    limit: &RunLimit,
) -> Result<Sample, String> {
    let Some(tokenizer) = preprocessor.tokenizer() else {
        return Ok(sample);
    };
    // The tokens around every text may be missing from the vocabulary.
    let greatest = tokenizer.greatest_id().max(sample.ids().iter().max().copied());
    let rows = greatest.and_then(|greatest| known(runner, &sample, greatest));
    // A run that was ended by its time limit says nothing about ids.
    let Some(rows) = rows.filter(|_| !limit.was_hit()) else {
        return Ok(sample);
    };
    tokenizer.keep_below(rows);
    let sample = sample::of_words(preprocessor).map_err(|error| error.to_string())?;
    match sample.ids().iter().find(|&&id| id >= rows) {
        Some(id) => Err(format!(
            "its table of embeddings has {rows} rows, and the tokenizer puts the token with the id {id} around every text: \
             export the model after model.resize_token_embeddings(len(tokenizer))"
        )),
        None => Ok(sample),
    }
}

/// The number of ids that the graph knows; `None` if it knows all up to the greatest.
fn known(runner: &mut dyn Runner, sample: &Sample, greatest: u32) -> Option<u32> {
    let (width, own) = (sample.around() + 1, sample.before());
    let framed = sample.of_width(width);
    // The tokenizer's special tokens may be beyond the table themselves.
    let all: Vec<usize> = (0..width).collect();
    let frames = [framed.clone(), with(&framed, &all, 0)?];
    for frame in frames {
        let mut runs = |id: u32| with(&frame, &[own], id).is_some_and(|row| runner.run(&[&row]).is_ok());
        if runs(greatest) {
            return None;
        }
        if runs(0) {
            let (mut good, mut bad) = (0, greatest);
            while bad - good > 1 {
                let middle = good + (bad - good) / 2;
                if runs(middle) {
                    good = middle;
                } else {
                    bad = middle;
                }
            }
            return Some(bad);
        }
    }
    None
}

/// The row with this id at some of its places.
fn with(row: &ModelInput, places: &[usize], id: u32) -> Option<ModelInput> {
    let ModelInput::Tokens { ids, type_ids } = row else {
        return None;
    };
    let mut ids = ids.clone();
    for &place in places {
        *ids.get_mut(place)? = id;
    }
    Some(ModelInput::Tokens {
        ids,
        type_ids: type_ids.clone(),
    })
}
