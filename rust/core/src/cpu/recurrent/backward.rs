//! Backward: the scan in reverse, then the gradients of the weights and of the input, for each part of the steps in turn.
//!
//! Where checkpoints divide the steps (Chen et al. 2016, arXiv 1604.06174; Gruslys et al. 2016, arXiv 1606.03401), a part is
//! run forward once more from the states before it. All sums over time go from the last row to the first wherever a part
//! ends, so every bit is the same as without checkpoints.

use super::forward::run;
use super::regions::{Cutter, Scratch, Sizes, cut_saved, cut_scratch};
use super::rows_per_task;
use super::tokens::TokenGradients;
use super::track::{Prepared, Setting, State, Track};
use crate::backend::Call;
use crate::cells::{self, Block, Cell, Operand, Visitor};
use crate::cpu::{Memory, Parts, for_each_rows};
use crate::layers::CellKind;
use crate::scan::Gradients;
use crate::scan::gradients::{OuterProducts, Rows, Segment};
use crate::tensor::Span;
use foliot_simd::gemm::{Init, MatrixMut, MatrixRef, gemm};
use std::ops::Range;

pub(super) struct Backward<'a> {
    pub(super) state: &'a mut State,
    pub(super) memory: &'a mut Memory,
    pub(super) kind: CellKind,
    pub(super) setting: Setting<'a>,
}

impl Visitor for Backward<'_> {
    type Output = ();

    fn visit<C: Cell>(self, cell: C) {
        let Self { state: State { prepared, token_gradients }, memory, kind, setting } = self;
        let Setting { level, call, options, .. } = setting;
        let sizes = Sizes::of_batch(call, kind, options, prepared);
        if !sizes.backward {
            return;
        }
        let (saved, shared) = cut_saved(&mut Cutter::of(call.saved), &sizes);
        let (scratch, shared_scratch) = cut_scratch(&mut Cutter::of(call.scratch), call, &sizes, options);
        let wanted = |at: Option<usize>| at.is_some_and(|at| call.parameter_gradients[at].is_some());
        let wants_table = call.folded.is_some_and(|folded| folded.table_gradient.is_some());
        let sums_tokens = sizes.tokens && (wants_table || wanted(Some(0)) || wanted(sizes.bias));
        let Some(track) = setting.batch(prepared, &sizes, &saved) else { return };
        let Prepared { layout, tokens, prefix, .. } = &*prepared;
        if sums_tokens {
            token_gradients.clear(tokens);
        }
        clear(memory, &scratch);
        start_gradients(&track, memory, &scratch);
        let count = layout.steps();
        for part in sizes.parts(count).rev() {
            if part.end < count {
                // The forward pass has left the last part as it was; the others run again.
                keep_following(&track, memory, &part);
                run(cell, &track, memory, &part);
            }
            for steps in sizes.pieces(part.clone()).rev() {
                let piece = Piece { track, scratch: &scratch, part: &part, steps: &steps };
                piece.scan_back(cell, memory);
                piece.add_weight_gradients::<C>(memory);
                if let Some(target) = call.inputs[0].gradient {
                    piece.input_gradient::<C>(memory, target);
                }
                if sums_tokens {
                    let (gates, records) = (piece.gates(memory.floats(saved.gates)), piece.records());
                    token_gradients.add(level, tokens, gates, C::SLOTS * sizes.units, records);
                }
            }
        }
        let carries = [scratch.carry, scratch.cell_carry].into_iter().zip(sizes.states());
        for (index, (source, size)) in carries.enumerate().take(kind.states()) {
            if let Some(target) = call.inputs.get(1 + index).and_then(|input| input.gradient) {
                let [source, target] = memory.many([source, target]);
                layout.unpack_rows(size, source, target);
            }
        }
        let shared = shared.as_ref().zip(shared_scratch).filter(|_| prefix.steps() > 0);
        if let Some(((sizes, saved), shared_scratch)) = shared {
            let track = track.shared(prefix, sizes, saved);
            let (whole, into) = (0..prefix.steps(), &shared_scratch);
            clear(memory, into);
            prefix.join(layout, memory, sizes.width, scratch.carry, into.output_gradient);
            for (steps, rows) in prefix.segments(layout, sizes.has_cell_state) {
                if sizes.has_cell_state {
                    let [source, target] = memory.many([scratch.cell_carry, into.cell_carry]);
                    for values in source[rows.start * sizes.units..rows.end * sizes.units].chunks_exact(sizes.units) {
                        target.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                    }
                }
                Piece { track, scratch: into, part: &whole, steps: &steps }.scan_back(cell, memory);
            }
            let piece = Piece { track, scratch: into, part: &whole, steps: &whole };
            piece.add_weight_gradients::<C>(memory);
            finish_state_gradients(&track, memory, into);
            if sums_tokens {
                let (gates, records) = (piece.gates(memory.floats(saved.gates)), piece.records());
                token_gradients.add(level, tokens, gates, C::SLOTS * sizes.units, records);
            }
        }
        finish_state_gradients(&track, memory, &scratch);
        finish_input_gradients::<C>(&track, token_gradients, memory, &scratch);
    }
}

