//! Merges of tensors element by element. Inputs that are repeated along axes are first written out in full; their gradients
//! are summed up along these axes.

use super::places::{axes, for_each_place, memory_order, picked, strides};
use super::{Compute, Context, Memory};
use crate::backend::{Call, Workspace};
use crate::layers::{Merge, Operation, with_rank};
use crate::tensor::{Shape, Span};
use crate::{Error, Result};

/// For each row of the output, whether it counts in an input; none for an input without a mask.
type Flags = Option<Vec<bool>>;

/// The places of an input's elements in the order of the output's.
fn for_each_source(output: &Shape, input: &Shape, visit: impl FnMut(usize, usize)) {
    let order = memory_order(output.rank());
    let lengths = axes(output);
    let mut steps = strides(&axes(input));
    steps.splice(1..1, std::iter::repeat_n(0, output.rank() - input.rank()));
    for (step, length) in steps.iter_mut().zip(with_rank(input, output.rank())) {
        if length == Some(1) {
            *step = 0;
        }
    }
    for_each_place(&picked(&lengths, &order), &picked(&steps, &order), visit);
}

/// Calls `visit(row, place)` for each row of a tensor with the place of its flag in a mask: the tensor's shape without the last
/// axis, in the order of memory that a tensor of so many axes has.
fn for_each_flag(output: &Shape, mask: &[usize], visit: impl FnMut(usize, usize)) {
    let lengths = axes(output);
    let order: Vec<usize> = memory_order(output.rank()).into_iter().filter(|&axis| axis + 1 < lengths.len()).collect();
    let mut steps = strides(mask);
    for (step, (given, length)) in steps.iter_mut().zip(mask.iter().zip(&lengths)) {
        if given != length {
            *step = 0;
        }
    }
    for_each_place(&picked(&lengths, &order), &picked(&steps, &order), visit);
}

fn flags(memory: &Memory, call: &Call<'_>) -> Result<Vec<Flags>> {
    let output = &call.outputs[0].shape;
    let flags = call.inputs.iter().map(|input| {
        let Some(span) = input.mask else { return Ok(None) };
        if input.shape.rank() != output.rank() || span.len != input.shape.rows() || output.rank() < 2 {
            let expected = format!("a mask for each row of {output} on inputs that have masks");
            return Err(Error::value(call.name, expected, format!("{} flags for {}", span.len, input.shape)));
        }
        let mut mask = axes(&input.shape);
        mask.pop();
        let (values, mut rows) = (memory.mask(span), vec![true; output.rows()]);
        for_each_flag(output, &mask, |row, place| rows[row] = values[place] != 0);
        Ok(Some(rows))
    });
    flags.collect()
}

/// Writes the mask of the output: a step counts if it does in any input.
fn write_mask(memory: &mut Memory, call: &Call<'_>, flags: &[Flags]) {
    let Some(span) = call.outputs[0].mask else { return };
    let output = &call.outputs[0].shape;
    let mut mask = axes(output);
    mask.pop();
    let target = memory.mask_mut(span);
    for_each_flag(output, &mask, |row, place| target[place] = u8::from(counts_anywhere(flags, row)));
}

fn counts(flags: &Flags, row: usize) -> bool {
    flags.as_ref().is_none_or(|flags| flags[row])
}

fn counts_anywhere(flags: &[Flags], row: usize) -> bool {
    flags.iter().any(|flags| counts(flags, row))
}

/// The inputs in the shape of the output: where they are, or in the saved memory.
fn operands(call: &Call<'_>) -> Vec<Span> {
    let output = &call.outputs[0].shape;
    let mut used = 0;
    let places = call.inputs.iter().map(|input| {
        if input.shape == *output {
            return input.value;
        }
        used += output.elements();
        call.saved.part(used - output.elements(), output.elements())
    });
    places.collect()
}

/// Which of the values so far and the next input enter a row of a maximum or minimum: Keras leaves masked ones out, and keeps
/// the values so far where both are.
#[derive(Clone, Copy)]
enum Entering {
    Both,
    Former,
    Next,
}

