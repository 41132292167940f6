//! Where skl2onnx's export computes otherwise than scikit-learn, recognised by the nodes that it writes.
//!
//! Each of these traps was seen to change labels or probabilities; the matrix of
//! `training/fixtures/scikit_learn_matrix.py` finds them.

use super::graph::{Graph, Node};
use super::notes::Notes;
use super::sklearn_tries::{ENOUGH, OpenProbe, Tries};
use crate::model::onnx::Seen;

/// Operators that only pass scores on, where the scores of several classifiers become one row.
const GATHERING: [&str; 9] = [
    "Cast",
    "Slice",
    "ArrayFeatureExtractor",
    "Concat",
    "Sub",
    "Mul",
    "Reshape",
    "Identity",
    "Squeeze",
];
const CALIBRATE: &str = "put CalibratedClassifierCV around the inner classifiers, or take ones that give probabilities";

/// What runs of the graph showed.
pub(super) struct Shown<'a> {
    /// Whether its numbers are scores, and not probabilities.
    pub scores: bool,
    /// Whether its two numbers are opposites, and the second one was from 0 to 1 for every text.
    pub mirrored_shares: bool,
    /// For how many of the texts several classes shared the highest number.
    pub tied: usize,
    pub classes: usize,
    /// Whether each label is decided by itself.
    pub each: bool,
    /// For how many of the texts the scores would select several labels or none, if the model was trained on several
    /// labels a text.
    pub like_labels: usize,
    /// Whether the label comes straight from a support vector machine.
    pub by_machine: bool,
    pub texts: &'a [String],
}

/// Adds notes on the traps that this graph has.
pub(super) fn note(open: OpenProbe<'_>, graph: &Graph, shown: &Shown<'_>, notes: &mut Notes) -> Result<(), String> {
    if graph.has_path("TfIdfVectorizer", &["Add", "Log"]) {
        notes.doubtful(
            "sublinear_tf=True is exported as log(1 + count), where scikit-learn takes 1 + log(count): texts that repeat a \
             word get other probabilities",
            "fit the vectorizer without sublinear_tf",
        );
    }
    if graph.has_path("Sub", &["Abs", "ArgMin", "ArrayFeatureExtractor"]) {
        notes.doubtful(
            "isotonic calibration is exported as the nearest step, where scikit-learn draws a line between two: \
             probabilities differ, and close labels with them",
            "fit CalibratedClassifierCV with method=\"sigmoid\"",
        );
    }
    if shown.tied > 0 && graph.has_path("Clip", &["Add", "Div", "ReduceSum"]) {
        notes.doubtful(
            format!(
                "loss=\"modified_huber\" gives several classes the highest probability for {} of {} texts made of its words: \
                 scikit-learn then decides by its scores, which the export leaves out",
                shown.tied,
                shown.texts.len()
            ),
            "fit SGDClassifier with loss=\"log_loss\"",
        );
    }
    if graph.flows(|node| node.op_type == "TopK", &["Mul", "Neg", "Max"], "Reciprocal") {
        notes.doubtful(
            "weights=\"distance\" of nearest neighbours is exported so that near and far neighbours may count alike",
            "fit it with weights=\"uniform\"",
        );
    }
    if shown.scores && graph.has_path("Concat", &["ReduceMean", "ArgMax"]) {
        notes.doubtful(
            "a bagging of classifiers without probabilities is exported as the mean of their scores, where scikit-learn \
             counts their votes",
            CALIBRATE,
        );
    }
    if shown.mirrored_shares && graph.has_path("Concat", &["Mul", "Concat", "ArgMax"]) {
        notes.wrong(
            "one classifier against the rest is exported with raw_scores so that a probability above 0 is the second class, where \
             scikit-learn takes one above 0.5: labels are not scikit-learn's",
            "export it without raw_scores",
        );
    }
    note_linear(graph, shown, notes);
    let tuned = |node: &Node| node.output.iter().any(|name| name.starts_with("label_tuned"));
    if graph.nodes.iter().any(tuned) {
        notes.doubtful(
            "TunedThresholdClassifierCV is exported without its threshold: labels are those of the inner classifier",
            "export the inner classifier (estimator_), and set the threshold where the answers are read",
        );
    }
    if note_machines(graph, shown, notes) {
        return Ok(());
    }
    note_decisions(open, graph, shown, notes)
}

/// Adds a note on linear classifiers: different kinds are exported alike.
fn note_linear(graph: &Graph, shown: &Shown<'_>, notes: &mut Notes) {
    let linear =
        |node: &Node| node.op_type == "LinearClassifier" && node.text("post_transform").as_deref() == Some("NONE");
    if shown.classes > 2 && !shown.each && shown.like_labels > 0 && graph.nodes.iter().any(linear) {
        notes.doubtful(
            format!(
                "skl2onnx exports RidgeClassifier on several labels a text with raw_scores as it does LinearSVC with the classes \
                 0, 1, 2, …: if it is the former, answers have one label where scikit-learn gives several or none, as for {} of {} \
                 texts made of its words",
                shown.like_labels,
                shown.texts.len()
            ),
            "export RidgeClassifier without raw_scores; train LinearSVC on classes that have names",
        );
    }
    let softmax =
        |node: &Node| node.op_type == "LinearClassifier" && node.text("post_transform").as_deref() == Some("SOFTMAX");
    if shown.classes == 2 && !shown.each && graph.nodes.iter().any(softmax) {
        notes.assumed(
            "the probabilities of its two classes are the softmax of a score and its opposite: so it is with \
             LogisticRegression(multi_class=\"multinomial\"); LinearDiscriminantAnalysis is exported like that too, and its own \
             probabilities are nearer to one half",
            "put CalibratedClassifierCV around LinearDiscriminantAnalysis",
        );
    }
}

