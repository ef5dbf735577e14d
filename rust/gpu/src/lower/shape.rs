//! Layers that only move numbers.

use super::places::{axes, blocks, strides};
use super::product::{Matrix, add_columns, cut_rows};
use super::rows::{Move, clear};
use super::{Known, Lower};
use crate::plan::{Dispatch, Source, groups_for};
use crate::shaders::GATHER;
use foliot_core::backend::{Call, Workspace};
use foliot_core::layers::{
    Concatenate, Cropping1d, Flatten, FoldTime, Permute, RepeatVector, Reshape, Reverse, UnfoldTime, ZeroPadding1d,
};
use foliot_core::tensor::{Shape, Span};
use foliot_core::{Error, Result};

/// Copies a tensor whose layout changes: `rows` tells for each run of the target which run of the source it is.
pub(super) fn gather(out: &mut Vec<Dispatch>, label: &str, rows: Vec<u32>, columns: usize, source: Span, target: Span) {
    let count = rows.len();
    if count * columns > 0 {
        let dispatch = Dispatch::new(GATHER, label, &[count, columns], groups_for(count * columns));
        let dispatch = dispatch.bind(0, Source::Floats(source)).bind(1, Source::Floats(target));
        out.push(dispatch.bind(2, Source::Words(rows)).bind(3, Source::Words(Vec::new())));
    }
}

fn copy(out: &mut Vec<Dispatch>, label: &str, len: usize, source: Span, target: Span, starts: [usize; 2]) {
    let whole = Move::new([1, len], Some(Source::Floats(source)), Source::Floats(target));
    Move { starts, ..whole }.push(out, label);
}

/// Which run of the input each run of the output is, both in the order of memory; and how long a run is.
type Runs = (Vec<u32>, usize);

/// Where each run of the input has gone, given where each run of the output is from.
fn reversed(sources: &[u32]) -> Vec<u32> {
    let mut targets = vec![0; sources.len()];
    sources.iter().zip(0..).for_each(|(&source, target)| targets[source as usize] = target);
    targets
}

/// A layer whose outputs are its inputs in another order.
trait Reorder {
    fn runs(&self, input: &Shape, output: &Shape) -> Runs;
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// How many elements of a sample, counted in C order, lie together.
fn run_length(shape: &Shape) -> usize {
    let first = if shape.is_time_major() { 2 } else { 1 };
    axes(shape)[first..].iter().product()
}

/// The elements of each sample in C order, under other axes.
fn reshape(input: &Shape, output: &Shape) -> Runs {
    let run = greatest_common_divisor(run_length(input), run_length(output)).max(1);
    let (batch, count) = (input.axis(0), input.elements().checked_div(input.axis(0)).unwrap_or(0));
    let mut sources = vec![0; batch * count / run];
    for row in 0..batch {
        for offset in (0..count).step_by(run) {
            sources[output.position(row, offset) / run] = (input.position(row, offset) / run) as u32;
        }
    }
    (sources, run)
}

impl Reorder for Flatten {
    fn runs(&self, input: &Shape, output: &Shape) -> Runs {
        reshape(input, output)
    }
}

impl Reorder for Reshape {
    fn runs(&self, input: &Shape, output: &Shape) -> Runs {
        reshape(input, output)
    }
}

impl Reorder for Permute {
    fn runs(&self, input: &Shape, output: &Shape) -> Runs {
        let given = strides(&axes(input));
        let steps: Vec<usize> = std::iter::once(0).chain(self.dims.iter().copied()).map(|axis| given[axis]).collect();
        (super::places::places(&axes(output), &steps), 1)
    }
}

impl Reorder for FoldTime {
    fn runs(&self, sequence: &Shape, samples: &Shape) -> Runs {
        fold(sequence, samples)
    }
}

/// Samples (batch · time, ...) of a sequence (batch, time, ...), of which sample `step · batch + row` is a step of a row.
fn fold(sequence: &Shape, samples: &Shape) -> Runs {
    if !samples.is_time_major() {
        // Time comes first in memory: the samples lie there already.
        return (vec![0], sequence.elements());
    }
    let (count, inner) = (samples.axis(0), samples.axis(1));
    let sources = (0..inner).flat_map(|index| (0..count).map(move |sample| (sample * inner + index) as u32));
    (sources.collect(), run_length(samples))
}

impl<T: Reorder> Lower for T {
    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        let (input, output) = (call.inputs[0], call.outputs[0]);
        let (sources, run) = self.runs(&input.shape, &output.shape);
        gather(out, call.name, sources, run, input.value, output.value);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        let (input, output) = (call.inputs[0], call.outputs[0]);
        let (Some(dy), Some(dx)) = (output.gradient, input.gradient) else { return };
        let (sources, run) = self.runs(&input.shape, &output.shape);
        gather(out, call.name, reversed(&sources), run, dy, dx);
    }
}

impl Lower for UnfoldTime {
    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        let (samples, output) = (call.inputs[1], call.outputs[0]);
        let (sources, run) = fold(&output.shape, &samples.shape);
        gather(out, call.name, reversed(&sources), run, samples.value, output.value);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        // Of the sequence itself only the shape counts.
        if let Some(dx) = call.inputs[0].gradient {
            clear(out, dx);
        }
        let (samples, output) = (call.inputs[1], call.outputs[0]);
        let (Some(dx), Some(dy)) = (samples.gradient, output.gradient) else { return };
        let (sources, run) = fold(&output.shape, &samples.shape);
        gather(out, call.name, sources, run, dy, dx);
    }
}

