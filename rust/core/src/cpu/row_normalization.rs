//! Normalization along the last axis.
//!
//! With u = x - mean (or x, where the method takes no mean), r = 1 / sqrt(Σu² / N + epsilon), v = u (or x, for `LayerRms`):
//! y = v·r·gamma + beta. N is the number of features, and 1 for `Unit`. Backward, with g = dy·gamma:
//! dx = r·(g - mean(g) where v = x - mean) - r³ / N · u · Σ g·v. The mean's own part in Σu² has no slope, for Σu = 0.
//! A row of zeros has no direction for `Unit`: its gradient is 0, where Keras's is NaN.

use super::{Compute, Context, ELEMENTS_PER_TASK, Parts, columns, for_each_rows};
use crate::Result;
use crate::backend::{Call, Workspace};
use crate::layers::{RowMethod, RowNormalization};
use crate::sums::row_sum;
use foliot_simd::{Isa, Kernel, dispatch};

impl RowNormalization {
    /// The mean that is taken off before the sum of squares.
    fn takes_mean(&self) -> bool {
        matches!(self.method, RowMethod::Layer | RowMethod::LayerRms)
    }

    /// Whether the mean is taken off the result as well.
    fn centers(&self) -> bool {
        self.method == RowMethod::Layer
    }

    fn divisor(&self, features: usize) -> f32 {
        if self.method == RowMethod::Unit { 1.0 } else { features.max(1) as f32 }
    }

    /// r from the sum of squares.
    fn reciprocal(&self, squares: f32, features: usize) -> f32 {
        if self.method == RowMethod::Unit {
            return squares.sqrt().recip().min(self.epsilon.recip());
        }
        (squares / self.divisor(features) + self.epsilon).sqrt().recip()
    }

    /// Whether r does not depend on x, because epsilon stands in for the norm.
    fn is_clipped(&self, reciprocal: f32) -> bool {
        self.method == RowMethod::Unit && reciprocal >= self.epsilon.recip()
    }
}

/// Gamma and beta, where the layer has them.
fn affine<T: Copy>(layer: &RowNormalization, values: &[T]) -> (Option<T>, Option<T>) {
    let gamma = values.first().copied().filter(|_| layer.scale);
    let beta = values.get(usize::from(layer.scale)).copied().filter(|_| layer.center);
    (gamma, beta)
}

impl Compute for RowNormalization {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        let (rows, features) = (call.inputs[0].shape.rows(), call.inputs[0].shape.features());
        // The mean and r of each row; the gradients of gamma and beta.
        Workspace { saved: 2 * rows, scratch: 2 * features + columns::partials_len(rows, 2 * features) }
    }

    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Context { level, memory, .. } = context;
        let (rows, features) = (call.inputs[0].shape.rows(), call.inputs[0].shape.features());
        let (gamma, beta) = affine(self, &call.parameters);
        let (gamma, beta) = (gamma.map(|weight| weight.read()), beta.map(|weight| weight.read()));
        let (gamma, beta) = (gamma.as_ref().map(|values| &values[..]), beta.as_ref().map(|values| &values[..]));
        let [x, statistics, y] = memory.many([call.inputs[0].value, call.saved, call.outputs[0].value]);
        let (x, statistics, y) = (&*x, Parts(statistics.as_mut_ptr()), Parts(y.as_mut_ptr()));
        for_each_rows(rows, rows_per_task(features), |start, count| {
            // SAFETY: tasks have disjoint rows.
            let (statistics, y) =
                unsafe { (statistics.part(2 * start, 2 * count), y.part(start * features, count * features)) };
            let x = &x[start * features..][..count * features];
            dispatch(level, Forward { layer: self, features, gamma, beta, x, statistics, y });
        });
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Context { level, memory, .. } = context;
        let Some(dy) = call.outputs[0].gradient else { return };
        let (rows, features) = (call.inputs[0].shape.rows(), call.inputs[0].shape.features());
        let (gamma, _) = affine(self, &call.parameters);
        let gamma = gamma.map(|weight| weight.read());
        let (dgamma, dbeta) = affine(self, &call.parameter_gradients);
        let empty = call.scratch.part(0, 0);
        let sums = call.scratch.part(0, 2 * features);
        let partials = call.scratch.part(2 * features, call.scratch.len - 2 * features);
        let [x, statistics, dy, dx, sums, partials, dgamma, dbeta] = memory.many([
            call.inputs[0].value,
            call.saved,
            dy,
            call.inputs[0].gradient.unwrap_or(empty),
            sums,
            partials,
            dgamma.flatten().unwrap_or(empty),
            dbeta.flatten().unwrap_or(empty),
        ]);
        let (x, statistics, dy, wanted) = (&*x, &*statistics, &*dy, !dx.is_empty());
        let dx = Parts(dx.as_mut_ptr());
        columns::sums(rows, sums, partials, |row, sums| {
            let (dgamma, dbeta) = sums.split_at_mut(features);
            // SAFETY: each row belongs to one task.
            let dx = if wanted { unsafe { dx.part(row * features, features) } } else { &mut [] };
            dispatch(
                level,
                Backward {
                    layer: self,
                    gamma: gamma.as_ref().map(|values| &values[..]),
                    x: &x[row * features..][..features],
                    dy: &dy[row * features..][..features],
                    mean: statistics[2 * row],
                    reciprocal: statistics[2 * row + 1],
                    dgamma,
                    dbeta,
                    dx,
                },
            );
        });
        let (for_gamma, for_beta) = sums.split_at(features);
        dgamma.iter_mut().zip(for_gamma).for_each(|(target, sum)| *target += sum);
        dbeta.iter_mut().zip(for_beta).for_each(|(target, sum)| *target += sum);
    }
}

