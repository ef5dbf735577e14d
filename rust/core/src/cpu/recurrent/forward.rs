//! Forward: masks of dropout are drawn, inputs are brought into packed order, the scan runs, outputs are handed out, for each
//! part of the steps in turn. There is one part, unless checkpoints divide the steps.

use super::State;
use super::regions::{Cutter, Saved, Sizes};
use super::weights::{PackedWeights, gate_of_slot};
use crate::backend::Call;
use crate::cells::{Cell, Visitor};
use crate::cpu::Memory;
use crate::layers::{CellKind, Recurrent};
use crate::random;
use crate::scan::layout::TimeLayout;
use crate::scan::narrow::Narrow;
use crate::scan::zoneout::{Zone, Zoneout};
use crate::scan::{self, GatesKept, Input, Kept, Scan, States};
use crate::tensor::Span;
use foliot_simd::dispatch::Level;
use std::ops::Range;

/// Which random numbers each kind of dropout draws, so that the two never share any.
const INPUT_STREAM: u32 = 0;
const STATE_STREAM: u32 = 1;

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

/// Brings the input of some steps into packed order, through the masks of dropout where there are any.
fn pack_input(
    layout: &TimeLayout,
    steps: &Range<usize>,
    sizes: &Sizes,
    source: &[f32],
    masks: &[f32],
    packed: &mut [f32],
) {
    let features = sizes.features;
    for (group, packed) in packed.chunks_exact_mut((sizes.part_elements * features).max(1)).enumerate() {
        layout.pack(steps.clone(), features, source, packed);
        if !sizes.input_dropout {
            continue;
        }
        let masks = &masks[group * sizes.batch * features..];
        for step in steps.clone() {
            let rows = layout.active(step) * features;
            let first = layout.offset(step) - layout.offset(steps.start);
            let values = &mut packed[first * features..][..rows];
            values.iter_mut().zip(masks).for_each(|(value, mask)| *value *= mask);
        }
    }
}

pub(super) struct Forward<'a> {
    pub(super) state: &'a mut State,
    pub(super) level: Level,
    pub(super) memory: &'a mut Memory,
    pub(super) call: &'a Call<'a>,
    pub(super) kind: CellKind,
    pub(super) options: &'a Recurrent,
}

/// How much of h, and of c, lies in memory while a part of the steps is run.
fn kept(sizes: &Sizes, steps: &Range<usize>) -> [Kept; 2] {
    let h = match (sizes.writes_output, sizes.keeps_h) {
        (true, _) => Kept::From(0),
        (false, true) => Kept::From(steps.start),
        (false, false) => Kept::Two,
    };
    [h, if sizes.backward { Kept::From(steps.start) } else { sizes.c_without_backward }]
}

/// Where h and c before a part of the steps lie, in packed row order.
pub(super) fn states_before(
    layout: &TimeLayout,
    call: &Call<'_>,
    sizes: &Sizes,
    saved: &Saved,
    steps: &Range<usize>,
) -> [Span; 2] {
    if steps.start == 0 {
        return [saved.initial_h, saved.initial_c];
    }
    let (part, rows) = (steps.start / sizes.part - 1, layout.active(steps.start - 1));
    let checkpoint = |checkpoints: Span, size: usize| checkpoints.part(part * sizes.batch * size, rows * size);
    let h = if sizes.writes_output {
        call.outputs[0].value.part(layout.offset(steps.start - 1) * sizes.width, rows * sizes.width)
    } else {
        checkpoint(saved.checkpoints_h, sizes.width)
    };
    [h, if sizes.has_cell_state { checkpoint(saved.checkpoints_c, sizes.units) } else { Span::default() }]
}

