//! What to do after an evaluation: reasons, each with its command.

use super::args::EvaluateArgs;
use super::summary::Summary;
use crate::cli::command_line;
use crate::config::Settings;

/// The steps, the most useful first.
pub fn steps(args: &EvaluateArgs, settings: &Settings, summary: &Summary<'_>) -> Vec<(String, String)> {
    let told = command_line::told();
    let more = |flags: &str| format!("{told} {flags}");
    let file = args.file.display().to_string();
    let with_reading = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned());
        command_line::of(words.chain(args.labelled.arguments()).collect())
    };
    let models = settings.models.display().to_string();
    let mut steps = Vec::new();
    let step = |why: &str, command: String| (why.to_owned(), command);
    if summary.contenders.len() > 1 && args.differences.is_none() {
        steps.push(step(
            "Read the texts on which they differ.",
            more("--differences differences.csv"),
        ));
    }
    if let (Some(last), true) = (summary.contenders.last(), args.min.is_empty()) {
        let least = (last.accuracy.low * 100.0).floor() / 100.0;
        steps.push(step(
            "Hold later versions to this in a pipeline: exit code 1 below it.",
            more(&format!("--min accuracy={least:.2}")),
        ));
    }
    if args.addr.is_none() {
        let is_one_model = summary.contenders.iter().all(|told| told.models.len() < 2);
        if is_one_model && args.model.is_empty() {
            steps.push(step(
                "A task with a fast and a deep model: calibrate a cascade of both.",
                with_reading(&["calibrate", &file, "--models", &models]),
            ));
        }
        if args.route.is_empty() && args.model.is_empty() && !is_one_model {
            steps.push(step(
                "See what the cascade loses against the deep model alone.",
                more("--route cascade --route deep"),
            ));
        }
    }
    if args.addr.is_none() {
        steps.push(step(
            "Serve the models.",
            command_line::of(["serve", "--models", &models].map(str::to_owned).to_vec()),
        ));
    }
    steps
}
