//! Several tasks: one request asks for the same texts of each. Each task is answered as if it were asked alone, all at the
//! same time and within the same deadline, and has a result of its own: one that fails leaves the others as they are.
//!
//! What the tasks have in common is done once: see `inference/shared_runs.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;

use super::named_tasks;
use super::predict::{self, MOST_ANSWER_BYTES, Serving};
use super::route::{Chosen, Plan, plan};
use super::target::ModelTarget;
use super::validate::validate;
use crate::error::Error;
use crate::model::manifest::{HashedNgrams, Preprocess};
use crate::service::inference::shared_runs::SharedRuns;
use crate::service::messages::{CallTimes, PredictInput, TaskOutput};

/// Answers a request for several tasks, in the order in which it names them.
pub async fn predict(input: PredictInput, times: CallTimes, serving: &Serving<'_>) -> Result<Vec<TaskOutput>, Error> {
    let span = serving.recorder.span();
    let input = span.timed("validate", || validate(input, serving.limits))?;
    let tasks = named_tasks::names(&input.tasks, serving.catalog)?;
    let of_task = |task: &String| {
        let mut input = input.clone();
        input.task.clone_from(task);
        let chosen = plan(&input, serving.catalog, times.client);
        (input, chosen)
    };
    let chosen: Vec<_> = span.timed("route", || tasks.iter().map(of_task).collect());
    let plans = || chosen.iter().filter_map(|(_, chosen)| chosen.as_ref().ok());
    let (models, hashing) = (asked_by_several(plans()), hashed_by_several(plans()));
    let shared = Arc::new(SharedRuns::new(models, hashing, input.texts.places.len()));
    let most_bytes = MOST_ANSWER_BYTES / tasks.len().max(1);
    let answers = chosen.into_iter().map(|(input, chosen)| {
        let chosen = chosen.map(|chosen| sharing(chosen, &shared));
        let times = &times;
        async move { predict::answer(&input, chosen?, most_bytes, times, serving).await }
    });
    let answers = join_all(answers).await;
    let outputs = tasks.into_iter().zip(answers);
    Ok(outputs.map(|(task, outcome)| TaskOutput { task, outcome }).collect())
}

/// The models, by their fingerprints, that several of these plans may ask.
fn asked_by_several<'a>(plans: impl Iterator<Item = &'a Chosen>) -> BTreeSet<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for target in plans.flat_map(|chosen| chosen.plan.targets()) {
        *counts.entry(target.loaded.model.fingerprint.as_str()).or_default() += 1;
    }
    let several = counts.into_iter().filter(|(_, plans)| *plans > 1);
    several.map(|(model, _)| model.to_owned()).collect()
}

/// The ways of hashing that several of the models of these plans have.
fn hashed_by_several<'a>(plans: impl Iterator<Item = &'a Chosen>) -> Vec<HashedNgrams> {
    let (mut once, mut several) = (Vec::new(), Vec::new());
    for target in plans.flat_map(|chosen| chosen.plan.targets()) {
        if let Preprocess::HashedNgrams(hashing) = &target.loaded.model.manifest.preprocess {
            if !once.contains(hashing) {
                once.push(hashing.clone());
            } else if !several.contains(hashing) {
                several.push(hashing.clone());
            }
        }
    }
    several
}

/// The same models, which share runs with the other tasks of the request.
fn sharing(mut chosen: Chosen, shared: &Arc<SharedRuns>) -> Chosen {
    let share = |target: &mut ModelTarget| target.shared = Some(Arc::clone(shared));
    match &mut chosen.plan {
        Plan::Single(target) => share(target),
        Plan::Cascade(plan) => [&mut plan.fast, &mut plan.deep].into_iter().for_each(share),
    }
    chosen
}
