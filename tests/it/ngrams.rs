//! The n-gram features are training's, to the last id: `tests/data/ngrams.jsonl` was written by training's code.

use serde::Deserialize;
use tandem::model::manifest::{HashedNgrams, Truncation};
use tandem::model::preprocess::ngrams::NgramExtractor;

#[derive(Deserialize)]
struct Vector {
    text: String,
    ids: Vec<u32>,
    ids_with_words: Vec<u32>,
}

#[test]
fn every_text_gets_the_ids_of_training() {
    let extractor = |max_words| {
        NgramExtractor::new(HashedNgrams {
            max_code_points: 256,
            min_n: 1,
            max_n: 4,
            max_words,
            buckets: 1 << 20,
        })
    };
    let (bare, with_words) = (extractor(0), extractor(2));
    let vectors = include_str!("../data/ngrams.jsonl").lines();
    let mut count = 0;
    for vector in vectors {
        let vector: Vector = serde_json::from_str(vector).expect("a vector");
        for (extractor, ids) in [(&bare, &vector.ids), (&with_words, &vector.ids_with_words)] {
            let encoding = extractor
                .encode(&vector.text, Truncation::End)
                .expect("cut, not refused");
            assert_eq!(&encoding.input.golden_ids(), ids, "{:?}", vector.text);
        }
        count += 1;
    }
    assert!(count > 20, "{count} vectors");
}
