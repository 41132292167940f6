//! Whether a scikit-learn export still finds the words that it was trained on: runs each vectorizer of the graph on its
//! own words and reads what it counts.

use std::time::Duration;

use super::graph::Graph;
use super::notes::Notes;
use super::sklearn_graph::{Branch, Ngram};
use super::sklearn_tries::{OpenProbe, Tries};
use crate::model::onnx::{LOCALE, Probe, Seen, USUAL_LOCALE};
use crate::model::runner::RunError;

/// The most words of each vectorizer that are tried.
const MAX_WORDS: usize = 200;
/// The time after which no more words are tried.
const ENOUGH: Duration = Duration::from_secs(1);
/// A model is broken from this share of lost words on: one in so many.
const MANY: usize = 10;
/// With this many words, some should be short, if short words are counted at all.
const SOME: usize = 20;
/// With this many English words, some should be among the commonest ones.
const ENGLISH: usize = 100;
/// Words that scikit-learn's own list of English stop words removes, and hardly anything else does.
const COMMONEST: [&str; 8] = ["the", "and", "of", "to", "in", "is", "for", "that"];

const FOLDING: &str = "export it with the vectorizer's option locale=\"C.UTF-8\"";
const STOP_WORDS: &str = "fit the vectorizer without stop_words, or with ngram_range=(1, 1)";

