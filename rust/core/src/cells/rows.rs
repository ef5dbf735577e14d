//! Steps by rows: how the cells run whose activations are only known at run time.
//!
//! A function such as gelu has a slope that follows from its input alone, and softmax needs a whole row at once, so neither
//! fits an epilogue that sees a vector of finished values. Here a step brings all pre-activations of its rows into their
//! records first, where they stay for the backward step, and the cell's equations then work on one row at a time. The slots
//! of a record hold the pre-activations in the first place, which later become their gradients, and behind them what the
//! cell keeps besides.

use super::{
    BackwardStep, Block, Cell, ForwardStep, StateGradient, Store, Weights, backward_rows, lanes, multiply, range,
    state_product,
};
use crate::activations::Activation;
use foliot_simd::gemm::Epilogue;
use foliot_simd::isa::Isa;
use std::ptr;

/// `units` values of a row, to read.
///
/// # Safety
/// The array has this row, and nobody writes it as long as the slice lives.
#[inline(always)]
pub(crate) unsafe fn row<'a>(base: *const f32, row: usize, units: usize) -> &'a [f32] {
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(base.add(row * units), units) }
}

/// `units` values of a row, to write.
///
/// # Safety
/// The array has this row, and nobody else accesses it as long as the slice lives.
#[inline(always)]
pub(crate) unsafe fn row_mut<'a>(base: *mut f32, row: usize, units: usize) -> &'a mut [f32] {
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(base.add(row * units), units) }
}

/// The slots of a row's record.
///
/// # Safety
/// As [`row_mut`], for a record of `N` slots.
#[inline(always)]
pub(crate) unsafe fn slots<'a, const N: usize>(gates: *mut f32, row: usize, units: usize) -> [&'a mut [f32]; N] {
    // SAFETY: the slots of a record do not overlap.
    std::array::from_fn(|slot| unsafe { row_mut(gates, row * N + slot, units) })
}

/// `target = f(left, right)`, element by element.
#[inline(always)]
pub(crate) fn combine(target: &mut [f32], left: &[f32], right: &[f32], f: impl Fn(f32, f32) -> f32) {
    target.iter_mut().zip(left).zip(right).for_each(|((target, left), right)| *target = f(*left, *right));
}

/// `target += left ∘ right`
#[inline(always)]
pub(crate) fn add_products(target: &mut [f32], left: &[f32], right: &[f32]) {
    target.iter_mut().zip(left).zip(right).for_each(|((target, left), right)| *target += left * right);
}

/// The gradient of an activation in the place of that of its output.
#[inline(always)]
pub(crate) fn bend_back<I: Isa>(activation: Activation, x: &[f32], y: &[f32], gradient: &mut [f32]) {
    activation.backward_in_place(I::LEVEL, x.len(), x, y, gradient);
}

/// The values of an activation for one row.
#[inline(always)]
pub(crate) fn bend<I: Isa>(activation: Activation, x: &[f32], y: &mut [f32]) {
    activation.forward(I::LEVEL, x.len(), x, y);
}

/// How many slots the input projections fill.
fn input_slots<C: Cell>() -> usize {
    C::INPUTS.iter().map(|block| block.count).sum()
}

/// Brings the input projections into the gates of a step.
///
/// # Safety
/// As [`Cell::forward`].
#[inline(always)]
pub(crate) unsafe fn bring_inputs<C: Cell>(step: &ForwardStep) {
    let (units, record, inputs) = (step.units, C::SLOTS * step.units, input_slots::<C>());
    if !step.projected.records.is_null() {
        for index in range(step.rows) {
            // SAFETY: the projections of a token fill the first slots of a record, and lie elsewhere.
            unsafe {
                let source = step.projected.row(index);
                ptr::copy_nonoverlapping(source, step.gates.add(index * record), inputs * units);
            }
        }
    }
}

/// Brings the sums of the input projections and the product with the previous state into the gates of a step.
///
/// # Safety
/// As [`Cell::forward`].
#[inline(always)]
pub(crate) unsafe fn sum_up<C: Cell, I: Isa, const NV: usize>(isa: I, weights: &Weights, step: &ForwardStep) {
    // SAFETY: the caller's promise is passed on.
    unsafe { bring_inputs::<C>(step) };
    let (units, record, inputs) = (step.units, C::SLOTS * step.units, input_slots::<C>());
    let Some(Block { slot, count, .. }) = state_product::<C>().filter(|_| !step.has_product) else { return };
    // SAFETY: the slots of the product lie inside the record, h_previous has `units` values in each row.
    unsafe {
        let target = step.gates.add(slot * units);
        let (a, b) = (step.h_previous, &weights.forward);
        if count == 1 {
            let mut add = Store { initial: target, initial_stride: record, target, stride: record, columns: units };
            multiply(isa, range(step.rows), a, units, units, b, &mut add);
        } else {
            let (filled, bias) = (inputs.saturating_sub(slot), weights.candidate_bias.as_ptr());
            let mut add = AddGates::<NV> { target, record, units, filled, bias };
            multiply(isa, range(step.rows), a, units, units, b, &mut add);
        }
    }
}

/// Adds the interleaved product to consecutive slots.
struct AddGates<const NV: usize> {
    /// The first slot.
    target: *mut f32,
    record: usize,
    units: usize,
    /// How many slots an input has filled.
    filled: usize,
    /// What the others start from.
    bias: *const f32,
}

impl<I: Isa, const NV: usize> Epilogue<I, NV> for AddGates<NV> {
    #[inline(always)]
    fn init(&self, isa: I, row: usize, block: usize) -> [I::F32; NV] {
        let unit = block * I::LANES;
        let n = lanes::<I>(unit, self.units);
        let mut sums = [isa.zero(); NV];
        for (gate, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the slots lie inside the record; the bias holds `units` values.
            *sum = unsafe {
                let source = if gate >= self.filled {
                    self.bias.add(unit)
                } else {
                    self.target.add(row * self.record + gate * self.units + unit).cast_const()
                };
                isa.load_partial(source, n)
            };
        }
        sums
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, sums: [I::F32; NV]) {
        let unit = block * I::LANES;
        let n = lanes::<I>(unit, self.units);
        for (gate, sum) in sums.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { isa.store_partial(self.target.add(row * self.record + gate * self.units + unit), sum, n) };
        }
    }
}

/// Brings dL/dh of a step's rows into the carry.
///
/// # Safety
/// As [`Cell::backward`].
#[inline(always)]
pub(crate) unsafe fn gather_gradient<C: Cell, I: Isa>(isa: I, weights: &Weights, step: &BackwardStep) {
    let make = |gradient| Gather { gradient, carry: step.carry, units: step.units };
    // SAFETY: the caller's promise is passed on.
    unsafe { backward_rows::<C, I, _>(isa, weights, step, make) }
}

/// carry = dL/dh
struct Gather {
    gradient: StateGradient,
    carry: *mut f32,
    units: usize,
}

impl<I: Isa> Epilogue<I, 2> for Gather {
    #[inline(always)]
    fn init(&self, isa: I, row: usize, block: usize) -> [I::F32; 2] {
        let unit = block * 2 * I::LANES;
        // SAFETY: the step is valid for this row.
        unsafe { [self.gradient.init(isa, row, unit), self.gradient.init(isa, row, unit + I::LANES)] }
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, dh: [I::F32; 2]) {
        let mut store = Store {
            initial: ptr::null(),
            initial_stride: 0,
            target: self.carry,
            stride: self.units,
            columns: self.units,
        };
        Epilogue::<I, 2>::finish(&mut store, isa, row, block, dh);
    }
}