/// The rule for each row, and which rows count afterwards.
fn entering(seen: &Flags, next: &Flags, rows: usize) -> (Vec<Entering>, Flags) {
    let rule = |row| match (counts(seen, row), counts(next, row)) {
        (true, true) => Entering::Both,
        (false, true) => Entering::Next,
        _ => Entering::Former,
    };
    let both = seen.as_ref().zip(next.as_ref());
    let after = both.map(|(seen, next)| seen.iter().zip(next).map(|(seen, next)| *seen || *next).collect());
    ((0..rows).map(rule).collect(), after)
}

/// The greater of two numbers, or the lesser; NaN if one is.
fn chosen(operation: Operation, former: f32, next: f32) -> f32 {
    let better = if operation == Operation::Maximum { next > former } else { next < former };
    if better || next.is_nan() { next } else { former }
}

/// Takes one input more into a maximum or minimum.
fn fold(operation: Operation, rules: &[Entering], width: usize, values: &mut [f32], next: &[f32]) {
    for ((rule, values), next) in rules.iter().zip(values.chunks_exact_mut(width)).zip(next.chunks_exact(width)) {
        match rule {
            Entering::Former => {}
            Entering::Next => values.copy_from_slice(next),
            Entering::Both => {
                values.iter_mut().zip(next).for_each(|(value, next)| *value = chosen(operation, *value, *next));
            }
        }
    }
}

/// Takes a maximum or minimum apart: the gradient of the next input, and in `gradient` that of the values so far. Of equal
/// numbers each has half.
fn unfold(
    operation: Operation,
    rules: &[Entering],
    width: usize,
    [former, next]: [&[f32]; 2],
    gradient: &mut [f32],
    of_next: &mut [f32],
) {
    for (row, rule) in rules.iter().enumerate() {
        let share = |index: usize| match rule {
            Entering::Next => 1.0,
            Entering::Both if former[index] == next[index] => 0.5,
            Entering::Both if chosen(operation, former[index], next[index]) == next[index] => 1.0,
            Entering::Former | Entering::Both => 0.0,
        };
        for index in row * width..(row + 1) * width {
            of_next[index] = gradient[index] * share(index);
            gradient[index] *= 1.0 - share(index);
        }
    }
}

/// Multiplies the rows of an input that count.
fn multiply(values: &mut [f32], width: usize, factors: &[f32], flags: &Flags) {
    for (row, (values, factors)) in values.chunks_exact_mut(width).zip(factors.chunks_exact(width)).enumerate() {
        if counts(flags, row) {
            values.iter_mut().zip(factors).for_each(|(value, factor)| *value *= factor);
        }
    }
}

/// Zeroes the rows that do not count.
fn zero(values: &mut [f32], width: usize, counts: impl Fn(usize) -> bool) {
    for (_, values) in values.chunks_exact_mut(width).enumerate().filter(|(row, _)| !counts(*row)) {
        values.fill(0.0);
    }
}

/// Writes the gradient of an input from what it is in the shape of the output.
fn deliver(memory: &mut Memory, call: &Call<'_>, position: usize, full: Span, scale: f32) {
    let (input, output) = (call.inputs[position], call.outputs[0]);
    let Some(gradient) = input.gradient else { return };
    let [full, gradient] = memory.many([full, gradient]);
    if input.shape == output.shape {
        gradient.iter_mut().zip(full).for_each(|(gradient, full)| *gradient = *full * scale);
        return;
    }
    gradient.fill(0.0);
    for_each_source(&output.shape, &input.shape, |position, source| gradient[source] += full[position] * scale);
}

impl Merge {
    /// What masks say about the values.
    fn heeded(&self, flags: Vec<Flags>) -> Vec<Flags> {
        if self.operation == Operation::Product { vec![None; flags.len()] } else { flags }
    }
}

