//! From scores to weights and back, and the scores that are sums of tanh.

use crate::activations::{softmax_gradient_in_place, softmax_in_place};
use crate::layers::MaskedScores;
use foliot_simd::{Isa, Kernel, math};

/// What Keras's `Attention` takes off a score that is masked.
const LOWERED: f32 = 1e9;
/// In the place of a score that does not count; far from where sums with it would overflow.
const HIDDEN: f32 = f32::MIN / 2.0;

/// Which keys a query sees. Masks are (batch, time) flags, the matrix (queries, batch, keys) numbers.
#[derive(Clone, Copy)]
pub(super) struct Visibility<'a> {
    pub(super) queries: Option<&'a [u8]>,
    pub(super) values: Option<&'a [u8]>,
    pub(super) keys: Option<&'a [u8]>,
    pub(super) matrix: Option<&'a [f32]>,
    pub(super) causal: bool,
    pub(super) window: Option<usize>,
    pub(super) batch: usize,
    pub(super) lengths: [usize; 2],
}

impl Visibility<'_> {
    /// Whether every query sees every key.
    fn is_full(&self) -> bool {
        let masks = self.queries.is_some() || self.values.is_some() || self.keys.is_some() || self.matrix.is_some();
        !masks && !self.causal && self.window.is_none()
    }

    fn sees(&self, sample: usize, query: usize, key: usize) -> bool {
        let [queries, keys] = self.lengths;
        let counts =
            |mask: Option<&[u8]>, len: usize, step: usize| mask.is_none_or(|mask| mask[sample * len + step] != 0);
        (!self.causal || key <= query)
            && self.window.is_none_or(|window| key.abs_diff(query) < window)
            && counts(self.values, keys, key)
            && counts(self.keys, keys, key)
            && counts(self.queries, queries, query)
            && self.matrix.is_none_or(|matrix| matrix[(query * self.batch + sample) * keys + key] != 0.0)
    }
}

/// Scores (queries, keys) of one matrix become weights.
pub(super) struct Softmax<'a> {
    pub(super) masked_scores: MaskedScores,
    pub(super) visibility: Visibility<'a>,
    pub(super) sample: usize,
    pub(super) rows: &'a mut [f32],
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { masked_scores, visibility, sample, rows } = self;
        let full = visibility.is_full();
        for (query, row) in rows.chunks_exact_mut(visibility.lengths[1]).enumerate() {
            let mut seen = full;
            if !full {
                for (key, score) in row.iter_mut().enumerate() {
                    if visibility.sees(sample, query, key) {
                        seen = true;
                    } else if masked_scores == MaskedScores::Lower {
                        *score -= LOWERED;
                    } else {
                        *score = HIDDEN;
                    }
                }
            }
            if !seen && masked_scores == MaskedScores::Zero {
                row.fill(0.0);
            } else {
                softmax_in_place(isa, row);
            }
        }
    }
}

/// From the gradient of one matrix' weights to that of its scores, in its place.
pub(super) fn softmax_gradient(
    masked_scores: MaskedScores,
    visibility: Visibility<'_>,
    sample: usize,
    weights: &[f32],
    slopes: &mut [f32],
) {
    let keys = visibility.lengths[1];
    // A weight of 0 has no slope; only where no score counts have such scores other weights.
    let checks = masked_scores == MaskedScores::Uniform && !visibility.is_full();
    for (query, (weights, slopes)) in weights.chunks_exact(keys).zip(slopes.chunks_exact_mut(keys)).enumerate() {
        if checks && !(0..keys).any(|key| visibility.sees(sample, query, key)) {
            slopes.fill(0.0);
        } else {
            softmax_gradient_in_place(weights, slopes);
        }
    }
}

/// `score = factor · Σ outer · tanh(inner · (query + key))` for all queries and keys of one matrix.
pub(super) struct SumOfTanh<'a, Q, K> {
    pub(super) query: Q,
    pub(super) key: K,
    pub(super) keys: usize,
    pub(super) inner: f32,
    pub(super) outer: Option<&'a [f32]>,
    pub(super) factor: f32,
    pub(super) scores: &'a mut [f32],
}

