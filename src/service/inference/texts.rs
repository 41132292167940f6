//! Some of a request's texts, without a copy of any.

use std::sync::Arc;

use crate::model::manifest::Truncation;

/// Some of a request's texts.
#[derive(Clone, Debug)]
pub struct TextSubset {
    /// All of the request's texts.
    pub texts: Arc<Vec<String>>,
    /// The second texts of pairs: none, or one a text.
    pub pairs: Arc<Vec<String>>,
    /// The places of those that are meant, ascending.
    pub places: Vec<usize>,
    /// What happens to a text that is too long; absent for the model's own setting.
    pub truncation: Option<Truncation>,
}

impl TextSubset {
    /// All texts; with the second texts of pairs, if they are pairs.
    pub fn all(texts: Vec<String>, pairs: Vec<String>, truncation: Option<Truncation>) -> Self {
        let places = (0..texts.len()).collect();
        Self {
            texts: Arc::new(texts),
            pairs: Arc::new(pairs),
            places,
            truncation,
        }
    }

    /// The same texts, of which others are meant.
    pub fn at(&self, places: Vec<usize>) -> Self {
        Self { places, ..self.clone() }
    }

    /// The size of the texts together, in bytes.
    pub fn bytes(&self) -> usize {
        self.sizes().sum()
    }

    /// The size of each text with its second text, in bytes.
    pub fn sizes(&self) -> impl ExactSizeIterator<Item = usize> {
        self.places.iter().map(|&place| self.bytes_at(place))
    }

    /// The size of the text at a place with its second text, in bytes.
    pub fn bytes_at(&self, place: usize) -> usize {
        self.texts[place].len() + self.pair(place).map_or(0, str::len)
    }

    /// The second text of the pair at a place, if it is one.
    pub fn pair(&self, place: usize) -> Option<&str> {
        self.pairs.get(place).map(String::as_str)
    }
}
