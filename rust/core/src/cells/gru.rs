//! The gated recurrent unit (Cho et al. 2014) in Keras's gate order and blend, in both places of the reset.
//!
//! ```text
//! z = σ(x·W_z + b_z + h₋·U_z)    r = σ(x·W_r + b_r + h₋·U_r)    h = z ∘ h₋ + (1 - z) ∘ n
//! reset after the product:   n = act(x·W_h + b_h + r ∘ m),  m = h₋·U_h + b'_h
//! reset before the product:  n = act(x·W_h + b_h + q·U_h),  q = r ∘ h₋
//! ```
//! Backward, from dh:
//! ```text
//! dn = dh ∘ (1 - z) ∘ act'(n)    dz = dh ∘ (h₋ - n) ∘ σ'(z)
//! after:   dm = dn ∘ r           dr = dn ∘ m ∘ σ'(r)            dh₋ = dh ∘ z + [dz dr dm]·Uᵀ
//! before:  dq = dn·U_hᵀ          dr = dq ∘ h₋ ∘ σ'(r)           dh₋ = dh ∘ z + dq ∘ r + [dz dr]·[U_z U_r]ᵀ
//! ```
//! Slots: 0 n, 1 z, 2 r, 3 m or q, later dn, dz, dr, and dm (q stays: the gradient of `U_h` needs it). With this order the gradients of
//! the input products (dn dz dr) and of the recurrent ones (dz dr dm) are both contiguous.

use super::{
    BackwardStep, Block, Cell, ForwardStep, Operand, Product, StateGradient, Store, Weights, backward_rows, lanes,
    multiply, place, range, rows,
};
use crate::activations::{Activation, Sigmoid, Tanh, Unary};
use foliot_simd::gemm::Epilogue;
use foliot_simd::isa::Isa;

const CANDIDATE: usize = 0;
const UPDATE_GATE: usize = 1;
const RESET_GATE: usize = 2;
/// m when the reset acts after the product, q when it acts before.
const INNER: usize = 3;
const SLOTS: usize = 4;

/// Where Keras's column blocks z, r, h go.
const INPUTS: &[Block] =
    &[Block { slot: UPDATE_GATE, gate: 0, count: 2 }, Block { slot: CANDIDATE, gate: 2, count: 1 }];

/// The cell that resets after the recurrent product: Keras's default, and what cuDNN and PyTorch compute.
#[derive(Clone, Copy, Debug)]
pub struct ResetAfter<A, G> {
    /// act
    pub activation: A,
    /// σ
    pub gate: G,
}

/// The cell of the original paper, which resets before the recurrent product.
#[derive(Clone, Copy, Debug)]
pub struct ResetBefore<A, G> {
    /// act
    pub activation: A,
    /// σ
    pub gate: G,
}

impl<A: Unary, G: Unary> Cell for ResetAfter<A, G> {
    const SLOTS: usize = SLOTS;
    const INPUTS: &'static [Block] = INPUTS;
    const PRODUCTS: &'static [Product] =
        &[Product { block: Block { slot: UPDATE_GATE, gate: 0, count: 3 }, operand: Operand::State }];
    const HAS_CELL_STATE: bool = false;
    const HAS_DIRECT_GRADIENT: bool = true;

    #[inline(always)]
    unsafe fn forward<I: Isa>(self, isa: I, weights: &Weights, step: &ForwardStep) {
        let inner = if step.has_product {
            // SAFETY: slot 3 lies inside the row record.
            (unsafe { step.gates.add(INNER * step.units) }.cast_const(), SLOTS * step.units)
        } else {
            (weights.candidate_bias.as_ptr(), 0)
        };
        let mut epilogue = ForwardAfter { step: *step, cell: self, inner };
        let k = if step.has_product { 0 } else { step.units };
        // SAFETY: h_previous has `units` values in each row, by the caller's promise.
        unsafe {
            multiply(isa, range(step.rows), step.h_previous, step.units, k, &weights.forward, &mut epilogue);
        }
    }

