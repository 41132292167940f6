//! The sections that end a report: what to do next, and what it takes to make it again.

use super::page::{Block, Section};

/// What a report was made with.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The command, as [`command`] writes it.
    pub command: String,
    /// The seed of every draw.
    pub seed: Option<u64>,
    /// Versions and hashes, by their names: `tandem` → `0.1.0`, `sentiment-fast/1` → a fingerprint.
    pub facts: Vec<(String, String)>,
}

/// What it takes to make the report again.
pub fn section(origin: &Origin) -> Section {
    let seed = origin.seed.map(|seed| ("seed".to_owned(), seed.to_string()));
    let version = ("tandem".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let facts = seed.into_iter().chain([version]).chain(origin.facts.iter().cloned());
    Section::new("To make this again")
        .with(Block::Code(origin.command.clone()))
        .with(Block::Facts(facts.collect()))
}

/// What to do next: reasons, each with the command that does it.
pub fn next(steps: &[(String, String)]) -> Section {
    let mut section = Section::new("What to do next");
    for (why, command) in steps {
        section = section.text(why.clone()).with(Block::Code(command.clone()));
    }
    section
}

/// A command line that a shell reads as these words.
pub fn command(words: impl Iterator<Item = String>) -> String {
    let quoted = words.map(|word| {
        let plain = |value: char| value.is_alphanumeric() || "-_./=:,@%+".contains(value);
        if !word.is_empty() && word.chars().all(plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_quoted_as_a_shell_reads_it() {
        let words = ["tandem", "train", "my texts.csv", "--map", "it's=a", "리뷰.tsv", ""];
        assert_eq!(
            command(words.into_iter().map(str::to_owned)),
            "tandem train 'my texts.csv' --map 'it'\\''s=a' 리뷰.tsv ''"
        );
    }
}
