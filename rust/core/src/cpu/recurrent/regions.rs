//! The sizes of a call and the regions of memory that it works in.

use crate::backend::{Call, Workspace};
use crate::cells;
use crate::layers::{CellKind, CellLayer, Recurrent, Vector};
use crate::scan::gradients;
use crate::scan::{self, Kept};
use crate::tensor::Span;

/// The sizes of a call.
#[derive(Clone, Copy)]
// Each flag says whether the call has something of its own; they combine freely.
#[allow(clippy::struct_excessive_bools)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) elements: usize,
    pub(super) features: usize,
    pub(super) units: usize,
    pub(super) slots: usize,
    pub(super) gates: usize,
    pub(super) has_cell_state: bool,
    /// Inputs that differ: one, or one for each gate under both kinds of dropout.
    pub(super) groups: usize,
    pub(super) input_dropout: bool,
    pub(super) state_dropout: bool,
    /// Whether a mask decides which steps count.
    pub(super) masked: bool,
    /// Whether the input has to be brought into packed order.
    pub(super) packs_input: bool,
    /// Whether the scan writes the layer's output itself.
    pub(super) writes_output: bool,
    /// How many steps of h and of c are kept.
    pub(super) h_kept: Kept,
    pub(super) c_kept: Kept,
    /// Whether h and c have zoneout, and whether it is random in this call.
    pub(super) zoneout: [bool; 2],
    pub(super) draws_zoneout: bool,
    pub(super) backward: bool,
    /// Where the recurrent kernel and the bias stand among the weights.
    pub(super) recurrent_kernel: Option<usize>,
    pub(super) bias: Option<usize>,
    /// The weights that only the cell knows, the last ones, and how many values they have together.
    pub(super) vectors: &'static [Vector],
    pub(super) vector_values: usize,
}

impl Sizes {
    pub(super) fn new(call: &Call<'_>, kind: CellKind, options: &Recurrent) -> Self {
        let [batch, time, features] = options.input_sizes(&call.inputs[0].shape);
        let input_dropout = call.training && options.drops_inputs();
        let state_dropout = call.training && options.drops_states();
        let masked = call.inputs[0].mask.is_some() && !options.single_step;
        let backward = call.outputs[0].gradient.is_some();
        let zoneout = [options.zoneout > 0.0, options.zoneout_cell > 0.0];
        let layer = CellLayer { kind, options };
        let last = if zoneout[1] { Kept::Two } else { Kept::One };
        Self {
            batch,
            elements: batch * time,
            features,
            units: options.units,
            slots: cells::slots(kind, options),
            gates: kind.gates(),
            has_cell_state: kind.states() == 2,
            groups: if input_dropout && options.recurrent_dropout > 0.0 { kind.gates() } else { 1 },
            input_dropout,
            state_dropout,
            masked,
            packs_input: call.folded.is_none() && (masked || options.go_backwards || input_dropout),
            writes_output: options.return_sequences && !masked,
            h_kept: if backward || options.return_sequences { Kept::All } else { Kept::Two },
            c_kept: if backward { Kept::All } else { last },
            zoneout,
            draws_zoneout: call.training && !options.zoneout_mean,
            backward,
            recurrent_kernel: kind.has_recurrent_kernel().then_some(1),
            bias: layer.bias(),
            vectors: layer.vectors(),
            vector_values: layer.vectors().iter().map(|(_, blocks)| blocks * options.units).sum(),
        }
    }
}

/// Cuts a span into regions, or only counts them.
pub(super) struct Cutter {
    span: Option<Span>,
    used: usize,
}

impl Cutter {
    /// Counts what the regions need.
    fn counting() -> Self {
        Self { span: None, used: 0 }
    }

    /// Cuts a span into regions.
    pub(super) fn of(span: Span) -> Self {
        Self { span: Some(span), used: 0 }
    }

