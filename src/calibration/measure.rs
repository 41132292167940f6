//! What a model says of many texts, and what each costs: in this process, one session, in batches of like width, as the
//! server runs them when it is busy.

use std::time::Instant;

use crate::batching::BatchLimits;
use crate::model::load::{Initialized, InstanceSettings, initialize};
use crate::model::manifest::Batch;
use crate::model::repository::VerifiedModel;
use crate::model::{Encoding, ModelInput};
use crate::service::start::max_cells;

/// What a model said of one text.
#[derive(Clone, Debug)]
pub struct Output {
    /// The logits, in the model's order.
    pub logits: Vec<f64>,
    /// Preprocessing, and the text's share of its batch, in seconds.
    pub cost: f64,
}

/// Runs every text, and tells `done` of each. The error is one line.
pub fn run(
    model: &VerifiedModel,
    texts: &[&str],
    intra_threads: usize,
    done: impl Fn(usize),
) -> Result<Vec<Output>, String> {
    let instances = InstanceSettings {
        count: 1,
        intra_threads,
        // One thread does all, as on a busy server.
        idle_threads: 1,
        max_cells: max_cells(model.manifest.tier),
    };
    let Initialized { model, mut runners, .. } = initialize(model, instances).map_err(|error| error.to_string())?;
    let mut encodings: Vec<(Encoding, f64)> = Vec::with_capacity(texts.len());
    for text in texts {
        let started = Instant::now();
        let encoding = model.preprocess(text, None).map_err(|error| error.to_string())?;
        encodings.push((encoding, started.elapsed().as_secs_f64()));
    }
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&at| encodings[at].0.input.width());
    let limits = BatchLimits {
        max_rows: model.manifest.limits.max_batch_size,
        max_cells: max_cells(model.tier()),
        same_width: model.manifest.limits.batch == Some(Batch::SameLength),
    };
    let mut outputs: Vec<Option<Output>> = vec![None; texts.len()];
    for places in batches(&order, |at| encodings[at].0.input.width(), limits) {
        let inputs: Vec<&ModelInput> = places.iter().map(|&at| &encodings[at].0.input).collect();
        let started = Instant::now();
        let rows = runners[0].run(&inputs).map_err(|error| error.to_string())?;
        let share = started.elapsed().as_secs_f64() / places.len() as f64;
        for (row, &at) in rows.rows().into_iter().zip(places) {
            let answer = model
                .postprocess(&row.to_vec(), None)
                .map_err(|error| error.to_string())?;
            outputs[at] = Some(Output {
                logits: answer.logits.into_iter().map(f64::from).collect(),
                cost: encodings[at].1 + share,
            });
        }
        done(places.len());
    }
    Ok(outputs.into_iter().flatten().collect())
}

/// Cuts places that are sorted by width into batches within the bounds.
fn batches(order: &[usize], width: impl Fn(usize) -> usize, limits: BatchLimits) -> Vec<&[usize]> {
    let mut batches = Vec::new();
    let mut rest = order;
    while !rest.is_empty() {
        let fits = |rows: usize| {
            let width_of_last = width(rest[rows - 1]);
            let like = !limits.same_width || width_of_last == width(rest[0]);
            rows <= limits.max_rows && rows * width_of_last <= limits.max_cells && like
        };
        let rows = (1..=rest.len()).take_while(|&rows| rows == 1 || fits(rows)).count();
        let (batch, others) = rest.split_at(rows);
        batches.push(batch);
        rest = others;
    }
    batches
}