/// Adds the gradient of an embedding that is folded into the layer, which may be folded into other layers too.
pub(super) fn add_table_gradient(state: &mut State, memory: &mut Memory, setting: Setting<'_>) {
    let State { prepared: Prepared { packed, tokens, .. }, token_gradients } = state;
    let target = setting.call.folded.and_then(|folded| folded.table_gradient);
    if let (Some(target), Some(packed)) = (target, packed) {
        token_gradients.add_to_table(setting.level, tokens, &packed.transposed[0], memory.floats_mut(target));
    }
}

/// Zeroes what is added to.
fn clear(memory: &mut Memory, scratch: &Scratch) {
    let Scratch { carry, cell_carry, leading_gradient, vectors, kernel, recurrent, .. } = *scratch;
    let Scratch { bias, recurrent_bias, narrow, .. } = *scratch;
    for span in [carry, cell_carry, leading_gradient, vectors, kernel, recurrent, bias, recurrent_bias, narrow] {
        memory.floats_mut(span).fill(0.0);
    }
}

/// Brings the gradients of the layer's last output and final states to where the scan takes them.
fn start_gradients(track: &Track<'_>, memory: &mut Memory, scratch: &Scratch) {
    let Track { call, options, sizes, layout, .. } = *track;
    let (carry, cell_carry) = (scratch.carry, scratch.cell_carry);
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
        add(carry, sizes.width, call.outputs[0].gradient, sizes.masked && options.zero_output_for_mask);
    }
    for ((target, size), output) in [carry, cell_carry].into_iter().zip(sizes.states()).zip(call.outputs.iter().skip(1))
    {
        add(target, size, output.gradient, false);
    }
}

/// Brings the gradients of the step that follows a part, which begin the gates buffer, to where its scan looks for them:
/// behind the part's own.
fn keep_following(track: &Track<'_>, memory: &mut Memory, steps: &Range<usize>) {
    let Track { sizes, saved, layout, .. } = *track;
    let record = sizes.slots * sizes.units;
    let rows = layout.offset(steps.end) - layout.offset(steps.start);
    memory.floats_mut(saved.gates).copy_within(..layout.active(steps.end) * record, rows * record);
}

/// Column blocks of the gates buffer.
fn slot_rows<'a>(values: &'a [f32], sizes: &Sizes, slot: usize, count: usize) -> Rows<'a> {
    Rows { values, stride: sizes.slots * sizes.units, start: slot * sizes.units, width: count * sizes.units }
}

/// Some steps of a part, which are taken back.
struct Piece<'a> {
    track: Track<'a>,
    scratch: &'a Scratch,
    part: &'a Range<usize>,
    steps: &'a Range<usize>,
}

