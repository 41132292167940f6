//! `tandem check --write-manifest`: writes a manifest with what was found in a folder, and golden examples made by this
//! program.
//!
//! Such examples detect later change, but not a wrong export: `source = "onnxruntime"` says so. Overwrites nothing
//! without `--force`.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::model::files::hex;
use crate::model::loading::Initialized;
use crate::model::loading::golden::Example;
use crate::model::manifest::{Batch, Golden, Manifest, OWN_GOLDEN};
use crate::model::neighbours::TEXTS;
use crate::model::repository::MANIFEST_FILE;
use crate::model::{ModelInput, Runner};
use crate::offline::whole_files;

/// The name of the file with golden examples.
const GOLDEN_FILE: &str = "golden.jsonl";
/// The smallest tolerance for a logit, for the same file on another processor.
const TOLERANCE: f32 = 1e-3;
/// The tolerance in a batch is this many times what was measured.
const HEADROOM: f32 = 4.0;

/// The largest tolerance in a batch that is written.
const MOST_TOLERANCE: f32 = 0.05;

/// Writes the manifest and the golden examples into the folder. The error is one line.
pub fn write(folder: &Path, manifest: &Manifest, initialized: &mut Initialized, force: bool) -> Result<(), String> {
    let paths = [folder.join(GOLDEN_FILE), folder.join(MANIFEST_FILE)];
    if let Some(there) = paths.iter().find(|path| path.exists())
        && !force
    {
        return Err(format!("{} is there already; --force overwrites it", there.display()));
    }
    let (examples, moved) = examples(initialized)?;
    let tolerance = (moved * HEADROOM).max(TOLERANCE);
    if tolerance.is_nan() || tolerance > MOST_TOLERANCE {
        return Err(format!(
            "a logit moves by {moved:.3} with the texts that share its batch, too far for golden examples \
             (a tolerance of {MOST_TOLERANCE} is the most): limits.batch = \"alone\" in {MANIFEST_FILE} runs each alone"
        ));
    }
    let batch = initialized.model.neighbours.batch;
    let mut lines = String::new();
    for example in &examples {
        let line = serde_json::to_string(example).map_err(|error| error.to_string())?;
        lines.push_str(&line);
        lines.push('\n');
    }
    let sum = hex(&Sha256::digest(&lines));
    let text = manifest_text(manifest, &sum, tolerance, batch)?;
    // Checks that the written text is read as it was meant.
    Manifest::parse(&text).map_err(|problem| format!("the manifest would not be readable: {problem}"))?;
    let files = paths.into_iter().zip([lines, text].map(String::into_bytes));
    whole_files::write(&files.collect::<Vec<_>>())?;
    Ok(())
}

/// The examples, and how far a logit moves when the texts share a batch.
fn examples(initialized: &mut Initialized) -> Result<(Vec<Example>, f32), String> {
    let model = std::sync::Arc::clone(&initialized.model);
    let runner: &mut dyn Runner = initialized.runners[0].as_mut();
    let mut examples = Vec::new();
    let mut inputs = Vec::new();
    for text in TEXTS {
        // A text that the model does not answer is no example.
        let Ok(encoding) = model.preprocess(text, None) else {
            continue;
        };
        let Ok(rows) = runner.run(&[&encoding.input]) else {
            continue;
        };
        let Ok(answer) = model.postprocess(&rows.row(0).to_vec(), None) else {
            continue;
        };
        examples.push(Example {
            text: text.to_owned(),
            text_pair: None,
            ids: encoding.input.golden_ids(),
            truncated: encoding.truncated,
            logits: answer.logits,
            probabilities: answer.probabilities,
        });
        inputs.push(encoding.input);
    }
    if examples.is_empty() {
        return Err("it answers none of the texts that examples are made of".to_owned());
    }
    let mut moved: f32 = 0.0;
    let most = match model.manifest.limits.batch {
        Some(Batch::SameLength | Batch::Alone) => 1,
        Some(Batch::Any) | None => model.manifest.limits.most_texts().min(8),
    };
    for (texts, expected) in inputs.chunks(most).zip(examples.chunks(most)) {
        let texts: Vec<&ModelInput> = texts.iter().collect();
        let rows = runner.run(&texts).map_err(|error| error.to_string())?;
        for (row, expected) in rows.rows().into_iter().zip(expected) {
            let answer = model
                .postprocess(&row.to_vec(), None)
                .map_err(|error| error.to_string())?;
            let differences = answer.logits.iter().zip(&expected.logits);
            moved = differences.map(|(a, b)| (a - b).abs()).fold(moved, f32::max);
        }
    }
    Ok((examples, moved))
}

/// The manifest as text for people, with the checksum of the golden examples.
fn manifest_text(manifest: &Manifest, golden_sum: &str, tolerance: f32, batch: Batch) -> Result<String, String> {
    let mut manifest = manifest.as_written();
    manifest.files.insert(GOLDEN_FILE.to_owned(), golden_sum.to_owned());
    manifest.golden = Some(Golden {
        file: GOLDEN_FILE.to_owned(),
        source: OWN_GOLDEN.to_owned(),
        logit_tolerance: TOLERANCE,
        batched_logit_tolerance: tolerance,
        providers: std::collections::BTreeMap::new(),
    });
    manifest.onnx.batch_invariant = batch == Batch::Any;
    if batch != Batch::Any {
        manifest.limits.batch = Some(batch);
    }
    let text = toml::to_string(&manifest).map_err(|error| error.to_string())?;
    Ok(format!(
        "# Written by `tandem check --write-manifest`. The golden examples are Tandem's own (source = \"{OWN_GOLDEN}\"): they detect\n\
         # later change, not a wrong export.\n\n{text}"
    ))
}
