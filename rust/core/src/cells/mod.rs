//! Recurrent cells: one file each, with the equations in its header and nothing else than one time step, forward and backward.
//!
//! Time, direction, masks and weight gradients live in [`crate::scan`], which is generic over [`Cell`]. A step works on
//! rows of the batch. Every row has a record of `SLOTS` blocks of `units` values in the *gates buffer*:
//! - before the forward step the first [`Cell::INPUTS`] slots hold `x·kernel + bias`,
//! - after it the slots hold what the backward step needs (activated gates),
//! - after the backward step they hold the gradients of the pre-activations, from which the scan makes the weight gradients.
//!
//! The recurrent product runs through [`foliot_simd::gemm::tiles`] with the cell's equations as its epilogue, so that
//! pre-activations stay in registers.

pub mod gru;
pub mod lstm;
pub mod simple_rnn;

use foliot_simd::dispatch::{Level, dispatch};
use foliot_simd::gemm::{self, Epilogue, Packed};
use foliot_simd::isa::{Isa, Kernel};
use std::ops::Range;

/// Columns of a weight matrix that go to or come from consecutive slots of the gates buffer.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// The first slot.
    pub slot: usize,
    /// The first column block of the weight matrix.
    pub gate: usize,
    /// How many.
    pub count: usize,
}

/// A product with columns of the recurrent kernel.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Where the gradients of its results lie, and which columns it uses.
    pub block: Block,
    /// What is multiplied: the previous state, or a slot of the same step.
    pub operand: Operand,
}

/// The left-hand side of a recurrent product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// h of the previous step.
    State,
    /// A slot of the gates buffer, such as the GRU's `r ∘ h` when it resets before the product.
    Slot(usize),
}

/// One recurrent cell.
pub trait Cell: Copy + Send + Sync {
    /// Blocks of `units` values that a step keeps for each row.
    const SLOTS: usize;
    /// Where each column block of the kernel goes. Together they fill the first slots.
    const INPUTS: &'static [Block];
    /// The products with the recurrent kernel; the first one multiplies the previous state.
    const PRODUCTS: &'static [Product];
    /// Whether a second state (the LSTM's c) is carried.
    const HAS_CELL_STATE: bool;
    /// Whether the equations compile into the recurrent product's tiles; without, they take finished sums.
    const FUSED: bool;
    /// Whether a part of the state gradient bypasses the recurrent product (the GRU's `z ∘ h`).
    const HAS_DIRECT_GRADIENT: bool;

    /// Computes h (and c) of a step for `step.rows`.
    ///
    /// # Safety
    /// The pointers of `step` are valid for those rows and alias only as [`ForwardStep`] allows.
    unsafe fn forward<I: Isa>(self, isa: I, weights: &Weights, step: &ForwardStep);

    /// Turns gates into pre-activation gradients for `step.rows`.
    ///
    /// # Safety
    /// The pointers of `step` are valid for those rows and do not alias, except that `h_previous` is read only.
    unsafe fn backward<I: Isa>(self, isa: I, weights: &Weights, step: &BackwardStep);
}

/// The recurrent weights of a layer in the kernels' order, made once per change of the weights.
pub struct Weights {
    /// The recurrent product of the state, gates interleaved.
    pub forward: Packed,
    /// Its transpose.
    pub backward: Packed,
    /// The product of the GRU's `r ∘ h` and its transpose, for a cell that has one.
    pub inner: Option<[Packed; 2]>,
    /// The recurrent bias of the GRU's candidate, `units` values; zeros for a cell that has none.
    pub candidate_bias: Vec<f32>,
}

impl Weights {
    /// Packs a recurrent kernel (units, gates·units).
    #[must_use]
    pub fn pack<C: Cell>(level: Level, units: usize, gates: usize, kernel: &[f32], candidate_bias: Vec<f32>) -> Self {
        let columns = gates * units;
        let Block { gate, count, .. } = C::PRODUCTS[0].block;
        let state = &kernel[gate * units..];
        let inner = C::PRODUCTS.get(1).map(|product| {
            let candidate = &kernel[product.block.gate * units..];
            [
                Packed::plain(level, candidate, units, units, columns, 1),
                Packed::plain(level, candidate, units, units, 1, columns),
            ]
        });
        Self {
            forward: Packed::interleaved(level, state, units, count, units, columns, 1),
            backward: Packed::plain(level, state, count * units, units, 1, columns),
            inner,
            candidate_bias,
        }
    }
}

