//! WordPiece, greedy longest match first, in time linear in a word's length. The tokenizers crate tries every end of a
//! word for each of its tokens, which takes quadratic time: a text of hostile words took it tens of milliseconds.
//!
//! Must give the same ids at the same bytes as the crate, for every word.

use std::collections::HashMap;

use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{Model, Token};

/// The vocabulary of a WordPiece model as a tree, to find the longest token at a place.
pub struct WordPieces {
    /// The node that follows a node by the next character.
    steps: HashMap<(usize, char), usize>,
    /// The token that ends at each node, if one does.
    ids: Vec<Option<u32>>,
    unknown: Option<u32>,
    max_chars: usize,
}

/// The root of the tokens that begin a word.
const FIRST: usize = 0;
/// The root of the tokens that continue a word.
const CONTINUING: usize = 1;

impl WordPieces {
    /// The vocabulary and the limits of a model.
    pub fn new(model: &WordPiece) -> Self {
        let mut pieces = Self {
            steps: HashMap::new(),
            ids: vec![None; 2],
            unknown: model.token_to_id(&model.unk_token),
            max_chars: model.max_input_chars_per_word,
        };
        for (token, id) in model.get_vocab() {
            if let Some(rest) = token.strip_prefix(&model.continuing_subword_prefix) {
                pieces.add(CONTINUING, rest, id);
            }
            pieces.add(FIRST, &token, id);
        }
        pieces
    }

    fn add(&mut self, start: usize, token: &str, id: u32) {
        let mut place = start;
        for letter in token.chars() {
            let next = self.ids.len();
            place = *self.steps.entry((place, letter)).or_insert(next);
            if place == next {
                self.ids.push(None);
            }
        }
        // A token is never empty.
        if place != start {
            self.ids[place] = Some(id);
        }
    }

    /// The tokens of a word: the unknown token if the word is too long, or a part of it is no token. `None` if the
    /// vocabulary has no unknown token.
    pub fn tokenize(&self, word: &str) -> Option<Vec<Token>> {
        let unknown = || Some(vec![token(self.unknown?, (0, word.len()))]);
        if word.chars().nth(self.max_chars).is_some() {
            return unknown();
        }
        let (mut tokens, mut at, mut start) = (Vec::new(), 0, FIRST);
        while at < word.len() {
            let Some((length, id)) = self.longest(start, &word[at..]) else {
                return unknown();
            };
            tokens.push(token(id, (at, at + length)));
            (at, start) = (at + length, CONTINUING);
        }
        Some(tokens)
    }

    /// The longest token that `text` begins with, and its length in bytes.
    fn longest(&self, start: usize, text: &str) -> Option<(usize, u32)> {
        let (mut place, mut found) = (start, None);
        for (at, letter) in text.char_indices() {
            match self.steps.get(&(place, letter)) {
                Some(&next) => place = next,
                None => break,
            }
            if let Some(id) = self.ids[place] {
                found = Some((at + letter.len_utf8(), id));
            }
        }
        found
    }
}

/// A token of which only the id and its bytes in the word are read.
fn token(id: u32, bytes: (usize, usize)) -> Token {
    Token::new(id, String::new(), bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn model<const TOKENS: usize>(tokens: [&str; TOKENS], prefix: &str, max_chars: usize) -> WordPiece {
        let mut ids = 0..;
        let vocabulary = tokens.map(|token| (token.to_owned(), ids.next().expect("one for each")));
        WordPiece::builder()
            .vocab(vocabulary)
            .unk_token("[UNK]".into())
            .continuing_subword_prefix(prefix.into())
            .max_input_chars_per_word(max_chars)
            .build()
            .expect("a model")
    }

    const TOKENS: [&str; 16] = [
        "[UNK]",
        "a",
        "##a",
        "ab",
        "##ab",
        "abc",
        "##bca",
        "b",
        "##b",
        "가",
        "##나",
        "가나가",
        "##",
        "###",
        "##c##",
        "#",
    ];

    proptest! {
        #[test]
        fn the_ids_and_their_bytes_are_those_of_the_crate(word in "[abc#가나]{0,14}", prefix in "(##|)", max_chars in 8_usize..12) {
            let model = model(TOKENS, &prefix, max_chars);
            let ids = |tokens: Vec<Token>| tokens.iter().map(|token| (token.id, token.offsets)).collect::<Vec<_>>();
            let expected = model.tokenize(&word).expect("it has a token for the unknown");
            prop_assert_eq!(WordPieces::new(&model).tokenize(&word).map(ids), Some(ids(expected)));
        }
    }

    #[test]
    fn without_a_token_for_the_unknown_there_is_no_answer_for_it() {
        let pieces = WordPieces::new(&model(["a"], "##", 3));
        assert_eq!(pieces.tokenize("a").map(|tokens| tokens.len()), Some(1));
        assert!(pieces.tokenize("b").is_none());
        assert!(pieces.tokenize("aaaa").is_none());
    }
}
