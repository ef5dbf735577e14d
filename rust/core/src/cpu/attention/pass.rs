//! What is computed for one matrix, forward and backward.

use super::scores::{Softmax, SumOfTanh, SumOfTanhGradient, Visibility, softmax_gradient};
use super::tensors::{Rows, RowsMut, Sizes};
use crate::backend::Call;
use crate::cpu::Parts;
use crate::layers::{Attention, MaskedScores, Score};
use crate::random;
use foliot_simd::dispatch::{Level, dispatch};
use foliot_simd::gemm::{Init, MatrixMut, MatrixRef, Operand, gemm};
use std::sync::RwLockReadGuard;

/// What the layer has learned: a scale, or one for each feature, and a factor of the sums.
struct Learned<'a> {
    scale: Option<RwLockReadGuard<'a, Vec<f32>>>,
    factor: f32,
}

impl Learned<'_> {
    /// The scale inside of tanh, and those of the features outside.
    fn of_tanh(&self, score: Score) -> (f32, Option<&[f32]>) {
        match (&self.scale, score) {
            (Some(scale), Score::Concat) => (scale[0], None),
            (Some(scale), _) => (1.0, Some(scale)),
            (None, _) => (1.0, None),
        }
    }

    /// The scale of products.
    fn of_products(&self) -> f32 {
        self.factor * self.scale.as_ref().map_or(1.0, |scale| scale[0])
    }
}

/// What both ways know of a call.
pub(super) struct Pass<'a> {
    layer: &'a Attention,
    level: Level,
    /// The number of the training step.
    step: u32,
    sizes: Sizes,
    q: Rows<'a>,
    k: Rows<'a>,
    pub(super) v: Rows<'a>,
    visibility: Visibility<'a>,
    /// Which queries have outputs, (batch, queries).
    outputs_mask: Option<&'a [u8]>,
    learned: Learned<'a>,
}

impl Attention {
    pub(super) fn pass<'a>(
        &'a self,
        level: Level,
        call: &Call<'a>,
        sizes: Sizes,
        flags: &'a [u8],
        [q, k, v, matrix]: [&'a [f32]; 4],
    ) -> Pass<'a> {
        let mut parameters = call.parameters.iter().map(|weight| weight.read());
        let scale = if self.use_scale { parameters.next() } else { None };
        let factor = if self.score == Score::Concat { parameters.next() } else { None };
        let learned = Learned { scale, factor: self.factor * factor.map_or(1.0, |factor| factor[0]) };
        let (visibility, outputs_mask) = self.visibility(call, &sizes, flags, matrix);
        let (q, k, v) = (sizes.rows(q, sizes.width), sizes.rows(k, sizes.width), sizes.rows(v, sizes.value_width));
        Pass { layer: self, level, step: call.step, sizes, q, k, v, visibility, outputs_mask, learned }
    }

    /// Which keys a query sees, from the flags of all tensors.
    fn visibility<'a>(
        &self,
        call: &Call<'_>,
        sizes: &Sizes,
        flags: &'a [u8],
        matrix: &'a [f32],
    ) -> (Visibility<'a>, Option<&'a [u8]>) {
        let mask = |input: usize| call.inputs[input].mask.map(|span| &flags[span.offset..][..span.len]);
        let query = mask(0);
        let lowers = self.masked_scores == MaskedScores::Lower;
        let visibility = Visibility {
            queries: query.filter(|_| !lowers),
            values: mask(1),
            // Keras's Attention does not look at the mask of its keys.
            keys: mask(self.key()).filter(|_| self.has_key && !lowers),
            matrix: self.has_mask.then_some(matrix),
            causal: self.use_causal_mask,
            window: self.sliding_window,
            batch: sizes.batch,
            lengths: [sizes.queries, sizes.keys],
        };
        (visibility, query.filter(|_| lowers))
    }
}

