//! Real reviews, from the committed fixture.

use super::root;

/// The first `count` reviews.
pub fn reviews(count: usize) -> Vec<String> {
    let file = std::fs::read_to_string(root().join("tests/data/reviews.tsv")).expect("the fixture");
    let texts = file.lines().skip(1).filter_map(|line| line.splitn(3, '\t').nth(2));
    let reviews: Vec<String> = texts.take(count).map(str::to_owned).collect();
    assert_eq!(reviews.len(), count);
    reviews
}
