//! Recurrent layers: what surrounds the scan. Inputs are brought into packed order, weights are packed, masks of dropout
//! are drawn, outputs and states are handed out; backward the same in reverse, and the weight gradients.

use super::{ELEMENTS_PER_TASK, Memory, Parts, for_each_rows};
use crate::backend::{Call, Workspace};
use crate::cells::{self, Cell, Operand, Visitor, Weights};
use crate::graph::{CellKind, Recurrent};
use crate::random;
use crate::scan::gradients::{self, Rows, Segment};
use crate::scan::layout::TimeLayout;
use crate::scan::{self, GatesKept, Gradients, Kept, Projection, Scan, StateDropout, States};
use crate::tensor::Span;
use foliot_simd::dispatch::Level;
use foliot_simd::gemm::{Init, MatrixMut, MatrixRef, Packed, gemm};

/// Which random numbers each kind of dropout draws, so that the two never share any.
const INPUT_STREAM: u32 = 0;
const STATE_STREAM: u32 = 1;

/// What a recurrent layer keeps between steps.
#[derive(Default)]
pub(super) struct State {
    layout: TimeLayout,
    packed: Option<PackedWeights>,
}

/// The layer's weights in the order that the products read, as long as they do not change.
struct PackedWeights {
    versions: Vec<u64>,
    groups: usize,
    recurrent: Weights,
    projections: Vec<Projection>,
    /// The transposed kernels of the projections.
    transposed: Vec<Packed>,
    state_dropout: Option<StateDropout>,
}

/// The sizes of a call.
#[derive(Clone, Copy)]
// Each flag says whether the call has something of its own; they combine freely.
#[allow(clippy::struct_excessive_bools)]
struct Sizes {
    batch: usize,
    elements: usize,
    features: usize,
    units: usize,
    slots: usize,
    gates: usize,
    has_cell_state: bool,
    /// Inputs that differ: one, or one for each gate under both kinds of dropout.
    groups: usize,
    input_dropout: bool,
    state_dropout: bool,
    /// Whether a mask decides which steps count.
    masked: bool,
    /// Whether the input has to be brought into packed order.
    packs_input: bool,
    /// Whether the scan writes the layer's output itself.
    writes_output: bool,
    /// Whether h of every step is kept.
    keeps_h: bool,
    backward: bool,
}

impl Sizes {
    fn new(call: &Call<'_>, kind: CellKind, options: &Recurrent) -> Self {
        let shape = &call.inputs[0].shape;
        // A rate of 1 is no dropout: Keras tests 0 < rate < 1.
        let drops = |rate: f32| call.training && rate > 0.0 && rate < 1.0;
        let (input_dropout, state_dropout) = (drops(options.dropout), drops(options.recurrent_dropout));
        let masked = call.inputs[0].mask.is_some();
        let backward = call.outputs[0].gradient.is_some();
        Self {
            batch: shape.axis(0),
            elements: shape.axis(0) * shape.axis(1),
            features: shape.axis(2),
            units: options.units,
            slots: if kind == CellKind::Gru { 4 } else { kind.gates() },
            gates: kind.gates(),
            has_cell_state: kind == CellKind::Lstm,
            groups: if input_dropout && options.recurrent_dropout > 0.0 { kind.gates() } else { 1 },
            input_dropout,
            state_dropout,
            masked,
            packs_input: masked || options.go_backwards || input_dropout,
            writes_output: options.return_sequences && !masked,
            keeps_h: backward || options.return_sequences,
            backward,
        }
    }
}

/// Cuts a span into regions, or only counts them.
struct Cutter {
    span: Option<Span>,
    used: usize,
}

impl Cutter {
    fn take(&mut self, len: usize) -> Span {
        let start = self.used;
        // Whole cache lines, so that rows of different regions never share one.
        self.used += len.next_multiple_of(16);
        self.span.map_or(Span { offset: 0, len }, |span| span.part(start, len))
    }
}

/// The regions that live from the forward pass to the backward pass.
struct Saved {
    initial_h: Span,
    initial_c: Span,
    x: Span,
    input_masks: Span,
    state_masks: Span,
    masked_state: Span,
    gates: Span,
    h: Span,
    c: Span,
}

