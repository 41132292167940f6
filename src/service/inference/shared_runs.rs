//! Shared runs: what the tasks of a request with several tasks do once for all of them. A text runs once on a model that
//! serves several of the tasks, by one head each; it is hashed once for fast models that hash alike; and texts are cut into
//! windows once for tasks that cut alike.
//!
//! Lives as long as its request, also where the answer cache is on: that one waits for another request's rows for a while
//! only, this one until the deadline.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::answer_cache::AnswerCache;
use super::texts::TextSubset;
use crate::model::input::{EncodeError, Encoding};
use crate::model::manifest::{HashedNgrams, Truncation};
use crate::model::preprocess::windows::{WindowSize, Windows};

/// The most bytes of rows that one request shares. What finds no room runs once more.
const MOST_BYTES: usize = 64 << 20;

/// What the tasks of one request share.
pub struct SharedRuns {
    /// The models of which rows are shared, by their fingerprints.
    models: BTreeSet<String>,
    rows: AnswerCache,
    /// The ways of hashing that several models share.
    hashing: Vec<HashedNgrams>,
    features: Mutex<Vec<HashedTexts>>,
    cuts: Mutex<Vec<(CutKey, CutCell)>>,
}

/// Which models read windows, by their fingerprints, and how the texts are cut.
#[derive(Clone, Debug, PartialEq)]
pub struct CutKey {
    pub models: Vec<String>,
    pub size: WindowSize,
    pub truncation: Option<Truncation>,
}

/// Where the first task that cuts texts so puts them.
pub type CutCell = Arc<OnceCell<Arc<CutTexts>>>;

/// A request's texts in windows.
pub struct CutTexts {
    /// The windows of all texts, one after the other.
    pub texts: TextSubset,
    /// Those of each text.
    pub of_text: Vec<Windows>,
}

/// The features of a request's texts, by one way of hashing.
#[derive(Clone)]
struct HashedTexts {
    settings: HashedNgrams,
    truncation: Option<Truncation>,
    texts: Arc<Vec<String>>,
    of_text: Arc<Vec<OnceLock<Result<Encoding, EncodeError>>>>,
}

impl SharedRuns {
    /// For a request of so many texts, of which these models, by their fingerprints, serve several tasks, and several models
    /// hash in these ways.
    pub fn new(models: BTreeSet<String>, hashing: Vec<HashedNgrams>, texts: usize) -> Self {
        Self {
            rows: AnswerCache::of_request(texts * models.len(), MOST_BYTES),
            models,
            hashing,
            features: Mutex::default(),
            cuts: Mutex::default(),
        }
    }

    /// Where texts that are cut like this are put.
    pub fn cut(&self, key: CutKey) -> CutCell {
        let mut cuts = self.cuts.lock();
        if let Some((_, cell)) = cuts.iter().find(|(known, _)| *known == key) {
            return Arc::clone(cell);
        }
        let cell = CutCell::default();
        cuts.push((key, Arc::clone(&cell)));
        cell
    }

    /// Where the rows of a model are shared; `None` for a model that serves one task of the request.
    pub fn rows(&self, fingerprint: &str) -> Option<&AnswerCache> {
        Some(&self.rows).filter(|_| self.models.contains(fingerprint))
    }

    /// The features of the text at a position by these settings: from `hash`, unless they are known.
    pub fn features(
        &self,
        settings: &HashedNgrams,
        texts: &TextSubset,
        at: usize,
        hash: impl FnOnce() -> Result<Encoding, EncodeError>,
    ) -> Result<Encoding, EncodeError> {
        if !self.hashing.contains(settings) {
            return hash();
        }
        let hashed = self.hashed(settings, texts);
        match hashed.get(at) {
            Some(known) => known.get_or_init(hash).clone(),
            None => hash(),
        }
    }

    fn hashed(&self, settings: &HashedNgrams, texts: &TextSubset) -> Arc<Vec<OnceLock<Result<Encoding, EncodeError>>>> {
        let mut features = self.features.lock();
        let known = features.iter().find(|known| {
            known.settings == *settings
                && known.truncation == texts.truncation
                && Arc::ptr_eq(&known.texts, &texts.texts)
        });
        if let Some(known) = known {
            return Arc::clone(&known.of_text);
        }
        let of_text = Arc::new(vec![OnceLock::new(); texts.texts.len()]);
        features.push(HashedTexts {
            settings: settings.clone(),
            truncation: texts.truncation,
            texts: Arc::clone(&texts.texts),
            of_text: Arc::clone(&of_text),
        });
        of_text
    }
}

impl std::fmt::Debug for SharedRuns {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No texts.
        formatter.debug_struct("SharedRuns").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::model::ModelInput;

    #[test]
    fn a_text_is_hashed_once_for_each_way_of_hashing() {
        let settings = |buckets| HashedNgrams {
            max_code_points: 256,
            min_n: 1,
            max_n: 3,
            max_words: 0,
            buckets,
        };
        let shared = SharedRuns::new(BTreeSet::new(), vec![settings(8), settings(16)], 2);
        let texts = TextSubset::all(vec!["a".to_owned(), "b".to_owned()], Vec::new(), None);
        let hashed = Cell::new(0);
        let hash = || {
            hashed.set(hashed.get() + 1);
            Ok(Encoding {
                input: ModelInput::Features(vec![hashed.get()]),
                token_count: 1,
                truncated: false,
            })
        };
        let first = shared.features(&settings(8), &texts, 0, hash).expect("features");
        let again = shared.features(&settings(8), &texts, 0, hash).expect("features");
        assert_eq!((first, hashed.get()), (again, 1));
        for (settings, texts, at) in [
            (settings(16), texts.clone(), 0),
            (settings(8), texts.clone(), 1),
            (settings(8), texts.clone().with_truncation(Some(Truncation::Start)), 0),
            (settings(8), texts.copy_of(&[0, 1]), 0),
        ] {
            let before = hashed.get();
            shared.features(&settings, &texts, at, hash).expect("features");
            assert_eq!(hashed.get(), before + 1);
        }
        // What one model alone hashes is not kept.
        for _ in 0..2 {
            let before = hashed.get();
            shared.features(&settings(32), &texts, 0, hash).expect("features");
            assert_eq!(hashed.get(), before + 1);
        }
        assert_eq!(shared.features.lock().len(), 4);
    }
}
