//! What the nodes of a scikit-learn export say: the classes, how texts are split and lower-cased, and which words are
//! counted.
//!
//! Reads a [`Graph`], because ONNX Runtime's sessions do not give the attributes of nodes.

use std::collections::HashSet;

use super::graph::{Element, Graph, Node, Port, PortKind, decimal, texts};
use crate::model::onnx::USUAL_LOCALE;

/// Operators that pass labels on unchanged.
const PASSING_ON: [&str; 6] = ["Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"];

/// The most vectorizers that are looked at.
const MAX_BRANCHES: usize = 16;

impl Graph {
    /// The output that names the winning class, or decides about each label; `class_labels` lists all.
    pub(super) fn label(&self) -> Option<&Port> {
        let whole_or_text = |kind| matches!(kind, PortKind::Tensor(Element::Text | Element::I64 | Element::I32));
        let mut outputs = self.outputs.iter();
        outputs.find(|output| whole_or_text(output.kind) && output.name != "class_labels")
    }

    /// The classes that `output` chooses among, or whose values it maps, in the order of the columns: as the classifier
    /// or the `ZipMap` that makes it lists them. Whole numbers are in decimal form.
    pub(super) fn classes_of(&self, output: &str) -> Option<Vec<String>> {
        let mut wanted = output;
        // Each step goes back to an earlier node, so there are no more steps than nodes.
        for _ in 0..=self.nodes.len() {
            let node = self.making(wanted)?;
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

    /// The node that makes the labels of `output`: the first one before it that does more than pass them on.
    pub(super) fn maker_of(&self, output: &str) -> Option<&Node> {
        let mut wanted = output;
        for _ in 0..=self.nodes.len() {
            let node = self.making(wanted)?;
            if !PASSING_ON.contains(&node.op_type.as_str()) {
                return Some(node);
            }
            wanted = node.input.first()?;
        }
        None
    }

    /// The paths from the text to numbers, one for each vectorizer.
    pub(super) fn branches(&self) -> Vec<Branch<'_>> {
        let vectorizers = self.nodes.iter().filter(|node| node.op_type == "TfIdfVectorizer");
        vectorizers
            .take(MAX_BRANCHES)
            .filter_map(|node| self.branch(node))
            .collect()
    }

    fn branch<'a>(&'a self, vectorizer: &'a Node) -> Option<Branch<'a>> {
        let mut branch = Branch {
            output: vectorizer.output.first()?,
            vectorizer,
            tokenizer: None,
            normalizers: Vec::new(),
        };
        let mut wanted = vectorizer.input.first()?;
        for _ in 0..=self.nodes.len() {
            let Some(node) = self.making(wanted) else { break };
            match node.op_type.as_str() {
                "Tokenizer" => branch.tokenizer = Some(node),
                "StringNormalizer" => branch.normalizers.push(node),
                _ => {}
            }
            let Some(first) = node.input.first() else { break };
            wanted = first;
        }
        Some(branch)
    }

    /// Whether the outputs of the nodes `from` go through the operators `steps`, in this order.
    pub(super) fn has_path(&self, from: &str, steps: &[&str]) -> bool {
        let mut outputs = self.made_by(|node| node.op_type == from);
        for step in steps {
            let follows = |node: &Node| node.op_type == *step && node.input.iter().any(|name| outputs.contains(&name));
            outputs = self.made_by(follows);
        }
        !outputs.is_empty()
    }

    /// Whether the output of a node that `from` picks reaches an operator `to` through no other operators than
    /// `through`.
    pub(super) fn flows(&self, from: impl Fn(&Node) -> bool, through: &[&str], to: &str) -> bool {
        let mut reached = self.made_by(from);
        // Exporters list each node after the nodes that feed it.
        for node in &self.nodes {
            if !node.input.iter().any(|name| reached.contains(name)) {
                continue;
            }
            if node.op_type == to {
                return true;
            }
            if through.contains(&node.op_type.as_str()) {
                reached.extend(&node.output);
            }
        }
        false
    }

    fn made_by(&self, wanted: impl Fn(&Node) -> bool) -> HashSet<&String> {
        let nodes = self.nodes.iter().filter(|node| wanted(node));
        nodes.flat_map(|node| &node.output).collect()
    }
}

/// The path from the text to the numbers of one vectorizer.
pub(super) struct Branch<'a> {
    /// The value that the vectorizer makes: a number for each of its n-grams.
    pub output: &'a str,
    vectorizer: &'a Node,
    tokenizer: Option<&'a Node>,
    normalizers: Vec<&'a Node>,
}

