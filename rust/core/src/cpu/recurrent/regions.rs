//! The sizes of a call and the regions of memory that it works in.

use super::prefix;
use super::track::Prepared;
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
    /// Whether the input is tokens.
    pub(super) tokens: bool,
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
    /// Whether rows may share the steps that begin them.
    pub(super) may_share: bool,
    /// Whether these are the sizes of the row that stands for the shared steps.
    pub(super) is_prefix: bool,
    pub(super) narrow: Option<usize>,
    /// The weights that only the cell knows, the last ones, and how many values they have together.
    pub(super) vectors: &'static [Vector],
    pub(super) vector_values: usize,
}

impl Sizes {
    /// The sizes for any mask; [`Sizes::of_batch`] knows the batch's.
    fn new(call: &Call<'_>, kind: CellKind, options: &Recurrent) -> Self {
        let masked = call.inputs[0].mask.is_some() && !options.single_step;
        Self::with_input(call, kind, options, masked, call.folded.is_some())
    }

    /// The sizes for a batch that has been laid out: a mask that masks nothing changes nothing, and one-hot rows are tokens. They
    /// take no more memory than those for any mask and any rows.
    pub(super) fn of_batch(call: &Call<'_>, kind: CellKind, options: &Recurrent, prepared: &Prepared) -> Self {
        let masked = call.inputs[0].mask.is_some() && !options.single_step && !prepared.layout.is_full();
        Self::with_input(call, kind, options, masked, call.folded.is_some() || prepared.one_hot)
    }

