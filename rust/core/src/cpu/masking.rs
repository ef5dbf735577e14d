//! A mask from the values.

use super::{Compute, Context, ELEMENTS_PER_TASK, Memory, Parts, disjoint, for_each_rows};
use crate::Result;
use crate::backend::Call;
use crate::layers::Masking;
use crate::tensor::Shape;

impl Compute for Masking {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Memory { floats, masks, .. } = context.memory;
        let shape = &call.inputs[0].shape;
        let features = shape.features();
        let mask = call.outputs[0].mask.unwrap_or_default();
        let flags = &mut masks[mask.offset..mask.offset + mask.len];
        let [x, y] = disjoint(floats, [call.inputs[0].value, call.outputs[0].value]);
        for row in 0..shape.rows() {
            let x = &x[row * features..][..features];
            flags[shape.flag_of_row(mask.len, row)] = u8::from(x.iter().any(|value| *value != self.mask_value));
        }
        copy_valid(shape, flags, x, y);
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        let Memory { floats, masks, .. } = context.memory;
        let shape = &call.inputs[0].shape;
        let mask = call.outputs[0].mask.unwrap_or_default();
        let flags = &masks[mask.offset..mask.offset + mask.len];
        let [dy, dx] = disjoint(floats, [dy, dx]);
        copy_valid(shape, flags, dy, dx);
    }
}

/// Copies the rows of the steps that count; the others become zero.
fn copy_valid(shape: &Shape, flags: &[u8], source: &[f32], target: &mut [f32]) {
    let features = shape.features();
    let parts = Parts(target.as_mut_ptr());
    for_each_rows(shape.rows(), ELEMENTS_PER_TASK / features.max(1) + 1, |first, count| {
        // SAFETY: tasks have disjoint rows.
        let target = unsafe { parts.part(first * features, count * features) };
        let rows =
            target.chunks_exact_mut(features.max(1)).zip(source[first * features..].chunks_exact(features.max(1)));
        for (row, (target, source)) in rows.enumerate() {
            if flags[shape.flag_of_row(flags.len(), first + row)] == 0 {
                target.fill(0.0);
            } else {
                target.copy_from_slice(source);
            }
        }
    });
}