impl Pass<'_> {
    /// The weights of a matrix; `products` are kept for a scale that is learned, where there is one.
    pub(super) fn weights(&self, index: usize, scores: &mut [f32], products: &mut [f32]) {
        let Sizes { queries, keys, width, .. } = self.sizes;
        if self.layer.score == Score::Dot {
            let (a, b) = (self.q.matrix(index), Operand::Matrix(self.k.transposed(index)));
            gemm(self.level, queries, keys, width, a, b, Init::Zero, MatrixMut::new(scores, keys));
            if !products.is_empty() {
                products.copy_from_slice(scores);
            }
            scale(scores, self.learned.of_products());
        } else {
            let (inner, outer) = self.learned.of_tanh(self.layer.score);
            let (query, key) = (|step| self.q.row(index, step), |step| self.k.row(index, step));
            let factor = self.learned.factor;
            dispatch(self.level, SumOfTanh { query, key, keys, inner, outer, factor, scores });
        }
        let (masked_scores, visibility) = (self.layer.masked_scores, self.visibility);
        dispatch(self.level, Softmax { masked_scores, visibility, sample: self.sample(index), rows: scores });
    }

    /// What dropout multiplies the weights of a matrix with.
    pub(super) fn draw(&self, index: usize, kept: &mut [f32]) {
        let first = (index * self.sizes.scores()) as u64;
        random::fill_keep_scale(kept, first, self.layer.seed, self.step, 0, self.layer.dropout);
    }

    /// The queries of a matrix whose outputs are masked.
    pub(super) fn hidden(&self, index: usize) -> impl Iterator<Item = usize> {
        let (queries, sample) = (self.sizes.queries, self.sample(index));
        (0..queries).filter(move |query| self.outputs_mask.is_some_and(|mask| mask[sample * queries + query] == 0))
    }

    fn sample(&self, index: usize) -> usize {
        index / self.layer.heads
    }
}

fn scale(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
}

/// The way back: what it reads, where it writes (none where no gradient is wanted), and its scratch memory. Without a key of
/// its own the value's gradient takes the key's, too.
pub(super) struct Backward<'a> {
    pub(super) pass: Pass<'a>,
    pub(super) weights: &'a [f32],
    /// What dropout left of the weights.
    pub(super) dropped: &'a [f32],
    pub(super) products: &'a [f32],
    pub(super) dy: Rows<'a>,
    /// The gradient of the weights as an output.
    pub(super) returned: &'a [f32],
    pub(super) dq: Option<RowsMut>,
    pub(super) dv: Option<RowsMut>,
    pub(super) dk: Option<RowsMut>,
    pub(super) slopes: Parts,
    pub(super) kept: Option<Parts>,
    pub(super) outputs: Parts,
    pub(super) d_queries: Parts,
    pub(super) d_keys: Parts,
    pub(super) partials: Parts,
}

