//! Losses of margins: each function of a term gives it and its derivative by the prediction.

use super::{Gradient, step};

/// `signs` says that targets 0 and 1 stand for -1 and 1.
fn margin(signs: bool, y: f64, p: f64) -> (f64, f64) {
    let y = if signs { 2.0 * y - 1.0 } else { y };
    (1.0 - y * p, -y)
}

/// What is above 0, and a NaN.
fn above(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

pub(super) fn hinge(signs: bool, y: f64, p: f64) -> (f64, f64) {
    let (margin, slope) = margin(signs, y, p);
    (above(margin), step(margin) * slope)
}

pub(super) fn squared(signs: bool, y: f64, p: f64) -> (f64, f64) {
    let (margin, slope) = margin(signs, y, p);
    (above(margin) * above(margin), 2.0 * above(margin) * slope)
}

/// Several largest products share the gradient of the maximum, as in JAX.
pub(super) fn categorical(y: &[f32], p: &[f32], grad: Option<Gradient>) -> f64 {
    let pairs = || y.iter().zip(p).map(|(&y, &p)| (f64::from(y), f64::from(p)));
    let right: f64 = pairs().map(|(y, p)| y * p).sum();
    let wrong = pairs()
        .map(|(y, p)| (1.0 - y) * p)
        .fold(f64::NEG_INFINITY, |max, x| if x > max || x.is_nan() { x } else { max });
    let margin = 1.0 + wrong - right;
    if let Some(Gradient { slots, factor }) = grad {
        let factor = factor * step(margin);
        let largest = pairs().filter(|(y, p)| (1.0 - y) * p == wrong).count() as f64;
        for (slot, (y, p)) in slots.iter_mut().zip(pairs()) {
            let of_wrong = if (1.0 - y) * p == wrong { (1.0 - y) / largest } else { 0.0 };
            *slot = ((of_wrong - y) * factor) as f32;
        }
    }
    above(margin)
}
