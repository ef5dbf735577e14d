//! Tensors become one, element by element. Inputs that are repeated along axes are first written out in full; their gradients
//! are summed up along these axes.

use super::embedding::Lists;
use super::places::{axes, repeated};
use super::shape::gather;
use super::{Cutter, Known, Lower};
use crate::plan::{Dispatch, Source, groups_for};
use crate::shaders::FOLD;
use foliot_core::backend::{Call, Tensor, Workspace};
use foliot_core::layers::{Merge, Operation};
use foliot_core::tensor::Span;
use foliot_core::{Error, Result};

/// For each row of the output, whether it counts in an input; none for an input without a mask.
type Flags = Option<Vec<bool>>;

fn flags(known: &Known, call: &Call<'_>) -> Result<Vec<Flags>> {
    let output = &call.outputs[0].shape;
    let flags = call.inputs.iter().map(|input| {
        let Some(span) = input.mask else { return Ok(None) };
        if input.shape.rank() != output.rank() || span.len != input.shape.rows() || output.rank() < 2 {
            let expected = format!("a mask for each row of {output} on inputs that have masks");
            return Err(Error::value(call.name, expected, format!("{} flags for {}", span.len, input.shape)));
        }
        let row_axes = |axes: Vec<usize>| -> Vec<usize> {
            let last = axes.len() - 1;
            axes.into_iter().enumerate().map(|(axis, length)| if axis == last { 1 } else { length }).collect()
        };
        let mask = known.mask(span);
        let rows = repeated(&row_axes(axes(output)), &row_axes(axes(&input.shape)));
        let flag = |row: u32| mask[input.shape.flag_of_row(span.len, row as usize)] != 0;
        Ok(Some(rows.into_iter().map(flag).collect()))
    });
    flags.collect()
}

/// Which of the values a row has after an input: bit 0 says whether the input's count, bit 1 whether any do.
fn words(own: &Flags, any: &Flags) -> Vec<u32> {
    let rows = own.as_ref().or(any.as_ref()).map_or(0, Vec::len);
    let counts = |flags: &Flags, row: usize| flags.as_ref().is_none_or(|flags| flags[row]);
    (0..rows).map(|row| u32::from(counts(own, row)) + 2 * u32::from(counts(any, row))).collect()
}

/// Which rows count in any input.
fn anywhere(flags: &[Flags]) -> Flags {
    let mut all = flags.iter().map(Option::as_ref).collect::<Option<Vec<_>>>()?.into_iter();
    let first = all.next()?.clone();
    Some(all.fold(first, |any, flags| any.into_iter().zip(flags).map(|(any, flag)| any || *flag).collect()))
}

/// One input more.
struct Fold {
    multiplies: bool,
    /// Whether there is nothing yet.
    first: bool,
    scale: f32,
    flags: Vec<u32>,
}

impl Fold {
    fn push(self, call: &Call<'_>, source: Span, target: Span, out: &mut Vec<Dispatch>) {
        let (count, columns) = (target.len, call.outputs[0].shape.features());
        if count == 0 {
            return;
        }
        let dispatch = Dispatch::new(FOLD, call.name, &[count, columns], groups_for(count))
            .number(self.scale)
            .flag("MULTIPLIES", self.multiplies)
            .flag("FIRST", self.first)
            .flag("FLAGGED", !self.flags.is_empty());
        let dispatch = dispatch.bind(0, Source::Floats(source)).bind(1, Source::Floats(target));
        out.push(dispatch.bind(2, Source::Words(self.flags)));
    }
}

/// Whether an input has the shape of the output.
fn is_whole(call: &Call<'_>, input: &Tensor) -> bool {
    input.shape == call.outputs[0].shape
}

/// The inputs in the shape of the output: where they are, or in the saved memory.
fn operands(call: &Call<'_>) -> Vec<Span> {
    let mut cutter = Cutter::of(call.saved);
    let elements = call.outputs[0].shape.elements();
    let place = |input: &&Tensor| if is_whole(call, input) { input.value } else { cutter.take(elements) };
    call.inputs.iter().map(place).collect()
}

