//! What the deep model says of many texts. Kept in a file as it goes, so that a run that was stopped goes on.
//!
//! The file is a line of JSON, then the logits of the rows in their order, four bytes each, little-endian; not a number for
//! a text that the model does not answer.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde::{Deserialize, Serialize};

use crate::model::loading::FastPath;
use crate::model::repository::VerifiedModel;
use crate::offline::dataset::Dataset;
use crate::offline::local_model::{LocalModel, Output};

/// How many texts are asked at a time; what a run that is killed loses.
const WINDOW: usize = 2_048;
/// The longest first line.
const LONGEST_HEAD: u64 = 4_096;
/// The most logits that are held: 1 GiB.
const MOST_LOGITS: usize = 1 << 28;

/// What a file holds the answers of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The deep model's fingerprint.
    pub model: String,
    /// The SHA-256 of the file of texts, or what else tells one from another.
    pub texts: String,
    pub rows: usize,
    pub classes: usize,
}

/// The answers to all rows.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Row by row, a logit for each class in the model's order.
    logits: Vec<f32>,
    classes: usize,
}

impl Answers {
    /// The logits of a row; `None` if the model did not answer it.
    pub fn row(&self, at: usize) -> Option<&[f32]> {
        let logits = &self.logits[at * self.classes..][..self.classes];
        logits.iter().all(|logit| logit.is_finite()).then_some(logits)
    }

    /// How many rows are without an answer.
    pub fn missing(&self) -> usize {
        let rows = self.logits.chunks_exact(self.classes);
        rows.filter(|row| row.iter().any(|logit| !logit.is_finite())).count()
    }
}

/// How the teacher gets on.
pub trait Watch: Sync {
    /// So many texts are answered, `kept` of them by an earlier run.
    fn answered(&self, done: usize, kept: usize, all: usize);
    /// Whether to go on.
    fn going(&self) -> ControlFlow<()>;
}

/// Asks the model for every row, on so many threads. `None` if it was told to stop; the file then has what is done. The
/// error is one line.
pub fn ask(
    model: &VerifiedModel,
    dataset: &Dataset,
    head: &Head,
    path: &Path,
    threads: NonZeroUsize,
    watch: &dyn Watch,
) -> Result<Option<Answers>, String> {
    let wanted = head.rows.saturating_mul(head.classes);
    if wanted > MOST_LOGITS {
        return Err(format!(
            "{} texts of {} labels are more than {MOST_LOGITS} probabilities, the limit: take a part of the texts",
            head.rows, head.classes
        ));
    }
    let told = |error: io::Error| format!("{}: {error}", path.display());
    let (mut file, mut logits) = open(path, head).map_err(told)?;
    let kept = logits.len() / head.classes;
    watch.answered(kept, kept, head.rows);
    if kept == head.rows {
        return Ok(Some(Answers {
            logits,
            classes: head.classes,
        }));
    }
    let mut sessions = LocalModel::load_many(model, threads.get(), 1, FastPath::default())?;
    let done = AtomicUsize::new(kept);
    while logits.len() < wanted {
        if watch.going().is_break() {
            return Ok(None);
        }
        let start = logits.len() / head.classes;
        let rows: Vec<usize> = (start..(start + WINDOW).min(head.rows)).collect();
        let answers = window(&mut sessions, dataset, &rows, &|count| {
            let done = done.fetch_add(count, Ordering::Relaxed) + count;
            watch.answered(done, kept, head.rows);
        });
        // Answers to texts that were lost must not be kept.
        dataset.check_whole()?;
        let missing = vec![f32::NAN; head.classes];
        let of_rows = answers.iter().flat_map(|answer| match answer {
            Some(answer) if answer.logits.len() == head.classes => {
                answer.logits.iter().map(|&logit| logit as f32).collect()
            }
            _ => missing.clone(),
        });
        let of_rows: Vec<f32> = of_rows.collect();
        let bytes: Vec<u8> = of_rows.iter().flat_map(|logit| logit.to_le_bytes()).collect();
        file.write_all(&bytes).map_err(told)?;
        logits.extend(of_rows);
    }
    file.sync_all().map_err(told)?;
    Ok(Some(Answers {
        logits,
        classes: head.classes,
    }))
}