/// Adds notes on words that are lost, and on words whose case is not folded.
pub(super) fn note(open: OpenProbe<'_>, graph: &Graph, notes: &mut Notes) -> Result<(), String> {
    let branches = graph.branches();
    let mut values = Vec::new();
    for branch in &branches {
        values.push(branch.output);
        values.extend(branch.tokens());
    }
    if values.is_empty() {
        return Ok(());
    }
    let mut probe = open(&values)?;
    let mut first = 0;
    for (at, branch) in branches.iter().enumerate() {
        let which = match branches.len() {
            1 => String::new(),
            _ => format!("its vectorizer {} (`{}`): ", at + 1, branch.output),
        };
        let mut looked = Looked {
            branch,
            counts: first,
            probe: &mut probe,
            which,
        };
        first += 1 + usize::from(branch.tokens().is_some());
        looked.note_stop_words(notes);
        let found = looked
            .note_lost(notes)
            .and_then(|()| looked.note_short(notes))
            .and_then(|()| looked.note_spaces(notes))
            .and_then(|()| looked.note_case(notes));
        found.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A vectorizer, and where the probe shows its counts.
struct Looked<'a> {
    branch: &'a Branch<'a>,
    /// The index of the counts among the values that the probe shows; the tokens, if there are any, come after them.
    counts: usize,
    probe: &'a mut Probe,
    /// The beginning of its notes, where there are several vectorizers.
    which: String,
}

impl Looked<'_> {
    fn counts(&mut self, text: &str) -> Result<Vec<f32>, RunError> {
        match self.probe.see(text)?.swap_remove(self.counts) {
            Seen::Numbers(counts) => Ok(counts),
            // A text that is a stop word gives no row.
            Seen::Texts(_) | Seen::Other => Ok(Vec::new()),
        }
    }

    fn tokens(&mut self, text: &str) -> Result<Vec<String>, RunError> {
        match self.probe.see(text)?.swap_remove(self.counts + 1) {
            Seen::Texts(tokens) => Ok(tokens),
            Seen::Numbers(_) | Seen::Other => Ok(Vec::new()),
        }
    }

    /// Adds a note if it does not find some of its own words.
    fn note_lost(&mut self, notes: &mut Notes) -> Result<(), RunError> {
        let all = self.branch.shortest();
        let mut lost: Vec<&str> = Vec::new();
        let (mut tried, mut tries) = (0, Tries::new(ENOUGH));
        for Ngram { text, column } in some(&all) {
            let counted = self.counts(text)?;
            if counted.get(*column).is_none_or(|&count| count == 0.0) {
                lost.push(text);
            }
            tried += 1;
            if tries.are_enough() {
                break;
            }
        }
        let Self { which, branch, .. } = &*self;
        let pattern = branch.token_pattern();
        if lost.is_empty() {
            return match pattern {
                Some(pattern) if !all.is_empty() && all.iter().all(|word| word.text.is_ascii()) => {
                    self.note_ascii(&pattern, notes)
                }
                _ => Ok(()),
            };
        }
        let foreign = lost.iter().all(|word| !word.is_ascii());
        let cause = match (&pattern, foreign) {
            (Some(pattern), true) => format!("its token pattern `{pattern}` does not find them, all outside ASCII"),
            (Some(pattern), false) => format!("its token pattern `{pattern}` does not find them"),
            (None, _) => "its tokenizer does not find them".to_owned(),
        };
        let examples: Vec<String> = lost.iter().take(3).map(|word| format!("`{word}`")).collect();
        let told = format!(
            "{which}{} of {tried} words of its vocabulary that were tried are lost ({:.0} %, for instance {}): {cause}",
            lost.len(),
            lost.len() as f64 * 100.0 / tried as f64,
            examples.join(", "),
        );
        let remedy = format!(
            "export it with the vectorizer's option tokenexp that says in RE2's words what token_pattern says, for instance \
             tokenexp=r\"{}\"",
            expression(&lost)
        );
        if lost.len() * MANY >= tried {
            notes.wrong(told, remedy);
        } else {
            notes.doubtful(told, remedy);
        }
        Ok(())
    }

    /// Adds a note if the token pattern finds shorter words than training kept: they come between the others.
    fn note_short(&mut self, notes: &mut Notes) -> Result<(), RunError> {
        let branch = self.branch;
        let Some(pattern) = branch.token_pattern() else {
            return Ok(());
        };
        let ngrams = branch.shortest();
        if branch.longest() < 2 || branch.counts_characters() || ngrams.len() < SOME {
            return Ok(());
        }
        let letters = |word: &&str| word.chars().count();
        let words = ngrams.iter().flat_map(|ngram| ngram.text.split(' '));
        let Some(shortest) = words.filter(|word| !word.is_empty()).min_by_key(letters) else {
            return Ok(());
        };
        let least = letters(&shortest);
        // The beginning of one of its own words is in the script of its words.
        let beginning: String = shortest.chars().take(least - 1).collect();
        let tokens = self.tokens(&format!("{shortest} {beginning} {shortest}"))?;
        if least > 1 && tokens.contains(&beginning) {
            let short = match least - 1 {
                1 => "one letter".to_owned(),
                some => format!("{some} letters"),
            };
            notes.doubtful(
                format!(
                    "{}its token pattern `{pattern}` finds words of {short}, of which its vocabulary has none: they stand between \
                     the words of a run, which training most likely left them out of",
                    self.which
                ),
                format!("export it with the vectorizer's option tokenexp=r\"{}\"", of_letters(least)),
            );
        }
        Ok(())
    }

    /// Adds a note if the token pattern splits words at ASCII spaces only: its `\s` is narrower than Python's.
    fn note_spaces(&mut self, notes: &mut Notes) -> Result<(), RunError> {
        let Some(pattern) = self.branch.token_pattern() else {
            return Ok(());
        };
        let parted =
            |tokens: &[String]| !tokens.is_empty() && tokens.iter().all(|token| !token.contains(char::is_whitespace));
        // Some patterns keep the white space between two words, as in training.
        if parted(&self.tokens("가가 나나 aa bb")?) && !parted(&self.tokens("가가\u{3000}나나 aa\u{a0}bb")?) {
            notes.doubtful(
                format!(
                    "{}its token pattern `{pattern}` parts words at the spaces of ASCII alone, scikit-learn's `\\S` at every white \
                     space (U+3000, U+00A0)",
                    self.which
                ),
                r#"export it with the vectorizer's option tokenexp=r"[^\s\pZ]+""#,
            );
        }
        Ok(())
    }

    /// Adds a note if the model knows ASCII words only, and its pattern would find no others.
    fn note_ascii(&mut self, pattern: &str, notes: &mut Notes) -> Result<(), RunError> {
        let tokens = self.tokens("재미있는 영화 привет κόσμε")?;
        if tokens.iter().all(|token| token.is_ascii()) {
            notes.assumed(
                format!(
                    "{}texts are in ASCII: its token pattern `{pattern}` finds no other words, skl2onnx's silent default",
                    self.which
                ),
                format!("export it with the vectorizer's option tokenexp=r\"{}\"", expression(&[])),
            );
        }
        Ok(())
    }

    /// Adds a note if upper case is not folded as in training, or not on every machine.
    fn note_case(&mut self, notes: &mut Notes) -> Result<(), RunError> {
        let Some(locale) = self.branch.folding_locale() else {
            return Ok(());
        };
        // At the end of a word a Greek sigma has another form, which Python knows and C does not.
        let cased = |word: &Ngram| {
            let (word, upper) = (&word.text, word.text.to_uppercase());
            !word.is_ascii() && !word.contains('ς') && upper != *word && upper.to_lowercase() == *word
        };
        let words: Vec<Ngram> = self.branch.shortest().into_iter().filter(cased).collect();
        let (mut tried, mut unfolded) = (0, 0);
        let mut tries = Tries::new(ENOUGH);
        for Ngram { text, .. } in some(&words) {
            unfolded += usize::from(self.counts(text)? != self.counts(&text.to_uppercase())?);
            tried += 1;
            if tries.are_enough() {
                break;
            }
        }
        if unfolded * 2 > tried {
            notes.doubtful(
                format!(
                    "{}its locale `{locale}` folds the case of ASCII alone, scikit-learn that of every letter",
                    self.which
                ),
                FOLDING,
            );
        } else if locale == USUAL_LOCALE {
            notes.found(format!(
                "{}folds case by the locale `{locale}`, or by `{LOCALE}` where a machine lacks it",
                self.which
            ));
        } else if !["C", "POSIX", "C.UTF-8", "C.utf8"].contains(&locale.as_str()) {
            notes.assumed(
                format!(
                    "{}every machine that serves it has the locale `{locale}`, without which it does not load",
                    self.which
                ),
                FOLDING,
            );
        }
        Ok(())
    }

    /// Adds a note on words that training removed before it joined the others, and that the export does not remove.
    fn note_stop_words(&self, notes: &mut Notes) {
        let Self { which, branch, .. } = self;
        if branch.longest() < 2 || branch.counts_characters() {
            return;
        }
        let longest = branch.longest();
        if branch.has_stop_words() {
            notes.doubtful(
                format!(
                    "{which}it was trained with stop words and counts runs of up to {longest} words: scikit-learn takes stop words out \
                     before it joins the others, the export leaves them in"
                ),
                STOP_WORDS,
            );
            return;
        }
        let shortest = branch.shortest();
        let english = shortest
            .iter()
            .filter(|word| word.text.chars().all(|letter| letter.is_ascii_alphabetic()));
        if english.count() >= ENGLISH && !COMMONEST.iter().any(|word| branch.knows(word)) {
            notes.doubtful(
                format!(
                    "{which}counts runs of up to {longest} words and has none of the commonest English ones: it was most likely trained \
                     with stop_words, which scikit-learn takes out before it joins the others; the export leaves them in"
                ),
                STOP_WORDS,
            );
            return;
        }
        notes.found(format!(
            "{which}counts runs of up to {longest} words; whether training took stop words out of them, or others that token_pattern \
             leaves out (numbers, short words), which the export would not, the file does not tell (docs/models-sklearn-traps.md)"
        ));
    }
}

/// The narrowest of three common token patterns, in RE2's syntax, that finds all of these words.
fn expression(lost: &[&str]) -> &'static str {
    let words = || lost.iter().flat_map(|text| text.split(' '));
    let letters = |word: &str| word.chars().all(|value| value.is_alphanumeric() || value == '_');
    if !words().all(letters) {
        r"[^\s\pZ]+"
    } else if words().any(|word| word.chars().count() == 1) {
        r"[\pL\pN_]+"
    } else {
        r"[\pL\pN_][\pL\pN_]+"
    }
}

/// The common token pattern, in RE2's syntax, for words of at least so many letters.
fn of_letters(least: usize) -> String {
    match least {
        2 => expression(&[]).to_owned(),
        _ => format!(r"[\pL\pN_]{{{least},}}"),
    }
}

/// At most [`MAX_WORDS`] of the words, spread over the whole list.
fn some(words: &[Ngram]) -> impl Iterator<Item = &Ngram> {
    words.iter().step_by(words.len().div_ceil(MAX_WORDS).max(1))
}
