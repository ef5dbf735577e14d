//! Backward: the scan in reverse, then the gradients of the weights and of the input, for each part of the steps in turn.
//!
//! Where checkpoints divide the steps (Chen et al. 2016, arXiv 1604.06174; Gruslys et al. 2016, arXiv 1606.03401), a part is
//! run forward once more from the states before it. All sums over time go from the last row to the first wherever a part
//! ends, so every bit is the same as without checkpoints.

use super::forward::{run, scan_of, states_before};
use super::regions::{Cutter, Saved, Scratch, Sizes};
use super::{State, rows_per_task};
use crate::backend::Call;
use crate::cells::{self, Block, Cell, Operand, Visitor};
use crate::cpu::{Memory, Parts, for_each_rows};
use crate::layers::{CellKind, Recurrent};
use crate::scan::Gradients;
use crate::scan::gradients::{OuterProducts, Rows, Segment};
use crate::scan::layout::TimeLayout;
use crate::tensor::Span;
use foliot_simd::dispatch::Level;
use foliot_simd::gemm::{Init, MatrixMut, MatrixRef, gemm};
use std::ops::Range;

pub(super) struct Backward<'a> {
    pub(super) state: &'a mut State,
    pub(super) level: Level,
    pub(super) memory: &'a mut Memory,
    pub(super) call: &'a Call<'a>,
    pub(super) kind: CellKind,
    pub(super) options: &'a Recurrent,
}

impl Visitor for Backward<'_> {
    type Output = ();

    fn visit<C: Cell>(self, cell: C) {
        let Self { state, level, memory, call, kind, options } = self;
        let sizes = Sizes::new(call, kind, options);
        if !sizes.backward {
            return;
        }
        let saved = Saved::cut(&mut Cutter::of(call.saved), &sizes);
        let scratch = Scratch::cut(&mut Cutter::of(call.scratch), call, &sizes, options);
        start_gradients(&state.layout, memory, call, &sizes, &scratch, options);
        let wanted = |at: Option<usize>| at.is_some_and(|at| call.parameter_gradients[at].is_some());
        let sums_tokens = call
            .folded
            .as_ref()
            .is_some_and(|folded| folded.table_gradient.is_some() || wanted(Some(0)) || wanted(sizes.bias));
        if sums_tokens {
            state.tokens.clear_gradients();
        }
        let count = state.layout.steps();
        for steps in sizes.parts(count).rev() {
            if steps.end < count {
                // The forward pass has left the last part as it was; the others run again.
                keep_following(&state.layout, memory, &sizes, &saved, &steps);
                run(cell, state, level, memory, call, &sizes, &saved, options, &steps);
            }
            scan_back(cell, state, level, memory, call, &sizes, &saved, &scratch, options, &steps);
            if sums_tokens {
                let elements = state.layout.offset(steps.start)..state.layout.offset(steps.end);
                state.tokens.add_gradients(level, memory.floats(saved.gates), C::SLOTS * sizes.units, elements);
            }
            Part { level, state, call, sizes: &sizes, saved: &saved, scratch: &scratch, steps: &steps }
                .add_weight_gradients::<C>(memory);
            if let Some(target) = call.inputs[0].gradient {
                input_gradient::<C>(level, state, memory, &sizes, &saved, &scratch, &steps, target);
            }
        }
        let carries = [scratch.carry, scratch.cell_carry].into_iter().zip(sizes.states());
        for (index, (source, size)) in carries.enumerate().take(kind.states()) {
            if let Some(target) = call.inputs.get(1 + index).and_then(|input| input.gradient) {
                let [source, target] = memory.many([source, target]);
                state.layout.unpack_rows(size, source, target);
            }
        }
        if let (Some(target), Some(packed)) = (call.folded.and_then(|folded| folded.table_gradient), &state.packed) {
            state.tokens.add_table_gradient(level, &packed.transposed[0], memory.floats_mut(target));
        }
        finish_weight_gradients::<C>(level, state, memory, call, &sizes, &scratch);
    }
}

