//! The sizes of a call and the regions of memory that it works in.

use crate::backend::{Call, Workspace};
use crate::cells;
use crate::layers::{CellKind, CellLayer, Recurrent, Vector};
use crate::scan::gradients::{ColumnSums, OuterProducts};
use crate::scan::{self, Kept};
use crate::tensor::Span;
use std::ops::Range;

/// The sizes of a call.
#[derive(Clone, Copy)]
// Each flag says whether the call has something of its own; they combine freely.
#[allow(clippy::struct_excessive_bools)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) elements: usize,
    /// The steps that are run, and run back, at a time: all of them, unless checkpoints divide them.
    pub(super) part: usize,
    /// How many such parts there are at most, and the elements of the largest.
    pub(super) parts: usize,
    pub(super) part_elements: usize,
    pub(super) features: usize,
    pub(super) units: usize,
    /// The length of h.
    pub(super) width: usize,
    pub(super) heads: usize,
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
    /// Whether h of every step is kept.
    pub(super) keeps_h: bool,
    /// How many steps of c are kept without a backward pass.
    pub(super) c_without_backward: Kept,
    /// Whether h and c have zoneout, and whether it is random in this call.
    pub(super) zoneout: [bool; 2],
    pub(super) draws_zoneout: bool,
    pub(super) backward: bool,
    /// Where the recurrent kernel, the bias, and the kernel that makes h stand among the weights.
    pub(super) recurrent_kernel: Option<usize>,
    pub(super) bias: Option<usize>,
    pub(super) narrow: Option<usize>,
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
        let part = options.checkpoint_every.filter(|_| backward).map_or(time, |every| every.steps(time)).max(1);
        Self {
            batch,
            elements: batch * time,
            part,
            parts: time.div_ceil(part).max(1),
            part_elements: batch * part.min(time),
            features,
            units: options.units,
            width: options.width(),
            heads: options.heads,
            slots: cells::slots(kind, options),
            gates: kind.gates(),
            has_cell_state: kind.states() == 2,
            groups: if input_dropout && options.recurrent_dropout > 0.0 { kind.gates() } else { 1 },
            input_dropout,
            state_dropout,
            masked,
            packs_input: call.folded.is_none() && (masked || options.go_backwards || input_dropout),
            writes_output: options.return_sequences && !masked,
            keeps_h: backward || options.return_sequences,
            // Zoneout needs the step before beside the new one.
            c_without_backward: if zoneout[1] { Kept::Two } else { Kept::One },
            zoneout,
            draws_zoneout: call.training && !options.zoneout_mean,
            backward,
            recurrent_kernel: kind.has_recurrent_kernel().then_some(1),
            bias: layer.bias(),
            narrow: layer.projection_kernel(),
            vectors: layer.vectors(),
            vector_values: layer.vectors().iter().map(|(_, blocks)| blocks * options.units).sum(),
        }
    }
}

impl Sizes {
    /// The lengths of h and c.
    pub(super) fn states(&self) -> [usize; 2] {
        [self.width, self.units]
    }

    /// The parts into which the steps of a batch are cut: one at least.
    pub(super) fn parts(self, steps: usize) -> impl DoubleEndedIterator<Item = Range<usize>> {
        (0..steps.div_ceil(self.part).max(1)).map(move |part| part * self.part..((part + 1) * self.part).min(steps))
    }

    /// The sums that are the gradients of the kernels and of the bias, or one row of it.
    pub(super) fn kernel_sum(&self, rows: usize) -> OuterProducts {
        OuterProducts::new(self.features, self.gates * self.units, rows)
    }

    /// That of the block of one head.
    pub(super) fn recurrent_sum(&self, rows: usize) -> OuterProducts {
        OuterProducts::new(self.width / self.heads, self.gates * self.units / self.heads, rows)
    }

    pub(super) fn narrow_sum(&self, rows: usize) -> OuterProducts {
        OuterProducts::new(self.units, self.width, rows)
    }

    pub(super) fn bias_sum(&self, rows: usize) -> ColumnSums {
        ColumnSums::new(self.gates * self.units, rows)
    }