    #[inline(always)]
    unsafe fn backward<I: Isa>(self, isa: I, weights: &Weights, step: &BackwardStep) {
        let make =
            |gradient| Backward { step: *step, activation: self.activation, gate: self.gate, gradient, after: true };
        // SAFETY: the caller's promise is passed on.
        unsafe { backward_rows::<Self, I, _>(isa, weights, step, make) }
    }
}

impl<A: Unary, G: Unary> Cell for ResetBefore<A, G> {
    const SLOTS: usize = SLOTS;
    const INPUTS: &'static [Block] = INPUTS;
    const PRODUCTS: &'static [Product] = &[
        Product { block: Block { slot: UPDATE_GATE, gate: 0, count: 2 }, operand: Operand::State },
        Product { block: Block { slot: CANDIDATE, gate: 2, count: 1 }, operand: Operand::Slot(INNER) },
    ];
    const HAS_CELL_STATE: bool = false;
    const HAS_DIRECT_GRADIENT: bool = true;

    #[inline(always)]
    unsafe fn forward<I: Isa>(self, isa: I, weights: &Weights, step: &ForwardStep) {
        let Some([inner, _]) = &weights.inner else { return };
        let units = step.units;
        let k = if step.has_product { 0 } else { units };
        // SAFETY: h_previous has `units` values in each row and slot 3 lies inside the row record, by the caller's
        // promise; the first call has written q of all rows before the second one reads it.
        unsafe {
            let mut gates = ForwardBefore { step: *step, gate: self.gate };
            multiply(isa, range(step.rows), step.h_previous, units, k, &weights.forward, &mut gates);
            let mut candidate = ForwardCandidate { step: *step, activation: self.activation };
            let q = step.gates.add(INNER * units);
            multiply(isa, range(step.rows), q, SLOTS * units, units, inner, &mut candidate);
        }
    }

    #[inline(always)]
    unsafe fn backward<I: Isa>(self, isa: I, weights: &Weights, step: &BackwardStep) {
        let Some([_, inner]) = &weights.inner else { return };
        let make =
            |gradient| Backward { step: *step, activation: self.activation, gate: self.gate, gradient, after: false };
        // SAFETY: the caller's promise is passed on; the first call has written dn of all rows before the second reads it.
        unsafe {
            backward_rows::<Self, I, _>(isa, weights, step, make);
            let mut reset = BackwardReset { step: *step, gate: self.gate };
            let dn = step.gates.add(CANDIDATE * step.units);
            multiply(isa, range(step.rows), dn, SLOTS * step.units, step.units, inner, &mut reset);
        }
    }
}

/// The place of a slot's vector in the gates buffer.
///
/// # Safety
/// The row and unit lie inside the buffer.
#[inline(always)]
unsafe fn slot(gates: *mut f32, units: usize, row: usize, slot: usize, unit: usize) -> *mut f32 {
    // SAFETY: by the caller's promise.
    unsafe { gates.add((row * SLOTS + slot) * units + unit) }
}

struct ForwardAfter<A, G> {
    step: ForwardStep,
    cell: ResetAfter<A, G>,
    /// Where m starts: the candidate's recurrent bias, or the finished product; and its row stride.
    inner: (*const f32, usize),
}

