//! Random numbers by counting: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011). A number is a function of a key and a counter, so it depends neither on the number of threads nor on what was
//! drawn before, and the same few lines run on a GPU.

use foliot_simd::{Isa, Kernel, available, dispatch};

/// Multipliers of the two halves, and what is added to the key after each round: from the paper.
const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Blocks computed together. With fewer the compiler unrolls the loop over them instead of using vectors.
const LANES: usize = 16;

/// The ten rounds on `N` counters at once; word `w` of counter `lane` is `counters[w][lane]`. The words stand in the low
/// halves of u64: the products need that room, and vectors of one width need no shuffling.
#[inline(always)]
fn rounds<const N: usize>(key: u64, mut counters: [[u64; N]; 4]) -> [[u64; N]; 4] {
    const LOW: u64 = 0xFFFF_FFFF;
    let mut keys = [key as u32, (key >> 32) as u32];
    for _ in 0..10 {
        let [a, b, c, d] = &mut counters;
        for lane in 0..N {
            // The masks say that both factors have 32 bits, for which there is a vector instruction.
            let first = (a[lane] & LOW) * MULTIPLIERS[0];
            let second = (c[lane] & LOW) * MULTIPLIERS[1];
            a[lane] = second >> 32 ^ b[lane] ^ u64::from(keys[0]);
            b[lane] = second & LOW;
            c[lane] = first >> 32 ^ d[lane] ^ u64::from(keys[1]);
            d[lane] = first & LOW;
        }
        keys = [keys[0].wrapping_add(WEYL[0]), keys[1].wrapping_add(WEYL[1])];
    }
    counters
}

/// Four words of random bits for a key and a counter.
#[must_use]
pub fn philox(key: u64, counter: [u32; 4]) -> [u32; 4] {
    rounds(key, counter.map(|word| [u64::from(word)])).map(|[word]| word as u32)
}

/// A sequence of random numbers; different streams of one seed are independent.
#[derive(Debug, Clone)]
pub struct Stream {
    seed: u64,
    number: u64,
    block: u64,
    words: [u32; 4],
    used: usize,
    spare: Option<f64>,
}