/// The scan of a call over its regions.
///
/// The pointers lead into `memory`; the scan must not outlive the call.
pub(super) fn scan_of<'a>(
    state: &'a State,
    level: Level,
    memory: &mut Memory,
    call: &Call<'_>,
    sizes: &Sizes,
    saved: &Saved,
    options: &Recurrent,
    steps: Range<usize>,
) -> Option<Scan<'a>> {
    let State { layout, packed, tokens } = state;
    let packed = packed.as_ref()?;
    let h = if sizes.writes_output { call.outputs[0].value } else { saved.h };
    let (before, kept) = (states_before(layout, call, sizes, saved, &steps), kept(sizes, &steps));
    let mut states = |values: Span, index: usize| States {
        initial: memory.pointer(before[index]),
        base: memory.pointer(values),
        kept: kept[index],
    };
    let (h, c) = (states(h, 0), states(saved.c, 1));
    let rates = [options.zoneout, options.zoneout_cell];
    let zone = |index: usize| {
        let state = [h, c][index];
        let made = States { base: memory.pointer(saved.made[index]), kept: Kept::From(steps.start), ..state };
        let shares = saved.shares[index];
        let shares = if shares.len > 0 { memory.pointer(shares) } else { std::ptr::null_mut() };
        let made = if sizes.backward { made } else { state };
        sizes.zoneout[index].then_some(Zone { rate: rates[index], made, shares })
    };
    let zones = [0, 1].map(zone);
    let zoneout = Zoneout { zones, seed: options.seed, step: call.step };
    let made = if sizes.backward { Kept::From(steps.start) } else { Kept::One };
    let output = memory.pointer(saved.output);
    let narrow = packed.narrow.as_ref();
    let narrow = narrow.map(|weights| Narrow { weights, made: States { base: output, initial: output, kept: made } });
    let gates_kept = if sizes.backward { GatesKept::All } else { GatesKept::Block(scan::projected_steps(sizes.batch)) };
    let input = if call.folded.is_some() {
        tokens.input()
    } else {
        let (x, first) =
            if sizes.packs_input { (saved.x, layout.offset(steps.start)) } else { (call.inputs[0].value, 0) };
        Input::Rows { values: memory.pointer(x), first, group: sizes.part_elements }
    };
    Some(Scan {
        level,
        layout,
        steps,
        units: sizes.units,
        width: sizes.width,
        features: sizes.features,
        weights: &packed.recurrent,
        projections: &packed.projections,
        input,
        state_dropout: packed.state_dropout.as_deref(),
        state_masks: memory.pointer(saved.state_masks),
        masked_state: memory.pointer(saved.masked_state),
        gates: memory.pointer(saved.gates),
        gates_kept,
        h,
        c,
        narrow,
        zoneout: sizes.zoneout.contains(&true).then_some(zoneout),
    })
}

/// Runs a part of the steps forward.
pub(super) fn run<C: Cell>(
    cell: C,
    state: &State,
    level: Level,
    memory: &mut Memory,
    call: &Call<'_>,
    sizes: &Sizes,
    saved: &Saved,
    options: &Recurrent,
    steps: &Range<usize>,
) {
    if sizes.packs_input {
        let [source, masks, packed] = memory.many([call.inputs[0].value, saved.input_masks, saved.x]);
        pack_input(&state.layout, steps, sizes, source, masks, packed);
    }
    if let Some(scan) = scan_of(state, level, memory, call, sizes, saved, options, steps.clone()) {
        // SAFETY: the pointers lead to disjoint regions of the plan's memory, cut for this layout.
        unsafe { scan.forward(cell) };
    }
}

/// Keeps the states at the end of a part, from which the next one starts.
fn keep_states(layout: &TimeLayout, memory: &mut Memory, sizes: &Sizes, saved: &Saved, steps: &Range<usize>) {
    let last = steps.end - 1;
    let from = layout.offset(last) - layout.offset(steps.start);
    let to = steps.start / sizes.part * sizes.batch;
    let spans = [(saved.h, saved.checkpoints_h), (saved.c, saved.checkpoints_c)];
    for ((values, checkpoints), size) in spans.into_iter().zip(sizes.states()) {
        if checkpoints.len > 0 {
            let [values, checkpoints] = memory.many([values, checkpoints]);
            let rows = &values[from * size..][..layout.active(last) * size];
            checkpoints[to * size..][..rows.len()].copy_from_slice(rows);
        }
    }
}