/// Brings the gradients of the layer's last output and final states to where the scan takes them, and zeroes what is added
/// to.
fn start_gradients(
    layout: &TimeLayout,
    memory: &mut Memory,
    call: &Call<'_>,
    sizes: &Sizes,
    scratch: &Scratch,
    options: &Recurrent,
) {
    let Scratch { carry, cell_carry, leading_gradient, vectors, kernel, recurrent, .. } = *scratch;
    let Scratch { bias, recurrent_bias, narrow, .. } = *scratch;
    for span in [carry, cell_carry, leading_gradient, vectors, kernel, recurrent, bias, recurrent_bias, narrow] {
        memory.floats_mut(span).fill(0.0);
    }
    if let Some(target) = call.inputs[0].gradient.filter(|_| sizes.packs_input) {
        // Masked steps have no part in it.
        memory.floats_mut(target).fill(0.0);
    }
    let mut add = |target: Span, size: usize, source: Option<Span>, zero_masked: bool| {
        let Some(source) = source else { return };
        let [source, target] = memory.many([source, target]);
        for (row, sums) in target.chunks_exact_mut(size).enumerate() {
            if zero_masked && layout.ends_masked(row) {
                continue;
            }
            let values = &source[layout.row(row) * size..][..size];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    };
    if !options.return_sequences {
        add(carry, sizes.width, call.outputs[0].gradient, options.zero_output_for_mask);
    }
    for ((target, size), output) in [carry, cell_carry].into_iter().zip(sizes.states()).zip(call.outputs.iter().skip(1))
    {
        add(target, size, output.gradient, false);
    }
}

/// Brings the gradients of the step that follows a part, which begin the gates buffer, to where its scan looks for them:
/// behind the part's own.
fn keep_following(layout: &TimeLayout, memory: &mut Memory, sizes: &Sizes, saved: &Saved, steps: &Range<usize>) {
    let record = sizes.slots * sizes.units;
    let rows = layout.offset(steps.end) - layout.offset(steps.start);
    memory.floats_mut(saved.gates).copy_within(..layout.active(steps.end) * record, rows * record);
}

/// Takes a part of the steps back: its gates become gradients.
fn scan_back<C: Cell>(
    cell: C,
    state: &State,
    level: Level,
    memory: &mut Memory,
    call: &Call<'_>,
    sizes: &Sizes,
    saved: &Saved,
    scratch: &Scratch,
    options: &Recurrent,
    steps: &Range<usize>,
) {
    let gradient = call.outputs[0].gradient.filter(|_| options.return_sequences);
    let (output, first) = match gradient {
        Some(gradient) if sizes.writes_output => (memory.pointer(gradient).cast_const(), 0),
        Some(gradient) => {
            let spans = [gradient, scratch.output_gradient, scratch.leading_gradient];
            let [gradient, packed, leading] = memory.many(spans);
            let zero_masked = options.zero_output_for_mask;
            state.layout.hold_gradient(steps.clone(), sizes.width, gradient, zero_masked, packed, leading);
            (memory.pointer(scratch.output_gradient).cast_const(), state.layout.offset(steps.start))
        }
        None => (std::ptr::null(), 0),
    };
    let gradients = Gradients {
        output,
        first,
        carry: memory.pointer(scratch.carry),
        cell_carry: memory.pointer(scratch.cell_carry),
        vectors: memory.pointer(scratch.vectors),
        kept: scratch.kept.map(|span| memory.pointer(span)),
        made: memory.pointer(scratch.made),
        narrow: memory.pointer(scratch.narrow_gradient),
    };
    if let Some(scan) = scan_of(state, level, memory, call, sizes, saved, options, steps.clone()) {
        // SAFETY: the forward pass of this part has filled the regions, and the gradients of the step that follows have been
        // kept.
        unsafe { scan.backward(cell, gradients) };
    }
    if steps.start == 0 && scratch.leading_gradient.len > 0 {
        // Masked steps before a row's first one show the initial state.
        let [leading, carry] = memory.many([scratch.leading_gradient, scratch.carry]);
        carry.iter_mut().zip(leading).for_each(|(sum, value)| *sum += *value);
    }
}

/// Column blocks of the gates buffer.
fn slot_rows<'a>(values: &'a [f32], sizes: &Sizes, slot: usize, count: usize) -> Rows<'a> {
    Rows { values, stride: sizes.slots * sizes.units, start: slot * sizes.units, width: count * sizes.units }
}

/// A part of the steps, which has been taken back.
struct Part<'a> {
    level: Level,
    state: &'a State,
    call: &'a Call<'a>,
    sizes: &'a Sizes,
    saved: &'a Saved,
    scratch: &'a Scratch,
    steps: &'a Range<usize>,
}

