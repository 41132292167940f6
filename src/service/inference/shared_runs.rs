//! Shared runs: what the tasks of a request with several tasks do once for all of them. A text runs once on a model that
//! serves several of the tasks, by one head each; and it is hashed once for fast models that hash alike.
//!
//! Lives as long as its request. Where the answer cache is on, that one has rows shared already.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::answer_cache::AnswerCache;
use super::texts::TextSubset;
use crate::model::input::{EncodeError, Encoding};
use crate::model::manifest::{HashedNgrams, Truncation};

/// The most bytes of rows that one request shares. What finds no room runs once more.
const MOST_BYTES: usize = 64 << 20;

/// What the tasks of one request share.
pub struct SharedRuns {
    /// The models of which rows are shared, by their fingerprints.
    models: BTreeSet<String>,
    rows: Arc<AnswerCache>,
    features: Mutex<Vec<HashedTexts>>,
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
    /// For a request of so many texts, of which these models, by their fingerprints, serve several tasks.
    pub fn new(models: BTreeSet<String>, texts: usize) -> Self {
        Self {
            rows: Arc::new(AnswerCache::of_request(texts * models.len(), MOST_BYTES)),
            models,
            features: Mutex::default(),
        }
    }

    /// Where the rows of a model are shared; `None` for a model that serves one task of the request.
    pub fn rows(&self, fingerprint: &str) -> Option<&Arc<AnswerCache>> {
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
        let shared = SharedRuns::new(BTreeSet::new(), 2);
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
    }
}
