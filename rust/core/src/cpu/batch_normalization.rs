//! Normalization of columns over the rows of a batch.
//!
//! y = x̂·gamma + beta with x̂ = (x - mean)·r and r = 1 / sqrt(variance + epsilon). In training mean = Σm·x / n and
//! variance = Σm·(x - mean)² / n, where m is 1 for an unmasked row and 0 for a masked one, and n = Σm. Backward, with sums
//! over all rows: dgamma = Σdy·x̂, dbeta = Σdy, dx = gamma·r·(dy - m / n·(dbeta + x̂·dgamma)); with fixed statistics
//! dx = gamma·r·dy.

use super::{Compute, Context, ELEMENTS_PER_TASK, Memory, Parts, columns, disjoint, for_each_rows};
use crate::Result;
use crate::backend::{Call, Workspace};
use crate::layers::BatchNormalization;

/// What Keras adds to the number of unmasked rows, so that none of them is no division by zero.
const KERAS_EPSILON: f32 = 1e-7;

impl BatchNormalization {
    fn uses_batch(&self, call: &Call<'_>) -> bool {
        call.training && !self.frozen
    }

    /// The positions of the moving mean and the moving variance among the weights.
    fn moving(&self) -> (usize, usize) {
        let mean = usize::from(self.scale) + usize::from(self.center);
        (mean, mean + 1)
    }
}

/// Which rows count, and how many they are.
struct Rows<'a> {
    call: &'a Call<'a>,
    flags: Option<&'a [u8]>,
    count: f32,
}

impl<'a> Rows<'a> {
    fn new(call: &'a Call<'a>, masks: &'a [u8]) -> Self {
        let rows = call.inputs[0].shape.rows();
        let flags = call.inputs[0].mask.map(|span| &masks[span.offset..span.offset + span.len]);
        let mut result = Self { call, flags, count: rows.max(1) as f32 };
        if flags.is_some() {
            result.count = (0..rows).filter(|&row| result.counts(row)).count() as f32 + KERAS_EPSILON;
        }
        result
    }

    fn counts(&self, row: usize) -> bool {
        let shape = &self.call.inputs[0].shape;
        self.flags.is_none_or(|flags| flags[shape.flag_of_row(flags.len(), row)] != 0)
    }
}