impl<I: Isa, A: Unary, G: Unary> Epilogue<I, 3> for ForwardAfter<A, G> {
    #[inline(always)]
    fn init(&self, isa: I, row: usize, block: usize) -> [I::F32; 3] {
        let units = self.step.units;
        let unit = block * I::LANES;
        let n = lanes::<I>(unit, units);
        // SAFETY: a record of the projection holds the first three slots; `inner` holds `units` values from its row's start.
        unsafe {
            let projected = self.step.projected.row(row);
            [
                isa.load_partial(projected.add(UPDATE_GATE * units + unit), n),
                isa.load_partial(projected.add(RESET_GATE * units + unit), n),
                isa.load_partial(self.inner.0.add(row * self.inner.1 + unit), n),
            ]
        }
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, [z, r, m]: [I::F32; 3]) {
        let units = self.step.units;
        let unit = block * I::LANES;
        let n = lanes::<I>(unit, units);
        let gates = self.step.gates;
        let z = self.cell.gate.value(isa, z);
        let r = self.cell.gate.value(isa, r);
        // SAFETY: the row record holds the slots; h and h_previous hold `units` values in this row.
        unsafe {
            let projected = isa.load_partial(self.step.projected.row(row).add(CANDIDATE * units + unit), n);
            let candidate = self.cell.activation.value(isa, isa.mul_add(r, m, projected));
            let h_previous = isa.load_partial(self.step.h_previous.add(row * units + unit), n);
            let h = blend(isa, z, h_previous, candidate);
            isa.store_partial(self.step.h.add(row * units + unit), h, n);
            isa.store_partial(slot(gates, units, row, CANDIDATE, unit), candidate, n);
            isa.store_partial(slot(gates, units, row, UPDATE_GATE, unit), z, n);
            isa.store_partial(slot(gates, units, row, RESET_GATE, unit), r, n);
            isa.store_partial(slot(gates, units, row, INNER, unit), m, n);
        }
    }
}

/// z ∘ h₋ + (1 - z) ∘ n
#[inline(always)]
fn blend<I: Isa>(isa: I, z: I::F32, h_previous: I::F32, candidate: I::F32) -> I::F32 {
    isa.mul_add(z, isa.sub(h_previous, candidate), candidate)
}

struct ForwardBefore<G> {
    step: ForwardStep,
    gate: G,
}

impl<I: Isa, G: Unary> Epilogue<I, 2> for ForwardBefore<G> {
    #[inline(always)]
    fn init(&self, isa: I, row: usize, block: usize) -> [I::F32; 2] {
        let units = self.step.units;
        let unit = block * I::LANES;
        let n = lanes::<I>(unit, units);
        // SAFETY: a record of the projection holds the first three slots.
        unsafe {
            let projected = self.step.projected.row(row);
            [
                isa.load_partial(projected.add(UPDATE_GATE * units + unit), n),
                isa.load_partial(projected.add(RESET_GATE * units + unit), n),
            ]
        }
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, [z, r]: [I::F32; 2]) {
        let units = self.step.units;
        let unit = block * I::LANES;
        let n = lanes::<I>(unit, units);
        let gates = self.step.gates;
        let z = self.gate.value(isa, z);
        let r = self.gate.value(isa, r);
        // SAFETY: the row record holds the slots; h_previous and the mask hold `units` values in this row.
        unsafe {
            let mut q = isa.mul(r, isa.load_partial(self.step.h_previous.add(row * units + unit), n));
            if !self.step.candidate_mask.is_null() {
                q = isa.mul(q, isa.load_partial(self.step.candidate_mask.add(row * units + unit), n));
            }
            isa.store_partial(slot(gates, units, row, UPDATE_GATE, unit), z, n);
            isa.store_partial(slot(gates, units, row, RESET_GATE, unit), r, n);
            isa.store_partial(slot(gates, units, row, INNER, unit), q, n);
        }
    }
}

struct ForwardCandidate<A> {
    step: ForwardStep,
    activation: A,
}

impl<I: Isa, A: Unary> Epilogue<I, 2> for ForwardCandidate<A> {
    #[inline(always)]
    fn init(&self, isa: I, row: usize, block: usize) -> [I::F32; 2] {
        let units = self.step.units;
        let mut sums = [isa.zero(); 2];
        for (vector, sum) in sums.iter_mut().enumerate() {
            let (unit, n) = place::<I>(block, vector, units);
            if n > 0 {
                // SAFETY: a record of the projection holds the first three slots.
                *sum = unsafe { isa.load_partial(self.step.projected.row(row).add(CANDIDATE * units + unit), n) };
            }
        }
        sums
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, candidate: [I::F32; 2]) {
        let units = self.step.units;
        let gates = self.step.gates;
        for vector in 0..2 {
            let (unit, n) = place::<I>(block, vector, units);
            if n == 0 {
                continue;
            }
            let candidate = self.activation.value(isa, candidate[vector]);
            // SAFETY: the row record holds the slots; h and h_previous hold `units` values in this row.
            unsafe {
                let z = isa.load_partial(slot(gates, units, row, UPDATE_GATE, unit), n);
                let h_previous = isa.load_partial(self.step.h_previous.add(row * units + unit), n);
                isa.store_partial(self.step.h.add(row * units + unit), blend(isa, z, h_previous, candidate), n);
                isa.store_partial(slot(gates, units, row, CANDIDATE, unit), candidate, n);
            }
        }
    }
}

