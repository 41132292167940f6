//! Where the texts of a dataset are held: the first ones in memory, and what is more than fits there in a temporary file
//! without a name, which goes with the process however that ends.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// The most bytes of texts that are held in memory.
const MOST_IN_MEMORY: usize = 256 << 20;

/// Texts, in the order in which they were added.
pub struct Texts {
    /// Where each text ends, counted through memory and then the file.
    ends: Vec<u64>,
    memory: String,
    most_in_memory: usize,
    file: Option<BufWriter<File>>,
    /// Why a text could not be read back, if one could not.
    lost: OnceLock<String>,
}

impl Default for Texts {
    fn default() -> Self {
        Self::with_most_in_memory(MOST_IN_MEMORY)
    }
}

impl Texts {
    /// No texts yet, and room for so many bytes of them in memory.
    pub fn with_most_in_memory(bytes: usize) -> Self {
        Self {
            ends: Vec::new(),
            memory: String::new(),
            most_in_memory: bytes,
            file: None,
            lost: OnceLock::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds a text. The error is one line: the temporary file can't be made or written.
    pub fn push(&mut self, text: &str) -> Result<(), String> {
        let end = self.ends.last().copied().unwrap_or_default() + text.len() as u64;
        if self.file.is_none() && self.memory.len() + text.len() <= self.most_in_memory {
            self.memory.push_str(text);
        } else {
            if self.file.is_none() {
                self.file = Some(BufWriter::new(tempfile::tempfile().map_err(|error| self.told(&error))?));
            }
            if let Some(file) = &mut self.file {
                let written = file.write_all(text.as_bytes());
                written.map_err(|error| self.told(&error))?;
            }
        }
        self.ends.push(end);
        Ok(())
    }

    /// Ends the adding: whatever was added can be read from here on.
    pub fn finish(&mut self) -> Result<(), String> {
        let flushed = self.file.as_mut().map_or(Ok(()), |file| file.flush());
        flushed.map_err(|error| self.told(&error))
    }

    fn told(&self, error: &dyn std::fmt::Display) -> String {
        format!(
            "its texts take more than the {} MiB that are held in memory, and the others can't be written into a temporary \
             file in {}: {error}; make room there, or set TMPDIR to a folder that has room",
            self.most_in_memory >> 20,
            std::env::temp_dir().display()
        )
    }

    /// A text, by its place in the order of adding. One that the disk does not give back is empty, and
    /// [`Self::check_whole`] tells.
    ///
    /// # Panics
    ///
    /// If there is no such text.
    pub fn get(&self, at: usize) -> Cow<'_, str> {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let (end, in_memory) = (self.ends[at], self.memory.len() as u64);
        // An empty text at the border is in either.
        let Some(file) = self.file.as_ref().filter(|_| end > in_memory) else {
            return Cow::Borrowed(&self.memory[start as usize..end as usize]);
        };
        let mut bytes = vec![0; (end - start) as usize];
        let read = file.get_ref().read_exact_at(&mut bytes, start - in_memory);
        let text = read.map_err(|error| error.to_string());
        let text = text.and_then(|()| String::from_utf8(bytes).map_err(|error| error.to_string()));
        match text {
            Ok(text) => Cow::Owned(text),
            Err(problem) => {
                self.lost.get_or_init(|| problem);
                Cow::Borrowed("")
            }
        }
    }

    /// Fails if a text could not be read back: whatever was made of the texts is then worth nothing. The error is one
    /// line.
    pub fn check_whole(&self) -> Result<(), String> {
        self.lost.get().map_or(Ok(()), |problem| {
            Err(format!(
                "the temporary file in {} did not give back what was written into it ({problem}): nothing of what was \
                 found is kept; set TMPDIR to another disk",
                std::env::temp_dir().display()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_from_memory_and_from_the_file() {
        for most in [0, 1, 5, 9, 1000] {
            let mut texts = Texts::with_most_in_memory(most);
            let added = ["", "좋아요", "", "b", "나", "", "a longer text", "c", ""];
            for text in added {
                texts.push(text).expect("added");
            }
            texts.finish().expect("written");
            let back: Vec<_> = (0..texts.len()).map(|at| texts.get(at)).collect();
            assert_eq!(back, added, "{most}");
            assert_eq!(texts.file.is_some(), most < 1000);
            assert!(texts.memory.len() <= most);
        }
    }

    #[test]
    fn texts_that_the_disk_does_not_give_back_are_told() {
        let mut texts = Texts::with_most_in_memory(2);
        for text in ["ab", "in the file", "다"] {
            texts.push(text).expect("added");
        }
        texts.finish().expect("written");
        let on_disk = |texts: &Texts| {
            texts
                .file
                .as_ref()
                .map(|file| file.get_ref().try_clone().expect("a file"))
        };
        let file = on_disk(&texts).expect("a file");
        assert_eq!((texts.get(2), texts.check_whole()), ("다".into(), Ok(())));
        // Other bytes, then none.
        file.write_all_at(&[0xff; 3], 11).expect("written");
        assert_eq!(texts.get(1), "in the file");
        assert_eq!(texts.check_whole(), Ok(()));
        assert_eq!(texts.get(2), "");
        assert!(
            texts
                .check_whole()
                .expect_err("other bytes")
                .contains("did not give back")
        );
        file.set_len(0).expect("cut");
        assert_eq!((texts.get(0), texts.get(1)), ("ab".into(), "".into()));
        assert!(texts.check_whole().is_err());
    }

    #[test]
    fn a_text_that_does_not_fit_sends_all_later_ones_to_the_file() {
        let mut texts = Texts::with_most_in_memory(4);
        for text in ["ab", "too long", "c"] {
            texts.push(text).expect("added");
        }
        texts.finish().expect("written");
        assert_eq!(texts.memory, "ab");
        assert_eq!((texts.get(1), texts.get(2)), ("too long".into(), "c".into()));
    }
}