impl<'b, Q: Fn(usize) -> &'b [f32], K: Fn(usize) -> &'b [f32]> Kernel for SumOfTanh<'_, Q, K> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { query, key, keys, inner, outer, factor, scores } = self;
        for (position, score) in scores.iter_mut().enumerate() {
            let (q, k) = (query(position / keys), key(position % keys));
            assert!(q.len() == k.len() && outer.is_none_or(|outer| outer.len() == q.len()));
            let mut sums = isa.zero();
            for offset in (0..q.len()).step_by(I::LANES) {
                let n = I::LANES.min(q.len() - offset);
                // SAFETY: offset + n is at most the length of all three, which were compared above.
                unsafe {
                    let sum = isa
                        .add(isa.load_partial(q.as_ptr().add(offset), n), isa.load_partial(k.as_ptr().add(offset), n));
                    let tanh = math::tanh(isa, isa.mul(sum, isa.splat(inner)));
                    let outer = outer.map_or(isa.splat(1.0), |outer| isa.load_partial(outer.as_ptr().add(offset), n));
                    sums = isa.mul_add(tanh, outer, sums);
                }
            }
            *score = factor * isa.reduce_add(sums);
        }
    }
}

/// The way back from `slopes`, the gradient of the scores: overwrites the gradients of the queries, the keys and the outer
/// scales (without the factor), and the parts of that of the inner scale.
pub(super) struct SumOfTanhGradient<'a, Q, K> {
    pub(super) query: Q,
    pub(super) key: K,
    pub(super) inner: f32,
    pub(super) outer: Option<&'a [f32]>,
    pub(super) factor: f32,
    pub(super) slopes: &'a [f32],
    pub(super) d_query: &'a mut [f32],
    pub(super) d_key: &'a mut [f32],
    pub(super) d_outer: &'a mut [f32],
    pub(super) d_inner: &'a mut [f32],
}

impl<'a, 'b, Q: Fn(usize) -> &'b [f32], K: Fn(usize) -> &'b [f32]> Kernel for SumOfTanhGradient<'a, Q, K> {
    type Output = (&'a [f32], &'a [f32]);

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> Self::Output {
        let Self { query, key, inner, outer, factor, slopes, d_query, d_key, d_outer, d_inner } = self;
        let width = d_outer.len();
        let keys = d_key.len() / width.max(1);
        for gradient in [&mut *d_query, &mut *d_key, &mut *d_outer, &mut *d_inner] {
            gradient.fill(0.0);
        }
        for (position, slope) in slopes.iter().enumerate() {
            let (step, other) = (position / keys, position % keys);
            let (q, k) = (query(step), key(other));
            let (dq, dk) = (&mut d_query[step * width..][..width], &mut d_key[other * width..][..width]);
            assert!(q.len() == width && k.len() == width && d_inner.len() == width);
            assert!(outer.is_none_or(|outer| outer.len() == width));
            let slope_of_sum = isa.splat(slope * factor);
            for offset in (0..width).step_by(I::LANES) {
                let n = I::LANES.min(width - offset);
                // SAFETY: offset + n <= width, the length of all of them, as compared or cut above.
                unsafe {
                    let load = |values: &[f32]| isa.load_partial(values.as_ptr().add(offset), n);
                    let add = |values: &mut [f32], more: I::F32| {
                        let target = values.as_mut_ptr().add(offset);
                        isa.store_partial(target, isa.add(isa.load_partial(target, n), more), n);
                    };
                    let sum = isa.add(load(q), load(k));
                    let tanh = math::tanh(isa, isa.mul(sum, isa.splat(inner)));
                    add(d_outer, isa.mul(isa.splat(*slope), tanh));
                    let before = isa.neg_mul_add(tanh, tanh, isa.splat(1.0));
                    let before =
                        isa.mul(before, outer.map_or(slope_of_sum, |outer| isa.mul(load(outer), slope_of_sum)));
                    add(d_inner, isa.mul(before, sum));
                    let gradient = isa.mul(before, isa.splat(inner));
                    add(dq, gradient);
                    add(dk, gradient);
                }
            }
        }
        (d_query, d_key)
    }
}
