//! Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), in Keras's gate order.
//!
//! ```text
//! i = σ(x·Wᵢ + bᵢ + h₋·Uᵢ)      f = σ(x·W_f + b_f + h₋·U_f)      o = σ(x·W_o + b_o + h₋·U_o)
//! g = act(x·W_c + b_c + h₋·U_c)
//! c = f ∘ c₋ + i ∘ g            h = o ∘ act(c)
//! ```
//! Backward, from dh and the dc of the following step:
//! ```text
//! do = dh ∘ act(c) ∘ σ'(o)      dc += dh ∘ o ∘ act'(c)
//! di = dc ∘ g ∘ σ'(i)           df = dc ∘ c₋ ∘ σ'(f)           dg = dc ∘ i ∘ act'(g)
//! dc₋ = dc ∘ f                  dh₋ = [di df dg do]·Uᵀ
//! ```
//! With peepholes (Gers and Schmidhuber 2000, equations 1 to 5) the gates see c, too: `pᵢ ∘ c₋` and `p_f ∘ c₋` are added
//! to the pre-activations of i and f, and `p_o ∘ c` to that of o, so that c comes before o. Backward:
//! ```text
//! dc += do ∘ p_o                dc₋ += di ∘ pᵢ + df ∘ p_f
//! dpᵢ = Σ di ∘ c₋               dp_f = Σ df ∘ c₋               dp_o = Σ do ∘ c
//! ```
//! Slots 0 to 3: i, f, g, o, later their pre-activations' gradients. act(c) is computed again: cheaper than a trip to memory.

use super::{
    BackwardStep, Block, Cell, ForwardStep, Operand, Product, StateGradient, Weights, backward_rows, lanes, multiply,
    place, range, rows,
};
use crate::activations::{Activation, Sigmoid, Tanh, Unary};
use foliot_simd::gemm::Epilogue;
use foliot_simd::isa::Isa;

const INPUT_GATE: usize = 0;
const FORGET_GATE: usize = 1;
const CANDIDATE: usize = 2;
const OUTPUT_GATE: usize = 3;
const GATES: usize = 4;

/// The cell with its activations.
#[derive(Clone, Copy, Debug)]
pub struct Lstm<A, G> {
    /// act
    pub activation: A,
    /// σ
    pub gate: G,
}

impl<A: Unary, G: Unary> Cell for Lstm<A, G> {
    const SLOTS: usize = GATES;
    const INPUTS: &'static [Block] = &[Block { slot: 0, gate: 0, count: GATES }];
    const PRODUCTS: &'static [Product] =
        &[Product { block: Block { slot: 0, gate: 0, count: GATES }, operand: Operand::State }];
    const HAS_CELL_STATE: bool = true;
    const HAS_DIRECT_GRADIENT: bool = false;

    #[inline(always)]
    unsafe fn forward<I: Isa>(self, isa: I, weights: &Weights, step: &ForwardStep) {
        let mut epilogue = Forward { step: *step, cell: self };
        let k = if step.has_product { 0 } else { step.units };
        // SAFETY: h_previous has `units` values in each row, by the caller's promise.
        unsafe {
            multiply(isa, range(step.rows), step.h_previous, step.units, k, &weights.forward, &mut epilogue);
        }
    }

    #[inline(always)]
    unsafe fn backward<I: Isa>(self, isa: I, weights: &Weights, step: &BackwardStep) {
        let make = |gradient| Backward { step: *step, cell: self, gradient };
        // SAFETY: the caller's promise is passed on.
        unsafe { backward_rows::<Self, I, _>(isa, weights, step, make) }
    }
}

struct Forward<A, G> {
    step: ForwardStep,
    cell: Lstm<A, G>,
}

