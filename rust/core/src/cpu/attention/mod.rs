//! Attention: scores, masked softmax, dropout, weighted sum of the values. Each sample and head is a matrix of its own, with
//! the rows of its queries, keys and values `batch · heads` rows apart, for time comes first in memory.
//!
//! With the weights P = softmax(S), what dropout leaves of them D = M ⊙ P, and the output O = D V:
//! dV = Dᵀ dO, dD = dO Vᵀ, dP = M ⊙ dD, dS = P ⊙ (dP - Σ P ⊙ dP), and dS leads to queries, keys and weights.

mod pass;
mod scores;
mod tensors;

use super::{Compute, Context, Parts, for_each_rows};
use crate::Result;
use crate::backend::{Call, Workspace};
use crate::layers::{Attention, MaskedScores, Score};
use crate::tensor::Span;
use foliot_simd::gemm::{Init, MatrixRef, Operand, gemm};
use pass::Backward;
use tensors::{RowsMut, Sizes};

/// What the forward pass keeps, each (matrices, queries, keys): the weights, what dropout leaves of them, and the products
/// before a scale that is learned.
struct Saved {
    weights: Span,
    dropped: Span,
    products: Span,
}

/// The memory of the backward pass: the gradient of the scores, what dropout multiplies with, the gradient of the outputs
/// matrix by matrix; for sums of tanh the gradients of queries and keys; partial sums of the gradients of weights.
struct Scratch {
    slopes: Span,
    kept: Span,
    outputs: Span,
    queries: Span,
    keys: Span,
    partials: Span,
}

/// Cuts spans off a memory.
fn cutter(memory: Span) -> impl FnMut(usize) -> Span {
    let mut used = 0;
    move |len| {
        used += len;
        memory.part(used - len, len)
    }
}

impl Attention {
    fn drops_in(&self, call: &Call<'_>) -> bool {
        self.drops() && call.training
    }

    fn scales_products(&self) -> bool {
        self.use_scale && self.score == Score::Dot
    }

    /// The lengths of what [`Saved`] holds.
    fn saved_lengths(&self, call: &Call<'_>, sizes: &Sizes) -> [usize; 3] {
        let all = sizes.matrices * sizes.scores();
        let some = |condition: bool| if condition { all } else { 0 };
        [all, some(self.drops_in(call)), some(self.scales_products())]
    }

    fn saved(&self, call: &Call<'_>, sizes: &Sizes) -> Saved {
        let [weights, dropped, products] = self.saved_lengths(call, sizes).map(cutter(call.saved));
        Saved { weights, dropped, products }
    }

    fn scratch_lengths(&self, call: &Call<'_>, sizes: &Sizes) -> [usize; 6] {
        let all = sizes.matrices * sizes.scores();
        let of_tanh = |len: usize| if self.score == Score::Dot { 0 } else { len };
        [
            all,
            if self.drops_in(call) { all } else { 0 },
            sizes.matrices * sizes.queries * sizes.value_width,
            of_tanh(sizes.batch * sizes.queries * sizes.width),
            of_tanh(sizes.batch * sizes.keys * sizes.width),
            sizes.batch * 2 * sizes.width.max(1),
        ]
    }

    fn scratch(&self, call: &Call<'_>, sizes: &Sizes) -> Scratch {
        let [slopes, kept, outputs, queries, keys, partials] =
            self.scratch_lengths(call, sizes).map(cutter(call.scratch));
        Scratch { slopes, kept, outputs, queries, keys, partials }
    }

    /// The spans of query, key, value and the mask.
    fn operands(&self, call: &Call<'_>) -> [Span; 4] {
        let mask = if self.has_mask { call.inputs.len() - 1 } else { 0 };
        [0, self.key(), 1, mask].map(|input| call.inputs[input].value)
    }

    /// Where the output with the weights lies in its tensor, from its place in the weights: rows of keys.
    fn place_of_weights(&self, sizes: &Sizes, index: usize, query: usize) -> usize {
        let Sizes { batch, queries, keys, .. } = *sizes;
        if self.masked_scores == MaskedScores::Lower {
            return (query * batch + index) * keys;
        }
        let (sample, head) = (index / self.heads, index % self.heads);
        ((head * batch + sample) * queries + query) * keys
    }
}

