//! What a manifest's values must keep to: bounds, and fitting each other. Each error names the key.

use std::collections::HashSet;

use super::{
    Golden, INPUT_ROLES, LEAST_TOKENS, LONGEST_LABEL, MOST_BATCH, MOST_LABELS, MOST_TOKENS, Manifest, Onnx, Preprocess,
    ProblemType, SCHEMA_VERSION, is_name,
};
use crate::model::paths::goes_down;

impl Manifest {
    /// Checks the values. The error is one line that names the key.
    pub(in crate::model) fn check(&self) -> Result<(), String> {
        if self.schema_version != SCHEMA_VERSION {
            return Err(format!(
                "schema_version is {}, this build reads {SCHEMA_VERSION}",
                self.schema_version
            ));
        }
        for (key, value) in [("name", &self.name), ("version", &self.version), ("task", &self.task)] {
            if !is_name(value) {
                return Err(format!("{key} must match [a-z0-9][a-z0-9_-]{{0,62}}"));
            }
        }
        self.check_labels()?;
        self.check_calibration()?;
        if !(1..=MOST_BATCH).contains(&self.limits.most_texts()) {
            return Err(format!("limits.max_batch_size must be from 1 to {MOST_BATCH}"));
        }
        if self.heads.is_empty() {
            self.onnx.check_output()?;
        }
        self.onnx.check(self.labels.len(), self.problem_type)?;
        if let Some(providers) = &self.execution_providers {
            let checked = providers.check_of_manifest();
            checked.map_err(|problem| format!("execution_providers: {problem}"))?;
        }
        self.check_preprocess()?;
        self.check_files()
    }

    fn check_labels(&self) -> Result<(), String> {
        let count = self.labels.len();
        if count > MOST_LABELS {
            return Err(format!("labels holds {count} labels, the most is {MOST_LABELS}"));
        }
        if !self.heads.is_empty() {
            // Those of each head were checked, and together they differ by their tasks.
            return Ok(());
        }
        match self.problem_type {
            ProblemType::SingleLabel if count < 2 => return Err("labels must hold at least two labels".into()),
            ProblemType::MultiLabel if count < 1 => return Err("labels must hold at least one label".into()),
            ProblemType::Regression if count != 1 => {
                return Err("labels must hold one label where problem_type is regression".into());
            }
            _ => {}
        }
        if let Some(long) = self.labels.iter().map(String::len).find(|&bytes| bytes > LONGEST_LABEL) {
            return Err(format!("labels holds one of {long} bytes, the most is {LONGEST_LABEL}"));
        }
        if self.labels.iter().collect::<HashSet<_>>().len() < count {
            return Err("labels must differ from each other".into());
        }
        Ok(())
    }

    fn check_calibration(&self) -> Result<(), String> {
        if !(self.calibration.temperature.is_finite() && self.calibration.temperature > 0.0) {
            return Err("calibration.temperature must be a number above 0".into());
        }
        let thresholds = &self.calibration.thresholds;
        if !thresholds.is_empty() {
            if self.problem_type != ProblemType::MultiLabel {
                return Err("calibration.thresholds are for multi_label_classification only".into());
            }
            if thresholds.len() != self.labels.len() {
                return Err("calibration.thresholds must be one a label".into());
            }
            if !thresholds.iter().all(|value| (0.0..=1.0).contains(value)) {
                return Err("calibration.thresholds must be numbers from 0 to 1".into());
            }
        }
        for (key, value) in self.golden.iter().flat_map(Golden::tolerances) {
            if !(value.is_finite() && value >= 0.0) {
                return Err(format!("{key} must be a number of at least 0"));
            }
        }
        Ok(())
    }

