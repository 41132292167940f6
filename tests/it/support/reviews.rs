//! Real texts: the reviews of `tests/data/reviews.tsv`.

use std::sync::LazyLock;

/// One review.
pub struct Review {
    /// The label that people gave.
    pub label: &'static str,
    /// The text.
    pub text: String,
}

static REVIEWS: LazyLock<Vec<Review>> = LazyLock::new(|| {
    let file = include_str!("../../data/reviews.tsv");
    let rows = file.lines().skip(1).map(|line| {
        let mut fields = line.splitn(3, '\t').skip(1);
        let label = match fields.next() {
            Some("0") => "negative",
            Some("1") => "positive",
            other => panic!("{other:?} is no label"),
        };
        let text = fields.next().expect("a text").to_owned();
        Review { label, text }
    });
    rows.collect()
});

/// The first reviews.
pub fn reviews(count: usize) -> &'static [Review] {
    &REVIEWS[..count]
}

/// The texts of the first reviews.
pub fn texts(count: usize) -> Vec<&'static str> {
    reviews(count).iter().map(|review| review.text.as_str()).collect()
}
