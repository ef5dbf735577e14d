//! Time steps as samples, and back.

use super::shape::{Line, move_lines, return_lines, run_length};
use super::{Compute, Context};
use crate::Result;
use crate::backend::Call;
use crate::layers::{FoldTime, UnfoldTime};
use crate::tensor::Shape;

/// Which elements of a sequence (batch, time, ...) are which ones of its samples (batch · time, ...).
fn lines(sequence: &Shape, samples: &Shape, visit: &mut dyn FnMut(Line)) {
    let (batch, time) = (sequence.axis(0), sequence.axis(1));
    if !samples.is_time_major() {
        // Time comes first in memory: the samples lie there already.
        visit(Line::run(0, 0, sequence.elements()));
        return;
    }
    let count = sequence.elements().checked_div(batch * time).unwrap_or(0);
    let run = run_length(samples).max(1);
    for sample in 0..batch * time {
        let (step, row) = (sample / batch, sample % batch);
        for offset in (0..count).step_by(run) {
            let from = sequence.position(row, step * count + offset);
            visit(Line::run(from, samples.position(sample, offset), run));
        }
    }
}

impl Compute for FoldTime {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let (input, output) = (call.inputs[0], call.outputs[0]);
        move_lines(context.memory, input.value, output.value, |visit| lines(&input.shape, &output.shape, visit));
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let (input, output) = (call.inputs[0], call.outputs[0]);
        let (Some(dx), Some(dy)) = (input.gradient, output.gradient) else { return };
        return_lines(context.memory, dx, dy, |visit| lines(&input.shape, &output.shape, visit));
    }
}

impl Compute for UnfoldTime {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let (samples, output) = (call.inputs[1], call.outputs[0]);
        move_lines(context.memory, samples.value, output.value, |visit| {
            lines(&output.shape, &samples.shape, &mut |line| visit(line.reversed()));
        });
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        // Of the sequence itself only the shape counts.
        if let Some(dx) = call.inputs[0].gradient {
            context.memory.floats_mut(dx).fill(0.0);
        }
        let (samples, output) = (call.inputs[1], call.outputs[0]);
        let (Some(dx), Some(dy)) = (samples.gradient, output.gradient) else { return };
        return_lines(context.memory, dx, dy, |visit| {
            lines(&output.shape, &samples.shape, &mut |line| visit(line.reversed()));
        });
    }
}
