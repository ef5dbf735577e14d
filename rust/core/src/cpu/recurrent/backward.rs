//! Backward: the scan in reverse, then the gradients of the weights and of the input.

use super::forward::scan_of;
use super::regions::{Cutter, Saved, Scratch, Sizes};
use super::{State, rows_per_task};
use crate::backend::Call;
use crate::cells::{self, Cell, Operand, Visitor};
use crate::cpu::{Memory, Parts, for_each_rows};
use crate::layers::{CellKind, Recurrent};
use crate::scan::Gradients;
use crate::scan::gradients::{self, Rows, Segment};
use crate::scan::layout::TimeLayout;
use crate::tensor::Span;
use foliot_simd::dispatch::Level;
use foliot_simd::gemm::{Init, MatrixMut, MatrixRef, gemm};

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
        let scratch = Scratch::cut(&mut Cutter::of(call.scratch), &sizes, options);
        start_gradients(&state.layout, memory, call, &sizes, &scratch, options);
        let output_gradient = match call.outputs[0].gradient {
            Some(gradient) if sizes.writes_output => memory.pointer(gradient).cast_const(),
            Some(_) if options.return_sequences => memory.pointer(scratch.output_gradient).cast_const(),
            _ => std::ptr::null(),
        };
        let gradients = Gradients {
            output: output_gradient,
            carry: memory.pointer(scratch.carry),
            cell_carry: memory.pointer(scratch.cell_carry),
            vectors: memory.pointer(scratch.vectors),
            kept: scratch.kept.map(|span| memory.pointer(span)),
        };
        if let Some(scan) = scan_of(state, level, memory, call, &sizes, &saved, options) {
            // SAFETY: the forward pass has filled the regions; the plan keeps them until now.
            unsafe { scan.backward(cell, gradients) };
        }
        if scratch.leading_gradient.len > 0 {
            // Masked steps before a row's first one show the initial state.
            let [leading, carry] = memory.many([scratch.leading_gradient, scratch.carry]);
            carry.iter_mut().zip(leading).for_each(|(sum, value)| *sum += *value);
        }
        for (index, source) in [scratch.carry, scratch.cell_carry].into_iter().enumerate().take(kind.states()) {
            if let Some(target) = call.inputs.get(1 + index).and_then(|input| input.gradient) {
                let [source, target] = memory.many([source, target]);
                state.layout.unpack_rows(sizes.units, source, target);
            }
        }
        if let (Some(folded), State { layout, packed: Some(packed), tokens }) = (&call.folded, &mut *state) {
            let wanted = |at: Option<usize>| at.is_some_and(|at| call.parameter_gradients[at].is_some());
            let kernel_or_bias = wanted(Some(0)) || wanted(sizes.bias);
            if kernel_or_bias || folded.table_gradient.is_some() {
                tokens.sum_gradients(level, memory.floats(saved.gates), C::SLOTS * sizes.units, layout.elements());
            }
            if let Some(target) = folded.table_gradient {
                tokens.add_table_gradient(level, &packed.transposed[0], memory.floats_mut(target));
            }
        }
        weight_gradients::<C>(level, state, memory, call, &sizes, &saved, &scratch);
        if let Some(target) = call.inputs[0].gradient {
            input_gradient::<C>(level, state, memory, &sizes, &saved, &scratch, target);
        }
    }
}

/// Brings the gradients of the layer's outputs to where the scan takes them.
fn start_gradients(
    layout: &TimeLayout,
    memory: &mut Memory,
    call: &Call<'_>,
    sizes: &Sizes,
    scratch: &Scratch,
    options: &Recurrent,
) {
    let units = sizes.units;
    memory.floats_mut(scratch.carry).fill(0.0);
    memory.floats_mut(scratch.cell_carry).fill(0.0);
    memory.floats_mut(scratch.vectors).fill(0.0);
    let mut add = |target: Span, source: Option<Span>, zero_masked: bool| {
        let Some(source) = source else { return };
        let [source, target] = memory.many([source, target]);
        for (row, sums) in target.chunks_exact_mut(units).enumerate() {
            if zero_masked && layout.ends_masked(row) {
                continue;
            }
            let values = &source[layout.row(row) * units..][..units];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    };
    if !options.return_sequences {
        add(scratch.carry, call.outputs[0].gradient, options.zero_output_for_mask);
    }
    for (target, output) in [scratch.carry, scratch.cell_carry].into_iter().zip(call.outputs.iter().skip(1)) {
        add(target, output.gradient, false);
    }
    if let (true, true, Some(gradient)) = (options.return_sequences, sizes.masked, call.outputs[0].gradient) {
        let [gradient, packed, initial] = memory.many([gradient, scratch.output_gradient, scratch.leading_gradient]);
        initial.fill(0.0);
        layout.hold_gradient(units, gradient, options.zero_output_for_mask, packed, initial);
    }
}

/// Column blocks of the gates buffer.
fn slot_rows<'a>(values: &'a [f32], sizes: &Sizes, slot: usize, count: usize) -> Rows<'a> {
    Rows { values, stride: sizes.slots * sizes.units, start: slot * sizes.units, width: count * sizes.units }
}

