//! The command line as a report tells it: for a shell to read again, and without secrets.

use crate::offline::report::origin;

/// The command that runs, quoted as a shell reads it. The token is a secret and left out.
pub fn told() -> String {
    let words = std::env::args_os().skip(1);
    of(words.map(|word| word.to_string_lossy().into_owned()).collect())
}

/// The command `tandem` with these words.
pub fn of(words: Vec<String>) -> String {
    let shown = words.iter().enumerate().map(|(at, word)| match word.split_once('=') {
        Some(("--token", _)) => "--token=…".to_owned(),
        _ if at > 0 && words[at - 1] == "--token" => "…".to_owned(),
        _ => word.clone(),
    });
    origin::command(std::iter::once("tandem".to_owned()).chain(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_in_no_report() {
        let words = |words: &[&str]| of(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(
            words(&["evaluate", "my texts.tsv", "--token", "secret", "--addr", "a:1"]),
            "tandem evaluate 'my texts.tsv' --token '…' --addr a:1"
        );
        assert_eq!(words(&["evaluate", "--token=secret"]), "tandem evaluate '--token=…'");
    }
}