/// What both cells share: dn and dz, and for a reset after the product dr and dm as well.
struct Backward<A, G> {
    step: BackwardStep,
    activation: A,
    gate: G,
    gradient: StateGradient,
    after: bool,
}

impl<I: Isa, A: Unary, G: Unary> Epilogue<I, 2> for Backward<A, G> {
    #[inline(always)]
    fn init(&self, isa: I, row: usize, block: usize) -> [I::F32; 2] {
        let unit = block * 2 * I::LANES;
        // SAFETY: the step is valid for this row.
        unsafe { [self.gradient.init(isa, row, unit), self.gradient.init(isa, row, unit + I::LANES)] }
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, dh: [I::F32; 2]) {
        let units = self.step.units;
        let gates = self.step.gates;
        for vector in 0..2 {
            let (unit, n) = place::<I>(block, vector, units);
            if n == 0 {
                continue;
            }
            let dh = dh[vector];
            // SAFETY: the row record holds the slots; h_previous and the carry hold `units` values in this row.
            unsafe {
                let candidate = isa.load_partial(slot(gates, units, row, CANDIDATE, unit), n);
                let z = isa.load_partial(slot(gates, units, row, UPDATE_GATE, unit), n);
                let h_previous = isa.load_partial(self.step.h_previous.add(row * units + unit), n);
                let dn = isa.mul(isa.sub(dh, isa.mul(dh, z)), self.activation.slope_from_output(isa, candidate));
                let dz = isa.mul(isa.mul(dh, isa.sub(h_previous, candidate)), self.gate.slope_from_output(isa, z));
                if self.after {
                    let r = isa.load_partial(slot(gates, units, row, RESET_GATE, unit), n);
                    let m = isa.load_partial(slot(gates, units, row, INNER, unit), n);
                    let dr = isa.mul(isa.mul(dn, m), self.gate.slope_from_output(isa, r));
                    isa.store_partial(slot(gates, units, row, RESET_GATE, unit), dr, n);
                    isa.store_partial(slot(gates, units, row, INNER, unit), isa.mul(dn, r), n);
                }
                isa.store_partial(slot(gates, units, row, CANDIDATE, unit), dn, n);
                isa.store_partial(slot(gates, units, row, UPDATE_GATE, unit), dz, n);
                isa.store_partial(self.step.carry.add(row * units + unit), isa.mul(dh, z), n);
            }
        }
    }
}

/// Reset before the product: dq comes from the second product, then dr and the rest of the direct gradient.
struct BackwardReset<G> {
    step: BackwardStep,
    gate: G,
}

impl<I: Isa, G: Unary> Epilogue<I, 2> for BackwardReset<G> {
    #[inline(always)]
    fn init(&self, isa: I, _row: usize, _block: usize) -> [I::F32; 2] {
        [isa.zero(); 2]
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, dq: [I::F32; 2]) {
        let units = self.step.units;
        let gates = self.step.gates;
        for vector in 0..2 {
            let (unit, n) = place::<I>(block, vector, units);
            if n == 0 {
                continue;
            }
            let index = row * units + unit;
            let mut dq = dq[vector];
            // SAFETY: the row record holds the slots; h_previous, the mask and the carry hold `units` values in this row.
            unsafe {
                if !self.step.candidate_mask.is_null() {
                    dq = isa.mul(dq, isa.load_partial(self.step.candidate_mask.add(index), n));
                }
                let r = isa.load_partial(slot(gates, units, row, RESET_GATE, unit), n);
                let h_previous = isa.load_partial(self.step.h_previous.add(index), n);
                let dr = isa.mul(isa.mul(dq, h_previous), self.gate.slope_from_output(isa, r));
                let direct = isa.mul_add(dq, r, isa.load_partial(self.step.carry.add(index), n));
                isa.store_partial(slot(gates, units, row, RESET_GATE, unit), dr, n);
                isa.store_partial(self.step.carry.add(index), direct, n);
            }
        }
    }
}