/// Adds to the gradients of kernel, recurrent kernel and bias.
fn weight_gradients<C: Cell>(
    level: Level,
    state: &State,
    memory: &mut Memory,
    call: &Call<'_>,
    sizes: &Sizes,
    saved: &Saved,
    scratch: &Scratch,
) {
    let State { layout, tokens, .. } = state;
    let (units, features) = (sizes.units, sizes.features);
    let columns = sizes.gates * units;
    let folded = call.folded.is_some();
    // Each sum over the elements is a sum over the distinct tokens too.
    let elements = if folded { tokens.count() } else { layout.elements() };
    let everything = [Segment { left: 0, right: 0, rows: elements }];
    let x_span = if sizes.packs_input { saved.x } else { call.inputs[0].value };

    if let Some(target) = call.parameter_gradients[0] {
        let [x, gates, target, partials] = memory.many([x_span, saved.gates, target, scratch.partials]);
        for block in C::INPUTS {
            // With a mask for each gate, each slot has its own input.
            let pieces = if sizes.groups > 1 { block.count } else { 1 };
            for piece in 0..pieces {
                let (slot, gate, count) = (block.slot + piece, block.gate + piece, block.count / pieces);
                let group = if sizes.groups > 1 { slot } else { 0 };
                let (x, dz) = if folded {
                    (tokens.embedded(), tokens.gradient(slot * units, count * units))
                } else {
                    let x = &x[group * sizes.elements * features..];
                    (Rows::whole(x, features), slot_rows(gates, sizes, slot, count))
                };
                gradients::add_outer_products(level, &everything, x, dz, target, columns, gate * units, partials);
            }
        }
    }
    if let Some(target) = sizes.recurrent_kernel.and_then(|at| call.parameter_gradients[at]) {
        recurrent_kernel_gradient::<C>(level, layout, memory, call, sizes, saved, scratch, target);
    }
    vector_gradients(memory, call, sizes, scratch);
    if let Some(target) = sizes.bias.and_then(|at| call.parameter_gradients[at]) {
        let two = target.len == 2 * columns;
        let [gates, target, partials] = memory.many([saved.gates, target, scratch.partials]);
        for block in C::INPUTS {
            let dz = if folded {
                tokens.gradient(block.slot * units, block.count * units)
            } else {
                slot_rows(gates, sizes, block.slot, block.count)
            };
            gradients::add_column_sums(dz, elements, target, block.gate * units, partials);
        }
        if let (true, Some(block)) = (two, cells::state_product::<C>()) {
            let dz = slot_rows(gates, sizes, block.slot, block.count);
            gradients::add_column_sums(dz, layout.elements(), target, columns + block.gate * units, partials);
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
            let [values, target, partials] = memory.many([scratch.vectors, target, scratch.partials]);
            let rows = Rows { values, stride: sizes.vector_values, start, width };
            gradients::add_column_sums(rows, sizes.batch, target, 0, partials);
        }
        start += width;
    }
}

/// The rows of h₋ and of the gates that belong together: step 0 follows the initial state, which is an array of its own.
fn following_steps(layout: &TimeLayout) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for step in 1..layout.steps() {
        let next = Segment { left: layout.offset(step - 1), right: layout.offset(step), rows: layout.active(step) };
        match segments.last_mut() {
            Some(last) if last.left + last.rows == next.left && last.right + last.rows == next.right => {
                last.rows += next.rows;
            }
            _ => segments.push(next),
        }
    }
    segments
}

