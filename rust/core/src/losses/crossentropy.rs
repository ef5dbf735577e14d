//! Cross-entropies, of probabilities and of logits.

use super::{Gradient, clip};

pub(super) fn binary_from_probability(y: f64, p: f64) -> (f64, f64) {
    let (q, slope) = clip(p);
    (-(y * q.ln() + (1.0 - y) * (1.0 - q).ln()), slope * (q - y) / (q * (1.0 - q)))
}

pub(super) fn binary_from_logit(y: f64, z: f64) -> (f64, f64) {
    // exp(-|z|) is in (0, 1]: nothing overflows for any z.
    let e = (-z.abs()).exp();
    let sigmoid = if z >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) };
    (z.max(0.0) - z * y + e.ln_1p(), sigmoid - y)
}

pub(super) fn categorical(from_logits: bool, y: impl Fn(usize) -> f64, p: &[f32], grad: Option<Gradient>) -> f64 {
    if from_logits { categorical_from_logits(y, p, grad) } else { categorical_from_probabilities(y, p, grad) }
}

/// With `q = p / sum p` and `g` the gradient by `q`, the gradient by `p` is `(g - sum g q) / sum p`.
fn categorical_from_probabilities(y: impl Fn(usize) -> f64, p: &[f32], grad: Option<Gradient>) -> f64 {
    let total: f64 = p.iter().map(|&p| f64::from(p)).sum();
    let mut loss = 0.0;
    let mut inner = 0.0;
    // A class without weight adds nothing, whatever its probability: its logarithm is not taken.
    let derivative = |j: usize, q: f64| {
        let weight = y(j);
        if weight == 0.0 {
            return (0.0, 0.0);
        }
        let (clipped, slope) = clip(q);
        (-weight * clipped.ln(), -weight * slope / clipped)
    };
    for (j, &p) in p.iter().enumerate() {
        let q = f64::from(p) / total;
        let (value, g) = derivative(j, q);
        loss += value;
        inner += g * q;
    }
    if let Some(Gradient { slots, factor }) = grad {
        for (j, (slot, &p)) in slots.iter_mut().zip(p).enumerate() {
            let (_, g) = derivative(j, f64::from(p) / total);
            *slot = ((g - inner) / total * factor) as f32;
        }
    }
    loss
}

/// The gradient is `(sum y) softmax(z) - y`.
fn categorical_from_logits(y: impl Fn(usize) -> f64, z: &[f32], mut grad: Option<Gradient>) -> f64 {
    let max = z.iter().fold(f32::NEG_INFINITY, |max, &z| if z > max { z } else { max });
    let mut total = 0.0;
    for (j, &z) in z.iter().enumerate() {
        let e = (f64::from(z) - f64::from(max)).exp();
        total += e;
        if let Some(Gradient { slots, .. }) = &mut grad {
            // Kept for the softmax below, where its rounding to f32 is no more than the result's own.
            slots[j] = e as f32;
        }
    }
    let log_total = f64::from(max) + total.ln();
    let mut loss = 0.0;
    let mut weights = 0.0;
    for (j, &z) in z.iter().enumerate() {
        let weight = y(j);
        weights += weight;
        if weight != 0.0 {
            loss += weight * (log_total - f64::from(z));
        }
    }
    if let Some(Gradient { slots, factor }) = grad {
        for (j, slot) in slots.iter_mut().enumerate() {
            *slot = ((weights * f64::from(*slot) / total - y(j)) * factor) as f32;
        }
    }
    loss
}

/// `(1 - p^q) / q` of the class, whose derivative is `-p^(q - 1)`.
pub(super) fn generalized(q: f64, class: usize, p: &[f32], grad: Option<Gradient>) -> f64 {
    let own = f64::from(p[class]);
    if let Some(Gradient { slots, factor }) = grad {
        slots.fill(0.0);
        slots[class] = (-own.powf(q - 1.0) * factor) as f32;
    }
    (1.0 - own.powf(q)) / q
}
