//! Means and maxima over time.
//!
//! The gradient of a maximum goes to the steps that have it: to the first one in a window, and in equal parts to all of them
//! in a whole sequence, as JAX and TensorFlow do.

use super::{Compute, Context, ELEMENTS_PER_TASK, Memory, Parts, disjoint, for_each_rows};
use crate::Result;
use crate::backend::Call;
use crate::layers::{GlobalPooling1d, Pooling1d, PoolingMethod, Windows};

/// A sequence in memory: (time, batch, features), with a mask (batch, time).
struct Sequence<'a> {
    batch: usize,
    time: usize,
    features: usize,
    flags: Option<&'a [u8]>,
}

impl<'a> Sequence<'a> {
    fn new(call: &Call<'_>, masks: &'a [u8]) -> Self {
        let shape = &call.inputs[0].shape;
        let flags = call.inputs[0].mask.map(|span| &masks[span.offset..span.offset + span.len]);
        Self { batch: shape.axis(0), time: shape.axis(1), features: shape.features(), flags }
    }

    /// The steps of a row that count.
    fn steps(&self, row: usize) -> impl Iterator<Item = usize> {
        (0..self.time).filter(move |step| self.flags.is_none_or(|flags| flags[row * self.time + step] != 0))
    }

    /// Where the features of a step lie.
    fn start(&self, step: usize, row: usize) -> usize {
        (step * self.batch + row) * self.features
    }

    /// Rows that are worth a task.
    fn rows_per_task(&self) -> usize {
        (ELEMENTS_PER_TASK / (self.time * self.features).max(1)).max(1)
    }
}

/// The larger one, and NaN where there is one.
fn larger(best: f32, value: f32) -> f32 {
    if value > best || value.is_nan() { value } else { best }
}

impl Compute for GlobalPooling1d {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Memory { floats, masks, .. } = context.memory;
        let sequence = Sequence::new(call, masks);
        let features = sequence.features;
        let [x, y] = disjoint(floats, [call.inputs[0].value, call.outputs[0].value]);
        let (x, y) = (&*x, Parts(y.as_mut_ptr()));
        for_each_rows(sequence.batch, sequence.rows_per_task(), |start, count| {
            for row in start..start + count {
                // SAFETY: tasks have disjoint rows.
                let y = unsafe { y.part(row * features, features) };
                y.fill(0.0);
                for (position, step) in sequence.steps(row).enumerate() {
                    let x = &x[sequence.start(step, row)..][..features];
                    match (self.method, position) {
                        (PoolingMethod::Average, _) => y.iter_mut().zip(x).for_each(|(sum, x)| *sum += x),
                        (PoolingMethod::Max, 0) => y.copy_from_slice(x),
                        (PoolingMethod::Max, _) => y.iter_mut().zip(x).for_each(|(best, x)| *best = larger(*best, *x)),
                    }
                }
                if self.method == PoolingMethod::Average {
                    let steps = sequence.steps(row).count().max(1) as f32;
                    for sum in y {
                        *sum /= steps;
                    }
                }
            }
        });
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        let Memory { floats, masks, .. } = context.memory;
        let sequence = Sequence::new(call, masks);
        let features = sequence.features;
        let [x, y, dy, dx] = disjoint(floats, [call.inputs[0].value, call.outputs[0].value, dy, dx]);
        let (x, y, dy) = (&*x, &*y, &*dy);
        dx.fill(0.0);
        let dx = Parts(dx.as_mut_ptr());
        for_each_rows(sequence.batch, sequence.rows_per_task(), |start, count| {
            for row in start..start + count {
                let (y, dy) = (&y[row * features..][..features], &dy[row * features..][..features]);
                let steps = sequence.steps(row).count().max(1) as f32;
                let at = |step: usize, feature: usize| sequence.start(step, row) + feature;
                for feature in 0..features {
                    let reaches =
                        |step: &usize| self.method == PoolingMethod::Average || x[at(*step, feature)] == y[feature];
                    let sharers = match self.method {
                        PoolingMethod::Average => steps,
                        PoolingMethod::Max => sequence.steps(row).filter(reaches).count().max(1) as f32,
                    };
                    for step in sequence.steps(row).filter(reaches) {
                        // SAFETY: tasks have disjoint rows.
                        unsafe { dx.part(at(step, feature), 1)[0] = dy[feature] / sharers };
                    }
                }
            }
        });
    }
}

impl Pooling1d {
    /// The windows of a call, and how many values a time step has.
    fn of(&self, call: &Call<'_>) -> Option<(Windows, usize)> {
        let shape = &call.inputs[0].shape;
        Some((self.windows(shape.axis(1))?, shape.axis(0) * shape.features()))
    }

    /// The input's steps of a window.
    fn steps(&self, windows: Windows, window: usize) -> impl Iterator<Item = usize> + Clone {
        // A window may be far longer than the sequence.
        let begin = window * windows.stride;
        let first = windows.left.saturating_sub(begin);
        let last = (windows.time + windows.left).saturating_sub(begin).min(self.pool_size);
        (first..last).filter_map(move |tap| windows.source(window, tap))
    }
}

impl Compute for Pooling1d {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Some((windows, width)) = self.of(call) else { return Ok(0.0) };
        let [x, y] = context.memory.many([call.inputs[0].value, call.outputs[0].value]);
        let (x, y) = (&*x, Parts(y.as_mut_ptr()));
        for_each_rows(windows.count, (ELEMENTS_PER_TASK / width.max(1)).max(1), |start, count| {
            for window in start..start + count {
                // SAFETY: tasks have disjoint windows.
                let y = unsafe { y.part(window * width, width) };
                let steps = self.steps(windows, window);
                for (position, step) in steps.clone().enumerate() {
                    let x = &x[step * width..][..width];
                    match (self.method, position) {
                        (_, 0) => y.copy_from_slice(x),
                        (PoolingMethod::Average, _) => y.iter_mut().zip(x).for_each(|(sum, x)| *sum += x),
                        (PoolingMethod::Max, _) => y.iter_mut().zip(x).for_each(|(best, x)| *best = larger(*best, *x)),
                    }
                }
                if self.method == PoolingMethod::Average {
                    let steps = steps.count().max(1) as f32;
                    for sum in y {
                        *sum /= steps;
                    }
                }
            }
        });
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        let Some((windows, width)) = self.of(call) else { return };
        let [x, y, dy, dx] = context.memory.many([call.inputs[0].value, call.outputs[0].value, dy, dx]);
        dx.fill(0.0);
        // Windows may overlap in time, but each value of a time step has its own.
        let (x, y, dy, dx) = (&*x, &*y, &*dy, Parts(dx.as_mut_ptr()));
        let fewest = (ELEMENTS_PER_TASK / windows.time.max(1)).max(16);
        for_each_rows(width, fewest, |start, count| {
            for window in 0..windows.count {
                let steps = self.steps(windows, window);
                let number = steps.clone().count().max(1) as f32;
                for index in start..start + count {
                    let at = window * width + index;
                    for step in steps.clone() {
                        let place = step * width + index;
                        if self.method == PoolingMethod::Max && x[place] != y[at] {
                            continue;
                        }
                        // SAFETY: tasks have disjoint values of every time step.
                        let target = unsafe { &mut dx.part(place, 1)[0] };
                        if self.method == PoolingMethod::Max {
                            *target += dy[at];
                            break;
                        }
                        *target += dy[at] / number;
                    }
                }
            }
        });
    }
}
