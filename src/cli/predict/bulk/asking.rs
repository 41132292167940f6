//! Asks about the rows of a block: sorted by length, in requests of like texts, several at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::block::Original;
use crate::cli::outcome::{Outcome, failure};
use crate::cli::predict::backend::Backend;
use crate::cli::predict::question::{Named, Question};
use crate::offline::reader::Fields;

/// The most bytes of texts in one request. A single text may have more.
const MOST_BYTES: usize = 1 << 20;

/// Whom to ask, and how.
#[derive(Clone)]
pub struct Asker {
    pub question: Arc<Question>,
    pub backend: Backend,
    /// The most texts in one request.
    pub texts_a_request: usize,
    /// How many requests may be open at a time.
    pub open: Arc<Semaphore>,
}

/// Texts of one request, by their places in the block.
type Part = (Vec<usize>, Vec<Result<Fields, String>>);

/// The outcome of a row.
pub type Answer = Result<Named, String>;

impl Asker {
    /// Takes the texts out of `rows` and asks about them, in a task that ends with the last answer, at a failure, or when it is
    /// aborted.
    pub fn begin(&self, rows: &mut [Original]) -> JoinHandle<Outcome<Vec<Answer>>> {
        let taken = rows.iter_mut().map(|row| {
            let taken = Err(String::new());
            std::mem::replace(&mut row.fields, taken)
        });
        let fields: Vec<Result<Fields, String>> = taken.collect();
        let asker = self.clone();
        tokio::spawn(async move { asker.ask(fields).await })
    }

    async fn ask(self, fields: Vec<Result<Fields, String>>) -> Outcome<Vec<Answer>> {
        let mut answers: Vec<Answer> = Vec::with_capacity(fields.len());
        let mut readable = Vec::with_capacity(fields.len());
        for (at, fields) in fields.into_iter().enumerate() {
            answers.push(Err(match fields {
                Ok(fields) => {
                    readable.push((at, fields));
                    "no answer".to_owned()
                }
                Err(problem) => problem,
            }));
        }
        let mut tasks = JoinSet::new();
        for (places, rows) in parts(readable, self.texts_a_request) {
            let mut asker = self.clone();
            tasks.spawn(async move {
                let _open = asker.open.acquire().await;
                let answers = asker.question.ask_named(&mut asker.backend, &rows).await;
                answers.map(|answers| (places, answers))
            });
        }
        while let Some(part) = tasks.join_next().await {
            let (places, of_part) = part.map_err(failure)??;
            for (at, answer) in places.into_iter().zip(of_part) {
                answers[at] = answer;
            }
        }
        Ok(answers)
    }
}

/// Texts sorted by length, so that those of a request are alike.
fn parts(mut rows: Vec<(usize, Fields)>, most: usize) -> Vec<Part> {
    rows.sort_by_key(|(_, fields)| fields.size());
    let mut parts: Vec<Part> = Vec::new();
    let mut bytes = 0;
    for (at, fields) in rows {
        let own = fields.size();
        match parts.last_mut() {
            Some((places, part)) if places.len() < most && bytes + own <= MOST_BYTES => {
                places.push(at);
                part.push(Ok(fields));
                bytes += own;
            }
            _ => {
                parts.push((vec![at], vec![Ok(fields)]));
                bytes = own;
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_request_are_alike_and_within_its_bounds() {
        let fields = |length: usize| Fields {
            text: "a".repeat(length),
            ..Fields::default()
        };
        let lengths = [5, 1, MOST_BYTES, 2, 7, MOST_BYTES - 1];
        let rows = lengths.iter().map(|&length| fields(length)).enumerate().collect();
        let places: Vec<Vec<usize>> = parts(rows, 3).into_iter().map(|(places, _)| places).collect();
        assert_eq!(places, [vec![1, 3, 0], vec![4], vec![5], vec![2]]);
        assert!(parts(Vec::new(), 3).is_empty());
    }
}