impl Saved {
    fn cut(cutter: &mut Cutter, sizes: &Sizes) -> Self {
        let state = sizes.batch * sizes.units;
        let all = sizes.elements * sizes.units;
        let when = |condition: bool, len: usize| if condition { len } else { 0 };
        let steps = if sizes.backward { sizes.elements } else { scan::projected_steps(sizes.batch) * sizes.batch };
        Self {
            initial_h: cutter.take(state),
            initial_c: cutter.take(when(sizes.has_cell_state, state)),
            x: cutter.take(when(sizes.packs_input, sizes.groups * sizes.elements * sizes.features)),
            input_masks: cutter.take(when(sizes.input_dropout, sizes.groups * sizes.batch * sizes.features)),
            state_masks: cutter.take(when(sizes.state_dropout, sizes.gates * state)),
            masked_state: cutter.take(when(sizes.state_dropout, state)),
            gates: cutter.take(steps * sizes.slots * sizes.units),
            h: cutter.take(when(!sizes.writes_output, if sizes.keeps_h { all } else { 2 * state })),
            c: cutter.take(when(sizes.has_cell_state, if sizes.backward { all } else { state })),
        }
    }
}

/// The regions of the backward pass.
struct Scratch {
    carry: Span,
    cell_carry: Span,
    output_gradient: Span,
    leading_gradient: Span,
    input_gradient: Span,
    group_gradient: Span,
    masked_states: Span,
    partials: Span,
}

impl Scratch {
    fn cut(cutter: &mut Cutter, sizes: &Sizes, options: &Recurrent) -> Self {
        let state = sizes.batch * sizes.units;
        let when = |condition: bool, len: usize| if condition { len } else { 0 };
        // Weight gradients are formed for one or more column blocks at a time.
        let partials = (1..=sizes.gates).map(|count| {
            let columns = count * sizes.units;
            gradients::partials_len(sizes.features, columns, sizes.elements)
                .max(gradients::partials_len(sizes.units, columns, sizes.elements))
                .max(gradients::column_partials_len(columns))
        });
        let holds = sizes.masked && options.return_sequences;
        let input = sizes.elements * sizes.features;
        Self {
            carry: cutter.take(state),
            cell_carry: cutter.take(when(sizes.has_cell_state, state)),
            output_gradient: cutter.take(when(holds, sizes.elements * sizes.units)),
            leading_gradient: cutter.take(when(holds, state)),
            input_gradient: cutter.take(when(sizes.packs_input, input)),
            group_gradient: cutter.take(when(sizes.groups > 1, input)),
            masked_states: cutter.take(when(sizes.state_dropout, sizes.elements * sizes.units)),
            partials: cutter.take(partials.max().unwrap_or(0)),
        }
    }
}

/// The memory that a call needs.
pub(super) fn workspace(call: &Call<'_>) -> Workspace {
    let Some((kind, options)) = call.layer.recurrent() else { return Workspace::default() };
    let sizes = Sizes::new(call, kind, options);
    let mut saved = Cutter { span: None, used: 0 };
    Saved::cut(&mut saved, &sizes);
    let mut scratch = Cutter { span: None, used: 0 };
    if sizes.backward {
        Scratch::cut(&mut scratch, &sizes, options);
    }
    Workspace { saved: saved.used, scratch: scratch.used }
}

impl State {
    pub(super) fn forward(&mut self, level: Level, memory: &mut Memory, call: &Call<'_>, options: &Recurrent) {
        let Some((kind, _)) = call.layer.recurrent() else { return };
        cells::with_cell(kind, options, Forward { state: self, level, memory, call, kind, options });
    }

    pub(super) fn backward(&mut self, level: Level, memory: &mut Memory, call: &Call<'_>, options: &Recurrent) {
        let Some((kind, _)) = call.layer.recurrent() else { return };
        cells::with_cell(kind, options, Backward { state: self, level, memory, call, kind, options });
    }

