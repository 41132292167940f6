//! Text subset: some of a request's texts, without copying any.

use std::sync::Arc;

use crate::model::manifest::Truncation;

#[derive(Clone, Debug)]
pub struct TextSubset {
    /// All of the request's texts.
    pub texts: Arc<Vec<String>>,
    /// The second texts of pairs, one for each text; absent where the texts are no pairs.
    pairs: Option<Arc<Vec<String>>>,
    /// The positions of the texts in the subset, ascending.
    pub places: Vec<usize>,
    /// What happens to a text that is too long; absent for the model's own setting.
    pub truncation: Option<Truncation>,
}

impl TextSubset {
    /// All texts of a request, with the second texts of pairs if there are any.
    pub fn all(texts: Vec<String>, pairs: Vec<String>, truncation: Option<Truncation>) -> Self {
        let places = (0..texts.len()).collect();
        Self {
            texts: Arc::new(texts),
            pairs: (!pairs.is_empty()).then(|| Arc::new(pairs)),
            places,
            truncation,
        }
    }

    /// Another subset of the same request.
    pub fn at(&self, places: Vec<usize>) -> Self {
        Self { places, ..self.clone() }
    }

    /// The same texts, with another end for those that are too long.
    pub fn with_truncation(self, truncation: Option<Truncation>) -> Self {
        Self { truncation, ..self }
    }

    /// The second texts of all texts; `None` where they are no pairs.
    pub fn pairs(&self) -> Option<&Arc<Vec<String>>> {
        self.pairs.as_ref()
    }

    /// Whether the texts are pairs.
    pub fn are_pairs(&self) -> bool {
        self.pairs.is_some()
    }

    /// A copy of the texts at these positions alone, that keeps nothing else of the request.
    pub fn copy_of(&self, places: &[usize]) -> Self {
        let texts = places.iter().map(|&place| self.texts[place].clone()).collect();
        let pairs = places.iter().filter_map(|&place| self.pair(place).map(str::to_owned));
        Self::all(texts, pairs.collect(), self.truncation)
    }

    /// The size of the subset's texts together, in bytes.
    pub fn bytes(&self) -> usize {
        self.sizes().sum()
    }

    /// The size of each text in the subset, with its second text, in bytes.
    pub fn sizes(&self) -> impl ExactSizeIterator<Item = usize> {
        self.places.iter().map(|&place| self.bytes_at(place))
    }

    /// The size of the text at a position, with its second text, in bytes.
    pub fn bytes_at(&self, place: usize) -> usize {
        self.texts[place].len() + self.pair(place).map_or(0, str::len)
    }

    /// The second text at a position; `None` where the texts are no pairs.
    pub fn pair(&self, place: usize) -> Option<&str> {
        self.pairs.as_ref()?.get(place).map(String::as_str)
    }
}
