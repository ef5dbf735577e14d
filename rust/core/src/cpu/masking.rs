//! A mask from the values.

use super::{Compute, Context, Memory, disjoint};
use crate::Result;
use crate::backend::Call;
use crate::layers::Masking;

impl Compute for Masking {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Memory { floats, masks, .. } = context.memory;
        let shape = &call.inputs[0].shape;
        let features = shape.features();
        let mask = call.outputs[0].mask.unwrap_or_default();
        let flags = &mut masks[mask.offset..mask.offset + mask.len];
        let [x, y] = disjoint(floats, [call.inputs[0].value, call.outputs[0].value]);
        for row in 0..shape.rows() {
            let (x, y) = (&x[row * features..][..features], &mut y[row * features..][..features]);
            let valid = x.iter().any(|value| *value != self.mask_value);
            flags[shape.flag_of_row(mask.len, row)] = u8::from(valid);
            if valid {
                y.copy_from_slice(x);
            } else {
                y.fill(0.0);
            }
        }
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        let Memory { floats, masks, .. } = context.memory;
        let shape = &call.inputs[0].shape;
        let features = shape.features();
        let mask = call.outputs[0].mask.unwrap_or_default();
        let flags = &masks[mask.offset..mask.offset + mask.len];
        let [dy, dx] = disjoint(floats, [dy, dx]);
        for row in 0..shape.rows() {
            let (dy, dx) = (&dy[row * features..][..features], &mut dx[row * features..][..features]);
            if flags[shape.flag_of_row(mask.len, row)] == 0 {
                dx.fill(0.0);
            } else {
                dx.copy_from_slice(dy);
            }
        }
    }
}
