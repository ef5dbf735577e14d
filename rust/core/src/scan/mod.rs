//! The scan: time, direction, masks, initial states and backpropagation through time, written once for every cell.
//!
//! Threads split the rows of a batch and run all of time without meeting; what they compute for a row does not depend on
//! the split. The input projection is made step by step just before the recurrent product needs it, while it is in cache.
//! Gradients of the weights are sums over rows and time; [`gradients`] forms them in an order that depends on shapes only.

pub mod gradients;
pub mod layout;
pub mod narrow;
mod products;
mod split;
mod states;
pub mod zoneout;

pub use split::largest_share;
pub use states::{Kept, States};

use crate::cells::panels::Panels;
use crate::cells::{self, BackwardStep, Block, Cell, ForwardStep, Projected, Store, Weights};
use crate::threads;
use foliot_simd::dispatch::{Level, dispatch};
use foliot_simd::gemm::Packed;
use foliot_simd::isa::{Isa, Kernel};
use layout::TimeLayout;
use narrow::Narrow;
use products::{AddState, Product};
use split::Split;
use std::ops::Range;
use std::ptr;
use zoneout::{Part, Zoneout};

/// A pointer that the tasks of a scan share.
#[derive(Clone, Copy)]
struct Shared<T>(T);

// SAFETY: tasks work on disjoint rows of what the pointers inside lead to; the scan's callers keep it alive until all tasks
// are done.
unsafe impl<T> Sync for Shared<T> {}

/// Part of the input projection: the columns of the kernel that share an input (all of them, unless dropout draws a mask
/// for each gate).
pub struct Projection {
    /// The columns, packed in the order of the slots.
    pub kernel: Packed,
    /// One value for each column, in the same order.
    pub bias: Vec<f32>,
    /// The first slot that it fills.
    pub slot: usize,
    /// How many slots.
    pub count: usize,
}

/// Where the input projections come from.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    /// The input in packed order, once for each projection, which the scan makes in turn.
    Rows {
        /// The values.
        values: *const f32,
        /// The packed row with which they begin.
        first: usize,
        /// Rows from one projection's input to the next one's.
        group: usize,
    },
    /// The finished projection of each distinct token, and for each element in packed order the record of its token.
    Tokens {
        /// (records, columns of the kernel)
        projected: &'a [f32],
        /// Indices of records.
        records: &'a [u32],
    },
}

/// All that a scan works on.
pub struct Scan<'a> {
    /// Vector instructions.
    pub level: Level,
    /// The order of rows and steps.
    pub layout: &'a TimeLayout,
    /// The step with which gates, states and packed inputs begin in memory.
    pub first: usize,
    /// The steps to go through: forward from `first` on, backward any that have been run.
    pub steps: Range<usize>,
    /// The size of the state.
    pub units: usize,
    /// The length of h, which differs where it is [narrow](Scan::narrow).
    pub width: usize,
    /// The length of an input row.
    pub features: usize,
    /// The recurrent weights.
    pub weights: &'a Weights,
    /// The input.
    pub input: Input<'a>,
    /// The input projections.
    pub projections: &'a [Projection],
    /// Recurrent dropout, when it is on: the recurrent kernel gate by gate, for each gate's product has its own masked state.
    pub state_dropout: Option<&'a [Panels]>,
    /// What multiplies the state for each gate: (gates, batch, width), packed row order.
    pub state_masks: *const f32,
    /// Room for the masked state (batch, width).
    pub masked_state: *mut f32,
    /// The gates buffer.
    pub gates: *mut f32,
    /// How many steps' gates are kept: all from [`Scan::first`] on for training, one block of steps otherwise.
    pub gates_kept: GatesKept,
    /// h over time.
    pub h: States,
    /// c over time; null pointers for a cell without.
    pub c: States,
    /// What makes h of the cell's output, where that is not h itself.
    pub narrow: Option<Narrow<'a>>,
    /// Zoneout, where a state has it.
    pub zoneout: Option<Zoneout>,
}

/// How many steps' gates memory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatesKept {
    /// Every step, in packed order. The step that follows them has room behind them, for the backward pass.
    All,
    /// As many steps as are projected at once.
    Block(usize),
}

