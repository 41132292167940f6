//! Writes kept texts into the file that the operator names, on a thread of its own, which no request waits for.
//!
//! The file is opened anew for each group of texts. So when an operator moves or removes it, what is written next goes into
//! a new one, and nothing goes on living in a file without a name.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use super::start::StartError;
use crate::config::Settings;
use crate::model::paths::{folder_of, quoted};
use crate::service::catalog::kept::KeptTexts;
use crate::service::catalog::kept::file_queue::{FileQueue, MOST_WAITING, Waiting};
use crate::service::catalog::kept::line::line;
use crate::telemetry::kept::{Cause, KeptMetrics};

/// What the settings want kept, with the thread that writes it into a file where they name one. An error means that the
/// file can't be written, or that the system gives no thread.
pub fn start(settings: &Settings, metrics: &KeptMetrics) -> Result<Option<Arc<KeptTexts>>, StartError> {
    let named = settings.keep_file.as_ref().filter(|_| settings.keep_texts > 0);
    let file = named.map(|path| writer(path, settings.keep_file_bytes, metrics.clone()));
    let kept = KeptTexts::new(settings, metrics.clone(), file.transpose()?);
    if kept.is_some() {
        let file = named.map(|path| quoted(&path.display().to_string()));
        tracing::info!(
            texts = settings.keep_texts,
            file,
            "texts of requests are kept, for operators to label"
        );
    }
    Ok(kept.map(Arc::new))
}

/// Whether the file that the settings name could be written, for a look before a start: it is not made.
pub fn check(settings: &Settings) -> Result<(), StartError> {
    let Some(path) = settings.keep_file.as_ref().filter(|_| settings.keep_texts > 0) else {
        return Ok(());
    };
    let told = |error: io::Error| StartError::KeepFile(format!("keep_file: {}: {error}", path.display()));
    match opened(path, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder_of(path);
            rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).map_err(|error| told(error.into()))
        }
        found => found.map(drop).map_err(told),
    }
}

/// Starts the thread. It ends once the queue is closed, or gone.
fn writer(path: &Path, most: u64, metrics: KeptMetrics) -> Result<FileQueue, StartError> {
    let told = |error: io::Error| StartError::KeepFile(format!("keep_file: {}: {error}", path.display()));
    open(path).map_err(told)?;
    let (end, ended) = mpsc::channel();
    let (queue, waiting) = FileQueue::new(ended);
    let mut file = KeptFile {
        path: path.to_owned(),
        most,
        metrics,
        trouble: None,
        full: None,
    };
    std::thread::Builder::new()
        .name("kept-texts".into())
        .spawn(move || {
            file.follow(&waiting);
            drop(end);
        })
        .map_err(StartError::Threads)?;
    Ok(queue)
}

/// Opens the file for more lines; makes it for its owner alone if it is not there. A pipe, whose reader could hold up the
/// writer, is refused.
fn open(path: &Path) -> io::Result<File> {
    opened(path, true)
}

fn opened(path: &Path, create: bool) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(create)
        .mode(0o600)
        // A pipe without a reader would hold up the opening too.
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no ordinary file"))
    }
}

struct KeptFile {
    path: PathBuf,
    most: u64,
    metrics: KeptMetrics,
    /// Why the last text was not written; absent if it was. It is told when it begins.
    trouble: Option<Cause>,
    /// The file that was full, by its number, and its size then: it stays full until it is another, or smaller.
    full: Option<(u64, u64)>,
}

impl KeptFile {
    fn follow(&mut self, waiting: &Receiver<Waiting>) {
        while let Ok(first) = waiting.recv() {
            let more = std::iter::from_fn(|| waiting.try_recv().ok());
            let group: Vec<Waiting> = std::iter::once(first).chain(more).take(MOST_WAITING).collect();
            let opened = open(&self.path).and_then(|mut file| end_last_line(&mut file).map(|()| file));
            for waiting in &group {
                let written = match &opened {
                    Ok(file) => self.write(file, waiting),
                    Err(error) => Err((Cause::FileFailed, error.to_string())),
                };
                match written {
                    Ok(()) => self.trouble = None,
                    Err((cause, problem)) => self.failed(cause, &problem),
                }
            }
        }
    }

    /// Writes a text, or nothing of it.
    fn write(&mut self, mut file: &File, waiting: &Waiting) -> Result<(), (Cause, String)> {
        let failed = |error: io::Error| (Cause::FileFailed, error.to_string());
        let line = line(&waiting.kept, waiting.reasons);
        let metadata = file.metadata().map_err(failed)?;
        let (number, size) = (metadata.ino(), metadata.len());
        let was_full = self.full.is_some_and(|(full, at)| full == number && size >= at);
        if was_full || size.saturating_add(line.len() as u64) > self.most {
            self.full = Some((number, size));
            return Err((Cause::FileFull, format!("it may have {} bytes", self.most)));
        }
        file.write_all(&line).map_err(|error| {
            // Half a line would spoil the next one. If it can't be taken back, the next group ends it.
            let _ = file.set_len(size);
            failed(error)
        })
    }

    /// Counts a text that was not written, and tells why, unless the one before was not either for the same cause.
    fn failed(&mut self, cause: Cause, problem: &str) {
        self.metrics.dropped(cause);
        if self.trouble.replace(cause) != Some(cause) {
            let file = quoted(&self.path.display().to_string());
            tracing::warn!(file, problem, "kept texts are not written to keep_file");
        }
    }
}

