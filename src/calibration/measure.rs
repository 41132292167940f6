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

/// How far below the largest a logit counts: its probability is nothing in 64 bits, and a label that a model rules out stays out.
const LOWEST: f32 = 1000.0;

/// Runs every text, and tells `done` of each; nothing for a text that the model does not answer. The error is one line.
pub fn run(
    model: &VerifiedModel,
    texts: &[&str],
    intra_threads: usize,
    done: impl Fn(usize),
) -> Result<Vec<Option<Output>>, String> {
    let instances = InstanceSettings {
        count: 1,
        intra_threads,
        // One thread does all, as on a busy server.
        idle_threads: 1,
        max_cells: max_cells(model.manifest.tier),
    };
    let Initialized { model, mut runners, .. } = initialize(model, instances).map_err(|error| error.to_string())?;
    let mut encodings: Vec<Option<(Encoding, f64)>> = Vec::with_capacity(texts.len());
    for text in texts {
        let started = Instant::now();
        let encoding = model.preprocess(text, None).ok();
        encodings.push(encoding.map(|encoding| (encoding, started.elapsed().as_secs_f64())));
    }
    let input = |at: usize| encodings[at].as_ref().map(|(encoding, _)| &encoding.input);
    let width = |at: usize| input(at).map_or(0, ModelInput::width);
    let mut order: Vec<usize> = (0..texts.len()).filter(|&at| input(at).is_some()).collect();
    done(texts.len() - order.len());
    order.sort_by_key(|&at| width(at));
    let limits = BatchLimits {
        max_rows: model.manifest.limits.max_batch_size,
        max_cells: max_cells(model.tier()),
        same_width: model.manifest.limits.batch == Some(Batch::SameLength),
    };
    let mut outputs: Vec<Option<Output>> = vec![None; texts.len()];
    for places in batches(&order, width, limits) {
        let inputs: Vec<&ModelInput> = places.iter().filter_map(|&at| input(at)).collect();
        let started = Instant::now();
        let mut rows: Vec<Option<Vec<f32>>> = match runners[0].run(&inputs) {
            Ok(rows) => rows.rows().into_iter().map(|row| Some(row.to_vec())).collect(),
            Err(_) => vec![None; inputs.len()],
        };
        let share = started.elapsed().as_secs_f64() / places.len() as f64;
        if rows.iter().all(Option::is_none) && inputs.len() > 1 {
            // One bad row costs the others nothing, as in the server.
            for (row, input) in rows.iter_mut().zip(&inputs) {
                *row = runners[0].run(&[input]).ok().map(|rows| rows.row(0).to_vec());
            }
        }
        for (row, &at) in rows.into_iter().zip(places) {
            let answer = row.and_then(|row| model.postprocess(&row, None).ok());
            outputs[at] = answer.map(|answer| Output {
                logits: kept(&answer.logits),
                cost: encodings[at].as_ref().map_or(0.0, |(_, cost)| *cost) + share,
            });
        }
        done(places.len());
    }
    Ok(outputs)
}

fn kept(logits: &[f32]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f32::MIN, f32::max);
    logits.iter().map(|logit| f64::from(logit.max(top - LOWEST))).collect()
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