/// The gradient of an input from what it is in the shape of the output.
fn deliver(call: &Call<'_>, position: usize, full: Span, target: Span, out: &mut Vec<Dispatch>) {
    let input = call.inputs[position];
    let sources = repeated(&axes(&call.outputs[0].shape), &axes(&input.shape));
    let mut pairs: Vec<(u32, u32)> = sources.into_iter().zip(0..).collect();
    pairs.sort_unstable();
    let mut lists = Lists::default();
    for group in pairs.chunk_by(|a, b| a.0 == b.0) {
        lists.push(group[0].0, group.iter().map(|(_, row)| *row));
    }
    if !pairs.is_empty() {
        out.push(lists.dispatch(call.name, 1, false, Source::Floats(full), Source::Floats(target)));
    }
}

fn multiplies(layer: &Merge) -> bool {
    matches!(layer.operation, Operation::Multiply | Operation::Product)
}

/// What an input of a sum is multiplied with.
fn scale(layer: &Merge, position: usize, inputs: usize) -> f32 {
    match layer.operation {
        Operation::Subtract if position > 0 => -1.0,
        Operation::Average => 1.0 / inputs as f32,
        _ => 1.0,
    }
}

/// What masks say about the values: only Keras's `Multiply` heeds them.
fn heeded(layer: &Merge, flags: Vec<Flags>) -> Vec<Flags> {
    if layer.operation == Operation::Multiply { flags } else { vec![None; flags.len()] }
}

impl Lower for Merge {
    fn refuses(&self) -> Option<String> {
        matches!(self.operation, Operation::Maximum | Operation::Minimum).then(|| format!("{:?}", self.operation))
    }

    fn workspace(&self, call: &Call<'_>) -> Workspace {
        let elements = call.outputs[0].shape.elements();
        let (mut saved, mut scratch) = (Cutter::counting(), Cutter::counting());
        call.inputs.iter().filter(|input| !is_whole(call, input)).for_each(|_| _ = saved.take(elements));
        scratch.take(elements);
        Workspace { saved: saved.used, scratch: scratch.used }
    }

    fn forward(&self, call: &Call<'_>, known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        let (output, y) = (&call.outputs[0].shape, call.outputs[0].value);
        let flags = flags(known, call)?;
        let any = anywhere(&flags);
        if let (Some(span), Some(any)) = (call.outputs[0].mask, &any) {
            for (row, &counts) in any.iter().enumerate() {
                known.masks[span.offset + output.flag_of_row(span.len, row)] = u8::from(counts);
            }
        }
        let flags = heeded(self, flags);
        let any = anywhere(&flags);
        let inputs = call.inputs.len();
        for (position, operand) in operands(call).into_iter().enumerate() {
            let input = call.inputs[position];
            if !is_whole(call, input) {
                gather(out, call.name, repeated(&axes(output), &axes(&input.shape)), 1, input.value, operand);
            }
            let flags = words(&flags[position], &any);
            let fold = Fold {
                multiplies: multiplies(self),
                first: position == 0,
                scale: scale(self, position, inputs),
                flags,
            };
            fold.push(call, operand, y, out);
        }
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, known: &Known, out: &mut Vec<Dispatch>) {
        let (Some(dy), Ok(flags)) = (call.outputs[0].gradient, flags(known, call)) else { return };
        let flags = heeded(self, flags);
        let operands = operands(call);
        for (position, input) in call.inputs.iter().enumerate() {
            let Some(target) = input.gradient else { continue };
            let whole = is_whole(call, input);
            let full = if whole { target } else { call.scratch.part(0, dy.len) };
            // A row that does not count has no gradient.
            let flags_of =
                |position: usize, factor: bool| words(&flags[position], if factor { &None } else { &flags[position] });
            let scale = scale(self, position, operands.len());
            Fold { multiplies: false, first: true, scale, flags: flags_of(position, false) }.push(call, dy, full, out);
            if multiplies(self) {
                for (other, &operand) in operands.iter().enumerate().filter(|(other, _)| *other != position) {
                    let flags = flags_of(other, true);
                    Fold { multiplies: true, first: false, scale: 1.0, flags }.push(call, operand, full, out);
                }
            }
            if !whole {
                deliver(call, position, full, target, out);
            }
        }
    }
}