/// Ends the last line, if whoever wrote it was cut off.
fn end_last_line(file: &mut File) -> io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::model::Tier;
    use crate::service::catalog::kept::text::{KeepReason, KeptAnswer, SeenText};
    use crate::telemetry::metrics::{Format, Metrics};

    fn settings(file: &Path, most: u64) -> Settings {
        Settings {
            keep_texts: 300,
            keep_bytes: 64 << 20,
            keep_file: Some(file.to_owned()),
            keep_file_bytes: most,
            ..Settings::default()
        }
    }

    /// Keeps texts, and waits until they are written or dropped; gives the metrics.
    fn kept(settings: &Settings, texts: &[&str]) -> String {
        let metrics = Metrics::new("");
        let kept = started(settings, &metrics);
        for text in texts {
            keep(&kept, text);
        }
        kept.close();
        String::from_utf8(metrics.render(Format::PlainText)).expect("UTF-8")
    }

    fn started(settings: &Settings, metrics: &Metrics) -> Arc<KeptTexts> {
        let kept = start(settings, metrics.kept()).expect("the file can be written");
        kept.expect("it is on")
    }

    fn keep(kept: &KeptTexts, text: &str) {
        let seen = SeenText {
            task: "a",
            text,
            pair: None,
        };
        kept.keep(seen, KeepReason::Random.into(), || (answer(), None));
    }

    fn answer() -> KeptAnswer {
        KeptAnswer {
            label: "good".to_owned(),
            predicted: vec!["good".to_owned()],
            withheld: false,
            multi_label: false,
            confidence: 0.5,
            tier: Tier::Fast,
            model: "a@1".to_owned(),
        }
    }

    fn texts(file: &Path) -> Vec<String> {
        let lines = std::fs::read_to_string(file).expect("the file");
        let lines = lines.lines().map(serde_json::from_str::<serde_json::Value>);
        let text = |line: serde_json::Value| line["text"].as_str().expect("a text").to_owned();
        lines.map(|line| text(line.expect("JSON"))).collect()
    }

    #[test]
    fn lines_are_appended_for_the_owner_alone_until_the_file_is_full() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kept.jsonl");
        kept(&settings(&file, 1 << 20), &["one\n\"two\"", "three", "three"]);
        let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(texts(&file), ["one\n\"two\"", "three"]);
        let size = std::fs::metadata(&file).expect("the file").len();
        // Room for one line more, as long as that of `three`.
        let line = std::fs::read_to_string(&file).expect("the file");
        let line = line.lines().last().expect("a line").len() as u64 + 1;
        let told = kept(&settings(&file, size + line), &["too long for it", "seven", "eight"]);
        // Full stays full: what is short is no likelier to be kept.
        assert_eq!(texts(&file), ["one\n\"two\"", "three"]);
        assert!(
            told.contains("tandem_kept_dropped_texts_total{cause=\"file_full\"} 3"),
            "{told}"
        );
        // Nothing is rotated; in memory they are kept all the same.
        assert!(
            told.contains("tandem_kept_texts_total{task=\"a\",reason=\"random\"} 3"),
            "{told}"
        );
    }

    #[test]
    fn where_it_was_moved_or_removed_the_next_text_begins_a_new_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kept.jsonl");
        let kept = started(&settings(&file, 1 << 20), &Metrics::new(""));
        let written = |text: &str| {
            keep(&kept, text);
            while !file.exists() || !texts(&file).contains(&text.to_owned()) {
                std::thread::yield_now();
            }
        };
        written("first");
        let moved = folder.path().join("moved.jsonl");
        std::fs::rename(&file, &moved).expect("moved");
        written("second");
        std::fs::remove_file(&file).expect("removed");
        written("third");
        kept.close();
        assert_eq!(
            (texts(&moved), texts(&file)),
            (vec!["first".to_owned()], vec!["third".to_owned()])
        );
        keep(&kept, "too late");
        assert_eq!(texts(&file), ["third"]);
    }

    #[test]
    fn what_finds_no_room_on_its_way_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kept.jsonl");
        // More than may wait at a time.
        let large = "x".repeat(9 << 20);
        let told = kept(&settings(&file, 1 << 30), &[&large, "small"]);
        assert_eq!(texts(&file), ["small"]);
        assert!(
            told.contains("tandem_kept_dropped_texts_total{cause=\"file_busy\"} 1"),
            "{told}"
        );
    }

    #[test]
    fn a_line_that_was_cut_off_spoils_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kept.jsonl");
        std::fs::write(&file, "{\"text\":\"cut").expect("written");
        kept(&settings(&file, 1 << 20), &["whole"]);
        let lines = std::fs::read_to_string(&file).expect("the file");
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, "{\"text\":\"cut"));
        assert!(
            lines[1].starts_with("{\"text\":\"whole\",\"label\":null,"),
            "{}",
            lines[1]
        );
    }

    #[test]
    fn what_can_not_be_written_fails_the_start_with_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
        for at in [folder.path().to_owned(), folder.path().join("no/such"), pipe] {
            let error = start(&settings(&at, 1 << 20), Metrics::new("").kept());
            let problem = error.err().expect("refused").to_string();
            assert!(
                problem.starts_with("keep_file: ") && problem.contains(&at.display().to_string()),
                "{problem}"
            );
        }
    }
}
