//! Recurrent cells: one file each, with the equations in its header and nothing else than one time step, forward and backward.
//!
//! Time, direction, masks and weight gradients live in [`crate::scan`], which is generic over [`Cell`]. A step works on
//! rows of the batch. Every row has a record of `SLOTS` blocks of `units` values in the *gates buffer*:
//! - before the forward step the first [`Cell::INPUTS`] slots hold `x·kernel + bias`,
//! - after it the slots hold what the backward step needs (activated gates),
//! - after the backward step they hold the gradients of the pre-activations, from which the scan makes the weight gradients.
//!
//! The recurrent product runs through [`foliot_simd::gemm::tiles`] with the cell's equations as its epilogue, so that
//! pre-activations stay in registers. Activations that are only known at run time go another way, by [rows].

pub mod gru;
mod layer_norm;
pub mod layer_norm_gru;
pub mod layer_norm_lstm;
pub mod lstm;
pub mod minimal;
pub mod panels;
pub mod rows;
pub mod simple_rnn;

use foliot_simd::dispatch::Level;
use foliot_simd::gemm::{self, Epilogue, Packed};
use foliot_simd::isa::Isa;
use panels::{KernelShape, Panels, Run};
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
    /// The products with the recurrent kernel; the first one multiplies the previous state. None for a cell without such a
    /// kernel.
    const PRODUCTS: &'static [Product];
    /// Whether a second state (the LSTM's c) is carried.
    const HAS_CELL_STATE: bool;
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

/// The columns of the product with the previous state, if the cell has one.
pub(crate) fn state_product<C: Cell>() -> Option<Block> {
    C::PRODUCTS.first().map(|product| product.block)
}

/// The recurrent weights of a layer in the kernels' order, made once per change of the weights.
pub struct Weights {
    /// The recurrent product of the state, gates interleaved.
    pub forward: Panels,
    /// Its transpose; without rows where there are several heads.
    pub backward: Panels,
    /// The transpose gate by gate, where the scan adds the products so: with recurrent dropout or several heads.
    pub by_gate: Vec<Panels>,
    /// No rows over the columns of a state, for an epilogue alone.
    pub nothing: Panels,
    /// The product of the GRU's `r ∘ h` and its transpose, for a cell that has one.
    pub inner: Option<[Panels; 2]>,
    /// The recurrent bias of the GRU's candidate, `units` values; zeros for a cell that has none.
    pub candidate_bias: Vec<f32>,
    /// The weights that only the cell knows, one after another: peepholes, scales.
    pub vectors: Vec<f32>,
}