/// What the cells by rows keep: slots 0 to 3 as above, but with the pre-activations of n, z and r; 4 to 6: n, z, r; 7: room
/// for a row.
const ROW_SLOTS: usize = SLOTS + 4;

/// [`ResetAfter`] with activations that are known at run time, in [steps by rows](super::rows).
#[derive(Clone, Copy, Debug)]
pub struct ResetAfterByRows {
    /// act
    pub activation: Activation,
    /// σ
    pub gate: Activation,
}

impl Cell for ResetAfterByRows {
    const SLOTS: usize = ROW_SLOTS;
    const INPUTS: &'static [Block] = INPUTS;
    const PRODUCTS: &'static [Product] = ResetAfter::<Tanh, Sigmoid>::PRODUCTS;
    const HAS_CELL_STATE: bool = false;
    const HAS_DIRECT_GRADIENT: bool = true;

    #[inline(always)]
    unsafe fn forward<I: Isa>(self, isa: I, weights: &Weights, step: &ForwardStep) {
        let units = step.units;
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another.
        unsafe {
            rows::sum_up::<Self, I, 3>(isa, weights, step);
            for row in range(step.rows) {
                let [zn, zz, zr, m, n, z, r, _] = rows::slots::<ROW_SLOTS>(step.gates, row, units);
                rows::bend::<I>(self.gate, zz, z);
                rows::bend::<I>(self.gate, zr, r);
                rows::add_products(zn, r, m);
                rows::bend::<I>(self.activation, zn, n);
                blend_row(rows::row_mut(step.h, row, units), z, rows::row(step.h_previous, row, units), n);
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
                let [zn, zz, zr, m, n, z, r, room] = rows::slots::<ROW_SLOTS>(step.gates, row, units);
                let h_previous = rows::row(step.h_previous, row, units);
                let dh = rows::row_mut(step.carry, row, units);
                backward_blend::<I>(self.activation, self.gate, [&mut *zn, zz, n, z, &mut *room], h_previous, dh);
                rows::combine(room, zn, m, |dn, m| dn * m);
                rows::bend_back::<I>(self.gate, zr, r, room);
                zr.copy_from_slice(room);
                rows::combine(m, zn, r, |dn, r| dn * r);
            }
        }
    }
}

/// [`ResetBefore`] with activations that are known at run time, in [steps by rows](super::rows).
#[derive(Clone, Copy, Debug)]
pub struct ResetBeforeByRows {
    /// act
    pub activation: Activation,
    /// σ
    pub gate: Activation,
}

impl Cell for ResetBeforeByRows {
    const SLOTS: usize = ROW_SLOTS;
    const INPUTS: &'static [Block] = INPUTS;
    const PRODUCTS: &'static [Product] = ResetBefore::<Tanh, Sigmoid>::PRODUCTS;
    const HAS_CELL_STATE: bool = false;
    const HAS_DIRECT_GRADIENT: bool = true;

