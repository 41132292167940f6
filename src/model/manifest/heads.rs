//! Heads: outputs of one graph that serve a task each. They share the encoder below them, so a text that is asked of several
//! runs once.
//!
//! A manifest with heads says of each what others say at the top: its task, labels, problem type and calibration. Once it
//! is read, its own labels are those of all heads, one after the other: they name the numbers of a row. [`Manifest::of_head`]
//! is the manifest of one head as if it were a model of its own.

use std::collections::HashSet;
use std::ops::Range;

use super::{Head, Manifest, OutputKind, Preprocess, ProblemType};

/// The most heads of a model.
const MOST_HEADS: usize = 32;

impl Manifest {
    /// Checks that nothing at the top is what the heads say, and fills in what the heads together say.
    pub(super) fn take_heads(&mut self) -> Result<(), String> {
        if self.heads.is_empty() {
            let missing = [("task", self.task.is_empty()), ("labels", self.labels.is_empty())];
            return match missing.into_iter().find(|(_, missing)| *missing) {
                Some((key, _)) => Err(format!("missing field `{key}`")),
                None => Ok(()),
            };
        }
        let onnx = &self.onnx;
        let calibration = &self.calibration;
        for (key, is_there) in [
            ("task", !self.task.is_empty()),
            ("labels", !self.labels.is_empty()),
            ("problem_type", self.problem_type != ProblemType::default()),
            (
                "calibration",
                calibration.temperature != 1.0 || !calibration.thresholds.is_empty(),
            ),
            ("onnx.output", !onnx.output.is_empty()),
            ("onnx.columns", !onnx.columns.is_empty()),
            ("onnx.keys", !onnx.keys.is_empty()),
            ("onnx.label", onnx.label.is_some()),
        ] {
            if is_there {
                return Err(format!("{key}: the heads say it, each for itself"));
            }
        }
        if onnx.output_kind != OutputKind::Logits {
            return Err("onnx.output_kind: the outputs of heads are logits".into());
        }
        if matches!(self.preprocess, Preprocess::HashedNgrams(_)) {
            return Err("heads: a model over hashed n-grams has none: give each task a model of its own".into());
        }
        if self.heads.len() > MOST_HEADS {
            let found = self.heads.len();
            return Err(format!("heads: there are {found}, the most is {MOST_HEADS}"));
        }
        let tasks: HashSet<_> = self.heads.iter().map(|head| &head.task).collect();
        if tasks.len() < self.heads.len() {
            return Err("heads: each must have another task".into());
        }
        for at in 0..self.heads.len() {
            let one = self.of_head(at);
            one.check().map_err(|problem| format!("heads[{at}]: {problem}"))?;
        }
        let named = |head: &Head| {
            let labels = head.labels.iter();
            labels.map(|label| format!("{}/{label}", head.task)).collect::<Vec<_>>()
        };
        self.labels = self.heads.iter().flat_map(named).collect();
        self.task = self.heads[0].task.clone();
        self.problem_type = ProblemType::MultiLabel;
        Ok(())
    }

    /// As it would be written: without what was filled in.
    pub fn as_written(&self) -> Self {
        let mut manifest = self.clone();
        if !self.heads.is_empty() {
            manifest.task = String::new();
            manifest.labels = Vec::new();
            manifest.problem_type = ProblemType::default();
        }
        manifest
    }

    /// The tasks that it is for: those of its heads, or its own.
    pub fn tasks(&self) -> impl Iterator<Item = &str> {
        let own = self.heads.is_empty().then_some(self.task.as_str());
        own.into_iter().chain(self.heads.iter().map(|head| head.task.as_str()))
    }

    /// Whether it can answer for a task: any, or where it has heads, that of one of them.
    pub fn answers(&self, task: &str) -> bool {
        self.heads.is_empty() || self.heads.iter().any(|head| head.task == task)
    }

    /// The manifest as a task sees it: that of the task's head. `None` if there are heads, but none for it.
    pub fn of_task(&self, task: &str) -> Option<Self> {
        if self.heads.is_empty() {
            return Some(self.clone());
        }
        let at = self.heads.iter().position(|head| head.task == task)?;
        Some(self.of_head(at))
    }