impl Weights {
    /// Packs a recurrent kernel; an empty one for a cell that has none.
    #[must_use]
    pub fn pack<C: Cell>(
        level: Level,
        shape: KernelShape,
        kernel: &[f32],
        candidate_bias: Vec<f32>,
        by_gate: bool,
    ) -> Self {
        let block = state_product::<C>();
        let (gate, count) = block.map_or((0, 1), |block| (block.gate, block.count));
        let inner = C::PRODUCTS.get(1).map(|product| {
            let gate = product.block.gate;
            [shape.forward(level, kernel, gate, 1), shape.backward(level, kernel, gate, 1)]
        });
        let whole = if shape.heads == 1 { kernel } else { &[] };
        let gates = gate..gate + block.map_or(0, |block| block.count);
        let by_gate = gates.filter(|_| by_gate || shape.heads > 1);
        Self {
            forward: shape.forward(level, kernel, gate, count),
            backward: KernelShape { heads: 1, ..shape }.backward(level, whole, gate, count),
            by_gate: by_gate.map(|gate| shape.backward(level, kernel, gate, 1)).collect(),
            nothing: Panels::whole(Packed::plain(level, &[], 0, shape.units, 1, 1)),
            inner,
            candidate_bias,
            vectors: Vec::new(),
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
    /// The length of a row of `h_previous`: `units`, unless the scan makes h of what the cell makes.
    pub width: usize,
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
    /// The gradients of [`Weights::vectors`], as many values for each row, to add to.
    pub vector_gradients: *mut f32,
    /// Whether the recurrent product is part of `carry` already (recurrent dropout, zoneout).
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

/// The recurrent product of some rows with a cell's equations, or a part of them, as the epilogue; `k` is 0 for the epilogue
/// alone.
///
/// # Safety
/// As [`gemm::tiles`].
#[inline(always)]
pub(crate) unsafe fn multiply<I: Isa, const NV: usize, E: Epilogue<I, NV>>(
    isa: I,
    rows: Range<usize>,
    a: *const f32,
    row_stride: usize,
    k: usize,
    b: &Panels,
    epilogue: &mut E,
) {
    let whole = [Run { blocks: 0..b.packed.blocks(), first: 0, k }];
    // One loop for both: the kernel is compiled in here.
    for run in if b.runs.is_empty() { &whole[..] } else { &b.runs } {
        let a = a.wrapping_add(run.first);
        // SAFETY: passed on.
        unsafe {
            gemm::tiles(isa, rows.clone(), a, row_stride, 1, run.k.min(k), &b.packed, run.blocks.clone(), epilogue);
        }
    }
}

/// target[row] = initial[row] + product
pub(crate) struct Store {
    pub(crate) initial: *const f32,
    pub(crate) initial_stride: usize,
    pub(crate) target: *mut f32,
    pub(crate) stride: usize,
    pub(crate) columns: usize,
}

impl<I: Isa> Epilogue<I, 2> for Store {
    #[inline(always)]
    fn init(&self, isa: I, row: usize, block: usize) -> [I::F32; 2] {
        let mut sums = [isa.zero(); 2];
        for (vector, sum) in sums.iter_mut().enumerate() {
            let (column, n) = place::<I>(block, vector, self.columns);
            if n > 0 {
                // SAFETY: whoever makes a `Store` gives arrays with `columns` values in each row.
                *sum = unsafe { isa.load_partial(self.initial.add(row * self.initial_stride + column), n) };
            }
        }
        sums
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, sum: [I::F32; 2]) {
        for vector in 0..2 {
            let (column, n) = place::<I>(block, vector, self.columns);
            if n == 0 {
                continue;
            }
            // SAFETY: as above.
            unsafe { isa.store_partial(self.target.add(row * self.stride + column), sum[vector], n) }
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
    let product = state_product::<C>().filter(|_| !step.has_product);
    let continuing = product.map_or(start, |_| step.continuing.clamp(start, end));
    // SAFETY: the slots of the recurrent product lie inside the row records of `gates_next`, which the caller guarantees.
    unsafe {
        if let (true, Some(Block { slot, count, .. })) = (continuing > start, product) {
            let a = step.gates_next.add(slot * step.units);
            let mut epilogue = make(gradient(C::HAS_DIRECT_GRADIENT));
            let k = count * step.units;
            multiply(isa, start..continuing, a, C::SLOTS * step.units, k, &weights.backward, &mut epilogue);
        }
        if end > continuing {
            let mut epilogue = make(gradient(true));
            multiply(isa, continuing..end, step.gates, 0, 0, &weights.nothing, &mut epilogue);
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

/// Calls the visitor with the cell that the options ask for. The usual activations have instances of their own, which
/// compile into the kernels; all others, and peepholes, run by [rows].
pub fn with_cell<V: Visitor>(
    kind: crate::layers::CellKind,
    options: &crate::layers::Recurrent,
    visitor: V,
) -> V::Output {
    use crate::activations::{Activation, Sigmoid, Tanh};
    use crate::layers::CellKind;
    let gate = options.recurrent_activation.unwrap_or(Activation::Sigmoid {});
    let usual = options.activation == Activation::Tanh {} && gate == Activation::Sigmoid {} && !options.use_peepholes;
    let reset_after = options.reset_after.unwrap_or(true);
    let activation = options.activation;
    let epsilon = options.norm_epsilon.unwrap_or_default();
    match (kind, usual, reset_after) {
        (CellKind::SimpleRnn, true, _) => visitor.visit(simple_rnn::SimpleRnn { activation: Tanh }),
        (CellKind::SimpleRnn, false, _) => visitor.visit(simple_rnn::ByRows { activation }),
        (CellKind::Lstm, true, _) => visitor.visit(lstm::Lstm { activation: Tanh, gate: Sigmoid }),
        (CellKind::Lstm, false, _) => visitor.visit(lstm::ByRows { activation, gate }),
        (CellKind::Gru, true, true) => visitor.visit(gru::ResetAfter { activation: Tanh, gate: Sigmoid }),
        (CellKind::Gru, false, true) => visitor.visit(gru::ResetAfterByRows { activation, gate }),
        (CellKind::Gru, true, false) => visitor.visit(gru::ResetBefore { activation: Tanh, gate: Sigmoid }),
        (CellKind::Gru, false, false) => visitor.visit(gru::ResetBeforeByRows { activation, gate }),
        (CellKind::LayerNormLstm, ..) => {
            visitor.visit(layer_norm_lstm::LayerNormLstm { activation, gate, epsilon, use_bias: options.use_bias })
        }
        (CellKind::LayerNormGru, ..) => visitor.visit(layer_norm_gru::LayerNormGru { activation, gate, epsilon }),
        (CellKind::MinGru, ..) => visitor.visit(minimal::MinGru { activation, gate }),
        (CellKind::MinLstm, ..) => visitor.visit(minimal::MinLstm { activation, gate }),
    }
}

/// How many blocks of `units` values a step keeps for each row.
#[must_use]
pub fn slots(kind: crate::layers::CellKind, options: &crate::layers::Recurrent) -> usize {
    struct Slots;
    impl Visitor for Slots {
        type Output = usize;

        fn visit<C: Cell>(self, _cell: C) -> usize {
            C::SLOTS
        }
    }
    with_cell(kind, options, Slots)
}

/// Row range of a step, as the kernels take it.
#[inline(always)]
pub(crate) fn range(rows: (usize, usize)) -> Range<usize> {
    rows.0..rows.1
}
