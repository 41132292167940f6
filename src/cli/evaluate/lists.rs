//! Lists of texts as CSV: where two contenders differ, and whose label is probably wrong.

use super::summary::Summary;
use crate::cli::evaluate::answering::Answered;
use crate::cli::predict::answers::csv_lines;
use crate::offline::dataset::Dataset;
use crate::offline::evaluation::answer::Answer;
use crate::offline::evaluation::contest;
use crate::offline::evaluation::tally::Labels;

/// What is listed.
pub struct Lists<'a> {
    pub dataset: &'a Dataset,
    pub labels: &'a [String],
    pub answered: &'a Answered,
    /// What stands between labels where a text has several.
    pub separator: &'a str,
}

impl Lists<'_> {
    /// The texts to which two contenders gave different labels, those first of which both are surest.
    pub fn differences(&self, summary: &Summary<'_>, most: usize) -> Vec<u8> {
        let [first, second] = &self.answered.answers[..] else {
            return Vec::new();
        };
        let mut header = ["line", "text", "truth"].map(str::to_owned).to_vec();
        for told in &summary.contenders {
            header.extend([told.name.to_owned(), format!("{} confidence", told.name)]);
        }
        let rows = contest::differing(first, second, most).into_iter().map(|at| {
            let mut row = self.row(at);
            row.extend(self.cells(&first[at]));
            row.extend(self.cells(&second[at]));
            row
        });
        csv_lines(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
    }

    /// The texts whose label the last contender holds least likely, the least likely first.
    pub fn doubts(&self, most: usize) -> Vec<u8> {
        let header = [
            "line",
            "text",
            "label",
            "answer",
            "confidence",
            "probability of the label",
        ]
        .map(str::to_owned);
        let answers = self.answered.answers.last().map_or(&[][..], Vec::as_slice);
        let rows = contest::doubted(&self.answered.texts, answers, most)
            .into_iter()
            .map(|at| {
                let mut row = self.row(at);
                row.extend(self.cells(&answers[at]));
                row.push(format!("{:.4}", (-answers[at].loss).exp()));
                row
            });
        csv_lines(&std::iter::once(header.to_vec()).chain(rows).collect::<Vec<_>>())
    }

    /// Line, text and truth of one of the texts.
    fn row(&self, at: usize) -> Vec<String> {
        let place = self.answered.places[at];
        vec![
            self.dataset.examples[place].line.to_string(),
            self.dataset.text(place).into_owned(),
            self.names(&self.answered.texts[at].truth),
        ]
    }

    fn cells(&self, answer: &Answer) -> [String; 2] {
        [self.names(&answer.given), format!("{:.4}", answer.confidence)]
    }

    fn names(&self, labels: &Labels) -> String {
        let names = labels
            .places()
            .iter()
            .map(|&label| self.labels[label as usize].as_str());
        names.collect::<Vec<_>>().join(self.separator)
    }
}
