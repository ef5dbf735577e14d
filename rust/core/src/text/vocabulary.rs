//! Counting and numbering the distinct words of many texts, in parallel.
//!
//! Texts are cut into chunks, each chunk numbers its own words, and the chunks are joined in their order. A word's place in
//! the order of first appearance therefore depends on neither the chunks nor the number of threads.

use std::hash::{BuildHasher, RandomState};
use std::hint;
use std::ops::Range;

use super::Splitter;
use super::split::{BATCH, Scratch};
use crate::threads;

/// What [`count`] found; the vectors run over the distinct words in the order of their first appearance.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// The words.
    pub words: Words,
    /// How often each occurs.
    pub counts: Vec<u64>,
    /// In how many texts each occurs.
    pub documents: Vec<u64>,
}

/// Texts as numbers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The distinct words in the order of their first appearance.
    pub words: Words,
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
    let Some(mut all) = parts.next() else { return Counts::default() };
    for part in parts {
        for (word, entry) in part.words.iter().zip(&part.entries) {
            let id = all.number(word) as usize;
            let tally = &mut all.entries[id].value;
            tally.occurrences += entry.value.occurrences;
            tally.documents += entry.value.documents;
        }
    }
    Counts {
        words: all.words,
        counts: all.entries.iter().map(|entry| entry.value.occurrences).collect(),
        documents: all.entries.iter().map(|entry| entry.value.documents).collect(),
    }
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

    let mut vocabulary = Vocabulary::<()>::default();
    let mut offsets = Vec::with_capacity(texts.len() + 1);
    offsets.push(0);
    let mut numbered = Vec::with_capacity(parts.len());
    for (part, ids, ends) in parts {
        let base = offsets[offsets.len() - 1];
        offsets.extend(ends.into_iter().map(|end| base + end));
        let numbers: Vec<u32> = part.words.iter().map(|word| vocabulary.number(word)).collect();
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
    Encoded { words: vocabulary.words, ids, offsets }
}

#[derive(Default)]
struct Tally {
    occurrences: u64,
    documents: u64,
    /// The last text in which the word was seen, counted from 1.
    last: usize,
}

fn count_chunk(texts: &[&str], splitter: &Splitter) -> Vocabulary<Tally> {
    let mut vocabulary = Vocabulary::<Tally>::default();
    let mut scratch = Scratch::default();
    for (text, document) in texts.iter().zip(1..) {
        splitter.for_each_batch(text, &mut scratch, |text, pieces| {
            vocabulary.number_all(text, pieces, |_, tally| {
                tally.occurrences += 1;
                tally.documents += u64::from(tally.last != document);
                tally.last = document;
            });
        });
    }
    vocabulary
}

/// The chunk's words, the ids of all texts, and where each text ends in them.
fn encode_chunk(texts: &[&str], splitter: &Splitter) -> (Vocabulary<()>, Vec<u32>, Vec<usize>) {
    let mut vocabulary = Vocabulary::default();
    let mut ids = Vec::new();
    let mut scratch = Scratch::default();
    let ends = texts
        .iter()
        .map(|text| {
            splitter.for_each_batch(text, &mut scratch, |text, pieces| {
                vocabulary.number_all(text, pieces, |id, ()| ids.push(id));
            });
            ids.len()
        })
        .collect();
    (vocabulary, ids, ends)
}

/// Cuts the texts into pieces of about equal bytes.
fn chunks(texts: &[&str]) -> Vec<Range<usize>> {
    /// Below this the joining of vocabularies costs more than a second thread saves.
    const MIN_BYTES: usize = 1 << 16;
    let total: usize = texts.iter().map(|text| text.len()).sum();
    // One piece a thread: each further one is another vocabulary to join, and bytes take about equally long.
    let pieces = threads::num_threads().unwrap_or(1);
    let target = total.div_ceil(pieces).max(MIN_BYTES);
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

/// Words one after the other in one string, so that 100,000 of them take two allocations.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Words {
    text: String,
    ends: Vec<usize>,
}