/// The finished input projections of a step: slots in the order of [`Cell::INPUTS`] for each row.
#[derive(Clone, Copy)]
pub struct Projected {
    /// The first record.
    pub base: *const f32,
    /// From one record to the next.
    pub stride: usize,
    /// The record of each row; null where row r has record r.
    pub records: *const u32,
}

impl Projected {
    /// The record of a row.
    ///
    /// # Safety
    /// The row takes part in the step.
    #[inline(always)]
    pub(crate) unsafe fn row(&self, row: usize) -> *const f32 {
        // SAFETY: whoever made the step has given each row its record.
        unsafe {
            let record = if self.records.is_null() { row } else { *self.records.add(row) as usize };
            self.base.add(record * self.stride)
        }
    }
}

/// One time step, forward. Row r of an array with `units` values per row starts at `r * units`, of the gates buffer at
/// `r * SLOTS * units`.
#[derive(Clone, Copy)]
pub struct ForwardStep {
    /// The rows to compute.
    pub rows: (usize, usize),
    /// The size of the state.
    pub units: usize,
    /// h of the previous step; a different array from `h`.
    pub h_previous: *const f32,
    /// c of the previous step; may be `c` itself.
    pub c_previous: *const f32,
    /// h, to write.
    pub h: *mut f32,
    /// c, to write.
    pub c: *mut f32,
    /// What the input contributes; may be the gates buffer itself.
    pub projected: Projected,
    /// The gates buffer of this step.
    pub gates: *mut f32,
    /// Whether the recurrent product has been added to the gates already (recurrent dropout does it gate by gate; the
    /// GRU's candidate product then lies in its last slot).
    pub has_product: bool,
    /// What multiplies `r ∘ h` under recurrent dropout; null without.
    pub candidate_mask: *const f32,
}

/// One time step, backward.
#[derive(Clone, Copy)]
pub struct BackwardStep {
    /// The rows to compute.
    pub rows: (usize, usize),
    /// Rows below this one take part in the following step too, whose gradients lie in `gates_next`; the sequences of the
    /// others end here.
    pub continuing: usize,
    /// The size of the state.
    pub units: usize,
    /// h of the previous step.
    pub h_previous: *const f32,
    /// h of this step.
    pub h: *const f32,
    /// c of the previous step.
    pub c_previous: *const f32,
    /// c of this step.
    pub c: *const f32,
    /// The gates buffer of this step.
    pub gates: *mut f32,
    /// The gates buffer of the following step.
    pub gates_next: *const f32,
    /// dL/dh of this step from outside the recurrence; null when there is none.
    pub output_gradient: *const f32,
    /// dL/dh that bypasses the recurrent product: the final state's for rows that end here, the direct part for the others.
    pub carry: *mut f32,
    /// dL/dc, read and replaced.
    pub cell_carry: *mut f32,
    /// Whether the recurrent product is part of `carry` already (recurrent dropout).
    pub has_product: bool,
    /// What multiplies `r ∘ h` under recurrent dropout; null without.
    pub candidate_mask: *const f32,
}

/// How many of a vector's lanes lie inside a row of `units`.
#[inline(always)]
pub(crate) fn lanes<I: Isa>(unit: usize, units: usize) -> usize {
    units.saturating_sub(unit).min(I::LANES)
}

/// dL/dh, the part that every cell has: what comes from outside, and what the carry holds.
#[derive(Clone, Copy)]
pub(crate) struct StateGradient {
    output_gradient: *const f32,
    carry: *const f32,
    units: usize,
    reads_carry: bool,
}

