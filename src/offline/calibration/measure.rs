//! Runs both models on many texts and measures what each costs: in this process, with one session each, in batches of
//! texts of like width, as the server runs them when it is busy.

use std::sync::Arc;
use std::time::Instant;

use super::ROUNDS;
use crate::batching::BatchLimits;
use crate::model::loaded::Model;
use crate::model::loading::{Initialized, InstanceSettings, initialize};
use crate::model::manifest::Batch;
use crate::model::repository::VerifiedModel;
use crate::model::{Encoding, ModelInput, Runner};

/// From this number of texts on, each text is run in one round only.
const MANY: usize = 250;

/// The answers of both models to one text.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The logits of fast and deep, each in its own model's order of labels.
    pub logits: [Vec<f64>; 2],
    /// Seconds that fast and deep took for it, in the rounds in which it was run.
    pub costs: [Option<[f64; 2]>; ROUNDS],
}

/// How far below the largest logit another one counts: its probability is then zero in 64 bits, so a label that a model
/// rules out stays out.
const LOWEST: f32 = 1000.0;

/// Runs every text by both models, in rounds of the one and then the other. So other work of the machine slows both
/// alike, and the spread of the rounds tells how sure the costs are. Many texts are split among the rounds. Calls
/// `done` after each run of a text; there are [`runs`] in all. Gives `None` for a text that one of the models does not
/// answer. The error is one line.
pub fn run(
    models: [&VerifiedModel; 2],
    texts: &[&str],
    intra_threads: usize,
    done: impl Fn(usize),
) -> Result<Vec<Option<Said>>, String> {
    let [fast, deep] = models;
    let mut models = [
        LocalModel::load(fast, intra_threads)?,
        LocalModel::load(deep, intra_threads)?,
    ];
    let mut said = vec![Some(Said::default()); texts.len()];
    for round in 0..ROUNDS {
        let places: Vec<usize> = if is_split(texts.len()) {
            (round..texts.len()).step_by(ROUNDS).collect()
        } else {
            (0..texts.len()).collect()
        };
        let of_round: Vec<&str> = places.iter().map(|&at| texts[at]).collect();
        for (tier, model) in models.iter_mut().enumerate() {
            for (output, &at) in model.run(&of_round, &done).into_iter().zip(&places) {
                let (Some(output), Some(of_text)) = (output, &mut said[at]) else {
                    said[at] = None;
                    continue;
                };
                of_text.costs[round].get_or_insert_default()[tier] = output.cost;
                of_text.logits[tier] = output.logits;
            }
        }
    }
    Ok(said)
}

/// How many times texts are run in all, by both models.
pub fn runs(texts: usize) -> usize {
    if is_split(texts) { 2 * texts } else { 2 * texts * ROUNDS }
}

/// Whether each text is run in one round, and not in all.
fn is_split(texts: usize) -> bool {
    texts >= MANY
}

/// The answer of one model to one text.
#[derive(Clone, Debug)]
struct Output {
    logits: Vec<f64>,
    /// Seconds for preprocessing, and the text's share of its batch.
    cost: f64,
}

/// A model in this process.
struct LocalModel {
    model: Arc<Model>,
    runner: Box<dyn Runner>,
    limits: BatchLimits,
}

impl LocalModel {
    fn load(verified: &VerifiedModel, intra_threads: usize) -> Result<Self, String> {
        let max_cells = verified.manifest.tier.max_cells();
        let instances = InstanceSettings {
            count: 1,
            intra_threads,
            // One thread does everything, as on a busy server.
            idle_threads: 1,
            max_cells,
        };
        let Initialized { model, mut runners, .. } =
            initialize(verified, instances).map_err(|error| error.to_string())?;
        let limits = BatchLimits {
            max_rows: model.manifest.limits.max_batch_size,
            max_cells,
            same_width: model.manifest.limits.batch == Some(Batch::SameLength),
        };
        let runner = runners.pop().ok_or("the model has no instance")?;
        Ok(Self { model, runner, limits })
    }

    fn run(&mut self, texts: &[&str], done: impl Fn(usize)) -> Vec<Option<Output>> {
        let mut encodings: Vec<Option<(Encoding, f64)>> = Vec::with_capacity(texts.len());
        for text in texts {
            let started = Instant::now();
            let encoding = self.model.preprocess(text, None).ok();
            encodings.push(encoding.map(|encoding| (encoding, started.elapsed().as_secs_f64())));
        }
        let input = |at: usize| encodings[at].as_ref().map(|(encoding, _)| &encoding.input);
        let width = |at: usize| input(at).map_or(0, ModelInput::width);
        let mut order: Vec<usize> = (0..texts.len()).filter(|&at| input(at).is_some()).collect();
        done(texts.len() - order.len());
        order.sort_by_key(|&at| width(at));
        let mut outputs: Vec<Option<Output>> = vec![None; texts.len()];
        for places in batches(&order, width, self.limits) {
            let inputs: Vec<&ModelInput> = places.iter().filter_map(|&at| input(at)).collect();
            let started = Instant::now();
            let mut rows: Vec<Option<Vec<f32>>> = match self.runner.run(&inputs) {
                Ok(rows) => rows.rows().into_iter().map(|row| Some(row.to_vec())).collect(),
                Err(_) => vec![None; inputs.len()],
            };
            let share = started.elapsed().as_secs_f64() / places.len() as f64;
            if rows.iter().all(Option::is_none) && inputs.len() > 1 {
                // One bad row fails alone, as in the server.
                for (row, input) in rows.iter_mut().zip(&inputs) {
                    *row = self.runner.run(&[input]).ok().map(|rows| rows.row(0).to_vec());
                }
            }
            for (row, &at) in rows.into_iter().zip(places) {
                let answer = row.and_then(|row| self.model.postprocess(&row, None).ok());
                outputs[at] = answer.map(|answer| Output {
                    logits: kept(&answer.logits),
                    cost: encodings[at].as_ref().map_or(0.0, |(_, cost)| *cost) + share,
                });
            }
            done(places.len());
        }
        outputs
    }
}

fn kept(logits: &[f32]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f32::MIN, f32::max);
    logits.iter().map(|logit| f64::from(logit.max(top - LOWEST))).collect()
}

/// Splits places that are sorted by width into batches within the bounds.
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