impl<I: Isa, A: Unary, G: Unary> Epilogue<I, GATES> for Forward<A, G> {
    #[inline(always)]
    fn init(&self, isa: I, row: usize, block: usize) -> [I::F32; GATES] {
        let units = self.step.units;
        let unit = block * I::LANES;
        let n = lanes::<I>(unit, units);
        let mut sums = [isa.zero(); GATES];
        for (gate, sum) in sums.iter_mut().enumerate() {
            // SAFETY: a record of the projection holds four blocks of `units` values.
            *sum = unsafe { isa.load_partial(self.step.projected.row(row).add(gate * units + unit), n) };
        }
        sums
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, z: [I::F32; GATES]) {
        let units = self.step.units;
        let unit = block * I::LANES;
        let n = lanes::<I>(unit, units);
        let index = row * units + unit;
        let i = self.cell.gate.value(isa, z[INPUT_GATE]);
        let f = self.cell.gate.value(isa, z[FORGET_GATE]);
        let g = self.cell.activation.value(isa, z[CANDIDATE]);
        let o = self.cell.gate.value(isa, z[OUTPUT_GATE]);
        // SAFETY: c and h hold `units` values in this row, the gates buffer four times as many.
        unsafe {
            let c_previous = isa.load_partial(self.step.c_previous.add(index), n);
            let c = isa.mul_add(f, c_previous, isa.mul(i, g));
            let h = isa.mul(o, self.cell.activation.value(isa, c));
            isa.store_partial(self.step.c.add(index), c, n);
            isa.store_partial(self.step.h.add(index), h, n);
            for (gate, value) in [i, f, g, o].into_iter().enumerate() {
                isa.store_partial(self.step.gates.add((row * GATES + gate) * units + unit), value, n);
            }
        }
    }
}

struct Backward<A, G> {
    step: BackwardStep,
    cell: Lstm<A, G>,
    gradient: StateGradient,
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
        let Lstm { activation, gate } = self.cell;
        for vector in 0..2 {
            let (unit, n) = place::<I>(block, vector, units);
            if n == 0 {
                continue;
            }
            let index = row * units + unit;
            // SAFETY: the states and carries hold `units` values in this row, the gates buffer four times as many.
            unsafe {
                let slot = |slot: usize| self.step.gates.add((row * GATES + slot) * units + unit);
                let i = isa.load_partial(slot(INPUT_GATE), n);
                let f = isa.load_partial(slot(FORGET_GATE), n);
                let g = isa.load_partial(slot(CANDIDATE), n);
                let o = isa.load_partial(slot(OUTPUT_GATE), n);
                let c_previous = isa.load_partial(self.step.c_previous.add(index), n);
                let bent = activation.value(isa, isa.load_partial(self.step.c.add(index), n));
                let dh = dh[vector];
                let carried = isa.load_partial(self.step.cell_carry.add(index), n);
                let dc = isa.mul_add(isa.mul(dh, o), activation.slope_from_output(isa, bent), carried);
                let di = isa.mul(isa.mul(dc, g), gate.slope_from_output(isa, i));
                let df = isa.mul(isa.mul(dc, c_previous), gate.slope_from_output(isa, f));
                let dg = isa.mul(isa.mul(dc, i), activation.slope_from_output(isa, g));
                let d_o = isa.mul(isa.mul(dh, bent), gate.slope_from_output(isa, o));
                isa.store_partial(slot(INPUT_GATE), di, n);
                isa.store_partial(slot(FORGET_GATE), df, n);
                isa.store_partial(slot(CANDIDATE), dg, n);
                isa.store_partial(slot(OUTPUT_GATE), d_o, n);
                isa.store_partial(self.step.cell_carry.add(index), isa.mul(dc, f), n);
                if self.step.has_product {
                    isa.store_partial(self.step.carry.add(index), isa.zero(), n);
                }
            }
        }
    }
}

/// The peepholes of i, f and o, if there are any.
fn peepholes(weights: &Weights, units: usize) -> Option<[&[f32]; 3]> {
    let mut each = weights.vectors.chunks_exact(units);
    Some([each.next()?, each.next()?, each.next()?])
}

/// How many peepholes there are.
const PEEPHOLES: usize = 3;

/// The cell with peepholes, or with activations that are known at run time, in [steps by rows](super::rows). Slots 0 to 3: the pre-activations
/// of i, f, g, o, later their gradients; 4 to 7: i, f, g, o; 8: act(c); 9: room for a row.
#[derive(Clone, Copy, Debug)]
pub struct ByRows {
    /// act
    pub activation: Activation,
    /// σ
    pub gate: Activation,
}