/// Asks for some rows: every so many-th goes to the same session, so that each gets short and long texts.
fn window(
    sessions: &mut [LocalModel],
    dataset: &Dataset,
    rows: &[usize],
    done: &(dyn Fn(usize) + Sync),
) -> Vec<Option<Output>> {
    let count = sessions.len();
    let mut answers: Vec<Option<Output>> = vec![None; rows.len()];
    thread::scope(|scope| {
        let one = |(at, session)| {
            scope.spawn(move || {
                let session: &mut LocalModel = session;
                let texts: Vec<_> = rows
                    .iter()
                    .skip(at)
                    .step_by(count)
                    .map(|&row| dataset.text(row))
                    .collect();
                let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
                session.run(&texts, done)
            })
        };
        let running: Vec<_> = sessions.iter_mut().enumerate().map(one).collect();
        for (at, thread) in running.into_iter().enumerate() {
            let of_session = thread.join().expect("a session does not panic");
            for (place, answer) in answers.iter_mut().skip(at).step_by(count).zip(of_session) {
                *place = answer;
            }
        }
    });
    answers
}

/// Opens the file, new or with what an earlier run of the same left in it. What is cut off in the middle of a row goes.
fn open(path: &Path, head: &Head) -> io::Result<(File, Vec<f32>)> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let mut first = Vec::new();
    let mut reader = BufReader::new(&file);
    reader.by_ref().take(LONGEST_HEAD).read_until(b'\n', &mut first)?;
    if serde_json::from_slice::<Head>(&first).ok().as_ref() != Some(head) {
        drop(reader);
        file.set_len(0)?;
        file.rewind()?;
        let line = serde_json::to_string(head).map_err(io::Error::other)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        return Ok((file, Vec::new()));
    }
    let most = head.rows as u64 * head.classes as u64 * 4;
    let mut bytes = Vec::new();
    reader.take(most).read_to_end(&mut bytes)?;
    let whole = bytes.len() - bytes.len() % (head.classes * 4);
    let (numbers, _) = bytes[..whole].as_chunks::<4>();
    let logits = numbers.iter().map(|&number| f32::from_le_bytes(number)).collect();
    let end = first.len() as u64 + whole as u64;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    Ok((file, logits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            model: "a".to_owned(),
            texts: "b".to_owned(),
            rows: 3,
            classes: 2,
        }
    }

    #[test]
    fn what_is_in_the_file_is_kept_but_for_a_row_that_was_cut() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("answers");
        let (mut file, logits) = open(&path, &head()).expect("opened");
        assert!(logits.is_empty());
        for number in [1.0_f32, 2.0, 3.0] {
            file.write_all(&number.to_le_bytes()).expect("written");
        }
        drop(file);
        let (mut file, logits) = open(&path, &head()).expect("opened");
        assert_eq!(logits, [1.0, 2.0]);
        file.write_all(&5.0_f32.to_le_bytes()).expect("written");
        file.write_all(&f32::NAN.to_le_bytes()).expect("written");
        drop(file);
        let (_, logits) = open(&path, &head()).expect("opened");
        assert_eq!(logits.len(), 4);
        assert_eq!(logits[2], 5.0);
        let answers = Answers { logits, classes: 2 };
        assert_eq!(
            (answers.row(0), answers.row(1), answers.missing()),
            (Some([1.0, 2.0].as_slice()), None, 1)
        );
    }

    #[test]
    fn the_answers_of_another_model_are_not_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("answers");
        let (mut file, _) = open(&path, &head()).expect("opened");
        file.write_all(&[0; 8]).expect("written");
        let other = Head {
            model: "c".to_owned(),
            ..head()
        };
        assert!(open(&path, &other).expect("opened").1.is_empty());
    }
}