/// Adds a note on support vector machines inside another classifier that uses their scores, and gives whether there are
/// any. The scores of two classes are exported in the wrong order; those of more classes are not the votes that they
/// should be.
fn note_machines(graph: &Graph, shown: &Shown<'_>, notes: &mut Notes) -> bool {
    let machine = |node: &Node| node.op_type == "SVMClassifier";
    let reaches = |from: &dyn Fn(&Node) -> bool, through: &[&str]| {
        ["ArgMax", "LpNormalization"]
            .iter()
            .any(|to| graph.flows(from, through, to))
    };
    let scores = |node: &Node| machine(node) && node.attribute("prob_a").is_none();
    if shown.each {
        return note_machines_of_labels(graph, notes);
    }
    let voting = [
        &GATHERING[..],
        &["Neg", "Sum", "Add", "Div", "Abs", "Less", "ReduceMean"],
    ]
    .concat();
    if shown.by_machine || !reaches(&machine, &voting) {
        return false;
    }
    if reaches(&scores, &GATHERING) {
        notes.wrong(
            "support vector machines inside another classifier are exported with their scores turned round: labels are not \
             scikit-learn's",
            CALIBRATE,
        );
    } else {
        notes.doubtful(
            "support vector machines inside another classifier are exported by other numbers than those that scikit-learn decides \
             by: close labels differ",
            CALIBRATE,
        );
    }
    true
}

/// The same for one machine a label, where nothing chooses among their scores. With raw_scores they are in
/// the right order.
fn note_machines_of_labels(graph: &Graph, notes: &mut Notes) -> bool {
    let reaches = |from: &dyn Fn(&Node) -> bool| graph.flows(from, &GATHERING, "Concat");
    let of = |probabilities: bool| {
        move |node: &Node| node.op_type == "SVMClassifier" && node.attribute("prob_a").is_some() == probabilities
    };
    let raw = graph.has_path("SVMClassifier", &["Cast", "Mul"]);
    if reaches(&of(true)) {
        notes.wrong(
            "support vector machines with probability=True, one a label, are exported by other numbers than those that \
             scikit-learn decides by: labels are not scikit-learn's",
            CALIBRATE,
        );
    } else if reaches(&of(false)) && !raw {
        notes.wrong(
            "support vector machines, one a label, are exported with their scores turned round: labels are not scikit-learn's",
            "export it with raw_scores",
        );
    }
    reaches(&of(true)) || reaches(&of(false))
}

/// Adds a note on other classifiers inside classifiers that take their scores for probabilities: one against the rest,
/// and votes.
fn note_decisions(open: OpenProbe<'_>, graph: &Graph, shown: &Shown<'_>, notes: &mut Notes) -> Result<(), String> {
    let votes = |node: &Node| {
        let counted = |next: &Node| next.op_type == "Equal" && next.input.iter().any(|name| node.output.contains(name));
        node.op_type == "ArgMax" && graph.nodes.iter().any(counted) && graph.has_path("ArgMax", &["Equal", "Where"])
    };
    let takes = |node: &&Node| node.op_type == "LpNormalization" || votes(node);
    let taking: Vec<&Node> = graph.nodes.iter().filter(takes).take(16).collect();
    let values: Vec<&str> = taking
        .iter()
        .filter_map(|node| Some(node.input.first()?.as_str()))
        .collect();
    if values.is_empty() {
        return Ok(());
    }
    let mut probe = open(&values)?;
    let mut decisions = false;
    let mut tries = Tries::new(ENOUGH);
    for text in shown.texts {
        let seen = probe.see(text).map_err(|error| error.to_string())?;
        let outside = |value: &f32| !(-1e-6..=1.0 + 1e-6).contains(value);
        decisions |= seen
            .iter()
            .any(|seen| matches!(seen, Seen::Numbers(numbers) if numbers.iter().any(outside)));
        if decisions || tries.are_enough() {
            break;
        }
    }
    if !decisions {
        return Ok(());
    }
    let votes = taking.iter().any(|node| node.op_type == "ArgMax");
    let what = if votes {
        "a vote among classifiers"
    } else {
        "one classifier against the rest"
    };
    if shown.classes == 2 {
        notes.wrong(
            format!(
                "{what} is exported so that a score above 0.5 is the second class, where scikit-learn takes one above 0: labels are \
                 not scikit-learn's"
            ),
            CALIBRATE,
        );
    } else if !votes {
        notes.doubtful(
            format!("{what} is exported with scores in place of probabilities: the label is scikit-learn's, its confidence is none"),
            CALIBRATE,
        );
    }
    Ok(())
}