    /// The manifest of one head, as if it were a model of its own.
    pub fn of_head(&self, at: usize) -> Self {
        let head = self.heads[at].clone();
        let mut manifest = self.clone();
        manifest.heads = Vec::new();
        manifest.task = head.task;
        manifest.labels = head.labels;
        manifest.problem_type = head.problem_type;
        manifest.calibration = head.calibration;
        manifest.metrics = head.metrics;
        manifest.onnx.output = head.output;
        manifest
    }

    /// The numbers of a row that are a head's.
    pub fn columns_of_head(&self, at: usize) -> Range<usize> {
        let before = self.heads[..at].iter().map(|head| head.labels.len()).sum();
        before..before + self.heads[at].labels.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: &str = r#"
schema_version = 1
name = "two"
version = "1"
tier = "deep"
TOP
[onnx]
file = "model.onnx"
ONNX
[preprocess]
kind = "string"
[[heads]]
task = "a"
output = "of_a"
labels = ["no", "yes"]
[heads.calibration]
temperature = 2.0
[[heads]]
task = "b"
output = "of_b"
labels = ["x", "y", "z"]
problem_type = "multi_label_classification"
HEAD
[files]
"model.onnx" = "0000000000000000000000000000000000000000000000000000000000000000"
"#;

    fn parse(replaced: &[(&str, &str)]) -> Result<Manifest, String> {
        let mut text = TOP.replace("[onnx]", "[onnx]\ninput = \"text\"");
        for (place, by) in replaced {
            text = text.replace(place, by);
        }
        for place in ["TOP\n", "ONNX\n", "HEAD\n"] {
            text = text.replace(place, "");
        }
        Manifest::parse(&text)
    }

    #[test]
    fn a_head_is_read_as_a_model_of_its_own() {
        let manifest = parse(&[]).expect("legal");
        assert_eq!(manifest.tasks().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(manifest.labels, ["a/no", "a/yes", "b/x", "b/y", "b/z"]);
        let of_a = manifest.of_task("a").expect("a head");
        assert_eq!((of_a.labels.len(), of_a.calibration.temperature), (2, 2.0));
        assert_eq!(of_a.onnx.output, "of_a");
        let of_b = manifest.of_task("b").expect("a head");
        assert_eq!(of_b.problem_type, ProblemType::MultiLabel);
        assert_eq!((manifest.columns_of_head(0), manifest.columns_of_head(1)), (0..2, 2..5));
        assert!(manifest.of_task("c").is_none());
        let written = toml::to_string(&manifest.as_written()).expect("plain values");
        assert_eq!(Manifest::parse(&written).expect("read again").labels, manifest.labels);
    }

    #[test]
    fn what_does_not_fit_names_its_key() {
        for (place, by, told) in [
            ("TOP", "task = \"a\"", "task: the heads say it"),
            ("TOP", "labels = [\"a\", \"b\"]", "labels: the heads say it"),
            ("ONNX", "output = \"of_a\"", "onnx.output: the heads say it"),
            ("ONNX", "output_kind = \"probabilities\"", "onnx.output_kind"),
            ("task = \"b\"", "task = \"a\"", "heads: each must have another task"),
            ("task = \"b\"", "task = \"B\"", "heads[1]: task must match"),
            (
                "labels = [\"no\", \"yes\"]",
                "labels = [\"no\"]",
                "heads[0]: labels must hold at least two",
            ),
            (
                "temperature = 2.0",
                "temperature = 0.0",
                "heads[0]: calibration.temperature",
            ),
            ("HEAD", "size = 3", "unknown field `size`"),
        ] {
            let problem = parse(&[(place, by)]).expect_err(place);
            assert!(problem.contains(told), "{place} by {by}: {problem}");
        }
        let more =
            (0..MOST_HEADS).map(|at| format!("[[heads]]\ntask = \"t{at}\"\noutput = \"o\"\nlabels = [\"a\", \"b\"]\n"));
        let problem = parse(&[("HEAD\n", &more.collect::<String>())]).expect_err("too many");
        assert!(problem.contains("the most is 32"), "{problem}");
    }
}