    fn take(&mut self, len: usize) -> Span {
        let start = self.used;
        // Whole cache lines, so that rows of different regions never share one.
        self.used += len.next_multiple_of(16);
        self.span.map_or(Span { offset: 0, len }, |span| span.part(start, len))
    }
}

/// The regions that live from the forward pass to the backward pass.
pub(super) struct Saved {
    pub(super) initial_h: Span,
    pub(super) initial_c: Span,
    pub(super) x: Span,
    pub(super) input_masks: Span,
    pub(super) state_masks: Span,
    pub(super) masked_state: Span,
    pub(super) gates: Span,
    pub(super) h: Span,
    pub(super) c: Span,
    /// What the cell makes of h and c, for a backward pass after zoneout.
    pub(super) made: [Span; 2],
    /// Which elements of h and c zoneout lets be new.
    pub(super) shares: [Span; 2],
}

impl Saved {
    pub(super) fn cut(cutter: &mut Cutter, sizes: &Sizes) -> Self {
        let state = sizes.batch * sizes.units;
        let all = sizes.elements * sizes.units;
        let when = |condition: bool, len: usize| if condition { len } else { 0 };
        let states = |kept| match kept {
            Kept::All => all,
            Kept::Two => 2 * state,
            Kept::One => state,
        };
        let steps = if sizes.backward { sizes.elements } else { scan::projected_steps(sizes.batch) * sizes.batch };
        Self {
            initial_h: cutter.take(state),
            initial_c: cutter.take(when(sizes.has_cell_state, state)),
            x: cutter.take(when(sizes.packs_input, sizes.groups * sizes.elements * sizes.features)),
            input_masks: cutter.take(when(sizes.input_dropout, sizes.groups * sizes.batch * sizes.features)),
            state_masks: cutter.take(when(sizes.state_dropout, sizes.gates * state)),
            masked_state: cutter.take(when(sizes.state_dropout, state)),
            gates: cutter.take(steps * sizes.slots * sizes.units),
            h: cutter.take(when(!sizes.writes_output, states(sizes.h_kept))),
            c: cutter.take(when(sizes.has_cell_state, states(sizes.c_kept))),
            made: sizes.zoneout.map(|zoned| cutter.take(when(zoned && sizes.backward, all))),
            shares: sizes.zoneout.map(|zoned| cutter.take(when(zoned && sizes.draws_zoneout, all))),
        }
    }
}

/// The regions of the backward pass.
pub(super) struct Scratch {
    pub(super) carry: Span,
    pub(super) cell_carry: Span,
    pub(super) output_gradient: Span,
    pub(super) leading_gradient: Span,
    pub(super) input_gradient: Span,
    pub(super) group_gradient: Span,
    pub(super) masked_states: Span,
    /// The gradients of the cell's own weights, row by row.
    pub(super) vectors: Span,
    /// Gradients of h and c that zoneout hands past the cell.
    pub(super) kept: [Span; 2],
    pub(super) partials: Span,
}

impl Scratch {
    pub(super) fn cut(cutter: &mut Cutter, sizes: &Sizes, options: &Recurrent) -> Self {
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
            vectors: cutter.take(sizes.batch * sizes.vector_values),
            kept: sizes.zoneout.map(|zoned| cutter.take(when(zoned, state))),
            masked_states: cutter.take(when(sizes.state_dropout, sizes.elements * sizes.units)),
            partials: cutter.take(partials.max().unwrap_or(0)),
        }
    }
}

/// The memory that a call needs.
pub(super) fn workspace(call: &Call<'_>) -> Workspace {
    let Some((kind, options)) = call.layer.recurrent() else { return Workspace::default() };
    let sizes = Sizes::new(call, kind, options);
    let mut saved = Cutter::counting();
    Saved::cut(&mut saved, &sizes);
    let mut scratch = Cutter::counting();
    if sizes.backward {
        Scratch::cut(&mut scratch, &sizes, options);
    }
    Workspace { saved: saved.used, scratch: scratch.used }
}