impl Part<'_> {
    /// The number of the first element among all.
    fn first(&self) -> usize {
        self.state.layout.offset(self.steps.start)
    }

    fn elements(&self) -> usize {
        self.state.layout.offset(self.steps.end) - self.first()
    }

    /// Adds the part's share to the sums that are the gradients of the weights.
    fn add_weight_gradients<C: Cell>(&self, memory: &mut Memory) {
        let Self { level, state, call, sizes, saved, scratch, .. } = *self;
        let (units, features, rows) = (sizes.units, sizes.features, state.layout.elements());
        let everything = [Segment { left: 0, right: 0, rows: self.elements() }];
        let folded = call.folded.is_some();
        if call.parameter_gradients[0].is_some() && !folded {
            let x = if sizes.packs_input { saved.x } else { call.inputs[0].value };
            let [x, gates, partials] = memory.many([x, saved.gates, scratch.kernel]);
            for block in C::INPUTS {
                // With a mask for each gate, each slot has its own input.
                let pieces = if sizes.groups > 1 { block.count } else { 1 };
                for piece in 0..pieces {
                    let (slot, gate, count) = (block.slot + piece, block.gate + piece, block.count / pieces);
                    let group = if sizes.groups > 1 { slot } else { 0 };
                    let start = if sizes.packs_input { group * sizes.part_elements } else { self.first() };
                    let x = Rows::whole(&x[start * features..], features);
                    let dz = slot_rows(gates, sizes, slot, count);
                    sizes.kernel_sum(rows).add(level, self.first(), &everything, x, dz, gate * units, partials);
                }
            }
        }
        if sizes.recurrent_kernel.is_some_and(|at| call.parameter_gradients[at].is_some()) {
            self.add_recurrent_kernel::<C>(memory);
        }
        if sizes.narrow.is_some_and(|at| call.parameter_gradients[at].is_some()) {
            let [made, dh, partials] = memory.many([saved.output, scratch.narrow_gradient, scratch.narrow]);
            let (made, dh) = (Rows::whole(made, units), Rows::whole(dh, sizes.width));
            sizes.narrow_sum(rows).add(level, self.first(), &everything, made, dh, 0, partials);
        }
        if sizes.bias.is_some_and(|at| call.parameter_gradients[at].is_some()) {
            let [gates, input, recurrent] = memory.many([saved.gates, scratch.bias, scratch.recurrent_bias]);
            let add = |block: &Block, partials: &mut [f32]| {
                let dz = slot_rows(gates, sizes, block.slot, block.count);
                sizes.bias_sum(rows).add(self.first(), self.elements(), dz, block.gate * units, partials);
            };
            if !folded {
                for block in C::INPUTS {
                    add(block, input);
                }
            }
            if let (false, Some(block)) = (recurrent.is_empty(), cells::state_product::<C>()) {
                add(&block, recurrent);
            }
        }
    }

    /// The rows of a state and of the part's gates that belong together: first those of the part's first step, which follows
    /// an array of its own, then the others. `kept` is the step with which the state's array begins.
    fn following(&self, kept: usize) -> ([Segment; 1], Vec<Segment>) {
        let (layout, steps) = (&self.state.layout, self.steps);
        let mut segments: Vec<Segment> = Vec::new();
        for step in steps.clone().skip(1) {
            let (left, right) = (layout.offset(step - 1) - layout.offset(kept), layout.offset(step) - self.first());
            let next = Segment { left, right, rows: layout.active(step) };
            match segments.last_mut() {
                Some(last) if last.left + last.rows == next.left && last.right + last.rows == next.right => {
                    last.rows += next.rows;
                }
                _ => segments.push(next),
            }
        }
        ([Segment { left: 0, right: 0, rows: layout.active(steps.start) }], segments)
    }

    /// Whether the states before the part are more than zeros.
    fn follows_states(&self) -> bool {
        self.steps.start > 0 || self.call.inputs.len() > 1 || !self.call.states.is_empty()
    }

    fn add_recurrent_kernel<C: Cell>(&self, memory: &mut Memory) {
        let Self { state, call, sizes, saved, scratch, steps, .. } = *self;
        let (layout, width) = (&state.layout, sizes.width);
        let sum = sizes.recurrent_sum(layout.elements());
        let everything = [Segment { left: 0, right: 0, rows: self.elements() }];
        let (h, kept) = if sizes.writes_output { (call.outputs[0].value, 0) } else { (saved.h, steps.start) };
        let [before, _] = states_before(layout, call, sizes, saved, steps);
        for product in C::PRODUCTS {
            let block = product.block;
            if let Operand::Slot(slot) = product.operand {
                let [gates, partials] = memory.many([saved.gates, scratch.recurrent]);
                let left = slot_rows(gates, sizes, slot, 1);
                self.add_by_head(&sum, self.first(), &everything, left, block, gates, partials);
                continue;
            }
            if !sizes.state_dropout {
                let (beginning, following) = self.following(kept);
                let parts = [
                    (h, self.first() + beginning[0].rows, &following[..]),
                    (before, self.first(), if self.follows_states() { &beginning[..] } else { &[] }),
                ];
                // One after the other, for the layer's output has both.
                for (left, first, segments) in parts {
                    let [left, gates, partials] = memory.many([left, saved.gates, scratch.recurrent]);
                    self.add_by_head(&sum, first, segments, Rows::whole(left, width), block, gates, partials);
                }
                continue;
            }
            for index in 0..block.count {
                for step in steps.clone() {
                    let (place, len) = (layout.offset(step) - self.first(), layout.active(step) * width);
                    let source = if step == steps.start {
                        before
                    } else {
                        h.part((layout.offset(step - 1) - layout.offset(kept)) * width, len)
                    };
                    let [source, masks, masked] = memory.many([source, saved.state_masks, scratch.masked_states]);
                    let mask = &masks[(block.gate + index) * sizes.batch * width..];
                    let values = &mut masked[place * width..][..len];
                    values.iter_mut().zip(source).zip(mask).for_each(|((value, h), mask)| *value = *h * mask);
                }
                let [gates, masked, partials] = memory.many([saved.gates, scratch.masked_states, scratch.recurrent]);
                let one = Block { slot: block.slot + index, gate: block.gate + index, count: 1 };
                let left = Rows::whole(masked, width);
                self.add_by_head(&sum, self.first(), &everything, left, one, gates, partials);
            }
        }
    }

    /// Adds the outer products of a state, or of what stands for it, and a block of the gates: of each head the state's part
    /// with the gates' parts of the same head.
    fn add_by_head(
        &self,
        sum: &OuterProducts,
        first: usize,
        segments: &[Segment],
        left: Rows<'_>,
        block: Block,
        gates: &[f32],
        partials: &mut [f32],
    ) {
        let Self { level, sizes, .. } = *self;
        if sizes.heads == 1 {
            let right = slot_rows(gates, sizes, block.slot, block.count);
            sum.add(level, first, segments, left, right, block.gate * sizes.units, partials);
            return;
        }
        let (height, width) = (left.width / sizes.heads, sizes.units / sizes.heads);
        for (head, partials) in partials.chunks_exact_mut(sum.partials()).enumerate().take(sizes.heads) {
            let left = Rows { start: left.start + head * height, width: height, ..left };
            for index in 0..block.count {
                let slot = slot_rows(gates, sizes, block.slot + index, 1);
                let right = Rows { start: slot.start + head * width, width, ..slot };
                sum.add(level, first, segments, left, right, (block.gate + index) * width, partials);
            }
        }
    }
}