    fn check_preprocess(&self) -> Result<(), String> {
        match &self.preprocess {
            Preprocess::HashedNgrams(settings) => {
                if !settings.buckets.is_power_of_two() || settings.buckets > 1 << 30 {
                    return Err("preprocess.buckets must be a power of two up to 2^30".into());
                }
                if settings.min_n < 1 || settings.max_n < settings.min_n || settings.max_n > 8 {
                    return Err("preprocess.min_n and max_n must satisfy 1 <= min_n <= max_n <= 8".into());
                }
                if settings.max_words > MOST_WORDS {
                    return Err(format!("preprocess.max_words must be at most {MOST_WORDS}"));
                }
                if !(1..=65_536).contains(&settings.max_code_points) {
                    return Err("preprocess.max_code_points must be from 1 to 65536".into());
                }
            }
            Preprocess::Tokenizer(settings) => {
                if !(LEAST_TOKENS..=MOST_TOKENS).contains(&settings.max_tokens) {
                    return Err(format!(
                        "preprocess.max_tokens must be from {LEAST_TOKENS} to {MOST_TOKENS}"
                    ));
                }
                if !(16..=MOST_TEXT_BYTES).contains(&settings.max_bytes) {
                    return Err(text_bytes());
                }
            }
            Preprocess::String { max_bytes } => {
                if !(16..=MOST_TEXT_BYTES).contains(max_bytes) {
                    return Err(text_bytes());
                }
                if self.onnx.input.is_none() {
                    return Err("onnx.input must name the string input when preprocess.kind is \"string\"".into());
                }
            }
        }
        Ok(())
    }

    fn check_files(&self) -> Result<(), String> {
        for (file, sha256) in &self.files {
            if !goes_down(file) {
                return Err(format!("files: `{file}` must be a relative path without `..`"));
            }
            if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(format!("files: the SHA-256 of `{file}` must be 64 hexadecimal digits"));
            }
        }
        for (key, file) in self.named_files() {
            if !self.files.contains_key(file) {
                return Err(format!("{key} names `{file}`, which [files] does not list"));
            }
        }
        Ok(())
    }

    /// The files that the manifest names, each with its key.
    fn named_files(&self) -> Vec<(&'static str, &str)> {
        let mut named = vec![("onnx.file", self.onnx.file.as_str())];
        named.extend(self.golden.iter().map(|golden| ("golden.file", golden.file.as_str())));
        if let Preprocess::Tokenizer(settings) = &self.preprocess {
            named.push(("preprocess.file", &settings.file));
        }
        named
    }
}

/// The most words of one n-gram.
const MOST_WORDS: usize = 4;
/// The most bytes of a text that a manifest may let a model read.
const MOST_TEXT_BYTES: usize = 16 << 20;

fn text_bytes() -> String {
    format!("preprocess.max_bytes must be from 16 to {MOST_TEXT_BYTES}")
}

impl Onnx {
    fn check_output(&self) -> Result<(), String> {
        if self.output.is_empty() == self.columns.is_empty() {
            return Err("either onnx.output or onnx.columns must name what to read".into());
        }
        Ok(())
    }

    fn check(&self, labels: usize, problem_type: ProblemType) -> Result<(), String> {
        for (key, names) in [("columns", &self.columns), ("keys", &self.keys)] {
            if !names.is_empty() && names.len() != labels {
                return Err(format!("onnx.{key} must hold one name for each of the {labels} labels"));
            }
        }
        if let Some(label) = &self.label {
            if problem_type != ProblemType::SingleLabel {
                return Err("onnx.label is for models of which one label is right".into());
            }
            if label.classes.len() != labels {
                return Err(format!(
                    "onnx.label.classes must hold one name for each of the {labels} labels"
                ));
            }
            if label.classes.iter().collect::<HashSet<_>>().len() < labels {
                return Err("onnx.label.classes must differ from each other".into());
            }
        }
        if let Some(role) = self.inputs.keys().find(|role| !INPUT_ROLES.contains(&role.as_str())) {
            let role = role.escape_debug();
            return Err(format!("onnx.inputs: `{role}` is none of {}", INPUT_ROLES.join(", ")));
        }
        if self.inputs.values().collect::<HashSet<_>>().len() < self.inputs.len() {
            return Err("onnx.inputs must name an input once".into());
        }
        Ok(())
    }
}