    /// The sum over the rows that is the gradient of one of the cell's own weights.
    pub(super) fn vector_sum(&self, width: usize) -> ColumnSums {
        ColumnSums::new(width, self.batch)
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
    /// The states before each part but the first, packed row order: the checkpoints.
    pub(super) checkpoints_h: Span,
    pub(super) checkpoints_c: Span,
    pub(super) x: Span,
    pub(super) input_masks: Span,
    pub(super) state_masks: Span,
    pub(super) masked_state: Span,
    pub(super) gates: Span,
    pub(super) h: Span,
    pub(super) c: Span,
    /// What the cell makes, where h is a product of it.
    pub(super) output: Span,
    /// The new h and c before zoneout, for a backward pass.
    pub(super) made: [Span; 2],
    /// Which elements of h and c zoneout lets be new.
    pub(super) shares: [Span; 2],
}

impl Saved {
    pub(super) fn cut(cutter: &mut Cutter, sizes: &Sizes) -> Self {
        let [h, c] = sizes.states().map(|size| sizes.batch * size);
        let all = sizes.states().map(|size| sizes.part_elements * size);
        let earlier = sizes.parts - 1;
        let when = |condition: bool, len: usize| if condition { len } else { 0 };
        // Behind a part's gates lie those of the step that follows it.
        let following = if earlier > 0 { sizes.batch } else { 0 };
        let projected = (scan::projected_steps(sizes.batch) * sizes.batch).min(sizes.elements);
        let last_c = if sizes.c_without_backward == Kept::Two { 2 * c } else { c };
        let steps = if sizes.backward { sizes.part_elements + following } else { projected };
        Self {
            initial_h: cutter.take(h),
            initial_c: cutter.take(when(sizes.has_cell_state, c)),
            checkpoints_h: cutter.take(when(!sizes.writes_output, earlier * h)),
            checkpoints_c: cutter.take(when(sizes.has_cell_state, earlier * c)),
            x: cutter.take(when(sizes.packs_input, sizes.groups * sizes.part_elements * sizes.features)),
            input_masks: cutter.take(when(sizes.input_dropout, sizes.groups * sizes.batch * sizes.features)),
            state_masks: cutter.take(when(sizes.state_dropout, sizes.gates * h)),
            masked_state: cutter.take(when(sizes.state_dropout, h)),
            gates: cutter.take(steps * sizes.slots * sizes.units),
            h: cutter.take(when(!sizes.writes_output, if sizes.keeps_h { all[0] } else { 2 * h })),
            c: cutter.take(when(sizes.has_cell_state, if sizes.backward { all[1] } else { last_c })),
            output: cutter.take(when(sizes.narrow.is_some(), if sizes.backward { all[1] } else { c })),
            made: [0, 1].map(|state| cutter.take(when(sizes.zoneout[state] && sizes.backward, all[state]))),
            shares: [0, 1].map(|state| cutter.take(when(sizes.zoneout[state] && sizes.draws_zoneout, all[state]))),
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
    /// With a narrow h: the gradient of what the cell makes, and that of h of all steps of a part.
    pub(super) made: Span,
    pub(super) narrow_gradient: Span,
    /// The partial sums of the weights' gradients.
    pub(super) kernel: Span,
    pub(super) recurrent: Span,
    pub(super) bias: Span,
    pub(super) recurrent_bias: Span,
    pub(super) narrow: Span,
    pub(super) vector: Span,
}

impl Scratch {
    pub(super) fn cut(cutter: &mut Cutter, call: &Call<'_>, sizes: &Sizes, options: &Recurrent) -> Self {
        let [h, c] = sizes.states().map(|size| sizes.batch * size);
        let when = |condition: bool, len: usize| if condition { len } else { 0 };
        let wanted = |parameter: usize, len: usize| when(call.parameter_gradients[parameter].is_some(), len);
        let rows = sizes.elements;
        let bias = sizes.bias.map_or(0, |at| wanted(at, sizes.bias_sum(rows).partials()));
        let recurrent =
            sizes.recurrent_kernel.map_or(0, |at| wanted(at, sizes.heads * sizes.recurrent_sum(rows).partials()));
        let narrow = sizes.narrow.map_or(0, |at| wanted(at, sizes.narrow_sum(rows).partials()));
        let holds = sizes.masked && options.return_sequences;
        let input = sizes.part_elements * sizes.features;
        Self {
            carry: cutter.take(h),
            cell_carry: cutter.take(when(sizes.has_cell_state, c)),
            output_gradient: cutter.take(when(holds, sizes.part_elements * sizes.width)),
            leading_gradient: cutter.take(when(holds, h)),
            input_gradient: cutter.take(when(sizes.packs_input, input)),
            group_gradient: cutter.take(when(sizes.groups > 1, input)),
            vectors: cutter.take(sizes.batch * sizes.vector_values),
            kept: [(sizes.zoneout[0], h), (sizes.zoneout[1], c)].map(|(zoned, len)| cutter.take(when(zoned, len))),
            made: cutter.take(when(sizes.narrow.is_some(), c)),
            narrow_gradient: cutter.take(when(sizes.narrow.is_some(), sizes.part_elements * sizes.width)),
            masked_states: cutter.take(when(sizes.state_dropout, sizes.part_elements * sizes.width)),
            kernel: cutter.take(wanted(0, sizes.kernel_sum(rows).partials())),
            recurrent: cutter.take(recurrent),
            bias: cutter.take(bias),
            recurrent_bias: cutter.take(when(options.reset_after == Some(true), bias)),
            narrow: cutter.take(narrow),
            vector: cutter.take(sizes.vector_sum(sizes.vector_values).partials()),
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
        Scratch::cut(&mut scratch, call, &sizes, options);
    }
    Workspace { saved: saved.used, scratch: scratch.used }
}
