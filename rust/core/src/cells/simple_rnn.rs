//! The simple (Elman) cell.
//!
//! ```text
//! h = act(x·W + b + h₋·U)
//! ```
//! `W` kernel, `U` recurrent kernel, `b` bias, `h₋` the previous state. Backward, from dh:
//! ```text
//! dz = dh ∘ act'(h)        dh₋ = dz·Uᵀ
//! ```
//! Slot 0: x·W + b, later dz.

use super::{
    BackwardStep, Block, Cell, ForwardStep, Operand, Product, StateGradient, Weights, backward_rows, multiply, place,
    range, rows,
};
use crate::activations::{Activation, Tanh, Unary};
use foliot_simd::gemm::Epilogue;
use foliot_simd::isa::Isa;

/// The cell with its activation.
#[derive(Clone, Copy, Debug)]
pub struct SimpleRnn<A> {
    /// act
    pub activation: A,
}

impl<A: Unary> Cell for SimpleRnn<A> {
    const SLOTS: usize = 1;
    const INPUTS: &'static [Block] = &[Block { slot: 0, gate: 0, count: 1 }];
    const PRODUCTS: &'static [Product] =
        &[Product { block: Block { slot: 0, gate: 0, count: 1 }, operand: Operand::State }];
    const HAS_CELL_STATE: bool = false;
    const HAS_DIRECT_GRADIENT: bool = false;

    #[inline(always)]
    unsafe fn forward<I: Isa>(self, isa: I, weights: &Weights, step: &ForwardStep) {
        let mut epilogue = Forward { step: *step, activation: self.activation };
        let k = if step.has_product { 0 } else { step.units };
        // SAFETY: h_previous has `units` values in each row, by the caller's promise.
        unsafe {
            multiply(isa, range(step.rows), step.h_previous, step.units, k, &weights.forward, &mut epilogue);
        }
    }

    #[inline(always)]
    unsafe fn backward<I: Isa>(self, isa: I, weights: &Weights, step: &BackwardStep) {
        let make = |gradient| Backward { step: *step, activation: self.activation, gradient };
        // SAFETY: the caller's promise is passed on.
        unsafe { backward_rows::<Self, I, _>(isa, weights, step, make) }
    }
}

struct Forward<A> {
    step: ForwardStep,
    activation: A,
}

impl<I: Isa, A: Unary> Epilogue<I, 2> for Forward<A> {
    #[inline(always)]
    fn init(&self, isa: I, row: usize, block: usize) -> [I::F32; 2] {
        let units = self.step.units;
        let mut sums = [isa.zero(); 2];
        for (vector, sum) in sums.iter_mut().enumerate() {
            let (unit, n) = place::<I>(block, vector, units);
            if n > 0 {
                // SAFETY: a record of the projection holds `units` values.
                *sum = unsafe { isa.load_partial(self.step.projected.row(row).add(unit), n) };
            }
        }
        sums
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, z: [I::F32; 2]) {
        let units = self.step.units;
        for vector in 0..2 {
            let (unit, n) = place::<I>(block, vector, units);
            if n == 0 {
                continue;
            }
            let h = self.activation.value(isa, z[vector]);
            // SAFETY: h holds `units` values in this row.
            unsafe { isa.store_partial(self.step.h.add(row * units + unit), h, n) }
        }
    }
}

struct Backward<A> {
    step: BackwardStep,
    activation: A,
    gradient: StateGradient,
}

impl<I: Isa, A: Unary> Epilogue<I, 2> for Backward<A> {
    #[inline(always)]
    fn init(&self, isa: I, row: usize, block: usize) -> [I::F32; 2] {
        let unit = block * 2 * I::LANES;
        // SAFETY: the step is valid for this row.
        unsafe { [self.gradient.init(isa, row, unit), self.gradient.init(isa, row, unit + I::LANES)] }
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, dh: [I::F32; 2]) {
        let units = self.step.units;
        for vector in 0..2 {
            let (unit, n) = place::<I>(block, vector, units);
            if n == 0 {
                continue;
            }
            let index = row * units + unit;
            // SAFETY: h, the gates and the carry hold `units` values in this row.
            unsafe {
                let h = isa.load_partial(self.step.h.add(index), n);
                let dz = isa.mul(dh[vector], self.activation.slope_from_output(isa, h));
                isa.store_partial(self.step.gates.add(index), dz, n);
                if self.step.has_product {
                    isa.store_partial(self.step.carry.add(index), isa.zero(), n);
                }
            }
        }
    }
}

/// The cell with an activation that is known at run time, in [steps by rows](super::rows). Slot 0: x·W + b + h₋·U, later dz.
#[derive(Clone, Copy, Debug)]
pub struct ByRows {
    /// act
    pub activation: Activation,
}

impl Cell for ByRows {
    const SLOTS: usize = 1;
    const INPUTS: &'static [Block] = SimpleRnn::<Tanh>::INPUTS;
    const PRODUCTS: &'static [Product] = SimpleRnn::<Tanh>::PRODUCTS;
    const HAS_CELL_STATE: bool = false;
    const HAS_DIRECT_GRADIENT: bool = false;

    #[inline(always)]
    unsafe fn forward<I: Isa>(self, isa: I, weights: &Weights, step: &ForwardStep) {
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another.
        unsafe {
            rows::sum_up::<Self, I, 2>(isa, weights, step);
            for row in range(step.rows) {
                let [z] = rows::slots(step.gates, row, step.units);
                rows::bend::<I>(self.activation, z, rows::row_mut(step.h, row, step.units));
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<I: Isa>(self, isa: I, weights: &Weights, step: &BackwardStep) {
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another.
        unsafe {
            rows::gather_gradient::<Self, I>(isa, weights, step);
            for row in range(step.rows) {
                let [z] = rows::slots(step.gates, row, step.units);
                let gradient = rows::row_mut(step.carry, row, step.units);
                rows::bend_back::<I>(self.activation, z, rows::row(step.h, row, step.units), gradient);
                z.copy_from_slice(gradient);
                if step.has_product {
                    gradient.fill(0.0);
                }
            }
        }
    }
}