#[allow(clippy::too_many_lines)]
fn recurrent_kernel_gradient<C: Cell>(
    level: Level,
    layout: &TimeLayout,
    memory: &mut Memory,
    call: &Call<'_>,
    sizes: &Sizes,
    saved: &Saved,
    scratch: &Scratch,
    target: Span,
) {
    let units = sizes.units;
    let columns = sizes.gates * units;
    let elements = layout.elements();
    let everything = [Segment { left: 0, right: 0, rows: elements }];
    let first = [Segment { left: 0, right: 0, rows: layout.active(0) }];
    let h_span = if sizes.writes_output { call.outputs[0].value } else { saved.h };
    let [h, initial, gates, masks, masked, target, partials] = memory.many([
        h_span,
        saved.initial_h,
        saved.gates,
        saved.state_masks,
        scratch.masked_states,
        target,
        scratch.partials,
    ]);
    for product in C::PRODUCTS {
        let block = product.block;
        if let Operand::Slot(slot) = product.operand {
            let (left, right) = (slot_rows(gates, sizes, slot, 1), slot_rows(gates, sizes, block.slot, block.count));
            gradients::add_outer_products(
                level,
                &everything,
                left,
                right,
                target,
                columns,
                block.gate * units,
                partials,
            );
            continue;
        }
        if !sizes.state_dropout {
            let right = slot_rows(gates, sizes, block.slot, block.count);
            let column = block.gate * units;
            // Zeros without either.
            if call.inputs.len() > 1 || !call.states.is_empty() {
                gradients::add_outer_products(
                    level,
                    &first,
                    Rows::whole(initial, units),
                    right,
                    target,
                    columns,
                    column,
                    partials,
                );
            }
            let segments = following_steps(layout);
            gradients::add_outer_products(
                level,
                &segments,
                Rows::whole(h, units),
                right,
                target,
                columns,
                column,
                partials,
            );
            continue;
        }
        for index in 0..block.count {
            let mask = &masks[(block.gate + index) * sizes.batch * units..];
            for step in 0..layout.steps() {
                let len = layout.active(step) * units;
                let before = if step == 0 { &*initial } else { &h[layout.offset(step - 1) * units..] };
                let values = &mut masked[layout.offset(step) * units..][..len];
                values.iter_mut().zip(before).zip(mask).for_each(|((value, h), mask)| *value = h * mask);
            }
            let right = slot_rows(gates, sizes, block.slot + index, 1);
            let column = (block.gate + index) * units;
            gradients::add_outer_products(
                level,
                &everything,
                Rows::whole(masked, units),
                right,
                target,
                columns,
                column,
                partials,
            );
        }
    }
}

/// dX = dZ·Wᵀ, through the masks of dropout, back in the order of memory.
fn input_gradient<C: Cell>(
    level: Level,
    state: &State,
    memory: &mut Memory,
    sizes: &Sizes,
    saved: &Saved,
    scratch: &Scratch,
    target: Span,
) {
    let State { layout, packed: Some(packed), .. } = state else { return };
    let (units, features) = (sizes.units, sizes.features);
    let record = C::SLOTS * units;
    let direct = !sizes.packs_input;
    let sum = if direct { target } else { scratch.input_gradient };
    for (index, (projection, transposed)) in packed.projections.iter().zip(&packed.transposed).enumerate() {
        let into = if index == 0 { sum } else { scratch.group_gradient };
        let [gates, into] = memory.many([saved.gates, into]);
        let (gates, into) = (&*gates, Parts(into.as_mut_ptr()));
        let (slot, k) = (projection.slot, projection.count * units);
        for_each_rows(layout.elements(), rows_per_task(features, k), |start, count| {
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
            for step in 0..layout.steps() {
                let rows = layout.active(step) * features;
                let values = &mut into[layout.offset(step) * features..][..rows];
                values.iter_mut().zip(masks).for_each(|(value, mask)| *value *= mask);
            }
        }
        if index > 0 {
            let [sum, group] = memory.many([sum, scratch.group_gradient]);
            sum.iter_mut().zip(group).for_each(|(sum, group)| *sum += *group);
        }
    }
    if !direct {
        let [packed, target] = memory.many([sum, target]);
        layout.unpack(features, packed, target);
    }
}