impl Compute for BatchNormalization {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        let (rows, features) = (call.inputs[0].shape.rows(), call.inputs[0].shape.features());
        let partials = |width| columns::partials_len(rows, width);
        Workspace { saved: 3 * features + partials(features), scratch: 2 * features + partials(2 * features) }
    }

    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Memory { floats, masks, .. } = context.memory;
        let (rows, features) = (call.inputs[0].shape.rows(), call.inputs[0].shape.features());
        let statistics = call.saved.part(0, 3 * features);
        let partials = call.saved.part(3 * features, call.saved.len - 3 * features);
        let [x, statistics, partials, y] =
            disjoint(floats, [call.inputs[0].value, statistics, partials, call.outputs[0].value]);
        let x = &*x;
        let (mean, rest) = statistics.split_at_mut(features);
        let (reciprocal, variance) = rest.split_at_mut(features);
        if self.uses_batch(call) {
            let valid = Rows::new(call, masks);
            let row = |row: usize| &x[row * features..][..features];
            columns::sums(rows, mean, partials, |index, sums| {
                if valid.counts(index) {
                    sums.iter_mut().zip(row(index)).for_each(|(sum, x)| *sum += x);
                }
            });
            for sum in mean.iter_mut() {
                *sum /= valid.count;
            }
            let mean = &*mean;
            columns::sums(rows, variance, partials, |index, sums| {
                if valid.counts(index) {
                    let deviations = row(index).iter().zip(mean).map(|(x, mean)| x - mean);
                    sums.iter_mut().zip(deviations).for_each(|(sum, deviation)| *sum += deviation * deviation);
                }
            });
            for sum in variance.iter_mut() {
                *sum /= valid.count;
            }
        } else {
            let (moving_mean, moving_variance) = self.moving();
            mean.copy_from_slice(&call.parameters[moving_mean].read());
            variance.copy_from_slice(&call.parameters[moving_variance].read());
        }
        for (reciprocal, variance) in reciprocal.iter_mut().zip(&*variance) {
            *reciprocal = (variance + self.epsilon).sqrt().recip();
        }
        let (mean, reciprocal) = (&*mean, &*reciprocal);
        let gamma = self.scale.then(|| call.parameters[0].read());
        let beta = self.center.then(|| call.parameters[usize::from(self.scale)].read());
        let y = Parts(y.as_mut_ptr());
        for_each_rows(rows, (ELEMENTS_PER_TASK / features.max(1)).max(1), |start, count| {
            for row in start..start + count {
                // SAFETY: tasks have disjoint rows.
                let y = unsafe { y.part(row * features, features) };
                let x = &x[row * features..][..features];
                for (((y, x), mean), reciprocal) in y.iter_mut().zip(x).zip(mean).zip(reciprocal) {
                    *y = (x - mean) * reciprocal;
                }
                if let Some(gamma) = &gamma {
                    y.iter_mut().zip(gamma.iter()).for_each(|(y, gamma)| *y *= gamma);
                }
                if let Some(beta) = &beta {
                    y.iter_mut().zip(beta.iter()).for_each(|(y, beta)| *y += beta);
                }
            }
        });
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Memory { floats, masks, .. } = context.memory;
        let Some(dy) = call.outputs[0].gradient else { return };
        let (rows, features) = (call.inputs[0].shape.rows(), call.inputs[0].shape.features());
        let empty = call.scratch.part(0, 0);
        let gradient =
            |position: Option<usize>| position.and_then(|index| call.parameter_gradients[index]).unwrap_or(empty);
        let (moving_mean, moving_variance) = self.moving();
        let [x, statistics, dy, dx, sums, partials, dgamma, dbeta, dmean, dvariance] = disjoint(
            floats,
            [
                call.inputs[0].value,
                call.saved.part(0, 2 * features),
                dy,
                call.inputs[0].gradient.unwrap_or(empty),
                call.scratch.part(0, 2 * features),
                call.scratch.part(2 * features, call.scratch.len - 2 * features),
                gradient(self.scale.then_some(0)),
                gradient(self.center.then_some(usize::from(self.scale))),
                gradient(Some(moving_mean)),
                gradient(Some(moving_variance)),
            ],
        );
        let (x, dy) = (&*x, &*dy);
        let (mean, reciprocal) = statistics.split_at(features);
        columns::sums(rows, sums, partials, |row, sums| {
            let (for_gamma, for_beta) = sums.split_at_mut(features);
            let (x, dy) = (&x[row * features..][..features], &dy[row * features..][..features]);
            for column in 0..features {
                for_gamma[column] += dy[column] * (x[column] - mean[column]) * reciprocal[column];
                for_beta[column] += dy[column];
            }
        });
        let (for_gamma, for_beta) = sums.split_at(features);
        dgamma.iter_mut().zip(for_gamma).for_each(|(target, sum)| *target += sum);
        dbeta.iter_mut().zip(for_beta).for_each(|(target, sum)| *target += sum);
        let gamma = self.scale.then(|| call.parameters[0].read());
        let factor = |column: usize| gamma.as_ref().map_or(1.0, |gamma| gamma[column]) * reciprocal[column];
        let uses_batch = self.uses_batch(call);
        if !uses_batch {
            // The moving means are weights of their own; only a caller who asks for every gradient sees these.
            for (column, target) in dmean.iter_mut().enumerate() {
                *target -= factor(column) * for_beta[column];
            }
            for (column, target) in dvariance.iter_mut().enumerate() {
                *target -= 0.5 * factor(column) * reciprocal[column] * for_gamma[column];
            }
        }
        if dx.is_empty() {
            return;
        }
        let valid = Rows::new(call, masks);
        let dx = Parts(dx.as_mut_ptr());
        for_each_rows(rows, (ELEMENTS_PER_TASK / features.max(1)).max(1), |start, count| {
            for row in start..start + count {
                // SAFETY: tasks have disjoint rows.
                let dx = unsafe { dx.part(row * features, features) };
                let (x, dy) = (&x[row * features..][..features], &dy[row * features..][..features]);
                let share = if uses_batch && valid.counts(row) { valid.count.recip() } else { 0.0 };
                for (column, dx) in dx.iter_mut().enumerate() {
                    let normalized = (x[column] - mean[column]) * reciprocal[column];
                    let pull = for_beta[column] + normalized * for_gamma[column];
                    *dx = factor(column) * (dy[column] - share * pull);
                }
            }
        });
    }

    fn settle(&self, memory: &Memory, call: &Call<'_>) {
        // Nothing was seen of a batch without rows.
        if !self.uses_batch(call) || call.inputs[0].shape.rows() == 0 {
            return;
        }
        let features = call.inputs[0].shape.features();
        let (moving_mean, moving_variance) = self.moving();
        for (position, first) in [(moving_mean, 0), (moving_variance, 2 * features)] {
            let statistics = memory.floats(call.saved.part(first, features));
            let mut moving = call.parameters[position].write();
            for (moving, new) in moving.iter_mut().zip(statistics) {
                *moving = *moving * self.momentum + new * (1.0 - self.momentum);
            }
        }
    }
}