    fn with_input(call: &Call<'_>, kind: CellKind, options: &Recurrent, masked: bool, tokens: bool) -> Self {
        let [batch, time, features] = options.input_sizes(&call.inputs[0].shape);
        let input_dropout = call.training && options.drops_inputs();
        let state_dropout = call.training && options.drops_states();
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
            tokens,
            packs_input: !tokens && (call.inputs[0].lent.is_some() || masked || options.go_backwards || input_dropout),
            writes_output: options.return_sequences && !masked,
            keeps_h: backward || options.return_sequences,
            // Zoneout needs the step before beside the new one.
            c_without_backward: if zoneout[1] { Kept::Two } else { Kept::One },
            zoneout,
            draws_zoneout: call.training && !options.zoneout_mean,
            backward,
            recurrent_kernel: kind.has_recurrent_kernel().then_some(1),
            bias: layer.bias(),
            may_share: batch >= prefix::ROWS && shares_prefixes(call, options),
            is_prefix: false,
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

    /// The sizes of the row that stands for the steps which rows may share; it is kept whole for them to branch off.
    pub(super) fn prefix(self) -> Option<Self> {
        let time = self.elements / self.batch.max(1);
        let row = Self {
            batch: 1,
            elements: time,
            part_elements: time,
            keeps_h: true,
            c_without_backward: Kept::From(0),
            is_prefix: true,
            ..self
        };
        self.may_share.then_some(row)
    }

    /// The parts into which the steps of a batch are cut: one at least.
    pub(super) fn parts(self, steps: usize) -> impl DoubleEndedIterator<Item = Range<usize>> {
        (0..steps.div_ceil(self.part).max(1)).map(move |part| part * self.part..((part + 1) * self.part).min(steps))
    }

    /// The pieces of a part that the backward pass takes one after the other: the gates of one are still in the cache when
    /// the gradients of the weights are summed over them.
    pub(super) fn pieces(self, part: Range<usize>) -> impl DoubleEndedIterator<Item = Range<usize>> {
        let steps = self.piece();
        let count = part.len().div_ceil(steps).max(1);
        (0..count).map(move |piece| part.start + piece * steps..(part.start + (piece + 1) * steps).min(part.end))
    }

    /// The steps of a piece: by sizes only, so that the order of the sums depends on nothing else.
    fn piece(&self) -> usize {
        /// 1 MiB of gates, of which each thread has a share in its second-level cache. Measured with LSTM 32, 128 rows and 500
        /// steps on one thread of a Zen 3 with 512 KiB: 50 ms a training step, 51 with twice as many, 60 with four times, 62
        /// with all steps at once.
        const VALUES: usize = 1 << 18;
        /// Fewer rows would not pay for a pass over the sums.
        const ROWS: usize = 512;
        let step = (self.batch * self.slots * self.units).max(1);
        (VALUES / step).max(ROWS.div_ceil(self.batch.max(1))).max(1)
    }

    /// The most rows that a piece adds to a sum.
    fn at_once(&self) -> usize {
        (self.batch * self.piece()).min(self.elements)
    }

    /// The sums that are the gradients of the kernels and of the bias, or one row of it.
    pub(super) fn kernel_sum(&self) -> OuterProducts {
        OuterProducts::new(self.features, self.gates * self.units, self.at_once())
    }

    /// That of the block of one head.
    pub(super) fn recurrent_sum(&self) -> OuterProducts {
        OuterProducts::new(self.width / self.heads, self.gates * self.units / self.heads, self.at_once())
    }

    pub(super) fn narrow_sum(&self) -> OuterProducts {
        OuterProducts::new(self.units, self.width, self.at_once())
    }

    pub(super) fn bias_sum(&self) -> ColumnSums {
        ColumnSums::new(self.gates * self.units, self.at_once())
    }

    /// The sum over the rows that is the gradient of one of the cell's own weights.
    pub(super) fn vector_sum(&self, width: usize) -> ColumnSums {
        ColumnSums::new(width, self.batch)
    }
}

/// Whether one-hot rows of the input may be taken for tokens: they are the same for all gates, and no one asks for their gradient.
pub(super) fn takes_one_hot(call: &Call<'_>, options: &Recurrent) -> bool {
    let drops_inputs = call.training && options.drops_inputs();
    call.folded.is_none() && !options.single_step && !drops_inputs && call.inputs[0].gradient.is_none()
}

/// Whether rows may share the steps that begin them: the same tokens lead to the same states in every row, and the output does
/// not show the steps.
pub(super) fn shares_prefixes(call: &Call<'_>, options: &Recurrent) -> bool {
    let dropout = call.training && (options.drops_inputs() || options.drops_states());
    let random = dropout || options.zoneout > 0.0 || options.zoneout_cell > 0.0;
    let begins_anew = call.inputs.len() == 1 && call.states.is_empty() && !options.single_step;
    let plain = call.inputs[0].mask.is_none() && options.checkpoint_every.is_none() && !options.return_sequences;
    call.folded.is_some() && begins_anew && plain && !random
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
    fn cut(cutter: &mut Cutter, sizes: &Sizes) -> Self {
        let [h, c] = sizes.states().map(|size| sizes.batch * size);
        let all = sizes.states().map(|size| sizes.part_elements * size);
        let earlier = sizes.parts - 1;
        let when = |condition: bool, len: usize| if condition { len } else { 0 };
        // Behind a part's gates lie those of the step that follows it.
        let following = if earlier > 0 { sizes.batch } else { 0 };
        let projected = (scan::projected_steps(sizes.batch) * sizes.batch).min(sizes.elements);
        let last_c = match sizes.c_without_backward {
            Kept::From(_) => all[1],
            Kept::Two => 2 * c,
            Kept::One => c,
        };
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
    fn cut(cutter: &mut Cutter, call: &Call<'_>, sizes: &Sizes, options: &Recurrent) -> Self {
        let [h, c] = sizes.states().map(|size| sizes.batch * size);
        let when = |condition: bool, len: usize| if condition { len } else { 0 };
        let wanted = |parameter: usize, len: usize| when(call.parameter_gradients[parameter].is_some(), len);
        let bias = sizes.bias.map_or(0, |at| wanted(at, sizes.bias_sum().partials()));
        let recurrent =
            sizes.recurrent_kernel.map_or(0, |at| wanted(at, sizes.heads * sizes.recurrent_sum().partials()));
        let narrow = sizes.narrow.map_or(0, |at| wanted(at, sizes.narrow_sum().partials()));
        let holds = sizes.is_prefix || sizes.masked && options.return_sequences;
        let input = when(call.inputs[0].gradient.is_some(), sizes.part_elements * sizes.features);
        Self {
            carry: cutter.take(h),
            cell_carry: cutter.take(when(sizes.has_cell_state, c)),
            output_gradient: cutter.take(when(holds, sizes.part_elements * sizes.width)),
            leading_gradient: cutter.take(when(holds && !sizes.is_prefix, h)),
            input_gradient: cutter.take(when(sizes.packs_input, input)),
            group_gradient: cutter.take(when(sizes.groups > 1, input)),
            vectors: cutter.take(sizes.batch * sizes.vector_values),
            kept: [(sizes.zoneout[0], h), (sizes.zoneout[1], c)].map(|(zoned, len)| cutter.take(when(zoned, len))),
            made: cutter.take(when(sizes.narrow.is_some(), c)),
            narrow_gradient: cutter.take(when(sizes.narrow.is_some(), sizes.part_elements * sizes.width)),
            masked_states: cutter.take(when(sizes.state_dropout, sizes.part_elements * sizes.width)),
            kernel: cutter.take(wanted(0, sizes.kernel_sum().partials())),
            recurrent: cutter.take(recurrent),
            bias: cutter.take(bias),
            recurrent_bias: cutter.take(when(options.reset_after == Some(true), bias)),
            narrow: cutter.take(narrow),
            vector: cutter.take(sizes.vector_sum(sizes.vector_values).partials()),
        }
    }
}

/// The regions of the forward pass: the batch's, and those of the row that stands for a prefix.
pub(super) fn cut_saved(cutter: &mut Cutter, sizes: &Sizes) -> (Saved, Option<(Sizes, Saved)>) {
    let batch = Saved::cut(cutter, sizes);
    (batch, sizes.prefix().map(|sizes| (sizes, Saved::cut(cutter, &sizes))))
}

/// The same for the backward pass.
pub(super) fn cut_scratch(
    cutter: &mut Cutter,
    call: &Call<'_>,
    sizes: &Sizes,
    options: &Recurrent,
) -> (Scratch, Option<Scratch>) {
    let batch = Scratch::cut(cutter, call, sizes, options);
    (batch, sizes.prefix().map(|sizes| Scratch::cut(cutter, call, &sizes, options)))
}

/// The memory that a call needs.
pub(super) fn workspace(call: &Call<'_>) -> Workspace {
    let Some((kind, options)) = call.layer.recurrent() else { return Workspace::default() };
    let sizes = Sizes::new(call, kind, options);
    let (mut saved, mut scratch) = (Cutter::counting(), Cutter::counting());
    cut_saved(&mut saved, &sizes);
    if sizes.backward {
        cut_scratch(&mut scratch, call, &sizes, options);
    }
    Workspace { saved: saved.used, scratch: scratch.used }
}
