//! Losses of numbers: each function gives a term and its derivative by the prediction.

use std::f64::consts::LN_2;

use super::{CLIP, Gradient, clip_to, sign, step};

/// Keras's `epsilon()`.
const EPSILON: f64 = CLIP.0;

pub(super) fn percentage(y: f64, p: f64) -> (f64, f64) {
    let scale = 100.0 / y.abs().max(EPSILON);
    ((p - y).abs() * scale, sign(p - y) * scale)
}

pub(super) fn logarithmic(y: f64, p: f64) -> (f64, f64) {
    // `max` would drop a NaN.
    let above = |x: f64| if x < EPSILON { EPSILON } else { x };
    let difference = above(p).ln_1p() - above(y).ln_1p();
    (difference * difference, 2.0 * difference * step(p - EPSILON) / (1.0 + above(p)))
}

pub(super) fn huber(delta: f64, error: f64) -> (f64, f64) {
    if error.abs() > delta {
        (delta * error.abs() - 0.5 * delta * delta, delta * error.signum())
    } else {
        (0.5 * error * error, error)
    }
}

pub(super) fn log_cosh(error: f64) -> (f64, f64) {
    // Nothing overflows for any error.
    let size = error.abs();
    (size + (-2.0 * size).exp().ln_1p() - LN_2, error.tanh())
}

pub(super) fn poisson(y: f64, p: f64) -> (f64, f64) {
    (p - y * (p + EPSILON).ln(), 1.0 - y / (p + EPSILON))
}

pub(super) fn divergence(y: f64, p: f64) -> (f64, f64) {
    let ((y, _), (q, slope)) = (clip_to((EPSILON, 1.0), y), clip_to((EPSILON, 1.0), p));
    (y * (y / q).ln(), -slope * y / q)
}

/// With `u` and `q` the unit vectors of `y` and `p`, the gradient is `-(u - (u q) q) / |p|`; below 1e-7 a length is 1e-7.
pub(super) fn cosine(y: &[f32], p: &[f32], grad: Option<Gradient>) -> f64 {
    let length = |values: &[f32]| values.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    let (of_y, of_p) = (length(y).max(EPSILON), length(p));
    let (short, of_p) = (of_p < EPSILON, of_p.max(EPSILON));
    let product: f64 = y.iter().zip(p).map(|(&y, &p)| f64::from(y) * f64::from(p)).sum();
    let cosine = product / (of_y * of_p);
    if let Some(Gradient { slots, factor }) = grad {
        for ((slot, &y), &p) in slots.iter_mut().zip(y).zip(p) {
            let along = if short { 0.0 } else { cosine * f64::from(p) / of_p };
            *slot = (-(f64::from(y) / of_y - along) / of_p * factor) as f32;
        }
    }
    -cosine
}
