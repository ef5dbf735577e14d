//! A hash of words that is the same in every process and version, unlike Python's salted `hash`.

/// 64-bit FNV-1a over the UTF-8 bytes (offset basis and prime as its authors publish them).
#[must_use]
pub fn hash_word(word: &str) -> u64 {
    word.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Keras's hashing trick: the word's place in `1..size`; 0 stays reserved. `size` must be at least 2.
#[must_use]
pub fn hashing_index(word: &str, size: u64) -> u64 {
    1 + hash_word(word) % (size - 1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors() {
        assert_eq!(hash_word(""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(hash_word("a"), 0xAF63_DC4C_8601_EC8C);
        assert_eq!(hash_word("foobar"), 0x8594_4171_F739_67E8);
    }

    #[test]
    fn indices_lie_between_one_and_the_size() {
        for word in ["a", "b", "foobar", "é"] {
            assert_eq!(hashing_index(word, 2), 1);
            assert!((1..10).contains(&hashing_index(word, 10)));
        }
    }
}