impl Piece<'_> {
    /// Runs the cell back: the gates become gradients.
    fn scan_back<C: Cell>(&self, cell: C, memory: &mut Memory) {
        let Self { track, scratch, part, steps } = *self;
        let Track { call, options, sizes, layout, .. } = track;
        let gradient = call.outputs[0].gradient.filter(|_| options.return_sequences);
        let (output, first) = match gradient {
            None if sizes.is_prefix => (memory.pointer(scratch.output_gradient).cast_const(), 0),
            None => (std::ptr::null(), 0),
            Some(gradient) if sizes.writes_output => (memory.pointer(gradient).cast_const(), 0),
            Some(gradient) => {
                let spans = [gradient, scratch.output_gradient, scratch.leading_gradient];
                let [gradient, packed, leading] = memory.many(spans);
                let zero_masked = options.zero_output_for_mask;
                layout.hold_gradient(steps.clone(), sizes.width, gradient, zero_masked, packed, leading);
                (memory.pointer(scratch.output_gradient).cast_const(), layout.offset(steps.start))
            }
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
        let scan = track.scan(memory, part, steps.clone());
        // SAFETY: the forward pass of this part has filled the regions, and the gradients of the step that follows have been
        // kept.
        unsafe { scan.backward(cell, gradients) };
        if steps.start == 0 && scratch.leading_gradient.len > 0 {
            // Masked steps before a row's first one show the initial state.
            let [leading, carry] = memory.many([scratch.leading_gradient, scratch.carry]);
            carry.iter_mut().zip(leading).for_each(|(sum, value)| *sum += *value);
        }
    }

    /// The gates of its elements.
    fn gates<'m>(&self, gates: &'m [f32]) -> &'m [f32] {
        &gates[self.track.gates_start(self.part, self.steps)..]
    }

    /// The records of its elements among those of the tokens.
    fn records(&self) -> Range<usize> {
        let first = self.track.records + self.first();
        first..first + self.elements()
    }

    /// The number of the first element among all.
    fn first(&self) -> usize {
        self.track.layout.offset(self.steps.start)
    }

    fn elements(&self) -> usize {
        self.track.layout.offset(self.steps.end) - self.first()
    }

    /// Adds its share to the sums that are the gradients of the weights.
    fn add_weight_gradients<C: Cell>(&self, memory: &mut Memory) {
        let Self { track, scratch, .. } = *self;
        let Track { level, call, sizes, saved, layout, .. } = track;
        let (units, features) = (sizes.units, sizes.features);
        let everything = [Segment { left: 0, right: 0, rows: self.elements() }];
        let place = self.first() - layout.offset(self.part.start);
        if call.parameter_gradients[0].is_some() && !sizes.tokens {
            let x = if sizes.packs_input { saved.x } else { call.inputs[0].value };
            let ([x, gates], [partials]) = memory.split([x, saved.gates], [scratch.kernel]);
            let gates = self.gates(gates);
            for block in C::INPUTS {
                // With a mask for each gate, each slot has its own input.
                let pieces = if sizes.groups > 1 { block.count } else { 1 };
                for piece in 0..pieces {
                    let (slot, gate, count) = (block.slot + piece, block.gate + piece, block.count / pieces);
                    let group = if sizes.groups > 1 { slot } else { 0 };
                    let start = if sizes.packs_input { group * sizes.part_elements + place } else { self.first() };
                    let x = Rows::whole(&x[start * features..], features);
                    let dz = slot_rows(gates, sizes, slot, count);
                    sizes.kernel_sum().add(level, self.first(), &everything, x, dz, gate * units, partials);
                }
            }
        }
        if sizes.recurrent_kernel.is_some_and(|at| call.parameter_gradients[at].is_some()) {
            self.add_recurrent_kernel::<C>(memory);
        }
        if sizes.narrow.is_some_and(|at| call.parameter_gradients[at].is_some()) {
            let [made, dh, partials] = memory.many([saved.output, scratch.narrow_gradient, scratch.narrow]);
            let (made, dh) = (&made[place * units..], &dh[place * sizes.width..]);
            let (made, dh) = (Rows::whole(made, units), Rows::whole(dh, sizes.width));
            sizes.narrow_sum().add(level, self.first(), &everything, made, dh, 0, partials);
        }
        if sizes.bias.is_some_and(|at| call.parameter_gradients[at].is_some()) {
            let [gates, input, recurrent] = memory.many([saved.gates, scratch.bias, scratch.recurrent_bias]);
            let gates = self.gates(gates);
            let add = |block: &Block, partials: &mut [f32]| {
                let dz = slot_rows(gates, sizes, block.slot, block.count);
                sizes.bias_sum().add(self.first(), self.elements(), dz, block.gate * units, partials);
            };
            if !sizes.tokens {
                for block in C::INPUTS {
                    add(block, input);
                }
            }
            if let (false, Some(block)) = (recurrent.is_empty(), cells::state_product::<C>()) {
                add(&block, recurrent);
            }
        }
    }

    /// The rows of a state and of the gates that belong together: first those of the part's first step, which follows an
    /// array of its own, then the others. `kept` is the step with which the state's array begins.
    fn following(&self, kept: usize) -> (Segment, Vec<Segment>) {
        let (layout, steps) = (self.track.layout, self.steps);
        let begins = usize::from(steps.start == self.part.start);
        let mut segments: Vec<Segment> = Vec::new();
        for step in steps.clone().skip(begins) {
            let (left, right) = (layout.offset(step - 1) - layout.offset(kept), layout.offset(step) - self.first());
            let next = Segment { left, right, rows: layout.active(step) };
            match segments.last_mut() {
                Some(last) if last.left + last.rows == next.left && last.right + last.rows == next.right => {
                    last.rows += next.rows;
                }
                _ => segments.push(next),
            }
        }
        (Segment { left: 0, right: 0, rows: begins * layout.active(steps.start) }, segments)
    }

    /// Whether the states before the part are more than zeros.
    fn follows_states(&self) -> bool {
        self.steps.start > 0 || self.track.begins_with_states
    }

    fn add_recurrent_kernel<C: Cell>(&self, memory: &mut Memory) {
        let Self { track, scratch, part, steps } = *self;
        let Track { sizes, saved, layout, .. } = track;
        let width = sizes.width;
        let sum = sizes.recurrent_sum();
        let everything = [Segment { left: 0, right: 0, rows: self.elements() }];
        let (h, kept) = (track.h(), if sizes.writes_output { 0 } else { part.start });
        let [before, _] = track.states_before(part);
        for product in C::PRODUCTS {
            let block = product.block;
            if let Operand::Slot(slot) = product.operand {
                let [gates, partials] = memory.many([saved.gates, scratch.recurrent]);
                let gates = self.gates(gates);
                let left = slot_rows(gates, sizes, slot, 1);
                self.add_by_head(&sum, self.first(), &everything, left, block, gates, partials);
                continue;
            }
            if !sizes.state_dropout {
                let (beginning, following) = self.following(kept);
                let beginning = [beginning];
                let parts = [
                    (h, self.first() + beginning[0].rows, &following[..]),
                    (before, self.first(), if self.follows_states() { &beginning[..] } else { &[] }),
                ];
                // One after the other, for the layer's output has both.
                for (left, first, segments) in parts {
                    let [left, gates, partials] = memory.many([left, saved.gates, scratch.recurrent]);
                    self.add_by_head(
                        &sum,
                        first,
                        segments,
                        Rows::whole(left, width),
                        block,
                        self.gates(gates),
                        partials,
                    );
                }
                continue;
            }
            for index in 0..block.count {
                for step in steps.clone() {
                    let (place, len) = (layout.offset(step) - self.first(), layout.active(step) * width);
                    let source = if step == part.start {
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
                self.add_by_head(&sum, self.first(), &everything, left, one, self.gates(gates), partials);
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
        let Track { level, sizes, .. } = self.track;
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

    /// dX = dZ·Wᵀ, through the masks of dropout, back in the order of memory.
    fn input_gradient<C: Cell>(&self, memory: &mut Memory, target: Span) {
        let Self { track, scratch, steps, .. } = *self;
        let Track { level, sizes, saved, layout, packed, .. } = track;
        let (units, features) = (sizes.units, sizes.features);
        let (record, first) = (C::SLOTS * units, layout.offset(steps.start));
        let elements = layout.offset(steps.end) - first;
        let sum =
            if sizes.packs_input { scratch.input_gradient } else { target.part(first * features, elements * features) };
        for (index, (projection, transposed)) in packed.projections.iter().zip(&packed.transposed).enumerate() {
            let into = if index == 0 { sum } else { scratch.group_gradient };
            let [gates, into] = memory.many([saved.gates, into]);
            let gates = self.gates(gates);
            let into = Parts(into.as_mut_ptr());
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
}

/// Adds the finished sums over the states to the gradients of the weights.
fn finish_state_gradients(track: &Track<'_>, memory: &mut Memory, scratch: &Scratch) {
    let Track { call, sizes, .. } = *track;
    if let Some(target) = sizes.recurrent_kernel.and_then(|at| call.parameter_gradients[at]) {
        let [partials, target] = memory.many([scratch.recurrent, target]);
        let sum = sizes.recurrent_sum();
        let block = target.len() / sizes.heads;
        for (partials, block) in partials.chunks_exact(sum.partials()).zip(target.chunks_exact_mut(block)) {
            sum.finish(partials, block);
        }
    }
    if let Some(target) = sizes.narrow.and_then(|at| call.parameter_gradients[at]) {
        let [partials, target] = memory.many([scratch.narrow, target]);
        sizes.narrow_sum().finish(partials, target);
    }
    if let (Some(target), true) =
        (sizes.bias.and_then(|at| call.parameter_gradients[at]), scratch.recurrent_bias.len > 0)
    {
        let [partials, target] = memory.many([scratch.recurrent_bias, target]);
        sizes.bias_sum().finish(partials, &mut target[sizes.gates * sizes.units..]);
    }
    vector_gradients(memory, call, sizes, scratch);
}

/// Adds the finished sums over the inputs to the gradients of the weights. Those of an embedding's tokens are made here: each
/// sum over the elements is a sum over the distinct tokens, too.
fn finish_input_gradients<C: Cell>(
    track: &Track<'_>,
    token_gradients: &TokenGradients,
    memory: &mut Memory,
    scratch: &Scratch,
) {
    let Track { level, call, sizes, tokens, .. } = *track;
    let units = sizes.units;
    if let Some(target) = call.parameter_gradients[0] {
        let [partials, target] = memory.many([scratch.kernel, target]);
        let (sum, everything) = (sizes.kernel_sum(), [Segment { left: 0, right: 0, rows: tokens.count() }]);
        for block in C::INPUTS.iter().filter(|_| sizes.tokens) {
            let dz = token_gradients.columns(block.slot * units, block.count * units);
            sum.add(level, 0, &everything, tokens.embedded(), dz, block.gate * units, partials);
        }
        sum.finish(partials, target);
    }
    if let Some(target) = sizes.bias.and_then(|at| call.parameter_gradients[at]) {
        let [partials, target] = memory.many([scratch.bias, target]);
        let sum = sizes.bias_sum();
        for block in C::INPUTS.iter().filter(|_| sizes.tokens) {
            let dz = token_gradients.columns(block.slot * units, block.count * units);
            sum.add(0, tokens.count(), dz, block.gate * units, partials);
        }
        sum.finish(partials, target);
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
