//! Forward: masks of dropout are drawn, inputs are brought into packed order, the scan runs, outputs are handed out, for each
//! part of the steps in turn. There is one part, unless checkpoints divide the steps.

use super::regions::{Cutter, Sizes, cut_saved, shares_prefixes, takes_one_hot};
use super::tokens::Vocabulary;
use super::track::{Prepared, Setting, Track};
use super::weights::{PackedWeights, gate_of_slot};
use crate::cells::{Cell, Visitor};
use crate::cpu::{ELEMENTS_PER_TASK, Memory, Parts, for_each_rows};
use crate::layers::{CellKind, Recurrent};
use crate::random;
use crate::scan::Kept;
use crate::scan::layout::{PACKED_TOGETHER, TimeLayout};
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
fn pack_input<'s>(
    layout: &TimeLayout,
    steps: &Range<usize>,
    sizes: &Sizes,
    source: impl Fn(usize, usize) -> &'s [f32] + Sync,
    masks: &[f32],
    packed: &mut [f32],
) {
    let features = sizes.features;
    let begin = layout.offset(steps.start);
    for (group, packed) in packed.chunks_exact_mut((sizes.part_elements * features).max(1)).enumerate() {
        let packed = Parts(packed.as_mut_ptr());
        let masks = if sizes.input_dropout { &masks[group * sizes.batch * features..] } else { &[] };
        let fewest = (ELEMENTS_PER_TASK / (sizes.batch * features).max(1)).max(PACKED_TOGETHER);
        for_each_rows(steps.len(), fewest, |start, count| {
            let steps = steps.start + start..steps.start + start + count;
            let (first, end) = (layout.offset(steps.start), layout.offset(steps.end));
            // SAFETY: tasks have disjoint steps, and each step has its own rows.
            let packed = unsafe { packed.part((first - begin) * features, (end - first) * features) };
            layout.pack(steps.clone(), features, &source, packed);
            for step in steps.filter(|_| sizes.input_dropout) {
                let values = &mut packed[(layout.offset(step) - first) * features..][..layout.active(step) * features];
                values.iter_mut().zip(masks).for_each(|(value, mask)| *value *= mask);
            }
        });
    }
}

pub(super) struct Forward<'a> {
    pub(super) prepared: &'a mut Prepared,
    pub(super) memory: &'a mut Memory,
    pub(super) kind: CellKind,
    pub(super) setting: Setting<'a>,
}

/// Runs a part of the steps forward.
pub(super) fn run<C: Cell>(cell: C, track: &Track<'_>, memory: &mut Memory, steps: &Range<usize>) {
    let Track { call, sizes, saved, layout, .. } = *track;
    if sizes.packs_input {
        let ([source, masks], [packed]) = memory.split([call.inputs[0].value, saved.input_masks], [saved.x]);
        if let Some(lent) = call.lent {
            pack_input(layout, steps, sizes, |row, time| lent.at(row, time), masks, packed);
        } else {
            let features = sizes.features;
            let at = |row: usize, time: usize| &source[(time * sizes.batch + row) * features..][..features];
            pack_input(layout, steps, sizes, at, masks, packed);
        }
    }
    let scan = track.scan(memory, steps, steps.clone());
    // SAFETY: the pointers lead to disjoint regions of the plan's memory, cut for this layout.
    unsafe { scan.forward(cell) };
}

