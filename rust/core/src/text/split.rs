//! Cutting a text into words or characters by Keras's rules: lower the text, replace each filtered character by the
//! separator, split at the separator, drop the empty pieces.
//!
//! Lowercasing follows the Unicode tables of the Rust standard library, which are at least as new as those of the Python
//! versions we support. On characters that both know the result equals Python's `str.lower`, with one exception: the
//! tables disagree whether U+0295 and U+1171E are letters with case, which decides between the two forms of a small sigma
//! beside them.

use std::ops::Range;

use crate::{Error, Result};

/// How many pieces a visitor gets at once.
pub(super) const BATCH: usize = 64;

/// How texts are cut.
#[derive(Debug, Clone)]
pub struct Splitter {
    lower: bool,
    unit: Unit,
}

#[derive(Debug, Clone)]
enum Unit {
    Character,
    /// Filters and separator are all single characters: any of them ends a word.
    Delimited(CharacterSet),
    /// The definition to the letter. A separator of several characters may match across a replaced character.
    Replaced {
        filters: CharacterSet,
        separator: String,
    },
    /// Python's `split(None)`: filtered characters vanish, whitespace separates.
    Whitespace {
        filters: CharacterSet,
    },
}

/// Buffers that are reused from text to text.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    lowered: String,
    replaced: String,
    pieces: Vec<Range<usize>>,
}

impl Splitter {
    /// Splits into words. `split` is the separator; `None` stands for any whitespace.
    ///
    /// # Errors
    /// `split` is empty.
    pub fn words(filters: &str, lower: bool, split: Option<&str>) -> Result<Self> {
        let filters = CharacterSet::new(filters);
        let unit = match split {
            None => Unit::Whitespace { filters },
            Some("") => return Err(Error::value("split", "a separator of at least one character", "''")),
            Some(separator) => {
                let mut characters = separator.chars();
                match (characters.next(), characters.next()) {
                    (Some(character), None) => Unit::Delimited(filters.with(character)),
                    _ => Unit::Replaced { filters, separator: separator.to_owned() },
                }
            }
        };
        Ok(Self { lower, unit })
    }

    /// Splits into characters; filters do not apply.
    #[must_use]
    pub fn characters(lower: bool) -> Self {
        Self { lower, unit: Unit::Character }
    }

    /// The pieces of one text.
    #[must_use]
    pub fn split(&self, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        self.for_each_batch(text, &mut Scratch::default(), |text, pieces| {
            words.extend(pieces.iter().map(|piece| text[piece.clone()].to_owned()));
        });
        words
    }

    /// Calls `visit` with the pieces of `text`, in order and at most [`BATCH`] at once: as ranges of the lowered (and maybe
    /// replaced) text, which comes along.
    pub(super) fn for_each_batch(&self, text: &str, scratch: &mut Scratch, visit: impl FnMut(&str, &[Range<usize>])) {
        let Scratch { lowered, replaced, pieces } = scratch;
        let text = if self.lower {
            lower_into(text, lowered);
            lowered.as_str()
        } else {
            text
        };
        match &self.unit {
            Unit::Character => {
                let mut batches = Batches { text, pieces, visit };
                for (start, character) in text.char_indices() {
                    batches.push(start..start + character.len_utf8());
                }
                batches.finish();
            }
            Unit::Delimited(delimiters) => {
                let mut batches = Batches { text, pieces, visit };
                delimiters.split(text, |piece| batches.push(piece));
                batches.finish();
            }
            Unit::Replaced { filters, separator } => {
                replace_into(text, filters, separator, replaced);
                Batches { text: replaced, pieces, visit }.push_all(replaced.split(separator));
            }
            Unit::Whitespace { filters } => {
                replace_into(text, filters, "", replaced);
                Batches { text: replaced, pieces, visit }.push_all(replaced.split(is_python_space));
            }
        }
    }
}

/// Collects pieces of a text and hands them on in batches.
struct Batches<'a, F: FnMut(&str, &[Range<usize>])> {
    text: &'a str,
    pieces: &'a mut Vec<Range<usize>>,
    visit: F,
}

impl<F: FnMut(&str, &[Range<usize>])> Batches<'_, F> {
    fn push(&mut self, piece: Range<usize>) {
        if !piece.is_empty() {
            self.pieces.push(piece);
            if self.pieces.len() == BATCH {
                self.hand_on();
            }
        }
    }

    /// All of `words`, which are parts of the text.
    fn push_all<'t>(mut self, words: impl Iterator<Item = &'t str>) {
        for word in words {
            let start = word.as_ptr() as usize - self.text.as_ptr() as usize;
            self.push(start..start + word.len());
        }
        self.finish();
    }

    fn finish(mut self) {
        if !self.pieces.is_empty() {
            self.hand_on();
        }
    }

    fn hand_on(&mut self) {
        (self.visit)(self.text, self.pieces);
        self.pieces.clear();
    }
}

/// What Python's `str.split()` takes as whitespace: Unicode's `White_Space` and the four ASCII separators.
fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}

