//! A rectifier whose slope below zero is learned.

use super::{Compute, Context, ELEMENTS_PER_TASK, Parts, columns, for_each_rows};
use crate::Result;
use crate::backend::{Call, Workspace};
use crate::layers::PRelu;
use crate::tensor::Shape;

/// Where the slopes of a row lie.
struct Slopes {
    /// For each axis between batch and features: its length and the distance between its slopes, 0 where it shares them.
    axes: Vec<(usize, usize)>,
    /// The distance between the slopes of features.
    stride: usize,
    batch: usize,
    time_major: bool,
}

impl Slopes {
    fn new(input: &Shape, alpha: &[usize]) -> Self {
        let mut strides = vec![0; alpha.len()];
        let mut stride = 1;
        for (axis, length) in alpha.iter().enumerate().rev() {
            strides[axis] = if *length == 1 { 0 } else { stride };
            stride *= length;
        }
        let between = alpha.len() - 1;
        Self {
            axes: (0..between).map(|axis| (input.axis(axis + 1), strides[axis])).collect(),
            stride: strides[between],
            batch: input.axis(0),
            time_major: input.is_time_major(),
        }
    }

    /// Where the slopes of a row of memory begin.
    fn start(&self, mut row: usize) -> usize {
        let mut start = 0;
        for (axis, (length, stride)) in self.axes.iter().enumerate().rev() {
            if axis == 0 && self.time_major {
                row /= self.batch;
            }
            start += row % length * stride;
            row /= length;
        }
        start
    }
}

impl Compute for PRelu {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        let weights = call.parameters[0].shape().iter().product();
        Workspace { saved: 0, scratch: weights + columns::partials_len(call.inputs[0].shape.rows(), weights) }
    }

    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let shape = &call.inputs[0].shape;
        let features = shape.features();
        let (alpha, slopes) = (call.parameters[0].read(), Slopes::new(shape, call.parameters[0].shape()));
        let [x, y] = context.memory.many([call.inputs[0].value, call.outputs[0].value]);
        let (x, y) = (&*x, Parts(y.as_mut_ptr()));
        for_each_rows(shape.rows(), (ELEMENTS_PER_TASK / features.max(1)).max(1), |start, count| {
            for row in start..start + count {
                // SAFETY: tasks have disjoint rows.
                let y = unsafe { y.part(row * features, features) };
                let first = slopes.start(row);
                for (column, (y, x)) in y.iter_mut().zip(&x[row * features..]).enumerate() {
                    *y = if *x < 0.0 { alpha[first + column * slopes.stride] * x } else { *x };
                }
            }
        });
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Some(dy) = call.outputs[0].gradient else { return };
        let shape = &call.inputs[0].shape;
        let features = shape.features();
        let (alpha, slopes) = (call.parameters[0].read(), Slopes::new(shape, call.parameters[0].shape()));
        let empty = call.scratch.part(0, 0);
        let [x, dy, dx, dalpha, sums, partials] = context.memory.many([
            call.inputs[0].value,
            dy,
            call.inputs[0].gradient.unwrap_or(empty),
            call.parameter_gradients[0].unwrap_or(empty),
            call.scratch.part(0, alpha.len()),
            call.scratch.part(alpha.len(), call.scratch.len - alpha.len()),
        ]);
        let (x, dy, wanted) = (&*x, &*dy, !dx.is_empty());
        let dx = Parts(dx.as_mut_ptr());
        columns::sums(shape.rows(), sums, partials, |row, sums| {
            // SAFETY: each row belongs to one task.
            let dx = if wanted { unsafe { dx.part(row * features, features) } } else { &mut [] };
            let first = slopes.start(row);
            for column in 0..features {
                let (place, slope) = (row * features + column, first + column * slopes.stride);
                if x[place] < 0.0 {
                    sums[slope] += x[place] * dy[place];
                }
                if wanted {
                    // As in Keras the slope at zero is zero.
                    dx[column] = if x[place] > 0.0 {
                        dy[place]
                    } else if x[place] < 0.0 {
                        alpha[slope] * dy[place]
                    } else {
                        0.0
                    };
                }
            }
        });
        dalpha.iter_mut().zip(&*sums).for_each(|(target, sum)| *target += sum);
    }
}
