//! Writes the folder of a trained model: what its manifest says, its golden examples, its card.

use std::path::Path;

use super::card;
use super::told::{RECIPE, Told};
use crate::cli::outcome::{Outcome, failure};
use crate::model::loading::golden::Example;
use crate::model::preprocess::ngrams::NgramExtractor;
use crate::offline::training::golden;
use crate::offline::training::package::{self, About};

/// How many of the user's texts are golden examples, and the longest, in bytes.
const OWN_EXAMPLES: usize = 32;
const LONGEST_EXAMPLE: usize = 2_000;

/// Writes the model's folder; one that is there is replaced if `replace` says so.
pub fn write(told: &Told<'_>, file: &Path, command: &str, replace: bool) -> Outcome<()> {
    let about = about(told, file, command);
    let manifest = package::manifest(told.trained, &told.dataset.labels, told.dataset.problem_type, &about);
    let card = card::card(told, &about);
    let out = &told.place.folder;
    let examples = examples(told);
    told.check_whole()?;
    package::write(out, told.trained, manifest, &examples, &card, replace).map_err(failure)
}

fn about(told: &Told<'_>, file: &Path, command: &str) -> About {
    let Told {
        options,
        place,
        trained,
        ..
    } = told;
    let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut training = toml::Table::new();
    let mut say = |key: &str, value: toml::Value| training.insert(key.to_owned(), value);
    say(
        "command",
        format!("tandem {command} {file} --seed {}", options.seed).into(),
    );
    say("program", concat!("tandem ", env!("CARGO_PKG_VERSION")).into());
    say("data", options.data.clone().unwrap_or(file).into());
    say("data_license", options.data_license.clone().into());
    say("seed", toml::Value::Integer(options.seed.cast_signed()));
    if let Ok(recipe) = toml::Value::try_from(trained.recipe) {
        say(RECIPE, recipe);
    }
    let description = if options.description.is_empty() {
        format!(
            "Linear model over hashed n-grams for {}, made by `tandem {command}`.",
            told.labels()
        )
    } else {
        options.description.clone()
    };
    About {
        name: place.name.clone(),
        version: place.version.clone(),
        task: place.task.clone(),
        description,
        license: options.license.clone(),
        training,
        metrics: told.figures.metrics(),
    }
}

fn examples(told: &Told<'_>) -> Vec<Example> {
    let Told { dataset, trained, .. } = told;
    let step = (dataset.len() / OWN_EXAMPLES).max(1);
    let own = (0..dataset.len()).step_by(step).map(|at| dataset.text(at));
    let own = own
        .filter(|text| text.len() <= LONGEST_EXAMPLE && !told.options.without_texts)
        .take(OWN_EXAMPLES);
    let extractor = NgramExtractor::new(trained.recipe.features());
    golden::examples(
        &trained.model,
        trained.link,
        dataset.problem_type,
        trained.temperature as f32,
        &extractor,
        trained.recipe.max_code_points,
        own,
    )
}