impl Words {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The words in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }

    fn get(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    fn push(&mut self, word: &str) {
        self.text.push_str(word);
        self.ends.push(self.text.len());
    }
}

/// Distinct words, numbered from 0 in the order of their first appearance: a hash table with linear probing.
///
/// A lookup of a rare word is mostly waiting for memory, so it touches as little as it can: a slot of 8 bytes, and 16 bytes
/// of [`edges`] that settle the comparison of all but the longest words.
struct Vocabulary<T> {
    words: Words,
    entries: Vec<Entry<T>>,
    /// A power of two of slots, at least half of them empty.
    table: Vec<Slot>,
    /// Drawn per table, so that nobody can prepare texts whose words collide.
    seed: [u64; 2],
}

/// A word's edges and what the user of the vocabulary knows of it, side by side in memory.
struct Entry<T> {
    edges: [u64; 2],
    value: T,
}

#[derive(Clone, Copy)]
struct Slot {
    /// 24 bits of the hash and 8 of the length.
    tag: u32,
    /// The word's number, or that of [`EMPTY`].
    id: u32,
}

const EMPTY: Slot = Slot { tag: 0, id: u32::MAX };

impl<T> Default for Vocabulary<T> {
    fn default() -> Self {
        let random = RandomState::new();
        Self {
            words: Words::default(),
            entries: Vec::new(),
            table: vec![EMPTY; 1024],
            seed: [random.hash_one(0), random.hash_one(1)],
        }
    }
}

impl<T: Default> Vocabulary<T> {
    /// The word's number; a new word gets the next one.
    fn number(&mut self, word: &str) -> u32 {
        self.number_key(Key::new(self.seed, word), word)
    }

    /// Calls `visit` with the number and the value of each of up to [`BATCH`] pieces of `text`.
    #[inline]
    fn number_all(&mut self, text: &str, pieces: &[Range<usize>], mut visit: impl FnMut(u32, &mut T)) {
        let mut keys = [Key::default(); BATCH];
        for (key, piece) in keys.iter_mut().zip(pieces) {
            *key = Key::new(self.seed, &text[piece.clone()]);
        }
        // Reads what number_key is going to read. Nothing here waits for an earlier word, so the processor fetches the
        // memory of many words at once.
        let mask = self.table.len() - 1;
        let mut ids = [0; BATCH];
        for (id, key) in ids.iter_mut().zip(&keys[..pieces.len()]) {
            *id = self.table[key.hash as usize & mask].id;
        }
        let edges = ids[..pieces.len()].iter().filter_map(|&id| self.entries.get(id as usize));
        hint::black_box(edges.fold(0, |all, entry| all ^ entry.edges[0]));

        for (key, piece) in keys.iter().zip(pieces) {
            let id = self.number_key(*key, &text[piece.clone()]);
            visit(id, &mut self.entries[id as usize].value);
        }
    }

    #[inline]
    fn number_key(&mut self, key: Key, word: &str) -> u32 {
        let tag = key.tag(word);
        let mask = self.table.len() - 1;
        let mut place = key.hash as usize & mask;
        loop {
            let slot = self.table[place];
            if slot.id == EMPTY.id {
                return self.insert(place, tag, key.edges, word);
            }
            // Equal tags mean equal lengths below 256, and edges hold all of up to 16 bytes.
            if slot.tag == tag
                && self.entries[slot.id as usize].edges == key.edges
                && (word.len() <= 16 || self.words.get(slot.id as usize) == word)
            {
                return slot.id;
            }
            place = (place + 1) & mask;
        }
    }

    #[cold]
    fn insert(&mut self, place: usize, tag: u32, edges: [u64; 2], word: &str) -> u32 {
        // 2^32 distinct words need hundreds of gigabytes of text.
        let id = self.words.len() as u32;
        self.words.push(word);
        self.entries.push(Entry { edges, value: T::default() });
        self.table[place] = Slot { tag, id };
        if self.words.len() * 2 > self.table.len() {
            self.grow();
        }
        id
    }