impl StateGradient {
    /// The first accumulators of the recurrent product.
    ///
    /// # Safety
    /// As for the step that it was made from.
    #[inline(always)]
    pub(crate) unsafe fn init<I: Isa>(&self, isa: I, row: usize, unit: usize) -> I::F32 {
        let n = lanes::<I>(unit, self.units);
        let index = row * self.units + unit;
        let mut sum = isa.zero();
        if n == 0 {
            return sum;
        }
        // SAFETY: the caller's step is valid for this row, and n lanes lie inside it.
        unsafe {
            if !self.output_gradient.is_null() {
                sum = isa.load_partial(self.output_gradient.add(index), n);
            }
            if self.reads_carry {
                sum = isa.add(sum, isa.load_partial(self.carry.add(index), n));
            }
        }
        sum
    }
}

/// The recurrent product of some rows with a cell's equations as the epilogue.
///
/// A fused epilogue is part of the register tiles, in as many copies as there are tile shapes. An activation that is only
/// known at run time is a large piece of code; then the tiles leave their sums in a small buffer, and one copy of the
/// epilogue takes them from there.
///
/// # Safety
/// As [`gemm::tiles`].
#[inline(always)]
pub(crate) unsafe fn multiply<I: Isa, const NV: usize, E: Epilogue<I, NV>>(
    isa: I,
    fused: bool,
    rows: Range<usize>,
    a: *const f32,
    row_stride: usize,
    k: usize,
    b: &Packed,
    epilogue: &mut E,
) {
    if fused {
        // SAFETY: passed on.
        unsafe { gemm::tiles(isa, rows, a, row_stride, 1, k, b, 0..b.blocks(), epilogue) };
        return;
    }
    let mut sums = [0.0; STASH];
    for block in 0..b.blocks() {
        for start in rows.clone().step_by(STASHED_ROWS) {
            let end = (start + STASHED_ROWS).min(rows.end);
            // SAFETY: twelve rows of NV <= 4 vectors of at most 16 values fit the stash; the rest is passed on.
            unsafe {
                for row in start..end {
                    for (vector, value) in epilogue.init(isa, row, block).into_iter().enumerate() {
                        isa.store(sums.as_mut_ptr().add(((row - start) * NV + vector) * I::LANES), value);
                    }
                }
                // A dispatch of its own makes this a function that all cells share.
                dispatch(
                    I::LEVEL,
                    StashProduct::<NV> { rows: start..end, a, row_stride, k, b, block, sums: &mut sums },
                );
                for row in start..end {
                    let mut finished = [isa.zero(); NV];
                    for (vector, value) in finished.iter_mut().enumerate() {
                        *value = isa.load(sums.as_ptr().add(((row - start) * NV + vector) * I::LANES));
                    }
                    epilogue.finish(isa, row, block, finished);
                }
            }
        }
    }
}

/// Rows whose sums wait for an epilogue that is not fused: the tallest tile.
const STASHED_ROWS: usize = 12;
/// Room for them: four vectors of sixteen values for each row.
const STASH: usize = STASHED_ROWS * 4 * 16;

/// A recurrent product of a few rows that adds to sums in memory.
struct StashProduct<'a, const NV: usize> {
    rows: Range<usize>,
    a: *const f32,
    row_stride: usize,
    k: usize,
    b: &'a Packed,
    block: usize,
    sums: &'a mut [f32; STASH],
}

impl<const NV: usize> Kernel for StashProduct<'_, NV> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let mut stash = Stash { start: self.rows.start, sums: self.sums };
        let blocks = self.block..self.block + 1;
        // SAFETY: passed on from `multiply`.
        unsafe {
            gemm::tiles::<I, NV, _>(isa, self.rows, self.a, self.row_stride, 1, self.k, self.b, blocks, &mut stash);
        };
    }
}

/// Keeps the sums of a few rows in memory.
struct Stash<'a> {
    start: usize,
    sums: &'a mut [f32; STASH],
}

impl<I: Isa, const NV: usize> Epilogue<I, NV> for Stash<'_> {
    #[inline(always)]
    fn init(&self, isa: I, row: usize, _block: usize) -> [I::F32; NV] {
        let first = (row - self.start) * NV;
        let mut sums = [isa.zero(); NV];
        for (vector, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the rows of a call fit the stash.
            *sum = unsafe { isa.load(self.sums.as_ptr().add((first + vector) * I::LANES)) };
        }
        sums
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, _block: usize, sums: [I::F32; NV]) {
        let first = (row - self.start) * NV;
        for (vector, value) in sums.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { isa.store(self.sums.as_mut_ptr().add((first + vector) * I::LANES), value) };
        }
    }
}