impl Backward<'_> {
    /// # Safety
    /// No two threads are given the same matrix, and all that is written outlives the call.
    pub(super) unsafe fn matrix(&self, index: usize) {
        let Sizes { queries, value_width, .. } = self.pass.sizes;
        let len = self.pass.sizes.scores();
        // SAFETY: each matrix has parts of its own, of which the caller promises that no other thread has them.
        let (outputs, slopes, kept) = unsafe {
            (
                self.outputs.part(index * queries * value_width, queries * value_width),
                self.slopes.part(index * len, len),
                self.kept.map(|kept| kept.part(index * len, len)),
            )
        };
        for (step, row) in outputs.chunks_exact_mut(value_width).enumerate() {
            row.copy_from_slice(self.dy.row(index, step));
        }
        for query in self.pass.hidden(index) {
            outputs[query * value_width..][..value_width].fill(0.0);
        }
        if let Some(dv) = self.dv {
            // SAFETY: as above.
            self.values(index, outputs, unsafe { dv.matrix(index) });
        }
        self.scores(index, outputs, slopes, kept);
        if self.pass.layer.score == Score::Dot {
            // SAFETY: as above.
            unsafe { self.products(index, slopes) };
        } else {
            // SAFETY: as above.
            unsafe { self.sums_of_tanh(index, slopes) };
        }
    }

    /// dV = Dᵀ dO
    fn values(&self, index: usize, outputs: &[f32], dv: MatrixMut<'_>) {
        let Sizes { queries, keys, value_width, .. } = self.pass.sizes;
        let len = self.pass.sizes.scores();
        let a = MatrixRef::new(&self.dropped[index * len..][..len], 1, keys);
        let b = Operand::Matrix(MatrixRef::new(outputs, value_width, 1));
        gemm(self.pass.level, keys, value_width, queries, a, b, Init::Zero, dv);
    }

    /// dS, from the gradient of the outputs.
    fn scores(&self, index: usize, outputs: &[f32], slopes: &mut [f32], kept: Option<&mut [f32]>) {
        let Pass { layer, sizes, visibility, .. } = self.pass;
        let Sizes { queries, keys, value_width, .. } = sizes;
        let (a, b) = (MatrixRef::new(outputs, value_width, 1), Operand::Matrix(self.pass.v.transposed(index)));
        gemm(self.pass.level, queries, keys, value_width, a, b, Init::Zero, MatrixMut::new(slopes, keys));
        let lowers = layer.masked_scores == MaskedScores::Lower;
        if lowers {
            self.add_returned(index, slopes);
        }
        if let Some(kept) = kept {
            self.pass.draw(index, kept);
            slopes.iter_mut().zip(&*kept).for_each(|(slope, kept)| *slope *= kept);
        }
        if !lowers {
            self.add_returned(index, slopes);
        }
        let weights = &self.weights[index * sizes.scores()..][..sizes.scores()];
        softmax_gradient(layer.masked_scores, visibility, self.pass.sample(index), weights, slopes);
    }

    fn add_returned(&self, index: usize, slopes: &mut [f32]) {
        if self.returned.is_empty() {
            return;
        }
        let keys = self.pass.sizes.keys;
        for (query, slopes) in slopes.chunks_exact_mut(keys).enumerate() {
            let place = self.pass.layer.place_of_weights(&self.pass.sizes, index, query);
            slopes.iter_mut().zip(&self.returned[place..][..keys]).for_each(|(slope, more)| *slope += more);
        }
    }

    /// What the gradient of queries and keys is added to where the value's, which is the key, has gone before.
    fn init(&self) -> Init<'static> {
        if self.pass.layer.has_key { Init::Zero } else { Init::Accumulate }
    }

    /// From scores that are products; uses the slopes up.
    ///
    /// # Safety
    /// As of `matrix`.
    unsafe fn products(&self, index: usize, slopes: &mut [f32]) {
        let Sizes { queries, keys, width, .. } = self.pass.sizes;
        let (level, len) = (self.pass.level, slopes.len());
        if !self.products.is_empty() {
            let products = &self.products[index * len..][..len];
            let sum: f64 = slopes.iter().zip(products).map(|(s, p)| f64::from(*s) * f64::from(*p)).sum();
            // SAFETY: by the caller's promise.
            let target = unsafe { self.partials.part(index * 2 * width, 1) };
            target[0] = (sum * f64::from(self.pass.learned.factor)) as f32;
        }
        scale(slopes, self.pass.learned.of_products());
        if let Some(dq) = self.dq {
            let (a, b) = (MatrixRef::new(slopes, keys, 1), Operand::Matrix(self.pass.k.matrix(index)));
            // SAFETY: as above.
            gemm(level, queries, width, keys, a, b, Init::Zero, unsafe { dq.matrix(index) });
        }
        if let Some(dk) = self.dk {
            let (a, b) = (MatrixRef::new(slopes, 1, keys), Operand::Matrix(self.pass.q.matrix(index)));
            // SAFETY: as above.
            gemm(level, keys, width, queries, a, b, self.init(), unsafe { dk.matrix(index) });
        }
    }

    /// From scores that are sums of tanh.
    ///
    /// # Safety
    /// As of `matrix`.
    unsafe fn sums_of_tanh(&self, index: usize, slopes: &[f32]) {
        let Sizes { queries, keys, width, .. } = self.pass.sizes;
        let (inner, outer) = self.pass.learned.of_tanh(self.pass.layer.score);
        // SAFETY: by the caller's promise.
        let (d_query, d_key, partials) = unsafe {
            (
                self.d_queries.part(index * queries * width, queries * width),
                self.d_keys.part(index * keys * width, keys * width),
                self.partials.part(index * 2 * width, 2 * width),
            )
        };
        let (d_outer, d_inner) = partials.split_at_mut(width);
        let (query, key) = (|step| self.pass.q.row(index, step), |step| self.pass.k.row(index, step));
        let factor = self.pass.learned.factor;
        let gradient = SumOfTanhGradient { query, key, inner, outer, factor, slopes, d_query, d_key, d_outer, d_inner };
        let (d_query, d_key) = dispatch(self.pass.level, gradient);
        if let Some(dq) = self.dq {
            for (step, row) in d_query.chunks_exact(width).enumerate() {
                // SAFETY: as above.
                unsafe { dq.row(index, step) }.copy_from_slice(row);
            }
        }
        if let Some(dk) = self.dk {
            for (step, row) in d_key.chunks_exact(width).enumerate() {
                // SAFETY: as above.
                let target = unsafe { dk.row(index, step) };
                match self.init() {
                    Init::Accumulate => target.iter_mut().zip(row).for_each(|(target, value)| *target += value),
                    _ => target.copy_from_slice(row),
                }
            }
        }
    }
}