/// Gradients that enter and leave a scan.
#[derive(Clone, Copy)]
pub struct Gradients {
    /// dL/dh of each step in packed order, or null.
    pub output: *const f32,
    /// The packed row with which it begins.
    pub first: usize,
    /// dL/dh of the final state, packed row order; becomes dL/dh of the initial state once step 0 is done.
    pub carry: *mut f32,
    /// The same for c.
    pub cell_carry: *mut f32,
    /// The gradients of the weights that only the cell knows, for each row, to add to.
    pub vectors: *mut f32,
    /// Room for what zoneout hands past the cell to h and c of the step before, (batch, their sizes).
    pub kept: [*mut f32; 2],
    /// With a narrow h: room for the gradient of what the cell makes, (batch, units).
    pub made: *mut f32,
    /// The same for the gradient of h of every step of the scan in packed order, which the gradient of the kernel needs.
    pub narrow: *mut f32,
}

/// The fewest rows that a product should have, so that a pass over the weights pays.
const PROJECTED_ROWS: usize = 48;

/// How many steps of a small batch are projected at once without a buffer for all of them.
#[must_use]
pub fn projected_steps(batch: usize) -> usize {
    PROJECTED_ROWS.div_ceil(batch.max(1))
}

impl Scan<'_> {
    /// Calls `body` for the rows of each task, on all threads.
    fn for_each_task(&self, body: impl Fn((usize, usize)) + Sync) {
        // Asked once: another thread of the program may set another number while the tasks run.
        let split = Split::new(self.layout, self.steps.clone(), threads::count());
        threads::for_each(split.tasks(), |task| body(split.rows(task)));
    }

    /// Runs the cell over time.
    ///
    /// # Safety
    /// All pointers are valid for the layout, the gates buffer for `C::SLOTS` slots, and do not alias.
    pub unsafe fn forward<C: Cell>(&self, cell: C) {
        let shared = Shared(self);
        self.for_each_task(|rows| {
            // SAFETY: as for this function; tasks have disjoint rows.
            unsafe { shared.get().forward_rows(cell, rows) };
        });
    }

    /// Runs the cell back through time: gates become the gradients of the pre-activations.
    ///
    /// # Safety
    /// As [`Scan::forward`], which has run with all gates and states kept. Behind the gates lie the gradients of the step that
    /// follows, where there is one.
    pub unsafe fn backward<C: Cell>(&self, cell: C, gradients: Gradients) {
        let shared = Shared((self, gradients));
        self.for_each_task(|rows| {
            let (scan, gradients) = shared.get();
            // SAFETY: as for this function; tasks have disjoint rows.
            unsafe { scan.backward_rows(cell, rows, gradients) };
        });
    }

    /// The gates buffer of a step, for a task that has all rows (`alone`) or some.
    ///
    /// The rows of a block of steps are contiguous for a task that has them all. Tasks that share the rows are not at the
    /// same step at the same time, so a row has its own place, whatever the lengths of the others.
    unsafe fn gates_at(&self, step: usize, slots: usize, alone: bool) -> *mut f32 {
        let place = step - self.first;
        let row = match self.gates_kept {
            GatesKept::All => self.layout.offset(step) - self.layout.offset(self.first),
            GatesKept::Block(steps) if alone => self.layout.offset(step) - self.layout.offset(step - place % steps),
            GatesKept::Block(steps) => (place % steps) * self.layout.batch(),
        };
        // SAFETY: the caller allocated as many rows as `gates_kept` says.
        unsafe { self.gates.add(row * slots * self.units) }
    }

    /// The mask of a gate's recurrent product, or null.
    fn state_mask(&self, gate: usize) -> *const f32 {
        // SAFETY: there is a mask (batch, width) for each gate.
        self.state_dropout
            .map_or(ptr::null(), |_| unsafe { self.state_masks.add(gate * self.layout.batch() * self.width) })
    }

    /// The mask of the product that does not multiply the state, or null.
    fn candidate_mask<C: Cell>(&self) -> *const f32 {
        C::PRODUCTS.get(1).map_or(ptr::null(), |product| self.state_mask(product.block.gate))
    }
}

impl<T: Copy> Shared<T> {
    // A method makes closures capture the whole wrapper, not the pointer field, which is not `Sync`.
    fn get(&self) -> T {
        self.0
    }
}