/// Adds the finished sums to the gradients of the weights. Those of an embedding's tokens are made here: each sum over the
/// elements is a sum over the distinct tokens, too.
fn finish_weight_gradients<C: Cell>(
    level: Level,
    state: &State,
    memory: &mut Memory,
    call: &Call<'_>,
    sizes: &Sizes,
    scratch: &Scratch,
) {
    let State { layout, tokens, .. } = state;
    let (units, columns) = (sizes.units, sizes.gates * sizes.units);
    let folded = call.folded.is_some();
    let inputs = if folded { tokens.count() } else { layout.elements() };
    let everything = [Segment { left: 0, right: 0, rows: inputs }];
    if let Some(target) = call.parameter_gradients[0] {
        let [partials, target] = memory.many([scratch.kernel, target]);
        let sum = sizes.kernel_sum(inputs);
        for block in C::INPUTS.iter().filter(|_| folded) {
            let dz = tokens.gradient(block.slot * units, block.count * units);
            sum.add(level, 0, &everything, tokens.embedded(), dz, block.gate * units, partials);
        }
        sum.finish(partials, target);
    }
    if let Some(target) = sizes.recurrent_kernel.and_then(|at| call.parameter_gradients[at]) {
        let [partials, target] = memory.many([scratch.recurrent, target]);
        let sum = sizes.recurrent_sum(layout.elements());
        let blocks = target.len() / sizes.heads;
        for (partials, block) in partials.chunks_exact(sum.partials()).zip(target.chunks_exact_mut(blocks)) {
            sum.finish(partials, block);
        }
    }
    if let Some(target) = sizes.narrow.and_then(|at| call.parameter_gradients[at]) {
        let [partials, target] = memory.many([scratch.narrow, target]);
        sizes.narrow_sum(layout.elements()).finish(partials, target);
    }
    vector_gradients(memory, call, sizes, scratch);
    if let Some(target) = sizes.bias.and_then(|at| call.parameter_gradients[at]) {
        let [input, recurrent, target] = memory.many([scratch.bias, scratch.recurrent_bias, target]);
        let sum = sizes.bias_sum(inputs);
        for block in C::INPUTS.iter().filter(|_| folded) {
            let dz = tokens.gradient(block.slot * units, block.count * units);
            sum.add(0, inputs, dz, block.gate * units, input);
        }
        sum.finish(input, target);
        if !recurrent.is_empty() {
            sizes.bias_sum(layout.elements()).finish(recurrent, &mut target[columns..]);
        }
    }
}