    /// Packs the weights if they have changed.
    fn pack<C: Cell>(&mut self, level: Level, call: &Call<'_>, sizes: &Sizes) {
        let values: Vec<_> = call.parameters.iter().map(|parameter| parameter.read()).collect();
        let versions: Vec<u64> = call.parameters.iter().map(|parameter| parameter.version()).collect();
        if let Some(packed) = &self.packed {
            let same_dropout = packed.state_dropout.is_some() == sizes.state_dropout;
            if packed.versions == versions && packed.groups == sizes.groups && same_dropout {
                return;
            }
        }
        let (units, columns) = (sizes.units, sizes.gates * sizes.units);
        let kernel = slot_order::<C>(&values[0], sizes.features, units, columns);
        let bias = values.get(2).map_or_else(|| vec![0.0; columns], |bias| input_bias::<C>(bias, columns, units));
        let candidate_bias = match values.get(2) {
            Some(bias) if bias.len() == 2 * columns => bias[2 * columns - units..].to_vec(),
            _ => vec![0.0; units],
        };
        let per_group = sizes.gates / sizes.groups;
        let part = |group: usize| group * per_group * units;
        let width = per_group * units;
        let projections = (0..sizes.groups).map(|group| Projection {
            kernel: Packed::plain(level, &kernel[part(group)..], sizes.features, width, columns, 1),
            bias: bias[part(group)..][..width].to_vec(),
            slot: group * per_group,
            count: per_group,
        });
        let transposed = (0..sizes.groups)
            .map(|group| Packed::plain(level, &kernel[part(group)..], width, sizes.features, 1, columns))
            .collect();
        let state_dropout = sizes.state_dropout.then(|| {
            let block = C::PRODUCTS[0].block;
            let gate = |index: usize| &values[1][(block.gate + index) * units..];
            StateDropout {
                forward: (0..block.count).map(|i| Packed::plain(level, gate(i), units, units, columns, 1)).collect(),
                backward: (0..block.count).map(|i| Packed::plain(level, gate(i), units, units, 1, columns)).collect(),
            }
        });
        self.packed = Some(PackedWeights {
            versions,
            groups: sizes.groups,
            recurrent: Weights::pack::<C>(level, units, sizes.gates, &values[1], candidate_bias),
            projections: projections.collect(),
            transposed,
            state_dropout,
        });
    }
}

/// The columns of a kernel (rows, columns) in the order of the slots.
fn slot_order<C: Cell>(kernel: &[f32], rows: usize, units: usize, columns: usize) -> Vec<f32> {
    let mut ordered = vec![0.0; rows * columns];
    for row in 0..rows {
        for block in C::INPUTS {
            let (from, to) = (row * columns + block.gate * units, row * columns + block.slot * units);
            ordered[to..to + block.count * units].copy_from_slice(&kernel[from..from + block.count * units]);
        }
    }
    ordered
}

/// The bias that the input projection adds, in the order of the slots: the input bias, and the recurrent bias of the gates
/// whose recurrent product is added to the same sum.
fn input_bias<C: Cell>(bias: &[f32], columns: usize, units: usize) -> Vec<f32> {
    let mut ordered = slot_order::<C>(&bias[..columns], 1, units, columns);
    if bias.len() == 2 * columns {
        let block = C::PRODUCTS[0].block;
        for gate in 0..block.count {
            let slot = block.slot + gate;
            if slot * units < columns {
                let source = &bias[columns + (block.gate + gate) * units..][..units];
                ordered[slot * units..][..units].iter_mut().zip(source).for_each(|(sum, value)| *sum += value);
            }
        }
    }
    ordered
}

/// The column block of the kernel that goes to a slot.
fn gate_of_slot<C: Cell>(slot: usize) -> usize {
    let holds = |block: &&cells::Block| (block.slot..block.slot + block.count).contains(&slot);
    C::INPUTS.iter().find(holds).map_or(slot, |block| block.gate + slot - block.slot)
}

/// Draws a mask for each group and row, in packed row order; the numbers depend on the gate and the row's place in the batch.
fn draw_masks(
    layout: &TimeLayout,
    masks: &mut [f32],
    width: usize,
    gate: impl Fn(usize) -> usize,
    stream: u32,
    rate: f32,
    seed: u64,
    step: u32,
) {
    let batch = layout.batch();
    for (index, mask) in masks.chunks_exact_mut(width.max(1)).enumerate() {
        let (group, packed) = (index / batch, index % batch);
        let first = (gate(group) * batch + layout.row(packed)) * width;
        random::fill_keep_scale(mask, first as u64, seed, step, stream, rate);
    }
}

/// Brings the input into packed order, through the masks of dropout where there are any.
fn pack_input(layout: &TimeLayout, sizes: &Sizes, source: &[f32], masks: &[f32], packed: &mut [f32]) {
    let features = sizes.features;
    for (group, packed) in packed.chunks_exact_mut((sizes.elements * features).max(1)).enumerate() {
        layout.pack(features, source, packed);
        if !sizes.input_dropout {
            continue;
        }
        let masks = &masks[group * sizes.batch * features..];
        for step in 0..layout.steps() {
            let rows = layout.active(step) * features;
            let values = &mut packed[layout.offset(step) * features..][..rows];
            values.iter_mut().zip(masks).for_each(|(value, mask)| *value *= mask);
        }
    }
}