    fn grow(&mut self) {
        let mask = self.table.len() * 4 - 1;
        self.table = vec![EMPTY; mask + 1];
        for (id, word) in self.words.iter().enumerate() {
            let key = Key::new(self.seed, word);
            let mut place = key.hash as usize & mask;
            while self.table[place].id != EMPTY.id {
                place = (place + 1) & mask;
            }
            self.table[place] = Slot { tag: key.tag(word), id: id as u32 };
        }
    }
}

/// What a lookup needs of a word.
#[derive(Debug, Default, Clone, Copy)]
struct Key {
    edges: [u64; 2],
    hash: u64,
}

impl Key {
    #[inline]
    fn new(seed: [u64; 2], word: &str) -> Self {
        let edges = edges(word.as_bytes());
        Self { edges, hash: hash(seed, edges, word.as_bytes()) }
    }

    fn tag(self, word: &str) -> u32 {
        (((self.hash >> 40) as u32) << 8) | u32::from(word.len() as u8)
    }
}

/// The first and the last eight bytes, which overlap in a word of less than 16; of a word of less than 8 the first and the
/// last four, of a still shorter one all bytes. With its length they determine a word of up to 16 bytes.
#[inline]
fn edges(bytes: &[u8]) -> [u64; 2] {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        [u64::from_le_bytes(*first), u64::from_le_bytes(*last)]
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        [u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last))]
    } else {
        [bytes.iter().fold(0, |all, &byte| (all << 8) | u64::from(byte)), 0]
    }
}

/// A hash for short words: the two edges, each hidden by a secret number, are multiplied to 128 bits whose halves are folded
/// together; a longer word's middle goes in eight bytes at a time before.
#[inline]
fn hash(seed: [u64; 2], edges: [u64; 2], bytes: &[u8]) -> u64 {
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let mut state = seed[0] ^ bytes.len() as u64;
    if bytes.len() > 16 {
        for middle in bytes[8..].as_chunks().0 {
            state = fold(state ^ u64::from_le_bytes(*middle), seed[1]);
        }
    }
    fold(state ^ edges[0], seed[1] ^ edges[1])
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
                let known = counts.words.iter().position(|known| known == word);
                let id = known.unwrap_or_else(|| {
                    counts.words.push(&word);
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
    fn similar_words_are_told_apart() {
        // Zeros, shared edges, and lengths on both sides of 4, 8, 16 and 256.
        let mut words: Vec<String> =
            ["", "\0", "\0\0", "a\0", "\0a", "\0\0\0\0", "abcd", "abcdabcd"].map(String::from).into();
        for length in [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 25, 31, 255, 256, 257, 511, 512, 600] {
            words.push("a".repeat(length));
            for place in [0, 2, 7, 8, 12, 15, 16, 250].into_iter().filter(|&place| place < length) {
                let mut word = "a".repeat(length);
                word.replace_range(place..=place, "b");
                words.push(word);
            }
        }
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len());
        let mut vocabulary = Vocabulary::<()>::default();
        for _ in 0..2 {
            for (id, word) in words.iter().enumerate() {
                assert_eq!(vocabulary.number(word), id as u32, "{word:?}");
            }
        }
    }

    #[test]
    fn hashes_spread() {
        let hashes: HashSet<u64> = (0..20_000_u32)
            .map(|i| format!("{i:x}{}", "z".repeat(i as usize % 20)))
            .map(|word| Key::new([(1 << 40) | 7, 0x9E37_79B9_7F4A_7C15], &word).hash % (1 << 15))
            .collect();
        // 20,000 balls in 32,768 boxes leave 0.543 of them empty by chance.
        assert!(hashes.len() > 14_000, "{}", hashes.len());
    }

    #[test]
    fn a_vocabulary_grows() {
        let mut vocabulary = Vocabulary::<()>::default();
        let words: Vec<String> = (0..10_000).map(|i| format!("{i:x}")).collect();
        for _ in 0..2 {
            for (id, word) in words.iter().enumerate() {
                assert_eq!(vocabulary.number(word), id as u32);
            }
        }
        assert!(vocabulary.words.iter().eq(words.iter()));
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
