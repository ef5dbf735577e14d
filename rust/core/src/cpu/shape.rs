//! Layers that move elements: each says which lines of the input go where, and the gradients travel back along them.

use super::{Compute, Context, Memory};
use crate::Result;
use crate::backend::Call;
use crate::layers::{Cropping1d, Flatten, Permute, RepeatParts, RepeatVector, Reshape, ZeroPadding1d};
use crate::tensor::{Shape, Span};

/// Elements at a distance from each other, in the memory of the input and of the output.
pub(super) struct Line {
    from: usize,
    to: usize,
    len: usize,
    from_stride: usize,
    to_stride: usize,
}

impl Line {
    /// Consecutive elements on both sides.
    pub(super) fn run(from: usize, to: usize, len: usize) -> Self {
        Self { from, to, len, from_stride: 1, to_stride: 1 }
    }

    /// The same elements on their way back.
    pub(super) fn reversed(self) -> Self {
        let Self { from, to, len, from_stride, to_stride } = self;
        Self { from: to, to: from, len, from_stride: to_stride, to_stride: from_stride }
    }
}

/// Which elements go where.
trait Moves {
    /// Whether some outputs are no input's; they are zero.
    const LEAVES_GAPS: bool = false;

    fn for_each_line(&self, input: &Shape, output: &Shape, visit: &mut dyn FnMut(Line));
}

impl<T: Moves> Compute for T {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let (input, output) = (call.inputs[0], call.outputs[0]);
        if T::LEAVES_GAPS {
            context.memory.floats_mut(output.value).fill(0.0);
        }
        move_lines(context.memory, input.value, output.value, |visit| {
            self.for_each_line(&input.shape, &output.shape, visit);
        });
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let (input, output) = (call.inputs[0], call.outputs[0]);
        let (Some(dx), Some(dy)) = (input.gradient, output.gradient) else { return };
        return_lines(context.memory, dx, dy, |visit| self.for_each_line(&input.shape, &output.shape, visit));
    }
}

/// Copies lines from one span to another.
pub(super) fn move_lines(memory: &mut Memory, from: Span, to: Span, lines: impl FnOnce(&mut dyn FnMut(Line))) {
    let [x, y] = memory.many([from, to]);
    lines(&mut |line| {
        if line.from_stride == 1 && line.to_stride == 1 {
            y[line.to..line.to + line.len].copy_from_slice(&x[line.from..line.from + line.len]);
        } else {
            for index in 0..line.len {
                y[line.to + index * line.to_stride] = x[line.from + index * line.from_stride];
            }
        }
    });
}

/// The gradient of [`move_lines`]: an element that went to several places collects from all of them.
pub(super) fn return_lines(memory: &mut Memory, from: Span, to: Span, lines: impl FnOnce(&mut dyn FnMut(Line))) {
    let [dx, dy] = memory.many([from, to]);
    dx.fill(0.0);
    lines(&mut |line| {
        for index in 0..line.len {
            dx[line.from + index * line.from_stride] += dy[line.to + index * line.to_stride];
        }
    });
}

/// How many elements of a sample, counted in C order, lie together.
pub(super) fn run_length(shape: &Shape) -> usize {
    let first = if shape.is_time_major() { 2 } else { 1 };
    shape.0[first..].iter().map(|axis| axis.unwrap_or(0)).product()
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The elements of each sample in C order, under other axes.
fn reshape(input: &Shape, output: &Shape, visit: &mut dyn FnMut(Line)) {
    let batch = input.axis(0);
    let count = input.elements().checked_div(batch).unwrap_or(0);
    let run = greatest_common_divisor(run_length(input), run_length(output));
    for row in 0..batch {
        for offset in (0..count).step_by(run.max(1)) {
            visit(Line::run(input.position(row, offset), output.position(row, offset), run));
        }
    }
}

impl Moves for Flatten {
    fn for_each_line(&self, input: &Shape, output: &Shape, visit: &mut dyn FnMut(Line)) {
        reshape(input, output, visit);
    }
}

impl Moves for Reshape {
    fn for_each_line(&self, input: &Shape, output: &Shape, visit: &mut dyn FnMut(Line)) {
        reshape(input, output, visit);
    }
}

/// For each axis, the distance in memory from one element to the next.
fn strides(shape: &Shape) -> Vec<usize> {
    let mut order: Vec<usize> = (0..shape.rank()).collect();
    if shape.is_time_major() {
        order.swap(0, 1);
    }
    let mut strides = vec![0; shape.rank()];
    let mut stride = 1;
    for axis in order.into_iter().rev() {
        strides[axis] = stride;
        stride *= shape.axis(axis);
    }
    strides
}

impl Moves for Permute {
    fn for_each_line(&self, input: &Shape, output: &Shape, visit: &mut dyn FnMut(Line)) {
        let given = strides(input);
        let from: Vec<usize> = std::iter::once(0).chain(self.dims.iter().copied()).map(|axis| given[axis]).collect();
        let to = strides(output);
        let last = output.rank() - 1;
        let lines = output.rows();
        let mut place = vec![0; last];
        for _ in 0..lines {
            let dot = |strides: &[usize]| place.iter().zip(strides).map(|(index, stride)| index * stride).sum();
            visit(Line {
                from: dot(&from),
                to: dot(&to),
                len: output.axis(last),
                from_stride: from[last],
                to_stride: to[last],
            });
            for axis in (0..last).rev() {
                place[axis] += 1;
                if place[axis] < output.axis(axis) {
                    break;
                }
                place[axis] = 0;
            }
        }
    }
}

impl Moves for RepeatVector {
    fn for_each_line(&self, input: &Shape, _output: &Shape, visit: &mut dyn FnMut(Line)) {
        let step = input.elements();
        (0..self.n).for_each(|time| visit(Line::run(0, time * step, step)));
    }
}

impl Moves for RepeatParts {
    fn for_each_line(&self, input: &Shape, _output: &Shape, visit: &mut dyn FnMut(Line)) {
        let size = input.features() / self.parts;
        for part in 0..input.rows() * self.parts {
            (0..self.times).for_each(|time| visit(Line::run(part * size, (part * self.times + time) * size, size)));
        }
    }
}

// Time comes first in memory, so that time steps in a row are one piece.

impl Moves for Cropping1d {
    fn for_each_line(&self, input: &Shape, output: &Shape, visit: &mut dyn FnMut(Line)) {
        visit(Line::run(self.cropping.0 * input.axis(0) * input.features(), 0, output.elements()));
    }
}

impl Moves for ZeroPadding1d {
    const LEAVES_GAPS: bool = true;

    fn for_each_line(&self, input: &Shape, _output: &Shape, visit: &mut dyn FnMut(Line)) {
        visit(Line::run(0, self.padding.0 * input.axis(0) * input.features(), input.elements()));
    }
}