impl Scan<'_> {
    /// The forward scan of some rows.
    ///
    /// # Safety
    /// As [`Scan::forward`]; no one else works on these rows.
    unsafe fn forward_rows<C: Cell>(&self, cell: C, rows: (usize, usize)) {
        let layout = self.layout;
        let alone = rows == (0, layout.batch());
        let block = match self.gates_kept {
            GatesKept::Block(steps) => steps,
            GatesKept::All => projected_steps(layout.batch()),
        };
        let block = if alone { block } else { 1 };
        let first = self.first;
        for step in self.steps.clone() {
            let end = rows.1.min(layout.active(step));
            if rows.0 >= end {
                break;
            }
            // SAFETY: the caller made all pointers valid for the layout; the rows of the steps of a block are contiguous in
            // packed order when one task has them all.
            unsafe {
                if (step - first).is_multiple_of(block) {
                    let last = (step + block).min(self.steps.end);
                    let count = if alone { layout.offset(last) - layout.offset(step) } else { end - rows.0 };
                    let gates = self.gates_at(step, C::SLOTS, alone).add(rows.0 * C::SLOTS * self.units);
                    self.project(C::SLOTS, layout.offset(step) + rows.0, count, gates);
                }
                let gates = self.gates_at(step, C::SLOTS, alone);
                let forward = ForwardStep {
                    rows: (rows.0, end),
                    units: self.units,
                    width: self.width,
                    h_previous: self.h.before(layout, step, first, self.width),
                    c_previous: if C::HAS_CELL_STATE {
                        self.c.before(layout, step, first, self.units)
                    } else {
                        ptr::null()
                    },
                    h: self.output().at(layout, step, self.units),
                    c: if C::HAS_CELL_STATE { self.made(1).at(layout, step, self.units) } else { ptr::null_mut() },
                    projected: self.projected(step, C::SLOTS, gates),
                    gates,
                    has_product: self.state_dropout.is_some(),
                    candidate_mask: self.candidate_mask::<C>(),
                };
                if let Some(kernels) = self.state_dropout {
                    self.masked_products::<C>(kernels, &forward);
                }
                dispatch(self.level, CellForward { cell, weights: self.weights, step: &forward });
                if let Some(narrow) = &self.narrow {
                    narrow.forward(self.level, forward.rows, forward.h, self.made(0).at(layout, step, self.width));
                }
                if let Some(zoneout) = &self.zoneout {
                    let part = Part { layout, step, first, rows: forward.rows, sizes: [self.width, self.units] };
                    zoneout.blend(part, [self.h, self.c]);
                }
            }
        }
    }

    /// Where a cell writes what it makes first: h, unless that is a product of it.
    fn output(&self) -> States {
        self.narrow.as_ref().map_or_else(|| self.made(0), |narrow| narrow.made)
    }

    /// Where a new state stands before zoneout: h, or c.
    fn made(&self, state: usize) -> States {
        let zone = self.zoneout.and_then(|zoneout| zoneout.zones[state]);
        zone.map_or([self.h, self.c][state], |zone| zone.made)
    }

    /// Where a step finds its projections: in its gates, or with its tokens unless [`Scan::project`] has copied them.
    fn projected(&self, step: usize, slots: usize, gates: *mut f32) -> Projected {
        match self.input {
            Input::Tokens { projected, records } if self.state_dropout.is_none() => Projected {
                base: projected.as_ptr(),
                stride: self.columns(),
                records: records[self.layout.offset(step)..].as_ptr(),
            },
            _ => Projected { base: gates, stride: slots * self.units, records: ptr::null() },
        }
    }

    /// Columns of the input projections.
    fn columns(&self) -> usize {
        self.projections.iter().map(|projection| projection.count * self.units).sum()
    }

    /// `gates[row] = x·kernel + bias` for consecutive rows in packed order.
    ///
    /// # Safety
    /// The rows exist in the input and in `gates`, whose records have `slots` slots.
    unsafe fn project(&self, slots: usize, first_row: usize, rows: usize, gates: *mut f32) {
        match self.input {
            // SAFETY: passed on.
            Input::Rows { values, first, group } => unsafe {
                self.multiply_inputs(values, group, slots, first_row - first, rows, gates);
            },
            // The products with the masked states are added to the projections.
            Input::Tokens { projected, records } if self.state_dropout.is_some() => {
                let columns = self.columns();
                for (row, &record) in records[first_row..][..rows].iter().enumerate() {
                    let source = &projected[record as usize * columns..][..columns];
                    // SAFETY: the projections fill the first slots of a row's record.
                    unsafe { ptr::copy_nonoverlapping(source.as_ptr(), gates.add(row * slots * self.units), columns) };
                }
            }
            Input::Tokens { .. } => {}
        }
    }

    /// The projections of rows of numbers.
    ///
    /// # Safety
    /// As [`Scan::project`].
    unsafe fn multiply_inputs(
        &self,
        x: *const f32,
        group: usize,
        slots: usize,
        first_row: usize,
        rows: usize,
        gates: *mut f32,
    ) {
        for (index, projection) in self.projections.iter().enumerate() {
            // SAFETY: there is an input for each projection; its slots lie inside the row record.
            let product = unsafe {
                Product {
                    rows: (0, rows),
                    a: x.add((index * group + first_row) * self.features),
                    stride: self.features,
                    b: &projection.kernel,
                    runs: &[],
                    epilogue: Store {
                        initial: projection.bias.as_ptr(),
                        initial_stride: 0,
                        target: gates.add(projection.slot * self.units),
                        stride: slots * self.units,
                        columns: projection.count * self.units,
                    },
                }
            };
            dispatch(self.level, product);
        }
    }

    /// Adds each gate's product with its own masked state to the gates buffer (recurrent dropout).
    ///
    /// # Safety
    /// The step is valid.
    unsafe fn masked_products<C: Cell>(&self, kernels: &[Panels], step: &ForwardStep) {
        let (units, width) = (self.units, self.width);
        let Some(block) = cells::state_product::<C>() else { return };
        for (index, kernel) in kernels.iter().enumerate() {
            let slot = block.slot + index;
            // SAFETY: masks, the masked state and h_previous hold `width` values for each row of the step; the slot lies
            // inside the row record.
            let product = unsafe {
                let mask = self.state_mask(block.gate + index);
                for position in step.rows.0 * width..step.rows.1 * width {
                    *self.masked_state.add(position) = *step.h_previous.add(position) * *mask.add(position);
                }
                let target = step.gates.add(slot * units);
                // A slot that the input projection did not fill starts from the candidate's recurrent bias.
                let projected = C::INPUTS.iter().any(|input| (input.slot..input.slot + input.count).contains(&slot));
                let (initial, initial_stride) = if projected {
                    (target.cast_const(), C::SLOTS * units)
                } else {
                    (self.weights.candidate_bias.as_ptr(), 0)
                };
                let epilogue = Store { initial, initial_stride, target, stride: C::SLOTS * units, columns: units };
                let (a, b) = (self.masked_state.cast_const(), &kernel.packed);
                Product { rows: step.rows, a, stride: width, b, runs: &kernel.runs, epilogue }
            };
            dispatch(self.level, product);
        }
    }

    /// The backward scan of some rows.
    ///
    /// # Safety
    /// As [`Scan::backward`]; no one else works on these rows.
    unsafe fn backward_rows<C: Cell>(&self, cell: C, rows: (usize, usize), gradients: Gradients) {
        let layout = self.layout;
        let (units, width) = (self.units, self.width);
        let carries = [gradients.carry, gradients.cell_carry];
        // The whole gradient of h has to be there before zoneout splits it, or a product makes that of the cell's output.
        let gathers = self.narrow.is_some() || self.zoneout.is_some_and(|zoneout| zoneout.zones[0].is_some());
        let by_gate = !self.weights.by_gate.is_empty();
        let first = self.first;
        for step in self.steps.clone().rev() {
            let end = rows.1.min(layout.active(step));
            if rows.0 >= end {
                continue;
            }
            // SAFETY: as in the forward scan; the caller's gradients are valid for the layout.
            unsafe {
                let continuing = layout.active(step + 1);
                let part = Part { layout, step, first, rows: (rows.0, end), sizes: [width, units] };
                let mut backward = BackwardStep {
                    rows: (rows.0, end),
                    continuing,
                    units,
                    h_previous: self.h.before(layout, step, first, width),
                    h: self.output().at(layout, step, units),
                    c_previous: if C::HAS_CELL_STATE { self.c.before(layout, step, first, units) } else { ptr::null() },
                    c: if C::HAS_CELL_STATE { self.made(1).at(layout, step, units) } else { ptr::null_mut() },
                    gates: self.gates_at(step, C::SLOTS, true),
                    gates_next: if continuing > rows.0 {
                        self.gates_at(step + 1, C::SLOTS, true)
                    } else {
                        ptr::null_mut()
                    },
                    output_gradient: if gradients.output.is_null() {
                        gradients.output
                    } else {
                        gradients.output.add((layout.offset(step) - gradients.first) * width)
                    },
                    carry: gradients.carry,
                    cell_carry: gradients.cell_carry,
                    vector_gradients: gradients.vectors,
                    has_product: gathers || by_gate,
                    candidate_mask: self.candidate_mask::<C>(),
                };
                if gathers {
                    add_output_gradient(&mut backward, width);
                }
                if let Some(zoneout) = &self.zoneout {
                    zoneout.split(part, carries, gradients.kept);
                }
                if let Some(narrow) = &self.narrow {
                    let kept = gradients.narrow.add((layout.offset(step) - layout.offset(first)) * width);
                    narrow.backward(self.level, backward.rows, gradients.carry, kept, gradients.made);
                    backward.carry = gradients.made;
                }
                dispatch(self.level, CellBackward { cell, weights: self.weights, step: &backward });
                if by_gate {
                    self.products_by_gate::<C>(&backward, gradients.carry);
                } else if gathers {
                    self.add_product::<C>(backward.gates, backward.rows, gradients.carry, true);
                }
                if let Some(zoneout) = &self.zoneout {
                    zoneout.join(part, carries, gradients.kept);
                }
            }
        }
        let end = rows.1.min(layout.active(0));
        if self.steps.start > 0 || gathers || by_gate || rows.0 >= end {
            return;
        }
        // The gradient of the initial state: one more recurrent product, after step 0.
        // SAFETY: the gates of step 0 and the carry are valid for these rows.
        unsafe {
            let gates = self.gates_at(0, C::SLOTS, true);
            self.add_product::<C>(gates, (rows.0, end), gradients.carry, C::HAS_DIRECT_GRADIENT);
        }
    }

    /// The recurrent product's part of dL/dh of the step before, in the carry; added to what is there if that `keeps`.
    ///
    /// # Safety
    /// The cell's backward step has run for these rows of `gates`.
    unsafe fn add_product<C: Cell>(&self, gates: *mut f32, rows: (usize, usize), carry: *mut f32, keeps: bool) {
        let Some(Block { slot, .. }) = cells::state_product::<C>() else { return };
        let units = self.units;
        let epilogue = AddState { carry, width: self.width, keeps, mask: ptr::null() };
        // SAFETY: the slot lies inside the row record.
        let a = unsafe { gates.add(slot * units) }.cast_const();
        let b = &self.weights.backward.packed;
        dispatch(self.level, Product { rows, a, stride: C::SLOTS * units, b, runs: &[], epilogue });
    }

    /// Adds each gate's part of dL/dh of the previous step to the carry, through the gate's mask if there is one.
    ///
    /// # Safety
    /// The step is valid and has run.
    unsafe fn products_by_gate<C: Cell>(&self, step: &BackwardStep, carry: *mut f32) {
        let units = self.units;
        let Some(block) = cells::state_product::<C>() else { return };
        for (index, Panels { packed: b, runs }) in self.weights.by_gate.iter().enumerate() {
            let mask = self.state_mask(block.gate + index);
            let epilogue = AddState { carry, width: self.width, keeps: true, mask };
            // SAFETY: the slot lies inside the row record, the carry and the mask hold `width` values for each row.
            let a = unsafe { step.gates.add((block.slot + index) * units) }.cast_const();
            dispatch(self.level, Product { rows: step.rows, a, stride: C::SLOTS * units, b, runs, epilogue });
        }
    }
}

/// Moves the gradient of a step's output into the carry.
///
/// # Safety
/// The step is valid.
unsafe fn add_output_gradient(step: &mut BackwardStep, width: usize) {
    for element in step.rows.0 * width..step.rows.1 * width {
        if step.output_gradient.is_null() {
            return;
        }
        // SAFETY: both arrays hold `width` values for each row of the step.
        unsafe { *step.carry.add(element) += *step.output_gradient.add(element) };
    }
    step.output_gradient = ptr::null();
}

struct CellForward<'a, C> {
    cell: C,
    weights: &'a Weights,
    step: &'a ForwardStep,
}

impl<C: Cell> Kernel for CellForward<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        // SAFETY: `forward_rows` makes valid steps.
        unsafe { self.cell.forward(isa, self.weights, self.step) }
    }
}

struct CellBackward<'a, C> {
    cell: C,
    weights: &'a Weights,
    step: &'a BackwardStep,
}

impl<C: Cell> Kernel for CellBackward<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        // SAFETY: `backward_rows` makes valid steps.
        unsafe { self.cell.backward(isa, self.weights, self.step) }
    }
}
