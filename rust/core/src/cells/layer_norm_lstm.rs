//! The LSTM with layer normalization of Ba, Kiros and Hinton 2016 ("Layer normalization", arXiv 1607.06450), as its
//! supplementary material has it, in Keras's gate order.
//!
//! ```text
//! [i f g o] = LN(x·W; γ₁, β₁) + LN(h₋·U; γ₂, β₂) + b        over the four gates together
//! c = σ(f) ∘ c₋ + σ(i) ∘ act(g)          h = σ(o) ∘ act(LN(c; γ₃, β₃))
//! ```
//! c itself goes on to the next step, not LN(c). Backward as [the LSTM](super::lstm), through the norms of `layer_norm.rs`.
//! Slots: 0 to 3 x·W, 4 to 7 h₋·U, later their gradients; 8 to 11 the gates' pre-activations, later their gradients; 12 to 15
//! i, f, g, o; 16 LN(c), 17 act(LN(c)), 18 room for a row.

use super::layer_norm::{self, Norm};
use super::{BackwardStep, Block, Cell, ForwardStep, Operand, Product, Weights, range, rows};
use crate::activations::Activation;
use foliot_simd::isa::Isa;

const GATES: usize = 4;
const SLOTS: usize = 4 * GATES + 3;

/// The cell with its activations, in [steps by rows](super::rows).
#[derive(Clone, Copy, Debug)]
pub struct LayerNormLstm {
    /// act
    pub activation: Activation,
    /// σ
    pub gate: Activation,
    /// ε
    pub epsilon: f32,
    /// Whether there is b.
    pub use_bias: bool,
}

/// The weights in their order: b (none without), then γ and β of the three norms.
struct Vectors<T> {
    bias: T,
    input: Norm<T>,
    state: Norm<T>,
    cell: Norm<T>,
}

/// Cuts them from a row of them; `$split` is `split_at` or `split_at_mut`.
macro_rules! cut {
    ($values:expr, $bias:expr, $units:expr, $split:ident) => {{
        let wide = GATES * $units;
        let (bias, rest) = $values.$split(if $bias { wide } else { 0 });
        let (input_gamma, rest) = rest.$split(wide);
        let (input_beta, rest) = rest.$split(wide);
        let (state_gamma, rest) = rest.$split(wide);
        let (state_beta, rest) = rest.$split(wide);
        let (gamma, beta) = rest.$split($units);
        Vectors {
            bias,
            input: Norm { gamma: input_gamma, beta: input_beta },
            state: Norm { gamma: state_gamma, beta: state_beta },
            cell: Norm { gamma, beta },
        }
    }};
}

impl Cell for LayerNormLstm {
    const SLOTS: usize = SLOTS;
    const INPUTS: &'static [Block] = &[Block { slot: 0, gate: 0, count: GATES }];
    const PRODUCTS: &'static [Product] =
        &[Product { block: Block { slot: GATES, gate: 0, count: GATES }, operand: Operand::State }];
    const HAS_CELL_STATE: bool = true;
    const HAS_DIRECT_GRADIENT: bool = false;

    #[inline(always)]
    unsafe fn forward<I: Isa>(self, isa: I, weights: &Weights, step: &ForwardStep) {
        let units = step.units;
        let vectors = cut!(weights.vectors, self.use_bias, units, split_at);
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another, once c₋, which may be
        // c, has been copied.
        unsafe {
            rows::sum_up::<Self, I, GATES>(isa, weights, step);
            for row in range(step.rows) {
                let record = rows::row_mut(step.gates, row, SLOTS * units);
                let (products, z) = record[..3 * GATES * units].split_at_mut(2 * GATES * units);
                if self.use_bias {
                    z.copy_from_slice(vectors.bias);
                } else {
                    z.fill(0.0);
                }
                let (from_input, from_state) = products.split_at(GATES * units);
                layer_norm::add(from_input, &vectors.input, self.epsilon, z);
                layer_norm::add(from_state, &vectors.state, self.epsilon, z);
                let [_, _, _, _, _, _, _, _, zi, zf, zg, zo, i, f, g, o, n, bent, room] =
                    rows::slots::<SLOTS>(step.gates, row, units);
                rows::bend::<I>(self.gate, zi, i);
                rows::bend::<I>(self.gate, zf, f);
                rows::bend::<I>(self.activation, zg, g);
                rows::bend::<I>(self.gate, zo, o);
                room.copy_from_slice(rows::row(step.c_previous, row, units));
                let c = rows::row_mut(step.c, row, units);
                rows::combine(c, i, g, |i, g| i * g);
                rows::add_products(c, f, room);
                n.fill(0.0);
                layer_norm::add(c, &vectors.cell, self.epsilon, n);
                rows::bend::<I>(self.activation, n, bent);
                rows::combine(rows::row_mut(step.h, row, units), o, bent, |o, bent| o * bent);
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<I: Isa>(self, isa: I, weights: &Weights, step: &BackwardStep) {
        let units = step.units;
        let vectors = cut!(weights.vectors, self.use_bias, units, split_at);
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another.
        unsafe {
            rows::gather_gradient::<Self, I>(isa, weights, step);
            for row in range(step.rows) {
                let gradients = rows::row_mut(step.vector_gradients, row, weights.vectors.len());
                let gradients = cut!(gradients, self.use_bias, units, split_at_mut);
                let [_, _, _, _, _, _, _, _, zi, zf, zg, zo, i, f, g, o, n, bent, room] =
                    rows::slots::<SLOTS>(step.gates, row, units);
                let (dh, dc) = (rows::row_mut(step.carry, row, units), rows::row_mut(step.cell_carry, row, units));
                let back = |activation, z: &mut [f32], y: &[f32], room: &mut [f32]| {
                    rows::bend_back::<I>(activation, z, y, room);
                    z.copy_from_slice(room);
                };
                rows::combine(room, dh, bent, |dh, bent| dh * bent);
                back(self.gate, zo, o, room);
                rows::combine(room, dh, o, |dh, o| dh * o);
                rows::bend_back::<I>(self.activation, n, bent, room);
                n.copy_from_slice(rows::row(step.c, row, units));
                layer_norm::backward(n, &vectors.cell, self.epsilon, room, gradients.cell);
                dc.iter_mut().zip(n.iter()).for_each(|(dc, part)| *dc += part);
                rows::combine(room, dc, rows::row(step.c_previous, row, units), |dc, c_previous| dc * c_previous);
                back(self.gate, zf, f, room);
                rows::combine(room, dc, g, |dc, g| dc * g);
                back(self.gate, zi, i, room);
                rows::combine(room, dc, i, |dc, i| dc * i);
                back(self.activation, zg, g, room);
                dc.iter_mut().zip(f.iter()).for_each(|(dc, f)| *dc *= f);
                if step.has_product {
                    dh.fill(0.0);
                }
                let record = rows::row_mut(step.gates, row, SLOTS * units);
                let (products, dz) = record[..3 * GATES * units].split_at_mut(2 * GATES * units);
                let (from_input, from_state) = products.split_at_mut(GATES * units);
                gradients.bias.iter_mut().zip(dz.iter()).for_each(|(sum, dz)| *sum += dz);
                layer_norm::backward(from_input, &vectors.input, self.epsilon, dz, gradients.input);
                layer_norm::backward(from_state, &vectors.state, self.epsilon, dz, gradients.state);
            }
        }
    }
}
