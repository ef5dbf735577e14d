//! Layer normalization of a part of a row (Ba, Kiros and Hinton 2016), for the cells that have it inside.
//!
//! ```text
//! y = γ ∘ x̂ + β     x̂ = r·(x - mean(x))     r = 1 / sqrt(variance(x) + ε)
//! dx = r·(g - mean(g) - x̂·mean(g ∘ x̂))      g = γ ∘ dy      dγ = Σ dy ∘ x̂      dβ = Σ dy
//! ```

use crate::sums::row_sum;

/// Scale, shift, or their gradients.
pub(super) struct Norm<T> {
    pub(super) gamma: T,
    pub(super) beta: T,
}

/// The mean and r.
#[inline(always)]
fn statistics(x: &[f32], epsilon: f32) -> (f32, f32) {
    let count = x.len() as f32;
    let mean = row_sum(x.len(), |i| x[i]) / count;
    let variance = row_sum(x.len(), |i| (x[i] - mean) * (x[i] - mean)) / count;
    (mean, (variance + epsilon).sqrt().recip())
}

/// `y += γ ∘ x̂ + β`
#[inline(always)]
pub(super) fn add(x: &[f32], norm: &Norm<&[f32]>, epsilon: f32, y: &mut [f32]) {
    let (mean, r) = statistics(x, epsilon);
    for (((y, x), gamma), beta) in y.iter_mut().zip(x).zip(norm.gamma).zip(norm.beta) {
        *y += gamma * (r * (x - mean)) + beta;
    }
}

/// The gradient dx in the place of x; adds to those of γ and β.
#[inline(always)]
pub(super) fn backward(x: &mut [f32], norm: &Norm<&[f32]>, epsilon: f32, dy: &[f32], gradient: Norm<&mut [f32]>) {
    let (mean, r) = statistics(x, epsilon);
    for ((x, dy), (dgamma, dbeta)) in x.iter_mut().zip(dy).zip(gradient.gamma.iter_mut().zip(gradient.beta)) {
        *x = r * (*x - mean);
        *dgamma += dy * *x;
        *dbeta += dy;
    }
    let count = x.len() as f32;
    let shift = row_sum(x.len(), |i| norm.gamma[i] * dy[i]) / count;
    let tilt = row_sum(x.len(), |i| norm.gamma[i] * dy[i] * x[i]) / count;
    for ((x, gamma), dy) in x.iter_mut().zip(norm.gamma).zip(dy) {
        *x = r * (gamma * dy - shift - *x * tilt);
    }
}