impl Stream {
    /// The start of a stream.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { seed, number: stream, block: 0, words: [0; 4], used: 4, spare: None }
    }

    fn word(&mut self) -> u32 {
        if self.used == 4 {
            let (block, stream) = (self.block, self.number);
            self.words = philox(self.seed, [block as u32, (block >> 32) as u32, stream as u32, (stream >> 32) as u32]);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// 64 random bits.
    #[must_use]
    pub fn u64(&mut self) -> u64 {
        let low = u64::from(self.word());
        u64::from(self.word()) << 32 | low
    }

    /// A number in `[0, 1)`, a multiple of 2^-53.
    #[must_use]
    pub fn uniform(&mut self) -> f64 {
        (self.u64() >> 11) as f64 * 2.0f64.powi(-53)
    }

    /// A number of the standard normal distribution (Box and Muller's method).
    #[must_use]
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // In (0, 1], where the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// An integer below `bound`, each as likely as the others (Lemire's method). `bound` must not be 0.
    fn below(&mut self, bound: u64) -> u64 {
        loop {
            let product = u128::from(self.u64()) * u128::from(bound);
            // The 2^64 values fall into `bound` classes; the first `2^64 mod bound` of each class are one too many.
            if product as u64 >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }
}

/// Keeps shuffles apart from other streams of the same seed: "shuffle" in ASCII.
const SHUFFLE: u64 = 0x0073_6875_6666_6C65;

/// The numbers `0..n` in the order of this epoch; every order is equally likely (Fisher and Yates's method).
#[must_use]
pub fn permutation(n: usize, seed: u64, epoch: u64) -> Vec<i64> {
    let mut order: Vec<i64> = (0..n as i64).collect();
    let mut stream = Stream::new(seed ^ SHUFFLE, epoch);
    for last in (1..n).rev() {
        order.swap(last, stream.below(last as u64 + 1) as usize);
    }
    order
}

/// An element is dropped when its word is below this. A rate of 1 is beyond every word.
#[must_use]
pub fn threshold(rate: f32) -> u64 {
    (f64::from(rate) * 2.0f64.powi(32)).round() as u64
}

/// What a kept element is multiplied with, so that the mean stays the same.
#[must_use]
pub fn kept_scale(rate: f32) -> f32 {
    1.0 / (1.0 - rate)
}

/// Whether dropout of this rate, in `[0, 1]`, keeps an element of a mask: a function of the seed, the training step, the
/// stream (which mask of the layer) and the element's place.
#[must_use]
pub fn keep(seed: u64, step: u32, stream: u32, element: u64, rate: f32) -> bool {
    let block = element / 4;
    let words = philox(seed, [block as u32, (block >> 32) as u32, step, stream]);
    u64::from(words[(element % 4) as usize]) >= threshold(rate)
}

/// Writes numbers of the standard normal distribution, four for each block of random words from `first_block` on. Two words
/// u and v make two of them: `sqrt(-2 ln((u + 1) / 2^32))` times the cosine and the sine of `2 pi v / 2^32` (Box and Muller).
pub fn fill_normal(out: &mut [f32], first_block: u64, seed: u64, step: u32, stream: u32) {
    for (block, slots) in (first_block..).zip(out.chunks_mut(4)) {
        let words = philox(seed, [block as u32, (block >> 32) as u32, step, stream]).map(f64::from);
        let mut numbers = [0.0; 4];
        for pair in 0..2 {
            let radius = (-2.0 * ((words[2 * pair] + 1.0) * 2.0f64.powi(-32)).ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * words[2 * pair + 1] * 2.0f64.powi(-32)).sin_cos();
            numbers[2 * pair] = (radius * cos) as f32;
            numbers[2 * pair + 1] = (radius * sin) as f32;
        }
        slots.copy_from_slice(&numbers[..slots.len()]);
    }
}

/// Writes 0 where [`keep`] says no and 1 where it says yes, for the elements from `first_element` on.
pub fn fill_keep(out: &mut [f32], first_element: u64, seed: u64, step: u32, stream: u32, rate: f32) {
    fill(out, first_element, seed, step, stream, rate, 1.0);
}

/// Writes a part of a dropout mask: 0 where [`keep`] says no, `1 / (1 - rate)` where it says yes, for the elements from
/// `first_element` on.
pub fn fill_keep_scale(out: &mut [f32], first_element: u64, seed: u64, step: u32, stream: u32, rate: f32) {
    fill(out, first_element, seed, step, stream, rate, kept_scale(rate));
}

fn fill(out: &mut [f32], first_element: u64, seed: u64, step: u32, stream: u32, rate: f32, scale: f32) {
    let level = *available().last().unwrap_or(&foliot_simd::Level::Portable);
    // Integers come out the same on every instruction set, so the best one serves whatever was asked for.
    dispatch(level, Fill { out, first_element, seed, step, stream, threshold: threshold(rate), scale });
}

struct Fill<'a> {
    out: &'a mut [f32],
    first_element: u64,
    seed: u64,
    step: u32,
    stream: u32,
    threshold: u64,
    scale: f32,
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        // Up to the first whole block, whole groups of blocks, and what is left.
        let head = (self.first_element.wrapping_neg() % 4).min(self.out.len() as u64) as usize;
        let (start, rest) = self.out.split_at_mut(head);
        let first_block = (self.first_element + head as u64) / 4;
        // The comparison of `keep` in 32 bits, which vectorizes. It says no to every word at rates 0 and 1.
        let limit = (self.threshold as u32).wrapping_sub(1);
        let dropped = if self.threshold == 0 { self.scale } else { 0.0 };
        let scale = |word: u32| if word > limit { self.scale } else { dropped };
        let counters = |block: u64| [block as u32, (block >> 32) as u32, self.step, self.stream];
        let words = philox(self.seed, counters(self.first_element / 4));
        for (slot, word) in start.iter_mut().zip(&words[(self.first_element % 4) as usize..]) {
            *slot = scale(*word);
        }
        let mut block = first_block;
        let mut groups = rest.chunks_exact_mut(4 * LANES);
        for group in &mut groups {
            let mut lanes = [[0; LANES], [0; LANES], [u64::from(self.step); LANES], [u64::from(self.stream); LANES]];
            let [lows, highs, ..] = &mut lanes;
            for ((low, high), block) in lows.iter_mut().zip(highs).zip(block..) {
                (*low, *high) = (block & 0xFFFF_FFFF, block >> 32);
            }
            let words = rounds(self.seed, lanes);
            for (lane, slots) in group.chunks_exact_mut(4).enumerate() {
                for (slot, word) in slots.iter_mut().zip(&words) {
                    *slot = scale(word[lane] as u32);
                }
            }
            block += LANES as u64;
        }
        for slots in groups.into_remainder().chunks_mut(4) {
            for (slot, word) in slots.iter_mut().zip(philox(self.seed, counters(block))) {
                *slot = scale(word);
            }
            block += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The vectors that the Random123 library tests philox4x32-10 with.
    #[test]
    fn known_answers() {
        assert_eq!(philox(0, [0; 4]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox(u64::MAX, [u32::MAX; 4]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        let pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
        assert_eq!(philox(0x299f31d0_a4093822, pi), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
    }

    #[test]
    fn streams_are_sequences_of_blocks() {
        let mut stream = Stream::new(7, 3 << 32 | 5);
        for block in 0..3 {
            let [a, b, c, d] = philox(7, [block, 0, 5, 3]).map(u64::from);
            assert_eq!([stream.u64(), stream.u64()], [b << 32 | a, d << 32 | c]);
        }
        assert_ne!(Stream::new(7, 0).u64(), Stream::new(7, 1).u64());
        assert_ne!(Stream::new(7, 0).u64(), Stream::new(8, 0).u64());
    }

    #[test]
    fn moments() {
        const COUNT: usize = 200_000;
        // Standard errors of the moments below, times 5.
        let bound = |deviation: f64| 5.0 * deviation / (COUNT as f64).sqrt();
        let moment = |values: &[f64], power| values.iter().map(|x| x.powi(power)).sum::<f64>() / COUNT as f64;
        let mut stream = Stream::new(1, 2);
        let uniform: Vec<f64> = (0..COUNT).map(|_| stream.uniform()).collect();
        assert!(uniform.iter().all(|u| (0.0..1.0).contains(u)));
        assert!((moment(&uniform, 1) - 0.5).abs() < bound(12.0f64.recip().sqrt()));
        assert!((moment(&uniform, 2) - 1.0 / 3.0).abs() < bound((1.0f64 / 5.0 - 1.0 / 9.0).sqrt()));
        let normal: Vec<f64> = (0..COUNT).map(|_| stream.normal()).collect();
        // Variances of x, x^2, x^3, x^4: 1, 2, 15, 96.
        for (power, expected, variance) in [(1, 0.0, 1.0f64), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            assert!((moment(&normal, power) - expected).abs() < bound(variance.sqrt()), "{power}");
        }
        // Both halves of a Box-Muller pair are used, and they do not move together.
        let pairs: f64 = normal.chunks(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / (COUNT / 2) as f64;
        assert!(pairs.abs() < bound(2.0f64.sqrt()));
    }

    #[test]
    fn counted_normal_numbers() {
        const COUNT: usize = 200_000;
        let mut numbers = vec![0.0; COUNT];
        fill_normal(&mut numbers, 0, 3, 1, 0);
        for (power, expected, variance) in [(1, 0.0, 1.0f64), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let moment = numbers.iter().map(|x| f64::from(*x).powi(power)).sum::<f64>() / COUNT as f64;
            assert!((moment - expected).abs() < 5.0 * (variance / COUNT as f64).sqrt(), "{power}");
        }
        // Any part, from a block on, is the same part of the whole.
        let mut part = vec![0.0; 10];
        fill_normal(&mut part, 5, 3, 1, 0);
        assert_eq!(part, numbers[20..30]);
    }

    #[test]
    fn every_order_is_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for epoch in 0..24_000 {
            *counts.entry(permutation(4, 11, epoch)).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        // Chi-squared with 23 degrees of freedom is below 49.7 with probability 0.999.
        let chi: f64 = counts.values().map(|&count| (f64::from(count) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi < 49.7, "{chi}");
    }

    #[test]
    fn bounds_reject_what_would_make_them_unfair() {
        // With a bound of 3 * 2^62 a plain multiplication would give every third value twice as often as the others.
        let bound = 3 << 62;
        let mut stream = Stream::new(5, 5);
        let counts = (0..30_000).fold([0; 3], |mut counts: [u32; 3], _| {
            counts[(stream.below(bound) % 3) as usize] += 1;
            counts
        });
        assert!(counts.iter().all(|&count| count.abs_diff(10_000) < 400), "{counts:?}");
        assert_eq!(stream.below(1), 0);
    }

    #[test]
    fn dropout_keeps_its_share() {
        for rate in [0.0, 0.1, 0.5, 0.9, 1.0] {
            const COUNT: usize = 100_000;
            let kept = (0..COUNT as u64).filter(|&element| keep(3, 1, 0, element, rate)).count();
            let expected = (1.0 - f64::from(rate)) * COUNT as f64;
            let deviation = (expected * f64::from(rate)).sqrt();
            assert!((kept as f64 - expected).abs() <= 5.0 * deviation, "{rate}: {kept}");
        }
        let mask = |seed, step, stream| (0..64).map(|i| keep(seed, step, stream, i, 0.5)).collect::<Vec<_>>();
        for other in [mask(2, 1, 1), mask(1, 2, 1), mask(1, 1, 2)] {
            assert_ne!(mask(1, 1, 1), other);
        }
    }

    proptest! {
        #[test]
        fn permutations_hold_every_number_once(n in 0usize..500, seed: u64, epoch: u64) {
            let order = permutation(n, seed, epoch);
            prop_assert_eq!(&order, &permutation(n, seed, epoch));
            let mut sorted = order;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..n as i64).collect::<Vec<_>>());
        }

        #[test]
        fn parts_of_a_mask_are_the_mask(
            first in prop_oneof![0u64..1000, (u64::from(u32::MAX) * 4 - 300)..(u64::from(u32::MAX) * 4 + 300)],
            count in 0usize..400,
            seed: u64,
            step: u32,
            stream: u32,
            rate in 0.0f32..=1.0,
        ) {
            let mut out = vec![f32::NAN; count];
            fill_keep_scale(&mut out, first, seed, step, stream, rate);
            for (i, &value) in out.iter().enumerate() {
                let kept = keep(seed, step, stream, first + i as u64, rate);
                prop_assert_eq!(value, if kept { 1.0 / (1.0 - rate) } else { 0.0 });
            }
        }
    }
}