impl Cell for ByRows {
    const SLOTS: usize = 2 * GATES + 2;
    const INPUTS: &'static [Block] = Lstm::<Tanh, Sigmoid>::INPUTS;
    const PRODUCTS: &'static [Product] = Lstm::<Tanh, Sigmoid>::PRODUCTS;
    const HAS_CELL_STATE: bool = true;
    const HAS_DIRECT_GRADIENT: bool = false;

    #[inline(always)]
    unsafe fn forward<I: Isa>(self, isa: I, weights: &Weights, step: &ForwardStep) {
        let units = step.units;
        let peepholes = peepholes(weights, units);
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another, once c₋, which may be
        // c, has been copied.
        unsafe {
            rows::sum_up::<Self, I, GATES>(isa, weights, step);
            for row in range(step.rows) {
                let [zi, zf, zg, zo, i, f, g, o, bent, room] = rows::slots(step.gates, row, units);
                room.copy_from_slice(rows::row(step.c_previous, row, units));
                if let Some([pi, pf, _]) = &peepholes {
                    rows::add_products(zi, pi, room);
                    rows::add_products(zf, pf, room);
                }
                rows::bend::<I>(self.gate, zi, i);
                rows::bend::<I>(self.gate, zf, f);
                rows::bend::<I>(self.activation, zg, g);
                let c = rows::row_mut(step.c, row, units);
                rows::combine(c, i, g, |i, g| i * g);
                rows::add_products(c, f, room);
                if let Some([_, _, po]) = &peepholes {
                    rows::add_products(zo, po, c);
                }
                rows::bend::<I>(self.gate, zo, o);
                rows::bend::<I>(self.activation, c, bent);
                rows::combine(rows::row_mut(step.h, row, units), o, bent, |o, bent| o * bent);
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<I: Isa>(self, isa: I, weights: &Weights, step: &BackwardStep) {
        let units = step.units;
        let peepholes = peepholes(weights, units);
        // SAFETY: the caller's promise is passed on; each row's arrays are apart from one another.
        unsafe {
            rows::gather_gradient::<Self, I>(isa, weights, step);
            for row in range(step.rows) {
                let [zi, zf, zg, zo, i, f, g, o, bent, room] = rows::slots(step.gates, row, units);
                let (c_previous, c) = (rows::row(step.c_previous, row, units), rows::row(step.c, row, units));
                let (dh, dc) = (rows::row_mut(step.carry, row, units), rows::row_mut(step.cell_carry, row, units));
                rows::combine(room, dh, o, |dh, o| dh * o);
                rows::bend_back::<I>(self.activation, c, bent, room);
                dc.iter_mut().zip(room.iter()).for_each(|(dc, part)| *dc += part);
                rows::combine(room, dh, bent, |dh, bent| dh * bent);
                rows::bend_back::<I>(self.gate, zo, o, room);
                zo.copy_from_slice(room);
                if let Some([_, _, po]) = &peepholes {
                    rows::add_products(dc, zo, po);
                }
                rows::combine(room, dc, c_previous, |dc, c_previous| dc * c_previous);
                rows::bend_back::<I>(self.gate, zf, f, room);
                zf.copy_from_slice(room);
                rows::combine(room, dc, g, |dc, g| dc * g);
                rows::bend_back::<I>(self.gate, zi, i, room);
                zi.copy_from_slice(room);
                rows::combine(room, dc, i, |dc, i| dc * i);
                rows::bend_back::<I>(self.activation, zg, g, room);
                zg.copy_from_slice(room);
                dc.iter_mut().zip(f.iter()).for_each(|(dc, f)| *dc *= f);
                if let Some([pi, pf, _]) = &peepholes {
                    rows::add_products(dc, zi, pi);
                    rows::add_products(dc, zf, pf);
                    let [dpi, dpf, dpo] = rows::slots::<PEEPHOLES>(step.vector_gradients, row, units);
                    rows::add_products(dpi, zi, c_previous);
                    rows::add_products(dpf, zf, c_previous);
                    rows::add_products(dpo, zo, c);
                }
                if step.has_product {
                    dh.fill(0.0);
                }
            }
        }
    }
}