impl Compute for Attention {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        let sizes = Sizes::new(self, call);
        Workspace {
            saved: self.saved_lengths(call, &sizes).iter().sum(),
            scratch: self.scratch_lengths(call, &sizes).iter().sum(),
        }
    }

    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Context { level, memory, .. } = context;
        let sizes = Sizes::new(self, call);
        let Sizes { queries, keys, value_width, .. } = sizes;
        let saved = self.saved(call, &sizes);
        let returned = call.outputs.get(1).map_or(call.saved.part(0, 0), |scores| scores.value);
        let writes = [saved.weights, saved.dropped, saved.products, call.outputs[0].value, returned];
        let (flags, operands, [weights, dropped, products, output, returned]) =
            memory.flags_and_floats(self.operands(call), writes);
        if sizes.matrices * sizes.scores() == 0 {
            output.fill(0.0);
            return Ok(0.0);
        }
        let pass = self.pass(level, call, sizes, flags, operands);
        let target = RowsMut::new(output, &sizes, value_width);
        let (drops, scales, len) = (!dropped.is_empty(), !products.is_empty(), sizes.scores());
        let parts = [&mut *weights, &mut *dropped, products].map(|values| Parts(values.as_mut_ptr()));
        for_each_rows(sizes.matrices, sizes.per_task(), |first, count| {
            for index in first..first + count {
                let part = |which: usize, exists: bool| {
                    // SAFETY: each matrix belongs to one task and has its own part of each array that exists.
                    if exists { unsafe { parts[which].part(index * len, len) } } else { &mut [] }
                };
                let (scores, dropped) = (part(0, true), part(1, drops));
                pass.weights(index, scores, part(2, scales));
                let used: &[f32] = if drops {
                    pass.draw(index, dropped);
                    dropped.iter_mut().zip(&*scores).for_each(|(dropped, weight)| *dropped *= weight);
                    dropped
                } else {
                    scores
                };
                let (a, b) = (MatrixRef::new(used, keys, 1), Operand::Matrix(pass.v.matrix(index)));
                // SAFETY: each matrix belongs to one task.
                gemm(level, queries, value_width, keys, a, b, Init::Zero, unsafe { target.matrix(index) });
                for query in pass.hidden(index) {
                    // SAFETY: as above.
                    unsafe { target.row(index, query) }.fill(0.0);
                }
            }
        });
        if !returned.is_empty() {
            let source = if drops && self.masked_scores == MaskedScores::Lower { &*dropped } else { &*weights };
            for (position, row) in source.chunks_exact(keys).enumerate() {
                let place = self.place_of_weights(&sizes, position / queries, position % queries);
                returned[place..][..keys].copy_from_slice(row);
            }
        }
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Context { level, memory, .. } = context;
        let Some(output_gradient) = call.outputs[0].gradient else { return };
        let sizes = Sizes::new(self, call);
        let Sizes { batch, width, value_width, .. } = sizes;
        let (saved, scratch) = (self.saved(call, &sizes), self.scratch(call, &sizes));
        let none = call.saved.part(0, 0);
        let wanted = |input: usize| call.inputs[input].gradient.unwrap_or(none);
        let for_weight = |weight: usize| call.parameter_gradients.get(weight).copied().flatten().unwrap_or(none);
        let returned = call.outputs.get(1).and_then(|scores| scores.gradient).unwrap_or(none);
        let [query, key, value, mask] = self.operands(call);
        let reads = [query, key, value, mask, saved.weights, saved.dropped, saved.products, output_gradient, returned];
        // Where the value is the key, its gradient is that of both.
        let for_key = if self.has_key { wanted(2) } else { none };
        // A mask is no function of anything.
        let for_mask = if self.has_mask { wanted(call.inputs.len() - 1) } else { none };
        let Scratch { slopes, kept, outputs, queries, keys, partials } = scratch;
        let writes = [
            slopes,
            kept,
            outputs,
            queries,
            keys,
            partials,
            wanted(0),
            wanted(1),
            for_key,
            for_mask,
            for_weight(0),
            for_weight(1),
        ];
        let (flags, reads, writes) = memory.flags_and_floats(reads, writes);
        let [q, k, v, matrix, weights, dropped, products, dy, returned] = reads;
        let [slopes, kept, outputs, d_queries, d_keys, partials, dq, dv, dk, d_mask, d_first, d_second] = writes;
        d_mask.fill(0.0);
        if sizes.matrices * sizes.scores() == 0 {
            for gradient in [dq, dv, dk] {
                gradient.fill(0.0);
            }
            return;
        }
        let drops = !kept.is_empty();
        let target =
            |values: &mut [f32], width: usize| (!values.is_empty()).then(|| RowsMut::new(values, &sizes, width));
        let (dq, dv) = (target(dq, width), target(dv, value_width));
        let pass = Backward {
            pass: self.pass(level, call, sizes, flags, [q, k, v, matrix]),
            weights,
            dropped: if drops { dropped } else { weights },
            products,
            dy: sizes.rows(dy, value_width),
            returned,
            dq,
            dv,
            dk: if self.has_key { target(dk, width) } else { dv },
            slopes: Parts(slopes.as_mut_ptr()),
            kept: drops.then_some(Parts(kept.as_mut_ptr())),
            outputs: Parts(outputs.as_mut_ptr()),
            d_queries: Parts(d_queries.as_mut_ptr()),
            d_keys: Parts(d_keys.as_mut_ptr()),
            partials: Parts(partials.as_mut_ptr()),
        };
        for_each_rows(sizes.matrices, sizes.per_task(), |first, count| {
            for index in first..first + count {
                // SAFETY: each matrix belongs to one task.
                unsafe { pass.matrix(index) };
            }
        });
        // In the order of the samples, whoever computed them.
        for sums in partials.chunks_exact(2 * width).take(if call.parameters.is_empty() { 0 } else { batch }) {
            let (d_outer, d_inner) = sums.split_at(width);
            self.add_to_weights(d_outer, d_inner, d_first, d_second);
        }
    }
}

impl Attention {
    /// Adds the partial sums of a sample to the gradients of the weights, empty ones for frozen weights.
    fn add_to_weights(&self, d_outer: &[f32], d_inner: &[f32], first: &mut [f32], second: &mut [f32]) {
        let add_sum = |target: &mut [f32], parts: &[f32]| {
            for target in target {
                *target += parts.iter().sum::<f32>();
            }
        };
        match (self.score, self.use_scale) {
            (Score::Dot, _) => add_sum(first, &d_outer[..1]),
            (Score::Additive, _) => first.iter_mut().zip(d_outer).for_each(|(target, part)| *target += part),
            (Score::Concat, true) => {
                add_sum(first, d_inner);
                add_sum(second, d_outer);
            }
            (Score::Concat, false) => add_sum(first, d_outer),
        }
    }
}
