//! A mask from the values.

use super::{Compute, Context, ELEMENTS_PER_TASK, Memory, Parts, disjoint, for_each_rows};
use crate::Result;
use crate::backend::{Call, Lent};
use crate::layers::Masking;
use crate::tensor::Shape;

impl Compute for Masking {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Memory { floats, masks, .. } = context.memory;
        let shape = &call.inputs[0].shape;
        // The plan gives every Masking a mask.
        let Some(mask) = call.outputs[0].mask else { return Ok(0.0) };
        let flags = &mut masks[mask.offset..mask.offset + mask.len];
        debug_assert_eq!(flags.len(), shape.rows(), "a flag for each row");
        if let Some(lent) = &call.lent {
            flag_lent(self, shape, lent, flags);
            return Ok(0.0);
        }
        let [x, y] = disjoint(floats, [call.inputs[0].value, call.outputs[0].value]);
        let count = flags.len();
        let flags = Parts(flags.as_mut_ptr());
        for_each_step(shape, x, y, |row, x| {
            let counts = self.counts(x);
            // SAFETY: tasks have disjoint rows, and the plan gives each row a flag of its own.
            unsafe { flags.part(shape.flag_of_row(count, row), 1)[0] = u8::from(counts) };
            counts
        });
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        let Memory { floats, masks, .. } = context.memory;
        let shape = &call.inputs[0].shape;
        let mask = call.outputs[0].mask.unwrap_or_default();
        let flags = &masks[mask.offset..mask.offset + mask.len];
        let [dy, dx] = disjoint(floats, [dy, dx]);
        for_each_step(shape, dy, dx, |row, _| flags[shape.flag_of_row(flags.len(), row)] != 0);
    }
}

impl Masking {
    /// Whether the values of a step are more than padding.
    fn counts(&self, step: &[f32]) -> bool {
        /// Values that are compared at once; most steps differ in the first of them.
        const AT_ONCE: usize = 16;
        let (chunks, rest) = step.as_chunks::<AT_ONCE>();
        let differ = |values: &[f32]| values.iter().map(|value| u32::from(*value != self.mask_value)).sum::<u32>() > 0;
        chunks.iter().any(|chunk| differ(chunk)) || differ(rest)
    }
}

/// The flags (batch, time) of sequences that stay where they are.
fn flag_lent(layer: &Masking, shape: &Shape, lent: &Lent<'_>, flags: &mut [u8]) {
    let (batch, time) = (shape.axis(0), shape.axis(1));
    let flags = Parts(flags.as_mut_ptr());
    for_each_rows(batch, ELEMENTS_PER_TASK / (time * shape.features()).max(1), |first, count| {
        // SAFETY: tasks have disjoint rows.
        let flags = unsafe { flags.part(first * time, count * time) };
        for (row, flags) in flags.chunks_exact_mut(time).enumerate() {
            for (flag, step) in flags.iter_mut().zip(lent.row(first + row).chunks_exact(lent.features.max(1))) {
                *flag = u8::from(layer.counts(step));
            }
        }
    });
}

/// Copies the values of the steps that count, by their place in memory and their values; the others become zero.
fn for_each_step(shape: &Shape, source: &[f32], target: &mut [f32], counts: impl Fn(usize, &[f32]) -> bool + Sync) {
    let features = shape.features();
    let parts = Parts(target.as_mut_ptr());
    for_each_rows(shape.rows(), ELEMENTS_PER_TASK / features.max(1) + 1, |first, count| {
        // SAFETY: tasks have disjoint rows.
        let target = unsafe { parts.part(first * features, count * features) };
        for row in 0..count {
            let (source, target) =
                (&source[(first + row) * features..][..features], &mut target[row * features..][..features]);
            if counts(first + row, source) {
                target.copy_from_slice(source);
            } else {
                target.fill(0.0);
            }
        }
    });
}
