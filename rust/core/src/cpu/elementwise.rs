//! Layers that work on one element at a time.

use super::{Compute, Context, ELEMENTS_PER_TASK, Parts, for_each_rows};
use crate::Result;
use crate::activations::Activation;
use crate::backend::{Call, Workspace};
use crate::layers::{Activate, ActivityRegularization, Dropout, GatedLinearUnit};
use crate::random;
use crate::tensor::{Shape, for_each_run};

/// Rows of an activation that are worth a task.
fn rows_per_task(features: usize) -> usize {
    (ELEMENTS_PER_TASK / features.max(1)).max(1)
}

impl Compute for Activate {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Context { level, memory, .. } = context;
        let activation = self.activation;
        let shape = &call.inputs[0].shape;
        let (rows, features) = (shape.rows(), shape.features());
        let [x, y] = memory.many([call.inputs[0].value, call.outputs[0].value]);
        let (x, y) = (&*x, Parts(y.as_mut_ptr()));
        for_each_rows(rows, rows_per_task(features), |start, count| {
            // SAFETY: tasks have disjoint rows.
            let y = unsafe { y.part(start * features, count * features) };
            activation.forward(level, features, &x[start * features..][..count * features], y);
        });
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Context { level, memory, .. } = context;
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        let features = call.inputs[0].shape.features();
        let [x, y, dy, dx] = memory.many([call.inputs[0].value, call.outputs[0].value, dy, dx]);
        self.activation.backward(level, features, x, y, dy, dx);
    }
}

impl Compute for GatedLinearUnit {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Context { level, memory, .. } = context;
        let shape = &call.outputs[0].shape;
        let (rows, half) = (shape.rows(), shape.features());
        let [x, y] = memory.many([call.inputs[0].value, call.outputs[0].value]);
        let (x, y) = (&*x, Parts(y.as_mut_ptr()));
        for_each_rows(rows, rows_per_task(half), |start, count| {
            for row in start..start + count {
                let (values, gates) = x[row * 2 * half..][..2 * half].split_at(half);
                // SAFETY: tasks have disjoint rows.
                let y = unsafe { y.part(row * half, half) };
                Activation::Sigmoid {}.forward(level, half, gates, y);
                y.iter_mut().zip(values).for_each(|(y, value)| *y *= value);
            }
        });
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Context { level, memory, .. } = context;
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        let shape = &call.outputs[0].shape;
        let (rows, half) = (shape.rows(), shape.features());
        let [x, dy, dx] = memory.many([call.inputs[0].value, dy, dx]);
        let (x, dy, dx) = (&*x, &*dy, Parts(dx.as_mut_ptr()));
        for_each_rows(rows, rows_per_task(half), |start, count| {
            for row in start..start + count {
                let (values, gates) = x[row * 2 * half..][..2 * half].split_at(half);
                // SAFETY: tasks have disjoint rows.
                let (d_values, d_gates) = unsafe { dx.part(row * 2 * half, 2 * half) }.split_at_mut(half);
                Activation::Sigmoid {}.forward(level, half, gates, d_gates);
                let targets = d_values.iter_mut().zip(d_gates);
                for (((d_value, d_gate), value), dy) in targets.zip(values).zip(&dy[row * half..][..half]) {
                    let opened = *d_gate;
                    *d_value = dy * opened;
                    *d_gate = dy * value * opened * (1.0 - opened);
                }
            }
        });
    }
}

impl Compute for Dropout {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        // The mask that multiplies the input in training.
        Workspace { saved: if call.training { call.inputs[0].shape.elements() } else { 0 }, scratch: 0 }
    }

    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Context { memory, .. } = context;
        if !call.training {
            let [x, y] = memory.many([call.inputs[0].value, call.outputs[0].value]);
            y.copy_from_slice(x);
            return Ok(0.0);
        }
        let [x, mask, y] = memory.many([call.inputs[0].value, call.saved, call.outputs[0].value]);
        let shape = &call.inputs[0].shape;
        match &self.noise_shape {
            None => random::fill_keep_scale(mask, 0, self.seed, call.step, 0, self.rate),
            Some(noise) => broadcast_mask(shape, noise, mask, |values| {
                random::fill_keep_scale(values, 0, self.seed, call.step, 0, self.rate);
            }),
        }
        y.iter_mut().zip(&*x).zip(&*mask).for_each(|((y, x), mask)| *y = x * mask);
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Context { memory, .. } = context;
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        if call.training {
            let [mask, dy, dx] = memory.many([call.saved, dy, dx]);
            dx.iter_mut().zip(&*dy).zip(&*mask).for_each(|((dx, dy), mask)| *dx = dy * mask);
        } else {
            let [dy, dx] = memory.many([dy, dx]);
            dx.copy_from_slice(dy);
        }
    }
}

/// Draws a mask of the noise shape and repeats it along the axes of length 1.
pub(super) fn broadcast_mask(shape: &Shape, noise: &[Option<usize>], mask: &mut [f32], draw: impl Fn(&mut [f32])) {
    let axes: Vec<usize> = (0..shape.rank()).map(|axis| shape.axis(axis)).collect();
    let noise: Vec<usize> = noise.iter().zip(&axes).map(|(noise, &axis)| noise.unwrap_or(axis)).collect();
    let mut values = vec![0.0; noise.iter().product()];
    draw(&mut values);
    for_each_run(shape, axes[0], |source, target, run| {
        for element in 0..run {
            let (mut index, mut rest, mut stride) = (0, source + element, 1);
            for axis in (0..axes.len()).rev() {
                let coordinate = rest % axes[axis];
                rest /= axes[axis];
                index += if noise[axis] == 1 { 0 } else { coordinate * stride };
                stride *= noise[axis];
            }
            mask[target + element] = values[index];
        }
    });
}

impl Compute for ActivityRegularization {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Context { memory, .. } = context;
        let [x, y] = memory.many([call.inputs[0].value, call.outputs[0].value]);
        y.copy_from_slice(x);
        let (l1, l2) = (f64::from(self.l1), f64::from(self.l2));
        let sum: f64 = x.iter().map(|x| f64::from(*x)).map(|x| l1 * x.abs() + l2 * x * x).sum();
        Ok(sum / call.inputs[0].shape.axis(0).max(1) as f64)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Context { memory, .. } = context;
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        let scale = 1.0 / call.inputs[0].shape.axis(0).max(1) as f32;
        let [x, dy, dx] = memory.many([call.inputs[0].value, dy, dx]);
        for ((dx, dy), x) in dx.iter_mut().zip(&*dy).zip(&*x) {
            // The sign of zero is zero here, as in NumPy.
            let sign = if *x > 0.0 {
                1.0
            } else if *x < 0.0 {
                -1.0
            } else {
                0.0
            };
            *dx = dy + scale * (self.l1 * sign + 2.0 * self.l2 * x);
        }
    }
}