/// Keeps the states at the end of a part, from which the next one starts.
fn keep_states(track: &Track<'_>, memory: &mut Memory, steps: &Range<usize>) {
    let Track { sizes, saved, layout, .. } = *track;
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
        let Self { prepared, memory, kind, setting } = self;
        let Setting { level, exact_algebra, call, options } = setting;
        let [batch, time, features] = options.input_sizes(&call.inputs[0].shape);
        match call.folded.as_ref().filter(|_| shares_prefixes(call, options)) {
            Some(folded) => {
                prepared.prefix.find(memory.integers(folded.ids.value), batch, time, options.go_backwards);
            }
            None => prepared.prefix.clear(),
        }
        let mask = call.inputs[0].mask.filter(|_| !options.single_step).map(|span| memory.mask(span));
        prepared.layout.update(batch, time, mask.or(prepared.prefix.mask()), options.go_backwards);
        let Prepared { layout, tokens, one_hot, .. } = &mut *prepared;
        *one_hot = false;
        if exact_algebra && takes_one_hot(call, options) {
            let values = call.lent.map_or_else(|| memory.floats(call.inputs[0].value), |_| &[]);
            *one_hot = tokens.find_one_hot(level, layout, features, |row, time| match call.lent {
                Some(lent) => lent.at(row, time),
                None => &values[(time * batch + row) * features..][..features],
            });
        }
        let sizes = Sizes::of_batch(call, kind, options, prepared);
        let (saved, shared) = cut_saved(&mut Cutter::of(call.saved), &sizes);

        let initial = [saved.initial_h, saved.initial_c].into_iter().zip(sizes.states());
        for (index, (target, size)) in initial.enumerate().take(kind.states()) {
            match (call.inputs.get(1 + index), call.states.get(index)) {
                (Some(given), _) => {
                    let ([source], [target]) = memory.split([given.value], [target]);
                    prepared.layout.pack_rows(size, source, target);
                }
                (None, Some(carried)) => {
                    prepared.layout.pack_rows(size, &carried.read(), memory.floats_mut(target));
                }
                (None, None) => memory.floats_mut(target).fill(0.0),
            }
        }
        let Recurrent { seed, dropout, recurrent_dropout, .. } = *options;
        if sizes.input_dropout {
            let masks = memory.floats_mut(saved.input_masks);
            let gate = |group| if sizes.groups > 1 { gate_of_slot::<C>(group) } else { 0 };
            draw_masks(&prepared.layout, masks, sizes.features, gate, INPUT_STREAM, dropout, seed, call.step);
        }
        if sizes.state_dropout {
            let masks = memory.floats_mut(saved.state_masks);
            draw_masks(
                &prepared.layout,
                masks,
                sizes.width,
                |gate| gate,
                STATE_STREAM,
                recurrent_dropout,
                seed,
                call.step,
            );
        }
        PackedWeights::update::<C>(&mut prepared.packed, level, call, &sizes);
        let vocabulary = match call.folded {
            Some(folded) => Some(Vocabulary::Table { ids: memory.integers(folded.ids.value), table: folded.table }),
            None => prepared.one_hot.then_some(Vocabulary::OneHot { features }),
        };
        if let (Some(vocabulary), Prepared { layout, packed: Some(packed), tokens, prefix, .. }) =
            (vocabulary, &mut *prepared)
        {
            tokens.project(level, layout, prefix, &vocabulary, packed, sizes.backward);
        }
        let Some(track) = setting.batch(prepared, &sizes, &saved) else { return };
        if let Some((sizes, prefix)) = shared.as_ref().filter(|_| prepared.prefix.steps() > 0) {
            let shared = track.shared(&prepared.prefix, sizes, prefix);
            for span in [prefix.initial_h, prefix.initial_c] {
                memory.floats_mut(span).fill(0.0);
            }
            run(cell, &shared, memory, &(0..prepared.prefix.steps()));
            prepared.prefix.branch(memory, &shared, &track);
        }
        let count = prepared.layout.steps();
        for steps in sizes.parts(count) {
            run(cell, &track, memory, &steps);
            hand_out(&track, memory, &steps);
            if steps.end < count {
                keep_states(&track, memory, &steps);
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
fn hand_out(track: &Track<'_>, memory: &mut Memory, steps: &Range<usize>) {
    let Track { call, options, sizes, saved, layout, .. } = *track;
    if options.return_sequences && sizes.masked {
        let [h, initial, output] = memory.many([saved.h, saved.initial_h, call.outputs[0].value]);
        layout.hold(steps.clone(), sizes.width, h, initial, options.zero_output_for_mask, output);
    }
    let [h_kept, c_kept] = track.kept(steps);
    let h = (track.h(), saved.initial_h, h_kept);
    let c = (saved.c, saved.initial_c, c_kept);
    for (index, ((values, initial, kept), units)) in [h, c].into_iter().zip(sizes.states()).enumerate() {
        let last = call.outputs.first().filter(|_| index == 0 && !options.return_sequences);
        let last = last.map(|output| (output.value, sizes.masked && options.zero_output_for_mask));
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