/// Adds to the gradients of the weights that only the cell knows: it has summed them over time, row by row.
fn vector_gradients(memory: &mut Memory, call: &Call<'_>, sizes: &Sizes, scratch: &Scratch) {
    let mut start = 0;
    let first = call.parameter_gradients.len() - sizes.vectors.len();
    for (&(_, blocks), target) in sizes.vectors.iter().zip(&call.parameter_gradients[first..]) {
        let width = blocks * sizes.units;
        if let &Some(target) = target {
            let [values, target, partials] = memory.many([scratch.vectors, target, scratch.vector]);
            let rows = Rows { values, stride: sizes.vector_values, start, width };
            let sum = sizes.vector_sum(width);
            partials.fill(0.0);
            sum.add(0, sizes.batch, rows, 0, partials);
            sum.finish(partials, target);
        }
        start += width;
    }
}

/// dX = dZ·Wᵀ of some steps, through the masks of dropout, back in the order of memory.
fn input_gradient<C: Cell>(
    level: Level,
    state: &State,
    memory: &mut Memory,
    sizes: &Sizes,
    saved: &Saved,
    scratch: &Scratch,
    steps: &Range<usize>,
    target: Span,
) {
    let State { layout, packed: Some(packed), .. } = state else { return };
    let (units, features) = (sizes.units, sizes.features);
    let (record, first) = (C::SLOTS * units, layout.offset(steps.start));
    let elements = layout.offset(steps.end) - first;
    let sum =
        if sizes.packs_input { scratch.input_gradient } else { target.part(first * features, elements * features) };
    for (index, (projection, transposed)) in packed.projections.iter().zip(&packed.transposed).enumerate() {
        let into = if index == 0 { sum } else { scratch.group_gradient };
        let [gates, into] = memory.many([saved.gates, into]);
        let (gates, into) = (&*gates, Parts(into.as_mut_ptr()));
        let (slot, k) = (projection.slot, projection.count * units);
        for_each_rows(elements, rows_per_task(features, k), |start, count| {
            let a = MatrixRef::new(&gates[start * record + slot * units..], record, 1);
            // SAFETY: tasks have disjoint rows.
            let c = unsafe { into.part(start * features, count * features) };
            let b = foliot_simd::gemm::Operand::Packed(transposed);
            gemm(level, count, features, k, a, b, Init::Zero, MatrixMut::new(c, features));
        });
        if sizes.input_dropout {
            let into = if index == 0 { sum } else { scratch.group_gradient };
            let [masks, into] = memory.many([saved.input_masks, into]);
            let masks = &masks[index * sizes.batch * features..];
            for step in steps.clone() {
                let rows = layout.active(step) * features;
                let values = &mut into[(layout.offset(step) - first) * features..][..rows];
                values.iter_mut().zip(masks).for_each(|(value, mask)| *value *= mask);
            }
        }
        if index > 0 {
            let [sum, group] = memory.many([sum, scratch.group_gradient]);
            sum.iter_mut().zip(group).for_each(|(sum, group)| *sum += *group);
        }
    }
    if sizes.packs_input {
        let [packed, target] = memory.many([sum, target]);
        layout.unpack(steps.clone(), features, packed, target);
    }
}