impl Lower for RepeatVector {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        Workspace { saved: 0, scratch: cut_rows(self.n)[0] * call.inputs[0].shape.elements() }
    }

    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        let input = call.inputs[0];
        let rows = (0..self.n).flat_map(|_| 0..input.shape.axis(0) as u32).collect();
        gather(out, call.name, rows, input.shape.features(), input.value, call.outputs[0].value);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        clear(out, dx);
        let steps = Matrix::new(Source::Floats(dy), dx.len);
        add_columns(out, call.name, [self.n, dx.len], &steps, (dx, 0), call.scratch);
    }
}

/// The numbers of so many time steps, which lie together.
fn numbers_of_steps(call: &Call<'_>, steps: usize) -> usize {
    let shape = &call.inputs[0].shape;
    steps * shape.axis(0) * shape.features()
}

impl Lower for Cropping1d {
    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        let (y, start) = (call.outputs[0].value, numbers_of_steps(call, self.cropping.0));
        copy(out, call.name, y.len, call.inputs[0].value, y, [start, 0]);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        clear(out, dx);
        copy(out, call.name, dy.len, dy, dx, [0, numbers_of_steps(call, self.cropping.0)]);
    }
}

impl Lower for ZeroPadding1d {
    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        let (x, y) = (call.inputs[0].value, call.outputs[0].value);
        clear(out, y);
        copy(out, call.name, x.len, x, y, [0, numbers_of_steps(call, self.padding.0)]);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        copy(out, call.name, dx.len, dy, dx, [numbers_of_steps(call, self.padding.0), 0]);
    }
}

/// Turns time around.
fn reverse(out: &mut Vec<Dispatch>, call: &Call<'_>, source: Span, target: Span) {
    let shape = &call.inputs[0].shape;
    let (batch, time) = (shape.axis(0), shape.axis(1));
    let rest = shape.elements().checked_div(batch * time).unwrap_or(0);
    let turned = Move::new([batch * time, rest], Some(Source::Floats(source)), Source::Floats(target));
    Move { reversed: Some([batch, time]), ..turned }.push(out, call.name);
}

impl Lower for Reverse {
    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        reverse(out, call, call.inputs[0].value, call.outputs[0].value);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        if let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) {
            reverse(out, call, dy, dx);
        }
    }
}

/// The axis of a concatenation, counted from the first.
fn axis_of(layer: &Concatenate, rank: usize) -> usize {
    if layer.axis < 0 { rank.saturating_add_signed(layer.axis) } else { layer.axis.unsigned_abs() }
}

/// Each input's place in the output.
fn join(
    layer: &Concatenate,
    call: &Call<'_>,
    whole: Span,
    parts: impl Fn(usize) -> Option<Span>,
    back: bool,
    out: &mut Vec<Dispatch>,
) {
    let lengths = axes(&call.outputs[0].shape);
    let axis = axis_of(layer, lengths.len());
    let [count, unit] = blocks(&lengths, axis);
    let width = lengths[axis] * unit;
    let mut start = 0;
    for (position, input) in call.inputs.iter().enumerate() {
        let columns = input.shape.axis(axis) * unit;
        if let Some(part) = parts(position) {
            let (part, whole) = (Source::Floats(part), Source::Floats(whole));
            let (source, target) = if back { (whole, part) } else { (part, whole) };
            let (mut starts, mut strides) = ([0, start], [columns, width]);
            if back {
                starts.reverse();
                strides.reverse();
            }
            Move { starts, strides, ..Move::new([count, columns], Some(source), target) }.push(out, call.name);
        }
        start += columns;
    }
}

/// The mask of a concatenation. An input without one counts as one whose steps all count; along the last axis a step is masked
/// if it is in all inputs.
fn joined_mask(layer: &Concatenate, call: &Call<'_>, known: &Known, len: usize) -> Result<Vec<u8>> {
    let mut lengths = axes(&call.outputs[0].shape);
    let axis = axis_of(layer, lengths.len());
    let last = axis + 1 == lengths.len();
    lengths.pop();
    let mut joined = vec![u8::from(!last); len];
    let mut start = 0;
    for input in &call.inputs {
        let length = input.shape.axis(axis);
        if let Some(span) = input.mask.filter(|span| span.len != input.shape.rows()) {
            let expected = format!("a mask for each row of {}", input.shape);
            return Err(Error::value(call.name, expected, format!("{} flags", span.len)));
        }
        match input.mask.map(|span| known.mask(span)) {
            Some(flags) if last => joined.iter_mut().zip(flags).for_each(|(joined, flag)| *joined |= flag),
            None if last => joined.fill(1),
            Some(flags) => {
                let [count, unit] = blocks(&lengths, axis);
                let (step, len) = (lengths[axis] * unit, length * unit);
                for block in 0..count {
                    joined[block * step + start * unit..][..len].copy_from_slice(&flags[block * len..][..len]);
                }
            }
            None => {}
        }
        start += length;
    }
    Ok(joined)
}

impl Lower for Concatenate {
    fn forward(&self, call: &Call<'_>, known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        if let Some(target) = call.outputs[0].mask {
            let joined = joined_mask(self, call, known, target.len)?;
            known.masks[target.offset..target.offset + target.len].copy_from_slice(&joined);
        }
        join(self, call, call.outputs[0].value, |position| Some(call.inputs[position].value), false, out);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        let Some(gradient) = call.outputs[0].gradient else { return };
        join(self, call, gradient, |position| call.inputs[position].gradient, true, out);
    }
}