/// `text.to_lowercase()` into a reused buffer, with the ASCII stretches lowered in one go.
fn lower_into(text: &str, out: &mut String) {
    out.clear();
    // The only character whose lowercase depends on its neighbours.
    if text.contains('Σ') {
        out.push_str(&text.to_lowercase());
        return;
    }
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = rest.bytes().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
        let start = out.len();
        out.push_str(&rest[..ascii]);
        out[start..].make_ascii_lowercase();
        let wide = rest[ascii..].bytes().position(|byte| byte.is_ascii()).map_or(rest.len(), |length| ascii + length);
        for character in rest[ascii..wide].chars() {
            out.extend(character.to_lowercase());
        }
        rest = &rest[wide..];
    }
}

fn replace_into(text: &str, filters: &CharacterSet, replacement: &str, out: &mut String) {
    out.clear();
    for character in text.chars() {
        if filters.contains(character) {
            out.push_str(replacement);
        } else {
            out.push(character);
        }
    }
}

/// A set of characters, with the ASCII ones in a table.
#[derive(Debug, Clone)]
struct CharacterSet {
    ascii: [bool; 256],
    /// Sorted.
    others: Vec<char>,
}

impl CharacterSet {
    fn new(characters: &str) -> Self {
        let empty = Self { ascii: [false; 256], others: Vec::new() };
        characters.chars().fold(empty, Self::with)
    }

    fn with(mut self, character: char) -> Self {
        if character.is_ascii() {
            self.ascii[character as usize] = true;
        } else if let Err(place) = self.others.binary_search(&character) {
            self.others.insert(place, character);
        }
        self
    }

    fn contains(&self, character: char) -> bool {
        if character.is_ascii() {
            self.ascii[character as usize]
        } else {
            self.others.binary_search(&character).is_ok()
        }
    }

    /// Visits the stretches between members.
    fn split(&self, text: &str, mut visit: impl FnMut(Range<usize>)) {
        let mut start = 0;
        if self.others.is_empty() {
            // Bytes of longer characters are never ASCII, so the table can be asked byte by byte.
            for (end, &byte) in text.as_bytes().iter().enumerate() {
                if self.ascii[usize::from(byte)] {
                    visit(start..end);
                    start = end + 1;
                }
            }
        } else {
            for (end, character) in text.char_indices() {
                if self.contains(character) {
                    visit(start..end);
                    start = end + character.len_utf8();
                }
            }
        }
        visit(start..text.len());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILTERS: &str = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n";

    fn words(text: &str, filters: &str, lower: bool, split: Option<&str>) -> Vec<String> {
        Splitter::words(filters, lower, split).unwrap().split(text)
    }

    #[test]
    fn default_filters() {
        assert_eq!(
            words("Don't STOP, it's 9-5!\tÉté", FILTERS, true, Some(" ")),
            ["don't", "stop", "it's", "9", "5", "été"]
        );
        assert_eq!(words(" \n", FILTERS, true, Some(" ")), [""; 0]);
        assert_eq!(words("A b", FILTERS, false, Some(" ")), ["A", "b"]);
    }

    #[test]
    fn filters_apply_after_lowercasing() {
        assert_eq!(words("aXbxc", "x", true, Some(" ")), ["a", "b", "c"]);
        assert_eq!(words("aXbxc", "X", true, Some(" ")), ["axbxc"]);
    }

    #[test]
    fn non_ascii_filters_and_separators() {
        assert_eq!(words("今天。天气,好", "。,", true, Some(" ")), ["今天", "天气", "好"]);
        assert_eq!(words("aéb c", "", true, Some("é")), ["a", "b c"]);
    }

    #[test]
    fn a_long_separator_matches_across_a_replaced_character() {
        assert_eq!(words("x-!y", "!", true, Some("--")), ["x", "-y"]);
        assert_eq!(words("x<sep>y!z", "!", true, Some("<sep>")), ["x", "y", "z"]);
    }

    #[test]
    fn whitespace_separator_drops_filtered_characters() {
        assert_eq!(words("a-b\u{1c}c\u{a0}d  e", "-", true, None), ["ab", "c", "d", "e"]);
    }

    #[test]
    fn characters() {
        assert_eq!(Splitter::characters(true).split("Aé B"), ["a", "é", " ", "b"]);
        assert_eq!(Splitter::characters(true).split("İ"), ["i", "\u{307}"]);
        assert_eq!(Splitter::characters(false).split("A!"), ["A", "!"]);
    }

    #[test]
    fn an_empty_separator_is_refused() {
        let text = Splitter::words("", true, Some("")).unwrap_err().to_string();
        assert!(text.contains("`split`") && text.contains("''"), "{text}");
    }

    proptest! {
        #[test]
        fn lowering_equals_the_standard_library(text in r"([a-zA-Z .']|\PC|[ΣσςİßÀ-ÿ]){0,40}") {
            let mut lowered = String::from("left over");
            lower_into(&text, &mut lowered);
            prop_assert_eq!(lowered, text.to_lowercase());
        }

        #[test]
        fn the_delimited_path_equals_the_definition(text in "[abAB .,é。]{0,30}", filters in "[.,aé。]{0,4}", split in "[ .b。]") {
            let lowered = text.to_lowercase();
            let mut replaced = String::new();
            replace_into(&lowered, &CharacterSet::new(&filters), &split, &mut replaced);
            let expected: Vec<&str> = replaced.split(&split).filter(|piece| !piece.is_empty()).collect();
            prop_assert_eq!(words(&text, &filters, true, Some(&split)), expected);
        }
    }
}
