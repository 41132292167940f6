//! A model in this process, for many texts at once: in batches of texts of like width, as the server runs them when it is
//! busy.

use std::sync::Arc;
use std::time::Instant;

use crate::batching::BatchLimits;
use crate::model::input::{BatchBounds, batches};
use crate::model::loaded::Model;
use crate::model::loading::{FastPath, Initialized, InstanceSettings, initialize};
use crate::model::manifest::{Batch, ProblemType};
use crate::model::repository::VerifiedModel;
use crate::model::{Encoding, ModelInput, Runner};

/// How far below the largest logit another one counts, where one label of all is right: its probability is then zero in 64
/// bits, so a label that a model rules out stays out.
const LOWEST: f32 = 1000.0;

/// The answer of one model to one text.
#[derive(Clone, Debug)]
pub struct Output {
    pub logits: Vec<f64>,
    /// Seconds for preprocessing, and the text's share of its batch.
    pub cost: f64,
    /// How many tokens or features it saw of the text.
    pub token_count: usize,
}

/// A model in this process, with one session.
pub struct LocalModel {
    model: Arc<Model>,
    runner: Box<dyn Runner>,
    limits: BatchLimits,
}

impl LocalModel {
    /// Loads a model. The error is one line.
    pub fn load(verified: &VerifiedModel, intra_threads: usize, fast_path: FastPath) -> Result<Self, String> {
        let mut one = Self::load_many(verified, 1, intra_threads, fast_path)?;
        one.pop().ok_or_else(|| "the model has no instance".to_owned())
    }

    /// Loads a model once, with so many sessions, which may run side by side. The error is one line.
    pub fn load_many(
        verified: &VerifiedModel,
        count: usize,
        intra_threads: usize,
        fast_path: FastPath,
    ) -> Result<Vec<Self>, String> {
        let instances = InstanceSettings {
            count,
            intra_threads,
            // One thread does everything, as on a busy server.
            idle_threads: 1,
            max_cells: verified.manifest.tier.max_cells(),
            fast_path,
        };
        let initialized = initialize(&verified.whole(), instances).map_err(|error| error.to_string())?;
        let Initialized {
            model,
            runners,
            max_cells,
            ..
        } = initialized;
        // Where a task looks at a model with heads, its head answers.
        let of_task = |head: &Arc<Model>| head.manifest.task == verified.manifest.task;
        let model = model.heads().into_iter().find(of_task).unwrap_or(model);
        let limits = BatchLimits {
            max_rows: model.manifest.limits.most_texts(),
            max_cells,
            same_width: model.manifest.limits.batch == Some(Batch::SameLength),
        };
        let with = |runner| Self {
            model: Arc::clone(&model),
            runner,
            limits,
        };
        Ok(runners.into_iter().map(with).collect())
    }

    /// The answers to texts, in their order; `None` for a text that the model does not answer. Calls `done` with the number of
    /// texts of each batch.
    pub fn run(&mut self, texts: &[&str], done: impl Fn(usize)) -> Vec<Option<Output>> {
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
        let most = BatchBounds {
            rows: self.limits.max_rows,
            cells: self.limits.max_cells,
        };
        let cut = batches(&order, most, |&at| width(at)).into_iter();
        let like = |a: &usize, b: &usize| !self.limits.same_width || width(*a) == width(*b);
        for places in cut.flat_map(|batch| batch.chunk_by(like)) {
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
                let each = self.model.manifest.problem_type == ProblemType::MultiLabel;
                outputs[at] = answer.map(|answer| Output {
                    logits: kept(&answer.logits, each),
                    cost: encodings[at].as_ref().map_or(0.0, |(_, cost)| *cost) + share,
                    token_count: encodings[at].as_ref().map_or(0, |(encoding, _)| encoding.token_count),
                });
            }
            done(places.len());
        }
        outputs
    }
}

/// Logits in 64 bits, with a least value. That is [`LOWEST`] below the largest where one label of all is right; where each
/// label is given by itself, no logit depends on another label's.
fn kept(logits: &[f32], each: bool) -> Vec<f64> {
    let top = logits.iter().copied().fold(f32::MIN, f32::max);
    let lowest = if each { f32::MIN } else { top - LOWEST };
    logits.iter().map(|logit| f64::from(logit.max(lowest))).collect()
}