impl Visitor for Forward<'_> {
    type Output = ();

    fn visit<C: Cell>(self, cell: C) {
        let Self { state, level, memory, call, kind, options } = self;
        let sizes = Sizes::new(call, kind, options);
        let saved = Saved::cut(&mut Cutter::of(call.saved), &sizes);
        let [batch, time, _] = options.input_sizes(&call.inputs[0].shape);
        let mask = call.inputs[0].mask.filter(|_| sizes.masked).map(|span| memory.mask(span));
        state.layout.update(batch, time, mask, options.go_backwards);

        let initial = [saved.initial_h, saved.initial_c].into_iter().zip(sizes.states());
        for (index, (target, size)) in initial.enumerate().take(kind.states()) {
            match (call.inputs.get(1 + index), call.states.get(index)) {
                (Some(given), _) => {
                    let [source, target] = memory.many([given.value, target]);
                    state.layout.pack_rows(size, source, target);
                }
                (None, Some(carried)) => {
                    state.layout.pack_rows(size, &carried.read(), memory.floats_mut(target));
                }
                (None, None) => memory.floats_mut(target).fill(0.0),
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
                sizes.width,
                |gate| gate,
                STATE_STREAM,
                recurrent_dropout,
                seed,
                call.step,
            );
        }
        PackedWeights::update::<C>(&mut state.packed, level, call, &sizes);
        if let (Some(folded), State { layout, packed: Some(packed), tokens }) = (&call.folded, &mut *state) {
            tokens.project(level, layout, memory.integers(folded.ids.value), folded.table, packed, sizes.backward);
        }
        let count = state.layout.steps();
        for steps in sizes.parts(count) {
            run(cell, state, level, memory, call, &sizes, &saved, options, &steps);
            hand_out(&state.layout, memory, call, &sizes, &saved, options, &steps);
            if steps.end < count {
                keep_states(&state.layout, memory, &sizes, &saved, &steps);
            }
        }
    }
}

/// The last values of a state in the order of the batch, of those rows whose last step is one of `steps`, or that have no
/// step. The state lies in memory as `kept` says.
struct Finals<'a> {
    layout: &'a TimeLayout,
    steps: &'a Range<usize>,
    units: usize,
    values: &'a [f32],
    initial: &'a [f32],
    kept: Kept,
}

impl Finals<'_> {
    /// Copies them; with `zero_masked` a row whose last step is masked becomes zero.
    fn copy_to(&self, target: &mut [f32], zero_masked: bool) {
        let Self { layout, steps, units, values, initial, kept } = *self;
        for row in 0..layout.batch() {
            // A row's last step is kept: either all steps are, or no later step has touched the row.
            let source = match layout.length(row).checked_sub(1) {
                Some(last) if steps.contains(&last) => &values[(kept.row(layout, last) + row) * units..][..units],
                None if steps.start == 0 => &initial[row * units..][..units],
                _ => continue,
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

/// Writes what some steps have of the layer's outputs, the sequence where the scan has not, the last output, the final
/// states; and of the states that it carries to the next call.
fn hand_out(
    layout: &TimeLayout,
    memory: &mut Memory,
    call: &Call<'_>,
    sizes: &Sizes,
    saved: &Saved,
    options: &Recurrent,
    steps: &Range<usize>,
) {
    if options.return_sequences && sizes.masked {
        let [h, initial, output] = memory.many([saved.h, saved.initial_h, call.outputs[0].value]);
        layout.hold(steps.clone(), sizes.width, h, initial, options.zero_output_for_mask, output);
    }
    let [h_kept, c_kept] = kept(sizes, steps);
    let h = (if sizes.writes_output { call.outputs[0].value } else { saved.h }, saved.initial_h, h_kept);
    let c = (saved.c, saved.initial_c, c_kept);
    for (index, ((values, initial, kept), units)) in [h, c].into_iter().zip(sizes.states()).enumerate() {
        let last = call.outputs.first().filter(|_| index == 0 && !options.return_sequences);
        let last = last.map(|output| (output.value, options.zero_output_for_mask));
        let returned = call.outputs.get(1 + index).map(|output| (output.value, false));
        for (target, zero_masked) in [last, returned].into_iter().flatten() {
            let [values, initial, target] = memory.many([values, initial, target]);
            Finals { layout, steps, units, values, initial, kept }.copy_to(target, zero_masked);
        }
        if let Some(carried) = call.states.get(index) {
            let (values, initial) = (memory.floats(values), memory.floats(initial));
            Finals { layout, steps, units, values, initial, kept }.copy_to(&mut carried.write(), false);
        }
    }
}
