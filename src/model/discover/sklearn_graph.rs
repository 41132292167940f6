//! What the nodes of a scikit-learn export say: the classes, how texts are split and folded, and which words are counted.
//!
//! Reads a [`Graph`]; sessions do not give a node's settings.

use super::graph::{Graph, Node, decimal, texts};

/// Operations that hand on the labels which they are given.
const PASSING_ON: [&str; 6] = ["Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"];

impl Graph {
    /// The classes among which `output` chooses or whose values it maps, in the order of the columns: as the classifier or
    /// the `ZipMap` that makes it lists them. Whole numbers are written in decimal form.
    pub(super) fn classes_of(&self, output: &str) -> Option<Vec<String>> {
        let mut wanted = output;
        // Each step goes to a node that runs before the last one, so there are no more steps than nodes.
        for _ in 0..=self.nodes.len() {
            let node = self
                .nodes
                .iter()
                .find(|node| node.output.iter().any(|name| name == wanted))?;
            if let Some(classes) = classes(node) {
                return Some(classes);
            }
            let first = node.input.first()?;
            match node.op_type.as_str() {
                "ArrayFeatureExtractor" => return self.lists.get(first).cloned(),
                name if PASSING_ON.contains(&name) => wanted = first,
                _ => return None,
            }
        }
        None
    }

    /// The expression by which texts are split into tokens, in RE2's syntax.
    pub(super) fn token_pattern(&self) -> Option<String> {
        self.nodes
            .iter()
            .find_map(|node| (node.op_type == "Tokenizer").then(|| text(node, "tokenexp"))?)
    }

    /// The locale by whose rules texts are folded to one case, if they are.
    pub(super) fn folding_locale(&self) -> Option<String> {
        let folds = |node: &&Node| {
            node.op_type == "StringNormalizer"
                && text(node, "case_change_action").is_some_and(|action| action != "NONE")
        };
        let node = self.nodes.iter().find(folds)?;
        Some(text(node, "locale").unwrap_or_else(|| "en_US.UTF-8".to_owned()))
    }

    /// The shortest n-grams that the graph counts, each as its words, if it says so.
    pub(super) fn shortest_ngrams(&self) -> Option<Vec<Vec<String>>> {
        let node = self.nodes.iter().find(|node| node.op_type == "TfIdfVectorizer")?;
        let pool = texts(&node.attribute("pool_strings")?.strings);
        // Where in the pool the n-grams of each length begin: those of length 1, of length 2, and so on.
        let starts = &node.attribute("ngram_counts")?.ints;
        let starts: Vec<usize> = starts
            .iter()
            .map(|&start| usize::try_from(start).map_or(pool.len(), |start| start.min(pool.len())))
            .collect();
        let end_of = |at: usize| starts.get(at + 1).copied().unwrap_or(pool.len());
        let shortest = (0..starts.len()).find(|&at| end_of(at) > starts[at])?;
        let words = &pool[starts[shortest]..end_of(shortest)];
        Some(words.chunks_exact(shortest + 1).map(<[String]>::to_vec).collect())
    }

    /// Whether what the nodes `from` give goes through `steps`, one after the other.
    pub(super) fn has_path(&self, from: &str, steps: &[&str]) -> bool {
        let mut outputs: Vec<&String> = self.made_by(|node| node.op_type == from);
        for step in steps {
            let follows = |node: &Node| node.op_type == *step && node.input.iter().any(|name| outputs.contains(&name));
            outputs = self.made_by(follows);
        }
        !outputs.is_empty()
    }

    fn made_by(&self, wanted: impl Fn(&Node) -> bool) -> Vec<&String> {
        let nodes = self.nodes.iter().filter(|node| wanted(node));
        nodes.flat_map(|node| &node.output).collect()
    }
}

fn text(node: &Node, name: &str) -> Option<String> {
    let attribute = node.attribute(name)?;
    Some(String::from_utf8_lossy(&attribute.s).into_owned())
}

fn classes(node: &Node) -> Option<Vec<String>> {
    let named = node.attribute("classlabels_strings").map(|found| texts(&found.strings));
    let numbered = || {
        let names = ["classlabels_int64s", "classlabels_ints"];
        names
            .iter()
            .find_map(|name| node.attribute(name))
            .map(|found| decimal(&found.ints))
    };
    named.filter(|names| !names.is_empty()).or_else(numbered)
}
