//! Counting and numbering the distinct words of many texts, in parallel.
//!
//! Texts are cut into chunks, each chunk numbers its own words, and the chunks are joined in their order. A word's place in
//! the order of first appearance therefore depends on neither the chunks nor the number of threads.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;

use super::Splitter;
use super::split::Scratch;
use crate::threads;

/// What [`count`] found; the vectors run over the distinct words in the order of their first appearance.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// The words.
    pub words: Vec<String>,
    /// How often each occurs.
    pub counts: Vec<u64>,
    /// In how many texts each occurs.
    pub documents: Vec<u64>,
}

/// Texts as numbers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The distinct words in the order of their first appearance.
    pub words: Vec<String>,
    /// For each word of each text its place in `words`.
    pub ids: Vec<u32>,
    /// Row bounds of `ids`, one row per text.
    pub offsets: Vec<usize>,
}

/// Counts the words of `texts`.
#[must_use]
pub fn count(texts: &[&str], splitter: &Splitter) -> Counts {
    let chunks = chunks(texts);
    let mut parts =
        threads::map(chunks.len(), |chunk| count_chunk(&texts[chunks[chunk].clone()], splitter)).into_iter();
    let Some((mut vocabulary, mut counts)) = parts.next() else { return Counts::default() };
    for (other, other_counts) in parts {
        for (word, (occurrences, documents)) in other.into_words().into_iter().zip(other_counts) {
            let id = vocabulary.number(&word) as usize;
            if id == counts.len() {
                counts.push((0, 0));
            }
            counts[id].0 += occurrences;
            counts[id].1 += documents;
        }
    }
    let (counts, documents) = counts.into_iter().unzip();
    Counts { words: vocabulary.into_words(), counts, documents }
}

/// Numbers the words of `texts`.
#[must_use]
pub fn encode(texts: &[&str], splitter: &Splitter) -> Encoded {
    struct Part<'a> {
        ids: &'a [u32],
        numbers: Vec<u32>,
        out: &'a mut [u32],
    }
    let chunks = chunks(texts);
    let parts = threads::map(chunks.len(), |chunk| encode_chunk(&texts[chunks[chunk].clone()], splitter));

    let mut vocabulary = Vocabulary::default();
    let mut offsets = Vec::with_capacity(texts.len() + 1);
    offsets.push(0);
    let mut numbered = Vec::with_capacity(parts.len());
    for (words, ids, ends) in parts {
        let base = offsets[offsets.len() - 1];
        offsets.extend(ends.into_iter().map(|end| base + end));
        let numbers: Vec<u32> = words.into_words().iter().map(|word| vocabulary.number(word)).collect();
        numbered.push((ids, numbers));
    }

    let mut ids = vec![0; offsets[texts.len()]];
    let mut rest = ids.as_mut_slice();
    let mut parts = Vec::with_capacity(numbered.len());
    for (ids, numbers) in &mut numbered {
        let (out, after) = rest.split_at_mut(ids.len());
        rest = after;
        parts.push(Part { ids, numbers: std::mem::take(numbers), out });
    }
    threads::for_each_mut(&mut parts, |_, part| {
        for (out, &id) in part.out.iter_mut().zip(part.ids) {
            *out = part.numbers[id as usize];
        }
    });
    Encoded { words: vocabulary.into_words(), ids, offsets }
}

fn count_chunk(texts: &[&str], splitter: &Splitter) -> (Vocabulary, Vec<(u64, u64)>) {
    let mut vocabulary = Vocabulary::default();
    let mut counts: Vec<(u64, u64)> = Vec::new();
    // The last text in which each word was seen.
    let mut last: Vec<usize> = Vec::new();
    let mut scratch = Scratch::default();
    for (document, text) in texts.iter().enumerate() {
        splitter.for_each(text, &mut scratch, |word| {
            let id = vocabulary.number(word) as usize;
            if id == counts.len() {
                counts.push((1, 1));
                last.push(document);
                return;
            }
            counts[id].0 += 1;
            if last[id] != document {
                last[id] = document;
                counts[id].1 += 1;
            }
        });
    }
    (vocabulary, counts)
}

/// The chunk's words, the ids of all texts, and where each text ends in them.
fn encode_chunk(texts: &[&str], splitter: &Splitter) -> (Vocabulary, Vec<u32>, Vec<usize>) {
    let mut vocabulary = Vocabulary::default();
    let mut ids = Vec::new();
    let mut scratch = Scratch::default();
    let ends = texts
        .iter()
        .map(|text| {
            splitter.for_each(text, &mut scratch, |word| ids.push(vocabulary.number(word)));
            ids.len()
        })
        .collect();
    (vocabulary, ids, ends)
}

/// Cuts the texts into pieces of about equal bytes.
fn chunks(texts: &[&str]) -> Vec<Range<usize>> {
    /// Below this the joining of vocabularies costs more than a second thread saves.
    const MIN_BYTES: usize = 1 << 16;
    /// Two pieces a thread level out texts that take longer; each further piece is one more vocabulary to join.
    const PER_THREAD: usize = 2;
    let total: usize = texts.iter().map(|text| text.len()).sum();
    let pieces = threads::num_threads().unwrap_or(1) * PER_THREAD;
    let target = (total / pieces).max(MIN_BYTES);
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, text) in texts.iter().enumerate() {
        bytes += text.len();
        if bytes >= target || index + 1 == texts.len() {
            chunks.push(start..index + 1);
            (start, bytes) = (index + 1, 0);
        }
    }
    chunks
}

