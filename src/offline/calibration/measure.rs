//! Runs both models on many texts and measures what each costs.

use super::ROUNDS;
use crate::model::loading::FastPath;
use crate::model::repository::VerifiedModel;
use crate::offline::local_model::LocalModel;

/// From this number of texts on, each text is run in one round only.
const MANY: usize = 250;

/// The answers of both models to one text.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The logits of fast and deep, each in its own model's order of labels.
    pub logits: [Vec<f64>; 2],
    /// Seconds that fast and deep took for it, in the rounds in which it was run.
    pub costs: [Option<[f64; 2]>; ROUNDS],
    /// How many tokens or features the fast model saw.
    pub features: usize,
}

/// Runs every text by both models, in rounds of the one and then the other. So other work of the machine slows both
/// alike, and the spread of the rounds tells how sure the costs are. Many texts are split among the rounds. Calls
/// `done` after each run of a text; there are [`runs`] in all. Gives `None` for a text that one of the models does not
/// answer. The error is one line.
pub fn run(
    models: [&VerifiedModel; 2],
    texts: &[&str],
    intra_threads: usize,
    fast_path: FastPath,
    done: impl Fn(usize),
) -> Result<Vec<Option<Said>>, String> {
    let [fast, deep] = models;
    let mut models = [
        LocalModel::load(fast, intra_threads, fast_path)?,
        LocalModel::load(deep, intra_threads, fast_path)?,
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
                if tier == 0 {
                    of_text.features = output.token_count;
                }
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
