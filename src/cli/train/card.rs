//! The model's card: what it is, what it was made of, how good it is, how to use it. In the form that model hubs read.

use super::figures::shown;
use super::told::Told;
use crate::model::linear::graph::OPSET;
use crate::offline::training::package::About;

/// The most labels that the card lists.
const MOST_LABELS: usize = 100;

/// The card, as Markdown with a head of YAML.
pub fn card(told: &Told<'_>, about: &About) -> String {
    let Told {
        trained,
        figures,
        dataset,
        ..
    } = told;
    let labels: Vec<&str> = dataset.labels.iter().take(MOST_LABELS).map(String::as_str).collect();
    let more = dataset.labels.len().saturating_sub(MOST_LABELS);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let labels: Vec<String> = labels.into_iter().map(plain).collect();
    let training = |key: &str| {
        about
            .training
            .get(key)
            .and_then(toml::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let or = |value: &str, other: &str| {
        if value.is_empty() {
            other.to_owned()
        } else {
            plain(value)
        }
    };
    let license = license_line(&about.license);
    format!(
        "---\n{license}pipeline_tag: text-classification\nlibrary_name: onnx\n---\n\n# {name} {version}\n\n{description}\n\n\
         | | |\n| --- | --- |\n\
         | Task | {task} |\n\
         | Labels | {labels}{more} |\n\
         | Features | {recipe} |\n\
         | File | `model.onnx`, opset {OPSET}, eight bits a weight |\n\
         | Licence | {license_words} |\n\
         | Trained on | {data}: {rows} texts, licence: {data_license} |\n\
         | Held out | {judged_by}: {judged} texts |\n\
         | {quality} | {accuracy} |\n\
         | Macro-F1 | {macro_f1} |\n\
         | Expected calibration error | {ece:.4} |\n\n\
         The intervals hold 95% of bootstrap draws. The figures are of texts like those that it was trained on; other texts fare \
         otherwise.\n\n\
         ## Use\n\n```sh\n{serve}\n{ask}\n```\n\n\
         The input of the graph is what `preprocess.kind = \"hashed_ngrams\"` of `manifest.toml` makes of a text; `golden.jsonl` \
         has texts with their ids and logits.\n",
        name = about.name,
        version = about.version,
        description = plain(&about.description),
        task = about.task,
        labels = labels.join(", "),
        recipe = trained.recipe.words(),
        license_words = or(&about.license, "not stated"),
        data = plain(&training("data")),
        rows = trained.trained_on,
        data_license = or(&training("data_license"), "not stated"),
        judged_by = plain(&told.judged_by),
        judged = figures.rows.len(),
        quality = capital(told.quality),
        accuracy = shown(&figures.evaluation.accuracy),
        macro_f1 = shown(&figures.evaluation.macro_f1),
        ece = figures.evaluation.calibration_error.value,
        serve = told.serve(),
        ask = told.ask(),
    )
}

/// The line of the head that names the licence, if it is known.
fn license_line(license: &str) -> String {
    if license.is_empty() {
        return String::new();
    }
    format!("license: {}\n", serde_json::Value::from(license))
}

/// With a capital letter.
fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters
        .next()
        .map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Text from outside, so that it can't end a cell of a table or begin markup.
fn plain(text: &str) -> String {
    let plain = |value: char| match value {
        '|' | '<' | '>' | '`' | '*' | '_' | '[' | ']' | '\\' => vec!['\\', value],
        value if value.is_control() => vec![' '],
        value => vec![value],
    };
    text.chars().flat_map(plain).collect()
}