/// Distinct words, numbered from 0 in the order of their first appearance.
#[derive(Default)]
struct Vocabulary {
    ids: HashMap<Box<str>, u32, WordHash>,
}

impl Vocabulary {
    /// The word's number; a new word gets the next one.
    fn number(&mut self, word: &str) -> u32 {
        if let Some(&id) = self.ids.get(word) {
            return id;
        }
        // 2^32 distinct words need hundreds of gigabytes here.
        let id = self.ids.len() as u32;
        self.ids.insert(word.into(), id);
        id
    }

    /// The words by number.
    fn into_words(self) -> Vec<String> {
        let mut words = vec![String::new(); self.ids.len()];
        for (word, id) in self.ids {
            words[id as usize] = word.into();
        }
        words
    }
}

/// A hash for short words: eight bytes a round, each round one 64x64-bit multiplication whose halves are folded together.
/// About five times faster on words than the standard library's `SipHash`. The seed is drawn per table, so that nobody can
/// prepare texts whose words collide.
struct WordHash {
    seed: u64,
}

impl Default for WordHash {
    fn default() -> Self {
        Self { seed: RandomState::new().hash_one(0) }
    }
}

impl BuildHasher for WordHash {
    type Hasher = WordHasher;

    fn build_hasher(&self) -> WordHasher {
        WordHasher { state: self.seed }
    }
}

struct WordHasher {
    state: u64,
}

impl WordHasher {
    fn round(&mut self, word: u64) {
        /// The fractional part of the golden ratio: odd, and with no pattern in its bits.
        const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
        let product = u128::from(self.state ^ word) * u128::from(MULTIPLIER);
        self.state = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut rounds = bytes.chunks_exact(8);
        for eight in rounds.by_ref() {
            self.round(u64::from_le_bytes([
                eight[0], eight[1], eight[2], eight[3], eight[4], eight[5], eight[6], eight[7],
            ]));
        }
        // At most seven bytes are left; the eighth holds the length, so that trailing zeros count.
        let tail = rounds.remainder().iter().rev().fold(0, |tail, &byte| tail << 8 | u64::from(byte));
        self.round(tail | (bytes.len() as u64) << 56);
    }

    /// `str` ends with a mark that separates it from a following field; a word is alone.
    fn write_u8(&mut self, _mark: u8) {}

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn splitter() -> Splitter {
        Splitter::words(".,", true, Some(" ")).unwrap()
    }

    /// The definition, with one map and no chunks.
    fn reference(texts: &[&str]) -> (Counts, Encoded) {
        let mut counts = Counts::default();
        let mut encoded = Encoded { offsets: vec![0], ..Encoded::default() };
        for text in texts {
            let words = splitter().split(text);
            let mut seen = HashSet::new();
            for word in words {
                let id = counts.words.iter().position(|known| *known == word).unwrap_or_else(|| {
                    counts.words.push(word);
                    counts.counts.push(0);
                    counts.documents.push(0);
                    counts.words.len() - 1
                });
                counts.counts[id] += 1;
                counts.documents[id] += u64::from(seen.insert(id));
                encoded.ids.push(id as u32);
            }
            encoded.offsets.push(encoded.ids.len());
        }
        encoded.words.clone_from(&counts.words);
        (counts, encoded)
    }

    #[test]
    fn nothing() {
        assert_eq!(count(&[], &splitter()), Counts::default());
        assert_eq!(encode(&[], &splitter()), Encoded { offsets: vec![0], ..Encoded::default() });
        assert_eq!(encode(&["", "."], &splitter()).offsets, [0, 0, 0]);
    }

    #[test]
    fn many_chunks_give_the_order_of_first_appearance() {
        // 800 texts of about 500 bytes: more than one chunk holds on any number of threads.
        let text = |i: usize| (0..300).map(|j| ["W", "v ", "w. ", "x"][(i * i + j * j * j) % (i + 7) % 4]).collect();
        let texts: Vec<String> = (0..800).map(text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert!(chunks(&texts).len() > 1);
        let (counts, encoded) = reference(&texts);
        assert_eq!(count(&texts, &splitter()), counts);
        assert_eq!(encode(&texts, &splitter()), encoded);
    }

    #[test]
    fn chunks_cover_all_texts() {
        for lengths in [vec![], vec![0, 0], vec![1 << 17, 1, 1 << 17, 5], vec![1 << 16; 20]] {
            let texts: Vec<String> = lengths.iter().map(|&length| "x".repeat(length)).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let covered: Vec<usize> = chunks(&texts).into_iter().flatten().collect();
            assert_eq!(covered, (0..texts.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn hashes_differ_by_length_and_zeros() {
        let hash = WordHash { seed: 1 };
        let words = ["", "\0", "\0\0", "a", "a\0", "\0a", "abcdefgh", "abcdefgh\0", "abcdefghi", "abcdefg"];
        let hashes: HashSet<u64> = words.iter().map(|word| hash.hash_one(word)).collect();
        assert_eq!(hashes.len(), words.len());
    }

    proptest! {
        #[test]
        fn equals_the_definition(texts in prop::collection::vec("[aAbBé .,]{0,12}", 0..12)) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let (counts, encoded) = reference(&texts);
            prop_assert_eq!(count(&texts, &splitter()), counts);
            prop_assert_eq!(encode(&texts, &splitter()), encoded);
        }
    }
}