/// Runs the backward epilogue of a cell over the rows of a step: rows that continue get the recurrent product of the
/// following step's gradients, rows that end here start from the carry.
///
/// # Safety
/// As [`Cell::backward`].
#[inline(always)]
pub(crate) unsafe fn backward_rows<C: Cell, I: Isa, E: Epilogue<I, 2>>(
    isa: I,
    weights: &Weights,
    step: &BackwardStep,
    make: impl Fn(StateGradient) -> E,
) {
    let gradient = |reads_carry| StateGradient {
        output_gradient: step.output_gradient,
        carry: step.carry,
        units: step.units,
        reads_carry,
    };
    let (start, end) = step.rows;
    let continuing = if step.has_product { start } else { step.continuing.clamp(start, end) };
    let Block { slot, count, .. } = C::PRODUCTS[0].block;
    // SAFETY: the slots of the recurrent product lie inside the row records of `gates_next`, which the caller guarantees.
    unsafe {
        if continuing > start {
            let a = step.gates_next.add(slot * step.units);
            let mut epilogue = make(gradient(C::HAS_DIRECT_GRADIENT));
            let k = count * step.units;
            multiply(isa, C::FUSED, start..continuing, a, C::SLOTS * step.units, k, &weights.backward, &mut epilogue);
        }
        if end > continuing {
            let mut epilogue = make(gradient(true));
            multiply(isa, C::FUSED, continuing..end, step.gates, 0, 0, &weights.backward, &mut epilogue);
        }
    }
}

/// The first unit of a vector of a plain block, and how many of its lanes lie inside a row.
///
/// The kernels loop over vectors with this instead of passing closures: a closure that the compiler does not inline loses
/// the instruction set.
#[inline(always)]
pub(crate) fn place<I: Isa>(block: usize, vector: usize, units: usize) -> (usize, usize) {
    let unit = (block * 2 + vector) * I::LANES;
    (unit, lanes::<I>(unit, units))
}

/// What a generic function does with a cell type that is only known at run time.
pub trait Visitor {
    /// Its result.
    type Output;
    /// Does it.
    fn visit<C: Cell>(self, cell: C) -> Self::Output;
}

/// Calls the visitor with the cell that the options ask for. The usual activations have instances of their own, so that
/// they compile into the kernels; all others share one.
pub fn with_cell<V: Visitor>(
    kind: crate::layers::CellKind,
    options: &crate::layers::Recurrent,
    visitor: V,
) -> V::Output {
    use crate::activations::{Activation, Sigmoid, Tanh};
    use crate::layers::CellKind;
    let gate = options.recurrent_activation.unwrap_or(Activation::Sigmoid {});
    let usual = options.activation == Activation::Tanh {} && gate == Activation::Sigmoid {};
    let reset_after = options.reset_after.unwrap_or(true);
    let activation = options.activation;
    match (kind, usual, reset_after) {
        (CellKind::SimpleRnn, true, _) => visitor.visit(simple_rnn::SimpleRnn { activation: Tanh }),
        (CellKind::SimpleRnn, false, _) => visitor.visit(simple_rnn::SimpleRnn { activation }),
        (CellKind::Lstm, true, _) => visitor.visit(lstm::Lstm { activation: Tanh, gate: Sigmoid }),
        (CellKind::Lstm, false, _) => visitor.visit(lstm::Lstm { activation, gate }),
        (CellKind::Gru, true, true) => visitor.visit(gru::ResetAfter { activation: Tanh, gate: Sigmoid }),
        (CellKind::Gru, false, true) => visitor.visit(gru::ResetAfter { activation, gate }),
        (CellKind::Gru, true, false) => visitor.visit(gru::ResetBefore { activation: Tanh, gate: Sigmoid }),
        (CellKind::Gru, false, false) => visitor.visit(gru::ResetBefore { activation, gate }),
    }
}

/// Row range of a step, as the kernels take it.
#[inline(always)]
pub(crate) fn range(rows: (usize, usize)) -> Range<usize> {
    rows.0..rows.1
}
