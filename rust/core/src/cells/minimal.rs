//! The minimal cells of Feng et al. 2024 ("Were RNNs all we needed?", arXiv 2410.01201): gates and candidate come from the
//! input alone, so that a step is a linear function of the state. No recurrent kernel, and no product in the scan.
//!
//! ```text
//! minGRU:   z = σ(x·W_z + b_z)       n = act(x·W_h + b_h)      h = (1 - z) ∘ h₋ + z ∘ n
//! minLSTM:  i = σ(x·Wᵢ + bᵢ)         f = σ(x·W_f + b_f)        g = act(x·W_c + b_c)
//!           i' = i / (i + f)         f' = f / (i + f)          h = f' ∘ h₋ + i' ∘ g
//! ```
//! In the paper act is the identity. Backward:
//! ```text
//! minGRU:   dz = dh ∘ (n - h₋) ∘ σ'               dn = dh ∘ z ∘ act'         dh₋ = dh ∘ (1 - z)
//! minLSTM:  di = dh ∘ (g - h₋) ∘ f' / (i + f) ∘ σ'          df = dh ∘ (h₋ - g) ∘ i' / (i + f) ∘ σ'
//!           dg = dh ∘ i' ∘ act'                   dh₋ = dh ∘ f'
//! ```

use super::{BackwardStep, Block, Cell, ForwardStep, Product, Weights, range, rows};
use crate::activations::Activation;
use foliot_simd::isa::Isa;

/// minGRU, in [steps by rows](super::rows). Slots 0 and 1: the pre-activations of z and n, later their gradients; 2 and 3: z, n;
/// 4: room for a row.
#[derive(Clone, Copy, Debug)]
pub struct MinGru {
    /// act
    pub activation: Activation,
    /// σ
    pub gate: Activation,
}

impl Cell for MinGru {
    const SLOTS: usize = 5;
    const INPUTS: &'static [Block] = &[Block { slot: 0, gate: 0, count: 2 }];
    const PRODUCTS: &'static [Product] = &[];
    const HAS_CELL_STATE: bool = false;
    const HAS_DIRECT_GRADIENT: bool = true;

    #[inline(always)]
    unsafe fn forward<I: Isa>(self, _isa: I, _weights: &Weights, step: &ForwardStep) {
        let units = step.units;
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another.
        unsafe {
            rows::bring_inputs::<Self>(step);
            for row in range(step.rows) {
                let [zz, zn, z, n, _] = rows::slots(step.gates, row, units);
                rows::bend::<I>(self.gate, zz, z);
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
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another.
        unsafe {
            rows::gather_gradient::<Self, I>(isa, weights, step);
            for row in range(step.rows) {
                let [zz, zn, z, n, room] = rows::slots(step.gates, row, units);
                let dh = rows::row_mut(step.carry, row, units);
                rows::combine(room, n, rows::row(step.h_previous, row, units), |n, h_previous| n - h_previous);
                room.iter_mut().zip(dh.iter()).for_each(|(room, dh)| *room *= dh);
                rows::bend_back::<I>(self.gate, zz, z, room);
                zz.copy_from_slice(room);
                rows::combine(room, dh, z, |dh, z| dh * z);
                rows::bend_back::<I>(self.activation, zn, n, room);
                zn.copy_from_slice(room);
                dh.iter_mut().zip(z.iter()).for_each(|(dh, z)| *dh *= 1.0 - z);
            }
        }
    }
}

/// What the shares of i and f are divided by. Where both gates are closed as far as numbers go, both shares are 0 instead of
/// a quotient of rounding errors.
#[inline(always)]
fn total(i: f32, f: f32) -> f32 {
    let sum = i + f;
    if sum.abs() < 1e-30 { 1.0 } else { sum }
}

/// minLSTM, in [steps by rows](super::rows). Slots 0 to 2: the pre-activations of i, f and g, later their gradients; 3 to 5:
/// i, f, g; 6: room for a row.
#[derive(Clone, Copy, Debug)]
pub struct MinLstm {
    /// act
    pub activation: Activation,
    /// σ
    pub gate: Activation,
}

impl Cell for MinLstm {
    const SLOTS: usize = 7;
    const INPUTS: &'static [Block] = &[Block { slot: 0, gate: 0, count: 3 }];
    const PRODUCTS: &'static [Product] = &[];
    const HAS_CELL_STATE: bool = false;
    const HAS_DIRECT_GRADIENT: bool = true;

    #[inline(always)]
    unsafe fn forward<I: Isa>(self, _isa: I, _weights: &Weights, step: &ForwardStep) {
        let units = step.units;
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another.
        unsafe {
            rows::bring_inputs::<Self>(step);
            for row in range(step.rows) {
                let [zi, zf, zg, i, f, g, room] = rows::slots(step.gates, row, units);
                rows::bend::<I>(self.gate, zi, i);
                rows::bend::<I>(self.gate, zf, f);
                rows::bend::<I>(self.activation, zg, g);
                rows::combine(room, i, f, |i, f| i / total(i, f));
                let h = rows::row_mut(step.h, row, units);
                rows::combine(h, i, f, |i, f| f / total(i, f));
                let h_previous = rows::row(step.h_previous, row, units);
                h.iter_mut().zip(h_previous).for_each(|(h, h_previous)| *h *= h_previous);
                rows::add_products(h, room, g);
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<I: Isa>(self, isa: I, weights: &Weights, step: &BackwardStep) {
        let units = step.units;
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another.
        unsafe {
            rows::gather_gradient::<Self, I>(isa, weights, step);
            for row in range(step.rows) {
                let [zi, zf, zg, i, f, g, room] = rows::slots(step.gates, row, units);
                let h_previous = rows::row(step.h_previous, row, units);
                let dh = rows::row_mut(step.carry, row, units);
                let share = |one: f32, other: f32| one / total(one, other);
                let (input, forget) = (&*i, &*f);
                let sum = |unit: usize| total(input[unit], forget[unit]);
                for unit in 0..units {
                    room[unit] = dh[unit] * (g[unit] - h_previous[unit]) * share(forget[unit], input[unit]) / sum(unit);
                }
                rows::bend_back::<I>(self.gate, zi, input, room);
                zi.copy_from_slice(room);
                for unit in 0..units {
                    room[unit] = dh[unit] * (h_previous[unit] - g[unit]) * share(input[unit], forget[unit]) / sum(unit);
                }
                rows::bend_back::<I>(self.gate, zf, forget, room);
                zf.copy_from_slice(room);
                for unit in 0..units {
                    room[unit] = dh[unit] * share(input[unit], forget[unit]);
                    dh[unit] *= share(forget[unit], input[unit]);
                }
                rows::bend_back::<I>(self.activation, zg, g, room);
                zg.copy_from_slice(room);
            }
        }
    }
}
