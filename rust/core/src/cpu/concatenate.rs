//! Layers that only move rows: joining along an axis, turning time around.

use super::places::{axes, memory_order, picked};
use super::{Compute, Context, ELEMENTS_PER_TASK, Memory, Parts, for_each_rows};
use crate::backend::Call;
use crate::layers::{Concatenate, Reverse, inner_axis};
use crate::tensor::Span;
use crate::{Error, Result};

/// How an array with the given axes is cut for an axis: how many blocks there are, and how long one is for each unit of the
/// axis.
fn blocks(lengths: &[usize], axis: usize) -> (usize, usize) {
    let order = memory_order(lengths.len());
    let place = order.iter().position(|&other| other == axis).unwrap_or(0);
    let stored = picked(lengths, &order);
    (stored[..place].iter().product(), stored[place + 1..].iter().product())
}

/// Copies `count` pieces of `len` values, `steps` apart in source and target, on all threads.
fn copy_pieces(source: &[f32], target: &mut [f32], count: usize, len: usize, steps: [usize; 2]) {
    if len == 0 || count == 0 {
        return;
    }
    assert!((count - 1) * steps[1] + len <= target.len() && len <= steps[1]);
    let target = Parts(target.as_mut_ptr());
    for_each_rows(count, ELEMENTS_PER_TASK / len, |start, count| {
        for piece in start..start + count {
            // SAFETY: the pieces lie inside the target and do not overlap, by the check above; each is one task's.
            let to = unsafe { target.part(piece * steps[1], len) };
            to.copy_from_slice(&source[piece * steps[0]..][..len]);
        }
    });
}

impl Concatenate {
    /// The mask of the output from those of the inputs, where any has one.
    fn merge_masks(&self, memory: &mut Memory, call: &Call<'_>) -> Result<()> {
        let Some(target) = call.outputs[0].mask else { return Ok(()) };
        let output = &call.outputs[0].shape;
        let axis = inner_axis(self.axis, output.rank());
        let last = axis + 1 == output.rank();
        let mut joined = vec![u8::from(!last); target.len];
        let mut start = 0;
        for input in &call.inputs {
            let length = input.shape.axis(axis);
            if let Some(span) = input.mask
                && span.len != input.shape.rows()
            {
                let expected = format!("a mask for each row of {}", input.shape);
                return Err(Error::value(call.name, expected, format!("{} flags", span.len)));
            }
            let flags = input.mask.map(|span| memory.mask(span));
            if last {
                match flags {
                    Some(flags) => joined.iter_mut().zip(flags).for_each(|(joined, flag)| *joined |= flag),
                    None => joined.fill(1),
                }
            } else if let Some(flags) = flags {
                let mut lengths = axes(output);
                lengths.pop();
                let (count, unit) = blocks(&lengths, axis);
                let step = lengths[axis] * unit;
                for block in 0..count {
                    joined[block * step + start * unit..][..length * unit]
                        .copy_from_slice(&flags[block * length * unit..][..length * unit]);
                }
            }
            start += length;
        }
        memory.mask_mut(target).copy_from_slice(&joined);
        Ok(())
    }

    /// Copies the inputs into the output, or the gradient of the output into theirs.
    fn copy(
        &self,
        memory: &mut Memory,
        call: &Call<'_>,
        whole: Span,
        parts: impl Fn(usize) -> Option<Span>,
        back: bool,
    ) {
        let lengths = axes(&call.outputs[0].shape);
        let axis = inner_axis(self.axis, lengths.len());
        let (count, unit) = blocks(&lengths, axis);
        let whole_step = lengths[axis] * unit;
        let mut start = 0;
        for (position, input) in call.inputs.iter().enumerate() {
            let len = input.shape.axis(axis) * unit;
            if let Some(part) = parts(position) {
                let [part, whole] = memory.many([part, whole]);
                let whole = &mut whole[start.min(whole_step * count)..];
                if back {
                    copy_pieces(whole, part, count, len, [whole_step, len]);
                } else {
                    copy_pieces(part, whole, count, len, [len, whole_step]);
                }
            }
            start += len;
        }
    }
}

impl Compute for Concatenate {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        self.merge_masks(context.memory, call)?;
        let value = |position: usize| Some(call.inputs[position].value);
        self.copy(context.memory, call, call.outputs[0].value, value, false);
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Some(gradient) = call.outputs[0].gradient else { return };
        self.copy(context.memory, call, gradient, |position| call.inputs[position].gradient, true);
    }
}

/// Copies the steps from the last to the first.
fn reverse(memory: &mut Memory, call: &Call<'_>, source: Span, target: Span) {
    let step = source.len.checked_div(call.inputs[0].shape.axis(1)).unwrap_or(0);
    let [source, target] = memory.many([source, target]);
    if step > 0 {
        let steps = target.chunks_exact_mut(step).zip(source.chunks_exact(step).rev());
        steps.for_each(|(target, source)| target.copy_from_slice(source));
    }
}

impl Compute for Reverse {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        reverse(context.memory, call, call.inputs[0].value, call.outputs[0].value);
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        if let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) {
            reverse(context.memory, call, dy, dx);
        }
    }
}
