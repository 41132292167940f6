//! Writes a trained model as a folder of a model repository: graph, manifest, golden examples, card. All of it or nothing.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::golden;
use super::train::Trained;
use crate::model::files::hex;
use crate::model::linear::graph;
use crate::model::loading::golden::Example;
use crate::model::manifest::{
    Calibration, Golden, HashedNgrams, Limits, MANIFEST_FILE, Manifest, Onnx, OutputKind, Preprocess, ProblemType,
    SCHEMA_VERSION, Tier,
};
use crate::model::paths::folder_of;

const GRAPH_FILE: &str = "model.onnx";
const GOLDEN_FILE: &str = "golden.jsonl";
/// The card, where hubs and editors look for it.
pub const CARD_FILE: &str = "README.md";

/// What people say about a model.
#[derive(Clone, Debug, Default)]
pub struct About {
    pub name: String,
    pub version: String,
    pub task: String,
    pub description: String,
    pub license: String,
    /// For readers: how it was trained.
    pub training: toml::Table,
    /// For readers: how good it is.
    pub metrics: toml::Table,
}

/// The manifest of a trained model, without the sums of its files.
pub fn manifest(trained: &Trained, labels: &[String], problem_type: ProblemType, about: &About) -> Manifest {
    let features: HashedNgrams = trained.recipe.features();
    Manifest {
        schema_version: SCHEMA_VERSION,
        name: about.name.clone(),
        version: about.version.clone(),
        task: about.task.clone(),
        tier: Tier::Fast,
        labels: labels.to_vec(),
        problem_type,
        description: about.description.clone(),
        license: about.license.clone(),
        stand_in: false,
        onnx: Onnx {
            file: GRAPH_FILE.to_owned(),
            output: "logits".to_owned(),
            columns: Vec::new(),
            keys: Vec::new(),
            output_kind: OutputKind::Logits,
            input: None,
            inputs: std::collections::BTreeMap::new(),
            first_position: 0,
            batch_invariant: true,
            label: None,
        },
        execution_providers: None,
        preprocess: Preprocess::HashedNgrams(features),
        calibration: Calibration {
            temperature: trained.temperature as f32,
            thresholds: trained.thresholds.clone(),
        },
        golden: Some(Golden {
            file: GOLDEN_FILE.to_owned(),
            source: golden::SOURCE.to_owned(),
            logit_tolerance: golden::TOLERANCE,
            batched_logit_tolerance: golden::TOLERANCE,
            providers: std::collections::BTreeMap::new(),
        }),
        limits: Limits::default(),
        heads: Vec::new(),
        training: about.training.clone(),
        metrics: about.metrics.clone(),
        files: std::collections::BTreeMap::new(),
    }
}

/// Writes the folder. It appears whole under its name, or not at all; one that is there is replaced if `replace` says so. The
/// error is one line.
pub fn write(
    out: &Path,
    trained: &Trained,
    mut manifest: Manifest,
    examples: &[Example],
    card: &str,
    replace: bool,
) -> Result<(), String> {
    let told = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("{path}: {error}")
    };
    if out.exists() && !replace {
        return Err(format!("{} is there already; --force replaces it", out.display()));
    }
    let parent = folder_of(out);
    fs::create_dir_all(parent).map_err(told(parent))?;
    let unfinished = Unfinished(beside(out, "unfinished"));
    let folder = &unfinished.0;
    // Left by a run that was killed.
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(told(folder))?;
    }
    fs::create_dir(folder).map_err(told(folder))?;
    let mut lines = String::new();
    for example in examples {
        lines.push_str(&serde_json::to_string(example).map_err(|error| error.to_string())?);
        lines.push('\n');
    }
    let graph = graph::write(&trained.model, trained.link, manifest.labels.len());
    for (name, content) in [
        (GRAPH_FILE, graph.as_slice()),
        (GOLDEN_FILE, lines.as_bytes()),
        (CARD_FILE, card.as_bytes()),
    ] {
        let path = folder.join(name);
        write_whole(&path, content).map_err(told(&path))?;
        manifest.files.insert(name.to_owned(), hex(&Sha256::digest(content)));
    }
    let text = toml::to_string(&manifest).map_err(|error| error.to_string())?;
    Manifest::parse(&text).map_err(|problem| format!("the manifest would not be readable: {problem}"))?;
    let path = folder.join(MANIFEST_FILE);
    write_whole(&path, text.as_bytes()).map_err(told(&path))?;
    // Left by a run that was killed between the two: the new model takes its place.
    let old = beside(out, "replaced");
    if out.exists() {
        check_replaced(out)?;
        if old.exists() {
            fs::remove_dir_all(&old).map_err(told(&old))?;
        }
        fs::rename(out, &old).map_err(told(out))?;
    }
    if let Err(error) = fs::rename(folder, out) {
        let _ = fs::rename(&old, out);
        return Err(told(out)(error));
    }
    let _ = fs::remove_dir_all(&old);
    Ok(())
}

/// Fails if something else than one version of a model would be replaced: the folder is deleted with everything in it.
pub fn check_replaced(folder: &Path) -> Result<(), String> {
    let Ok(found) = fs::symlink_metadata(folder) else {
        return Ok(());
    };
    let refused = |problem: &str| {
        let at = folder.display();
        Err(format!(
            "{at} {problem}; only a version of a model is replaced: write models/NAME/VERSION"
        ))
    };
    if !found.is_dir() {
        return refused("is no folder");
    }
    let inside = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut is_model = false;
    for entry in inside {
        let entry = entry.map_err(|error| format!("{}: {error}", folder.display()))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            return refused("holds folders");
        }
        is_model |= entry.file_name() == MANIFEST_FILE;
    }
    if is_model {
        Ok(())
    } else {
        refused("has no manifest.toml, so it is no model")
    }
}

/// A folder that goes when this does.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A name beside a folder's that no version has.
pub fn beside(out: &Path, what: &str) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    folder_of(out).join(format!(".{name}.{what}"))
}

/// Writes a file and sees that it is on the disk: a full disk is told now.
fn write_whole(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = fs::File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}
