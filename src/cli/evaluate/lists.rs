//! Lists of texts as CSV: where two contenders differ, and whose label is probably wrong.

use super::summary::{Summary, Told};
use crate::cli::evaluate::answering::Answered;
use crate::offline::dataset::Dataset;
use crate::offline::evaluation::answer::Answer;
use crate::offline::evaluation::contest;
use crate::offline::report::words::csv;

/// What is listed.
pub struct Lists<'a> {
    pub dataset: &'a Dataset,
    pub labels: &'a [String],
    pub answered: &'a Answered,
    /// Whether no text may be shown.
    pub without_texts: bool,
}

impl Lists<'_> {
    /// The texts to which two contenders gave different labels, those first of which both are surest.
    pub fn differences(&self, summary: &Summary<'_>, most: usize) -> String {
        let [first, second] = &self.answered.answers[..] else {
            return String::new();
        };
        let of = |told: &Told<'_>| [told.name.to_owned(), format!("{} confidence", told.name)];
        let told: Vec<String> = summary.contenders.iter().flat_map(of).collect();
        let header: Vec<&str> = self.head("truth").chain(told.iter().map(String::as_str)).collect();
        let rows = contest::differing(first, second, most).into_iter().map(|at| {
            let mut row = self.row(at);
            row.extend(self.cells(&first[at]));
            row.extend(self.cells(&second[at]));
            row
        });
        csv(&header, rows)
    }

    /// The texts whose label the last contender holds least likely, the least likely first.
    pub fn doubts(&self, most: usize) -> String {
        let more = ["answer", "confidence", "probability of the label"];
        let header: Vec<&str> = self.head("label").chain(more).collect();
        let answers = self.answered.answers.last().map_or(&[][..], Vec::as_slice);
        let rows = contest::doubted(&self.answered.texts, answers, most)
            .into_iter()
            .map(|at| {
                let mut row = self.row(at);
                row.extend(self.cells(&answers[at]));
                row.push(format!("{:.4}", (-answers[at].loss).exp()));
                row
            });
        csv(&header, rows)
    }

    /// The names of the columns of [`Self::row`].
    fn head<'n>(&self, truth: &'n str) -> impl Iterator<Item = &'n str> + use<'n> {
        let text = (!self.without_texts).then_some("text");
        std::iter::once("line").chain(text).chain([truth])
    }

    /// Line, text and truth of one of the texts.
    fn row(&self, at: usize) -> Vec<String> {
        let place = self.answered.places[at];
        let line = self.dataset.examples[place].line.to_string();
        let truth = self.answered.texts[at].truth.names(self.dataset);
        std::iter::once(line).chain(self.text(place)).chain([truth]).collect()
    }

    /// A text of the dataset, if it may be shown.
    pub fn text(&self, place: usize) -> Option<String> {
        (!self.without_texts).then(|| self.dataset.text(place).into_owned())
    }

    fn cells(&self, answer: &Answer) -> [String; 2] {
        [answer.given.names(self.dataset), format!("{:.4}", answer.confidence)]
    }
}