fn rows_per_task(features: usize) -> usize {
    (ELEMENTS_PER_TASK / features.max(1)).max(1)
}

/// Some rows forward.
struct Forward<'a> {
    layer: &'a RowNormalization,
    features: usize,
    gamma: Option<&'a [f32]>,
    beta: Option<&'a [f32]>,
    x: &'a [f32],
    statistics: &'a mut [f32],
    y: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Self { layer, features, gamma, beta, x, statistics, y } = self;
        let width = features.max(1);
        let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
        for ((x, y), statistics) in rows.zip(statistics.chunks_exact_mut(2)) {
            let mean = if layer.takes_mean() { row_sum(width, |i| x[i]) / width as f32 } else { 0.0 };
            let squares = row_sum(width, |i| (x[i] - mean) * (x[i] - mean));
            let reciprocal = layer.reciprocal(squares, features);
            statistics.copy_from_slice(&[mean, reciprocal]);
            let origin = if layer.centers() { mean } else { 0.0 };
            y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - origin) * reciprocal);
            if let Some(gamma) = gamma {
                y.iter_mut().zip(gamma).for_each(|(y, gamma)| *y *= gamma);
            }
            if let Some(beta) = beta {
                y.iter_mut().zip(beta).for_each(|(y, beta)| *y += beta);
            }
        }
    }
}

/// One row backward; `dx` is empty where no gradient of the input is wanted.
struct Backward<'a> {
    layer: &'a RowNormalization,
    gamma: Option<&'a [f32]>,
    x: &'a [f32],
    dy: &'a [f32],
    mean: f32,
    reciprocal: f32,
    dgamma: &'a mut [f32],
    dbeta: &'a mut [f32],
    dx: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Self { layer, gamma, x, dy, mean, reciprocal, dgamma, dbeta, dx } = self;
        let features = x.len();
        let origin = if layer.centers() { mean } else { 0.0 };
        for i in 0..features {
            dgamma[i] += dy[i] * (x[i] - origin) * reciprocal;
            dbeta[i] += dy[i];
        }
        if dx.is_empty() {
            return;
        }
        if layer.is_clipped(reciprocal) && x.iter().all(|x| *x == 0.0) {
            dx.fill(0.0);
            return;
        }
        let dv = |i: usize| gamma.map_or(dy[i], |gamma| dy[i] * gamma[i]);
        let shift = if layer.centers() { row_sum(features, dv) / features as f32 } else { 0.0 };
        let product = row_sum(features, |i| dv(i) * (x[i] - origin));
        let slope = if layer.is_clipped(reciprocal) {
            0.0
        } else {
            reciprocal * reciprocal * reciprocal * product / layer.divisor(features)
        };
        for (i, dx) in dx.iter_mut().enumerate() {
            *dx = reciprocal * (dv(i) - shift) - slope * (x[i] - mean);
        }
    }
}
