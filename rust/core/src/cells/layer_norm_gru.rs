//! The GRU with layer normalization of Ba, Kiros and Hinton 2016 ("Layer normalization", arXiv 1607.06450), as its
//! supplementary material has it, with the columns in Keras's order z, r, h.
//!
//! ```text
//! [z r] = σ(LN(x·[W_z W_r]) + LN(h₋·[U_z U_r]))             over the two gates together
//! n = act(LN(x·W_h) + r ∘ m)     m = LN(h₋·U_h)     h = (1 - z) ∘ h₋ + z ∘ n
//! ```
//! The paper's z is the share of the new; [Keras's](super::gru) that of the old. The shifts of the norms are the biases.
//! Backward:
//! ```text
//! dn = dh ∘ z ∘ act'     dz = dh ∘ (n - h₋) ∘ σ'     dm = dn ∘ r     dr = dn ∘ m ∘ σ'     dh₋ = dh ∘ (1 - z) + ...
//! ```
//! Slots: 0 to 2 x·W, 3 to 5 h₋·U, later their gradients; 6 to 8 the pre-activations of z, r and n, later their gradients;
//! 9 to 11 z, r, n; 12 m, later its gradient; 13 room for a row.

use super::layer_norm::{self, Norm};
use super::{BackwardStep, Block, Cell, ForwardStep, Operand, Product, Weights, range, rows};
use crate::activations::Activation;
use foliot_simd::isa::Isa;

const GATES: usize = 3;
const SLOTS: usize = 4 * GATES + 2;

/// The cell with its activations, in [steps by rows](super::rows).
#[derive(Clone, Copy, Debug)]
pub struct LayerNormGru {
    /// act
    pub activation: Activation,
    /// σ
    pub gate: Activation,
    /// ε
    pub epsilon: f32,
}

/// γ and β of the norms: of x·W first for the gates, then for the candidate, and the same of h₋·U.
struct Vectors<T> {
    input: [Norm<T>; 2],
    state: [Norm<T>; 2],
}

/// Cuts them from a row of them; `$split` is `split_at` or `split_at_mut`.
macro_rules! cut {
    ($values:expr, $units:expr, $split:ident) => {{
        let (wide, gates) = (GATES * $units, (GATES - 1) * $units);
        let (input_gamma, rest) = $values.$split(wide);
        let (input_beta, rest) = rest.$split(wide);
        let (state_gamma, state_beta) = rest.$split(wide);
        let [input_gamma, input_beta, state_gamma, state_beta] =
            [input_gamma, input_beta, state_gamma, state_beta].map(|vector| vector.$split(gates));
        Vectors {
            input: [
                Norm { gamma: input_gamma.0, beta: input_beta.0 },
                Norm { gamma: input_gamma.1, beta: input_beta.1 },
            ],
            state: [
                Norm { gamma: state_gamma.0, beta: state_beta.0 },
                Norm { gamma: state_gamma.1, beta: state_beta.1 },
            ],
        }
    }};
}

impl Cell for LayerNormGru {
    const SLOTS: usize = SLOTS;
    const INPUTS: &'static [Block] = &[Block { slot: 0, gate: 0, count: GATES }];
    const PRODUCTS: &'static [Product] =
        &[Product { block: Block { slot: GATES, gate: 0, count: GATES }, operand: Operand::State }];
    const HAS_CELL_STATE: bool = false;
    const HAS_DIRECT_GRADIENT: bool = true;