struct Forward<'a> {
    state: &'a mut State,
    level: Level,
    memory: &'a mut Memory,
    call: &'a Call<'a>,
    kind: CellKind,
    options: &'a Recurrent,
}

/// The scan of a call over its regions.
///
/// The pointers lead into `memory`; the scan must not outlive the call.
fn scan_of<'a>(
    state: &'a State,
    level: Level,
    memory: &mut Memory,
    call: &Call<'_>,
    sizes: &Sizes,
    saved: &Saved,
) -> Option<Scan<'a>> {
    let h = if sizes.writes_output { call.outputs[0].value } else { saved.h };
    let x = if sizes.packs_input { saved.x } else { call.inputs[0].value };
    let State { layout, packed } = state;
    let packed = packed.as_ref()?;
    let mut states = |values: Span, initial: Span, kept| States {
        initial: memory.pointer(initial),
        base: memory.pointer(values),
        kept,
    };
    let h = states(h, saved.initial_h, if sizes.keeps_h { Kept::All } else { Kept::Two });
    let c = states(saved.c, saved.initial_c, if sizes.backward { Kept::All } else { Kept::One });
    let gates_kept = if sizes.backward { GatesKept::All } else { GatesKept::Block(scan::projected_steps(sizes.batch)) };
    Some(Scan {
        level,
        layout,
        units: sizes.units,
        features: sizes.features,
        weights: &packed.recurrent,
        projections: &packed.projections,
        x: memory.pointer(x),
        state_dropout: packed.state_dropout.as_ref(),
        state_masks: memory.pointer(saved.state_masks),
        masked_state: memory.pointer(saved.masked_state),
        gates: memory.pointer(saved.gates),
        gates_kept,
        h,
        c,
    })
}

impl Visitor for Forward<'_> {
    type Output = ();

    fn visit<C: Cell>(self, cell: C) {
        let Self { state, level, memory, call, kind, options } = self;
        let sizes = Sizes::new(call, kind, options);
        let saved = Saved::cut(&mut Cutter { span: Some(call.saved), used: 0 }, &sizes);
        let shape = &call.inputs[0].shape;
        let mask = call.inputs[0].mask.map(|span| memory.mask(span));
        state.layout.update(shape.axis(0), shape.axis(1), mask, options.go_backwards);

        for (index, target) in [saved.initial_h, saved.initial_c].into_iter().enumerate().take(kind.states()) {
            match call.inputs.get(1 + index) {
                Some(given) => {
                    let [source, target] = memory.many([given.value, target]);
                    state.layout.pack_rows(sizes.units, source, target);
                }
                None => memory.floats_mut(target).fill(0.0),
            }
        }
        let Recurrent { seed, dropout, recurrent_dropout, .. } = *options;
        if sizes.input_dropout {
            let masks = memory.floats_mut(saved.input_masks);
            let gate = |group| if sizes.groups > 1 { gate_of_slot::<C>(group) } else { 0 };
            draw_masks(&state.layout, masks, sizes.features, gate, INPUT_STREAM, dropout, seed, call.step);
        }
        if sizes.state_dropout {
            let masks = memory.floats_mut(saved.state_masks);
            draw_masks(
                &state.layout,
                masks,
                sizes.units,
                |gate| gate,
                STATE_STREAM,
                recurrent_dropout,
                seed,
                call.step,
            );
        }
        if sizes.packs_input {
            let [source, masks, packed] = memory.many([call.inputs[0].value, saved.input_masks, saved.x]);
            pack_input(&state.layout, &sizes, source, masks, packed);
        }
        state.pack::<C>(level, call, &sizes);
        if let Some(scan) = scan_of(state, level, memory, call, &sizes, &saved) {
            // SAFETY: the pointers lead to disjoint regions of the plan's memory, cut for this layout.
            unsafe { scan.forward(cell) };
        }
        hand_out(&state.layout, memory, call, &sizes, &saved, options);
    }
}