impl Compute for Merge {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        let output = &call.outputs[0].shape;
        let repeated = call.inputs.iter().filter(|input| input.shape != *output).count();
        let parts = match self.operation {
            Operation::Add | Operation::Subtract | Operation::Average => 0,
            Operation::Multiply | Operation::Product => 1,
            Operation::Maximum | Operation::Minimum => 3,
        };
        Workspace { saved: repeated * output.elements(), scratch: parts * output.elements() }
    }

    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Context { memory, .. } = context;
        let (output, y) = (&call.outputs[0].shape, call.outputs[0].value);
        let flags = flags(memory, call)?;
        write_mask(memory, call, &flags);
        let flags = self.heeded(flags);
        if y.len == 0 {
            return Ok(0.0);
        }
        let (rows, width) = (output.rows(), output.features());
        let mut seen = flags[0].clone();
        for (position, (input, operand)) in call.inputs.iter().zip(operands(call)).enumerate() {
            if input.shape != *output {
                let [source, target] = memory.many([input.value, operand]);
                for_each_source(output, &input.shape, |position, source_place| {
                    target[position] = source[source_place];
                });
            }
            let [x, y] = memory.many([operand, y]);
            match self.operation {
                Operation::Multiply | Operation::Product if position == 0 => {
                    y.fill(1.0);
                    multiply(y, width, x, &flags[0]);
                }
                _ if position == 0 => y.copy_from_slice(x),
                Operation::Add | Operation::Average => y.iter_mut().zip(&*x).for_each(|(y, x)| *y += x),
                Operation::Subtract => y.iter_mut().zip(&*x).for_each(|(y, x)| *y -= x),
                Operation::Multiply | Operation::Product => multiply(y, width, x, &flags[position]),
                Operation::Maximum | Operation::Minimum => {
                    let (rules, after) = entering(&seen, &flags[position], rows);
                    fold(self.operation, &rules, width, y, x);
                    seen = after;
                }
            }
        }
        let y = memory.floats_mut(y);
        match self.operation {
            Operation::Average => y.iter_mut().for_each(|y| *y /= call.inputs.len() as f32),
            Operation::Multiply => zero(y, width, |row| counts_anywhere(&flags, row)),
            _ => {}
        }
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Context { memory, .. } = context;
        let (Some(dy), Ok(flags)) = (call.outputs[0].gradient, flags(memory, call)) else { return };
        if dy.len == 0 {
            call.inputs.iter().filter_map(|input| input.gradient).for_each(|span| memory.floats_mut(span).fill(0.0));
            return;
        }
        let (rows, width) = (call.outputs[0].shape.rows(), call.outputs[0].shape.features());
        let operands = operands(call);
        let last = operands.len() - 1;
        match self.operation {
            Operation::Add => (0..=last).for_each(|position| deliver(memory, call, position, dy, 1.0)),
            Operation::Subtract => {
                deliver(memory, call, 0, dy, 1.0);
                deliver(memory, call, 1, dy, -1.0);
            }
            Operation::Average => {
                (0..=last).for_each(|position| deliver(memory, call, position, dy, 1.0 / operands.len() as f32));
            }
            Operation::Multiply | Operation::Product => {
                let flags = self.heeded(flags);
                let full = call.scratch.part(0, dy.len);
                for position in 0..=last {
                    let [source, target] = memory.many([dy, full]);
                    target.copy_from_slice(source);
                    zero(target, width, |row| counts(&flags[position], row));
                    for other in (0..=last).filter(|&other| other != position) {
                        let [factors, target] = memory.many([operands[other], full]);
                        multiply(target, width, factors, &flags[other]);
                    }
                    deliver(memory, call, position, full, 1.0);
                }
            }
            Operation::Maximum | Operation::Minimum => {
                let [full, former, gradient] = [0, 1, 2].map(|part| call.scratch.part(part * dy.len, dy.len));
                let [source, target] = memory.many([dy, gradient]);
                target.copy_from_slice(source);
                for position in (1..=last).rev() {
                    let [first, target] = memory.many([operands[0], former]);
                    target.copy_from_slice(first);
                    let mut seen = flags[0].clone();
                    for before in 1..position {
                        let (rules, after) = entering(&seen, &flags[before], rows);
                        let [x, target] = memory.many([operands[before], former]);
                        fold(self.operation, &rules, width, target, x);
                        seen = after;
                    }
                    let (rules, _) = entering(&seen, &flags[position], rows);
                    let [x, former, gradient, full_values] = memory.many([operands[position], former, gradient, full]);
                    unfold(self.operation, &rules, width, [former, x], gradient, full_values);
                    deliver(memory, call, position, full, 1.0);
                }
                deliver(memory, call, 0, gradient, 1.0);
            }
        }
    }
}