    #[inline(always)]
    unsafe fn forward<I: Isa>(self, isa: I, weights: &Weights, step: &ForwardStep) {
        let Some([inner, _]) = &weights.inner else { return };
        let (units, record) = (step.units, ROW_SLOTS * step.units);
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another, and the product reads q
        // of all rows after it was written.
        unsafe {
            rows::sum_up::<Self, I, 2>(isa, weights, step);
            for row in range(step.rows) {
                let [_, zz, zr, q, _, z, r, _] = rows::slots::<ROW_SLOTS>(step.gates, row, units);
                rows::bend::<I>(self.gate, zz, z);
                rows::bend::<I>(self.gate, zr, r);
                rows::combine(q, r, rows::row(step.h_previous, row, units), |r, h_previous| r * h_previous);
                if !step.candidate_mask.is_null() {
                    let mask = rows::row(step.candidate_mask, row, units);
                    q.iter_mut().zip(mask).for_each(|(q, mask)| *q *= mask);
                }
            }
            let target = step.gates.add(CANDIDATE * units);
            let mut add = Store { initial: target, initial_stride: record, target, stride: record, columns: units };
            multiply(isa, range(step.rows), step.gates.add(INNER * units), record, units, inner, &mut add);
            for row in range(step.rows) {
                let [zn, _, _, _, n, z, _, _] = rows::slots::<ROW_SLOTS>(step.gates, row, units);
                rows::bend::<I>(self.activation, zn, n);
                blend_row(rows::row_mut(step.h, row, units), z, rows::row(step.h_previous, row, units), n);
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<I: Isa>(self, isa: I, weights: &Weights, step: &BackwardStep) {
        let Some([_, inner]) = &weights.inner else { return };
        let (units, record) = (step.units, ROW_SLOTS * step.units);
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another, and the product reads dn
        // of all rows after it was written.
        unsafe {
            rows::gather_gradient::<Self, I>(isa, weights, step);
            for row in range(step.rows) {
                let [zn, zz, _, _, n, z, _, room] = rows::slots::<ROW_SLOTS>(step.gates, row, units);
                let h_previous = rows::row(step.h_previous, row, units);
                let dh = rows::row_mut(step.carry, row, units);
                backward_blend::<I>(self.activation, self.gate, [zn, zz, n, z, &mut *room], h_previous, dh);
                room.fill(0.0);
            }
            let target = step.gates.add((ROW_SLOTS - 1) * units);
            let mut add = Store { initial: target, initial_stride: record, target, stride: record, columns: units };
            multiply(isa, range(step.rows), step.gates.add(CANDIDATE * units), record, units, inner, &mut add);
            for row in range(step.rows) {
                let [_, _, zr, _, _, _, r, dq] = rows::slots::<ROW_SLOTS>(step.gates, row, units);
                if !step.candidate_mask.is_null() {
                    let mask = rows::row(step.candidate_mask, row, units);
                    dq.iter_mut().zip(mask).for_each(|(dq, mask)| *dq *= mask);
                }
                let direct = rows::row_mut(step.carry, row, units);
                rows::add_products(direct, dq, r);
                let h_previous = rows::row(step.h_previous, row, units);
                dq.iter_mut().zip(h_previous).for_each(|(dq, h_previous)| *dq *= h_previous);
                rows::bend_back::<I>(self.gate, zr, r, dq);
                zr.copy_from_slice(dq);
            }
        }
    }
}

/// h of a row.
#[inline(always)]
fn blend_row(h: &mut [f32], z: &[f32], h_previous: &[f32], n: &[f32]) {
    rows::combine(h, z, h_previous, |z, h_previous| z * h_previous);
    h.iter_mut().zip(z).zip(n).for_each(|((h, z), n)| *h += (1.0 - z) * n);
}

/// What both cells by rows share: dn and dz in the place of their pre-activations, and the direct gradient in that of dh.
#[inline(always)]
fn backward_blend<I: Isa>(
    activation: Activation,
    gate: Activation,
    [zn, zz, n, z, room]: [&mut [f32]; 5],
    h_previous: &[f32],
    dh: &mut [f32],
) {
    rows::combine(room, dh, z, |dh, z| dh * (1.0 - z));
    rows::bend_back::<I>(activation, zn, n, room);
    zn.copy_from_slice(room);
    rows::combine(room, h_previous, n, |h_previous, n| h_previous - n);
    room.iter_mut().zip(dh.iter()).for_each(|(room, dh)| *room *= dh);
    rows::bend_back::<I>(gate, zz, z, room);
    zz.copy_from_slice(room);
    dh.iter_mut().zip(z.iter()).for_each(|(dh, z)| *dh *= z);
}
