//! A mask from the values.

use super::{Compute, Context, ELEMENTS_PER_TASK, Memory, Parts, disjoint, for_each_rows};
use crate::Result;
use crate::backend::{Call, Lent};
use crate::layers::Masking;
use crate::tensor::Shape;
use foliot_simd::{Isa, Kernel, Level, dispatch};

impl Compute for Masking {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Memory { floats, masks, .. } = context.memory;
        let shape = &call.inputs[0].shape;
        // The plan gives every Masking a mask.
        let Some(mask) = call.outputs[0].mask else { return Ok(0.0) };
        let flags = &mut masks[mask.offset..mask.offset + mask.len];
        debug_assert_eq!(flags.len(), shape.rows(), "a flag for each row");
        if let Some(lent) = &call.lent {
            flag_lent(context.level, self, shape, lent, flags);
            return Ok(0.0);
        }
        let [x, y] = disjoint(floats, [call.inputs[0].value, call.outputs[0].value]);
        let count = flags.len();
        let flags = Parts(flags.as_mut_ptr());
        let level = context.level;
        for_each_step(shape, x, y, |row, x| {
            // SAFETY: tasks have disjoint rows, and the plan gives each row a flag of its own.
            let flag = unsafe { flags.part(shape.flag_of_row(count, row), 1) };
            dispatch(level, Flag { steps: x, features: x.len(), mask_value: self.mask_value, flags: flag });
            flag[0] != 0
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

/// Flags the steps whose values are more than padding.
struct Flag<'a> {
    steps: &'a [f32],
    features: usize,
    mask_value: f32,
    flags: &'a mut [u8],
}

impl Kernel for Flag<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { steps, features, mask_value, flags } = self;
        let padding = isa.splat(mask_value);
        for (step, flag) in steps.chunks_exact(features.max(1)).zip(flags) {
            // Most steps that count differ in their first vector.
            let counts = step.chunks(I::LANES).any(|values| {
                let n = values.len();
                // SAFETY: the pointer and the length are those of `values`, which is at most `LANES` long.
                let x = unsafe {
                    if n == I::LANES { isa.load(values.as_ptr()) } else { isa.load_partial(values.as_ptr(), n) }
                };
                isa.any(isa.mask_and(isa.mask_not(isa.eq(x, padding)), isa.mask_first(n)))
            });
            *flag = u8::from(counts);
        }
    }
}

/// The flags (batch, time) of sequences that stay where they are.
fn flag_lent(level: Level, layer: &Masking, shape: &Shape, lent: &Lent<'_>, flags: &mut [u8]) {
    let (batch, time) = (shape.axis(0), shape.axis(1));
    let flags = Parts(flags.as_mut_ptr());
    for_each_rows(batch, ELEMENTS_PER_TASK / (time * shape.features()).max(1), |first, count| {
        // SAFETY: tasks have disjoint rows.
        let flags = unsafe { flags.part(first * time, count * time) };
        for (row, flags) in flags.chunks_exact_mut(time).enumerate() {
            let steps = lent.row(first + row);
            dispatch(level, Flag { steps, features: lent.features, mask_value: layer.mask_value, flags });
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
