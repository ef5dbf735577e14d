//! Random changes in training.

use super::elementwise::broadcast_mask;
use super::{Compute, Context, ELEMENTS_PER_TASK, Parts, for_each_rows};
use crate::Result;
use crate::backend::{Call, Workspace};
use crate::layers::{Noise, NoiseMethod};
use crate::random;

/// Where selu goes for minus infinity: -alpha·scale (Klambauer et al., "Self-normalizing neural networks", 2017).
const SELU_LIMIT: f32 = -1.758_099_4;

impl Noise {
    /// The factor and the summand that keep mean and variance in `AlphaDropout`.
    fn affine(&self) -> (f32, f32) {
        let factor = ((1.0 - self.rate) * (1.0 + self.rate * SELU_LIMIT * SELU_LIMIT)).sqrt().recip();
        (factor, -factor * SELU_LIMIT * self.rate)
    }
}

/// Draws what a call needs: normal numbers, or 1 for what is kept and 0 for the rest.
fn draw(layer: &Noise, call: &Call<'_>, drawn: &mut [f32]) {
    if layer.method == NoiseMethod::AlphaDropout {
        let keep = |values: &mut [f32]| random::fill_keep_scale(values, 0, layer.seed, call.step, 0, layer.rate);
        match &layer.noise_shape {
            None => keep(drawn),
            Some(noise) => broadcast_mask(&call.inputs[0].shape, noise, drawn, keep),
        }
        drawn.iter_mut().filter(|value| **value > 0.0).for_each(|value| *value = 1.0);
        return;
    }
    let len = drawn.len();
    let drawn = Parts(drawn.as_mut_ptr());
    for_each_rows(len.div_ceil(4), ELEMENTS_PER_TASK / 16, |block, count| {
        let start = 4 * block;
        // SAFETY: tasks have disjoint blocks of four.
        let part = unsafe { drawn.part(start, (4 * count).min(len - start)) };
        random::fill_normal(part, block as u64, layer.seed, call.step, 0);
    });
}

impl Compute for Noise {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        Workspace { saved: if call.training { call.inputs[0].shape.elements() } else { 0 }, scratch: 0 }
    }

    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let [x, drawn, y] = context.memory.many([call.inputs[0].value, call.saved, call.outputs[0].value]);
        if !call.training {
            y.copy_from_slice(x);
            return Ok(0.0);
        }
        draw(self, call, drawn);
        let deviation = (self.rate / (1.0 - self.rate)).sqrt();
        let (factor, summand) = self.affine();
        for ((y, x), drawn) in y.iter_mut().zip(&*x).zip(&*drawn) {
            *y = match self.method {
                NoiseMethod::Gaussian => x + self.rate * drawn,
                NoiseMethod::GaussianDropout => x * (1.0 + deviation * drawn),
                NoiseMethod::AlphaDropout => factor * (x * drawn + SELU_LIMIT * (1.0 - drawn)) + summand,
            };
        }
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        let [drawn, dy, dx] = context.memory.many([call.saved, dy, dx]);
        if !call.training || self.method == NoiseMethod::Gaussian {
            dx.copy_from_slice(dy);
            return;
        }
        let deviation = (self.rate / (1.0 - self.rate)).sqrt();
        let (factor, _) = self.affine();
        for ((dx, dy), drawn) in dx.iter_mut().zip(&*dy).zip(&*drawn) {
            *dx = match self.method {
                NoiseMethod::AlphaDropout => factor * drawn * dy,
                _ => (1.0 + deviation * drawn) * dy,
            };
        }
    }
}