    #[inline(always)]
    unsafe fn forward<I: Isa>(self, isa: I, weights: &Weights, step: &ForwardStep) {
        let units = step.units;
        let vectors = cut!(weights.vectors, units, split_at);
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another.
        unsafe {
            rows::sum_up::<Self, I, GATES>(isa, weights, step);
            for row in range(step.rows) {
                let record = rows::row_mut(step.gates, row, SLOTS * units);
                let (products, rest) = record.split_at_mut(2 * GATES * units);
                let (from_input, from_state) = products.split_at(GATES * units);
                let (input_gates, input_candidate) = from_input.split_at((GATES - 1) * units);
                let (state_gates, state_candidate) = from_state.split_at((GATES - 1) * units);
                rest.fill(0.0);
                let gates = &mut rest[..(GATES - 1) * units];
                layer_norm::add(input_gates, &vectors.input[0], self.epsilon, gates);
                layer_norm::add(state_gates, &vectors.state[0], self.epsilon, gates);
                let [_, _, _, _, _, _, zz, zr, zn, z, r, n, m, _] = rows::slots::<SLOTS>(step.gates, row, units);
                layer_norm::add(input_candidate, &vectors.input[1], self.epsilon, zn);
                layer_norm::add(state_candidate, &vectors.state[1], self.epsilon, m);
                rows::bend::<I>(self.gate, zz, z);
                rows::bend::<I>(self.gate, zr, r);
                rows::add_products(zn, r, m);
                rows::bend::<I>(self.activation, zn, n);
                let h = rows::row_mut(step.h, row, units);
                rows::combine(h, z, rows::row(step.h_previous, row, units), |z, h_previous| (1.0 - z) * h_previous);
                rows::add_products(h, z, n);
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<I: Isa>(self, isa: I, weights: &Weights, step: &BackwardStep) {
        let units = step.units;
        let vectors = cut!(weights.vectors, units, split_at);
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another.
        unsafe {
            rows::gather_gradient::<Self, I>(isa, weights, step);
            for row in range(step.rows) {
                let gradients = rows::row_mut(step.vector_gradients, row, weights.vectors.len());
                let gradients = cut!(gradients, units, split_at_mut);
                let [_, _, _, _, _, _, zz, zr, zn, z, r, n, m, room] = rows::slots::<SLOTS>(step.gates, row, units);
                let dh = rows::row_mut(step.carry, row, units);
                let back = |activation, z: &mut [f32], y: &[f32], room: &mut [f32]| {
                    rows::bend_back::<I>(activation, z, y, room);
                    z.copy_from_slice(room);
                };
                rows::combine(room, n, rows::row(step.h_previous, row, units), |n, h_previous| n - h_previous);
                room.iter_mut().zip(dh.iter()).for_each(|(room, dh)| *room *= dh);
                back(self.gate, zz, z, room);
                rows::combine(room, dh, z, |dh, z| dh * z);
                back(self.activation, zn, n, room);
                rows::combine(room, zn, m, |dn, m| dn * m);
                back(self.gate, zr, r, room);
                rows::combine(m, zn, r, |dn, r| dn * r);
                dh.iter_mut().zip(z.iter()).for_each(|(dh, z)| *dh *= 1.0 - z);
                let record = rows::row_mut(step.gates, row, SLOTS * units);
                let (products, rest) = record.split_at_mut(2 * GATES * units);
                let (from_input, from_state) = products.split_at_mut(GATES * units);
                let (input_gates, input_candidate) = from_input.split_at_mut((GATES - 1) * units);
                let (state_gates, state_candidate) = from_state.split_at_mut((GATES - 1) * units);
                let (gates, dn) = rest[..GATES * units].split_at((GATES - 1) * units);
                let dm = &rest[2 * GATES * units..][..units];
                let ([input, state], epsilon) = ([&vectors.input, &vectors.state], self.epsilon);
                let ([to_gates, to_candidate], [of_gates, of_candidate]) = (gradients.input, gradients.state);
                layer_norm::backward(input_gates, &input[0], epsilon, gates, to_gates);
                layer_norm::backward(input_candidate, &input[1], epsilon, dn, to_candidate);
                layer_norm::backward(state_gates, &state[0], epsilon, gates, of_gates);
                layer_norm::backward(state_candidate, &state[1], epsilon, dm, of_candidate);
            }
        }
    }
}