/// Writes the layer's outputs: the sequence where the scan has not, the last output, the final states.
fn hand_out(
    layout: &TimeLayout,
    memory: &mut Memory,
    call: &Call<'_>,
    sizes: &Sizes,
    saved: &Saved,
    options: &Recurrent,
) {
    let units = sizes.units;
    if options.return_sequences && sizes.masked {
        let [h, initial, output] = memory.many([saved.h, saved.initial_h, call.outputs[0].value]);
        layout.hold(units, h, initial, options.zero_output_for_mask, output);
    }
    let h = if sizes.writes_output { call.outputs[0].value } else { saved.h };
    let h = (h, saved.initial_h, if sizes.keeps_h { Kept::All } else { Kept::Two });
    let c = (saved.c, saved.initial_c, if sizes.backward { Kept::All } else { Kept::One });
    let mut finals = Vec::new();
    if !options.return_sequences {
        finals.push((h, call.outputs[0].value, options.zero_output_for_mask));
    }
    let states = [h, c].into_iter().zip(call.outputs.iter().skip(1));
    finals.extend(states.map(|(state, output)| (state, output.value, false)));
    for ((values, initial, kept), output, zero_masked) in finals {
        let [values, initial, target] = memory.many([values, initial, output]);
        for row in 0..sizes.batch {
            // A row's last step is always kept: either all steps are, or no later step has touched the row.
            let source = match layout.length(row).checked_sub(1) {
                Some(last) => &values[(kept.row(layout, last) + row) * units..][..units],
                None => &initial[row * units..][..units],
            };
            let target = &mut target[layout.row(row) * units..][..units];
            if zero_masked && layout.ends_masked(row) {
                target.fill(0.0);
            } else {
                target.copy_from_slice(source);
            }
        }
    }
}

struct Backward<'a> {
    state: &'a mut State,
    level: Level,
    memory: &'a mut Memory,
    call: &'a Call<'a>,
    kind: CellKind,
    options: &'a Recurrent,
}

impl Visitor for Backward<'_> {
    type Output = ();

    fn visit<C: Cell>(self, cell: C) {
        let Self { state, level, memory, call, kind, options } = self;
        let sizes = Sizes::new(call, kind, options);
        if !sizes.backward {
            return;
        }
        let saved = Saved::cut(&mut Cutter { span: Some(call.saved), used: 0 }, &sizes);
        let scratch = Scratch::cut(&mut Cutter { span: Some(call.scratch), used: 0 }, &sizes, options);
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
        };
        if let Some(scan) = scan_of(state, level, memory, call, &sizes, &saved) {
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
        weight_gradients::<C>(level, &state.layout, memory, call, &sizes, &saved, &scratch);
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
    layout: &TimeLayout,
    memory: &mut Memory,
    call: &Call<'_>,
    sizes: &Sizes,
    saved: &Saved,
    scratch: &Scratch,
) {
    let (units, features) = (sizes.units, sizes.features);
    let columns = sizes.gates * units;
    let elements = layout.elements();
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
                let x = Rows::whole(&x[group * sizes.elements * features..], features);
                let dz = slot_rows(gates, sizes, slot, count);
                gradients::add_outer_products(level, &everything, x, dz, target, columns, gate * units, partials);
            }
        }
    }
    if let Some(target) = call.parameter_gradients[1] {
        recurrent_kernel_gradient::<C>(level, layout, memory, call, sizes, saved, scratch, target);
    }
    if let Some(target) = call.parameter_gradients.get(2).copied().flatten() {
        let two = target.len == 2 * columns;
        let [gates, target, partials] = memory.many([saved.gates, target, scratch.partials]);
        for block in C::INPUTS {
            let dz = slot_rows(gates, sizes, block.slot, block.count);
            gradients::add_column_sums(dz, elements, target, block.gate * units, partials);
        }
        if two {
            let block = C::PRODUCTS[0].block;
            let dz = slot_rows(gates, sizes, block.slot, block.count);
            gradients::add_column_sums(dz, elements, target, columns + block.gate * units, partials);
        }
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
            if call.inputs.len() > 1 {
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
    let State { layout, packed: Some(packed) } = state else { return };
    let (units, features) = (sizes.units, sizes.features);
    let record = C::SLOTS * units;
    let direct = !sizes.packs_input;
    let sum = if direct { target } else { scratch.input_gradient };
    for (index, (projection, transposed)) in packed.projections.iter().zip(&packed.transposed).enumerate() {
        let into = if index == 0 { sum } else { scratch.group_gradient };
        let [gates, into] = memory.many([saved.gates, into]);
        let (gates, into) = (&*gates, Parts(into.as_mut_ptr()));
        let (slot, k) = (projection.slot, projection.count * units);
        let rows = (ELEMENTS_PER_TASK * 8 / (features * k).max(1)).clamp(48, 4096);
        for_each_rows(layout.elements(), rows, |start, count| {
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