/// Consecutive words that a vectorizer counts.
pub(super) struct Ngram {
    /// The words as one text.
    pub text: String,
    /// The index of its number among those of the vectorizer.
    pub column: usize,
}

impl Branch<'_> {
    /// The value that the tokenizer makes, if there is a tokenizer.
    pub(super) fn tokens(&self) -> Option<&str> {
        Some(self.tokenizer?.output.first()?)
    }

    /// The regular expression that splits texts into tokens, in RE2's syntax.
    pub(super) fn token_pattern(&self) -> Option<String> {
        self.tokenizer?.text("tokenexp")
    }

    /// The locale by whose rules texts are lower-cased or upper-cased; `None` if they are not.
    pub(super) fn folding_locale(&self) -> Option<String> {
        let folds = |node: &&&Node| node.text("case_change_action").is_some_and(|action| action != "NONE");
        let node = self.normalizers.iter().find(folds)?;
        Some(node.text("locale").unwrap_or_else(|| USUAL_LOCALE.to_owned()))
    }

    /// Whether it has a list of stop words.
    pub(super) fn has_stop_words(&self) -> bool {
        let lists = self.normalizers.iter().filter_map(|node| node.attribute("stopwords"));
        lists.into_iter().any(|list| !list.strings.is_empty())
    }

    /// The most words of one n-gram.
    pub(super) fn longest(&self) -> usize {
        let longest = self.vectorizer.attribute("max_gram_length");
        longest.map_or(1, |longest| usize::try_from(longest.i).unwrap_or(1))
    }

    /// Whether it counts characters, and not words: each of its words is one character.
    pub(super) fn counts_characters(&self) -> bool {
        self.pool()
            .iter()
            .all(|word| String::from_utf8_lossy(word).chars().count() <= 1)
    }

    /// Whether this word is part of one of its n-grams.
    pub(super) fn knows(&self, word: &str) -> bool {
        self.pool().iter().any(|known| known == word.as_bytes())
    }

    /// Its shortest n-grams.
    pub(super) fn shortest(&self) -> Vec<Ngram> {
        let pool = self.pool();
        let numbers = |name| self.vectorizer.attribute(name).map_or(&[][..], |list| &list.ints);
        // Where in the pool the n-grams of each length begin: those of length 1, then those of length 2, and so on.
        let place = |start: &i64| usize::try_from(*start).map_or(pool.len(), |start| start.min(pool.len()));
        let starts: Vec<usize> = numbers("ngram_counts").iter().map(place).collect();
        let end_of = |at: usize| starts.get(at + 1).copied().unwrap_or(pool.len());
        let Some(length) = (0..starts.len()).find(|&at| end_of(at) > starts[at]) else {
            return Vec::new();
        };
        let separator = if self.counts_characters() { "" } else { " " };
        let words = pool[starts[length]..end_of(length)].chunks_exact(length + 1);
        let ngrams = words.zip(numbers("ngram_indexes")).filter_map(|(words, &column)| {
            let text = texts(words).join(separator).replace('\0', " ");
            let column = usize::try_from(column).ok()?;
            (!text.trim().is_empty()).then_some(Ngram { text, column })
        });
        ngrams.collect()
    }

    fn pool(&self) -> &[Vec<u8>] {
        let pool = self.vectorizer.attribute("pool_strings");
        pool.map_or(&[], |pool| &pool.strings)
    }
}

impl Node {
    /// The value of a string attribute.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let attribute = self.attribute(name)?;
        Some(String::from_utf8_lossy(&attribute.s).into_owned())
    }
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
