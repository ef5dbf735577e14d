//! What a scan goes over: the batch in packed order, or the one row that stands for a prefix which its rows share.

use super::prefix::Prefix;
use super::regions::{Saved, Sizes};
use super::tokens::{TokenGradients, Tokens};
use super::weights::PackedWeights;
use crate::backend::Call;
use crate::cpu::Memory;
use crate::layers::Recurrent;
use crate::scan::layout::TimeLayout;
use crate::scan::narrow::Narrow;
use crate::scan::zoneout::{Zone, Zoneout};
use crate::scan::{self, GatesKept, Input, Kept, Scan, States};
use crate::tensor::Span;
use foliot_simd::dispatch::Level;
use std::ops::Range;

/// What a recurrent layer keeps between steps.
#[derive(Default)]
pub(in crate::cpu) struct State {
    pub(super) prepared: Prepared,
    pub(super) token_gradients: TokenGradients,
}

/// What a forward pass makes ready for its scans, and for those of the backward pass.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) layout: TimeLayout,
    pub(super) packed: Option<PackedWeights>,
    /// The distinct tokens, where an embedding is folded into this layer or its input is one-hot.
    pub(super) tokens: Tokens,
    /// Whether the input is one-hot.
    pub(super) one_hot: bool,
    /// The steps that rows of the batch have in common.
    pub(super) prefix: Prefix,
}

/// A call with what one of its scans goes over.
#[derive(Clone, Copy)]
pub(super) struct Track<'a> {
    pub(super) level: Level,
    pub(super) call: &'a Call<'a>,
    pub(super) options: &'a Recurrent,
    pub(super) sizes: &'a Sizes,
    pub(super) saved: &'a Saved,
    pub(super) layout: &'a TimeLayout,
    pub(super) packed: &'a PackedWeights,
    pub(super) tokens: &'a Tokens,
    /// Where the records of its elements begin among those of the tokens.
    pub(super) records: usize,
    /// Whether its rows begin with states that may be more than zeros.
    pub(super) begins_with_states: bool,
}

/// What the tracks of a call have in common.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) level: Level,
    /// Whether algebra that changes results by rounding only is on.
    pub(super) exact_algebra: bool,
    pub(super) call: &'a Call<'a>,
    pub(super) options: &'a Recurrent,
}

impl<'a> Setting<'a> {
    /// The batch. None before the weights have been packed.
    pub(super) fn batch(self, prepared: &'a Prepared, sizes: &'a Sizes, saved: &'a Saved) -> Option<Track<'a>> {
        let Self { level, call, options, .. } = self;
        let Prepared { layout, packed, tokens, prefix, .. } = prepared;
        let begins_with_states = call.inputs.len() > 1 || !call.states.is_empty() || prefix.steps() > 0;
        let packed = packed.as_ref()?;
        Some(Track { level, call, options, sizes, saved, layout, packed, tokens, records: 0, begins_with_states })
    }
}

impl<'a> Track<'a> {
    /// The row that stands for the prefix which rows of this batch share, behind whose records the batch's end.
    pub(super) fn shared(self, prefix: &'a Prefix, sizes: &'a Sizes, saved: &'a Saved) -> Self {
        let records = self.layout.elements();
        Self { sizes, saved, layout: prefix.layout(), records, begins_with_states: false, ..self }
    }

    /// Where the gates of some steps of a part begin among the part's.
    pub(super) fn gates_start(&self, part: &Range<usize>, steps: &Range<usize>) -> usize {
        let rows = self.layout.offset(steps.start) - self.layout.offset(part.start);
        rows * self.sizes.slots * self.sizes.units
    }

    /// How much of h, and of c, lies in memory while a part of the steps is run.
    pub(super) fn kept(&self, part: &Range<usize>) -> [Kept; 2] {
        let sizes = self.sizes;
        let h = match (sizes.writes_output, sizes.keeps_h) {
            (true, _) => Kept::From(0),
            (false, true) => Kept::From(part.start),
            (false, false) => Kept::Two,
        };
        [h, if sizes.backward { Kept::From(part.start) } else { sizes.c_without_backward }]
    }

    /// Where h lies over time.
    pub(super) fn h(&self) -> Span {
        if self.sizes.writes_output { self.call.outputs[0].value } else { self.saved.h }
    }

    /// Where h and c before a part of the steps lie, in packed row order.
    pub(super) fn states_before(&self, part: &Range<usize>) -> [Span; 2] {
        let Self { layout, sizes, saved, .. } = *self;
        if part.start == 0 {
            return [saved.initial_h, saved.initial_c];
        }
        let (index, rows) = (part.start / sizes.part - 1, layout.active(part.start - 1));
        let checkpoint = |checkpoints: Span, size: usize| checkpoints.part(index * sizes.batch * size, rows * size);
        let h = if sizes.writes_output {
            self.h().part(layout.offset(part.start - 1) * sizes.width, rows * sizes.width)
        } else {
            checkpoint(saved.checkpoints_h, sizes.width)
        };
        [h, if sizes.has_cell_state { checkpoint(saved.checkpoints_c, sizes.units) } else { Span::default() }]
    }

    /// The scan of some steps of a part over the call's regions, which begin with the part's first step.
    ///
    /// The pointers lead into `memory`; the scan must not outlive the call.
    pub(super) fn scan(&self, memory: &mut Memory, part: &Range<usize>, steps: Range<usize>) -> Scan<'a> {
        let Self { level, call, options, sizes, saved, layout, packed, tokens, .. } = *self;
        let (before, kept) = (self.states_before(part), self.kept(part));
        let mut states = |values: Span, index: usize| States {
            initial: memory.pointer(before[index]),
            base: memory.pointer(values),
            kept: kept[index],
        };
        let (h, c) = (states(self.h(), 0), states(saved.c, 1));
        let rates = [options.zoneout, options.zoneout_cell];
        let zone = |index: usize| {
            let state = [h, c][index];
            let made = States { base: memory.pointer(saved.made[index]), kept: Kept::From(part.start), ..state };
            let shares = saved.shares[index];
            let shares = if shares.len > 0 { memory.pointer(shares) } else { std::ptr::null_mut() };
            let made = if sizes.backward { made } else { state };
            sizes.zoneout[index].then_some(Zone { rate: rates[index], made, shares })
        };
        let zones = [0, 1].map(zone);
        let zoneout = Zoneout { zones, seed: options.seed, step: call.step };
        let made = if sizes.backward { Kept::From(part.start) } else { Kept::One };
        let output = memory.pointer(saved.output);
        let narrow = packed.narrow.as_ref();
        let narrow =
            narrow.map(|weights| Narrow { weights, made: States { base: output, initial: output, kept: made } });
        let gates_kept =
            if sizes.backward { GatesKept::All } else { GatesKept::Block(scan::projected_steps(sizes.batch)) };
        let input = if sizes.tokens {
            tokens.input(self.records)
        } else {
            let (x, first) =
                if sizes.packs_input { (saved.x, layout.offset(part.start)) } else { (call.inputs[0].value, 0) };
            Input::Rows { values: memory.pointer(x), first, group: sizes.part_elements }
        };
        Scan {
            level,
            layout,
            first: part.start,
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
        }
    }
}
