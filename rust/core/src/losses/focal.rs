//! Cross-entropies that count what is predicted well less.

use serde::{Deserialize, Serialize};

use super::crossentropy::binary_from_probability;
use super::{Gradient, clip};
use crate::{Error, Result, check};

/// One weight for all classes, or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClassWeights {
    /// Of all classes.
    Same(f64),
    /// Of each class.
    Each(Vec<f64>),
}

impl ClassWeights {
    fn as_slice(&self) -> &[f64] {
        match self {
            Self::Same(weight) => std::slice::from_ref(weight),
            Self::Each(weights) => weights,
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        if self.as_slice().is_empty() {
            return Err(Error::value("alpha", "at least one weight", "none"));
        }
        self.as_slice().iter().try_for_each(|&weight| check::finite("alpha", weight))
    }

    /// Refuses weights of another number of classes; one weight is that of all.
    pub(super) fn check(&self, classes: usize) -> Result<()> {
        match self.as_slice().len() {
            1 => Ok(()),
            count if count == classes => Ok(()),
            count => {
                let expected = format!("one weight, or one for each of the {classes} classes");
                Err(Error::value("alpha", expected, format!("{count} weights")))
            }
        }
    }

    /// The weight of a class.
    pub(super) fn of(&self, class: usize) -> f64 {
        match self.as_slice() {
            &[weight] => weight,
            weights => weights[class],
        }
    }
}

/// A term and its derivative by the prediction.
pub(super) fn binary(gamma: f64, from_logits: bool, y: f64, p: f64) -> (f64, f64) {
    let (p, slope) = if from_logits {
        let e = (-p.abs()).exp();
        let sigmoid = if p >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) };
        (sigmoid, e / ((1.0 + e) * (1.0 + e)))
    } else {
        (p, 1.0)
    };
    let (entropy, of_entropy) = binary_from_probability(y, p);
    let missing = 1.0 - (y * p + (1.0 - y) * (1.0 - p));
    let factor = missing.powf(gamma);
    // At gamma 0 there is no factor, also where nothing is missing.
    let of_factor = if gamma == 0.0 { 0.0 } else { gamma * missing.powf(gamma - 1.0) * (1.0 - 2.0 * y) };
    (factor * entropy, slope * (of_factor * entropy + factor * of_entropy))
}

/// `y` is a target times the weight of its class. With `q` the probabilities and `g` the gradient by them, that by logits is
/// `q (g - sum g q)` and that by numbers in proportion to the probabilities `(g - sum g q) / sum p`.
pub(super) fn categorical(
    gamma: f64,
    from_logits: bool,
    y: impl Fn(usize) -> f64,
    p: &[f32],
    grad: Option<Gradient>,
) -> f64 {
    let max = p.iter().fold(f32::NEG_INFINITY, |max, &z| if z > max { z } else { max });
    let raw = |p: f32| if from_logits { (f64::from(p) - f64::from(max)).exp() } else { f64::from(p) };
    let total: f64 = p.iter().map(|&p| raw(p)).sum();
    let term = |j: usize, q: f64| {
        let weight = y(j);
        if weight == 0.0 {
            return (0.0, 0.0);
        }
        let (c, slope) = clip(q);
        let factor = (1.0 - c).powf(gamma);
        let of_factor = -gamma * (1.0 - c).powf(gamma - 1.0);
        (-weight * factor * c.ln(), -weight * slope * (of_factor * c.ln() + factor / c))
    };
    let (mut loss, mut inner) = (0.0, 0.0);
    for (j, &p) in p.iter().enumerate() {
        let q = raw(p) / total;
        let (value, g) = term(j, q);
        loss += value;
        inner += g * q;
    }
    if let Some(Gradient { slots, factor }) = grad {
        for (j, (slot, &p)) in slots.iter_mut().zip(p).enumerate() {
            let q = raw(p) / total;
            let (_, g) = term(j, q);
            let scale = if from_logits { q } else { 1.0 / total };
            *slot = ((g - inner) * scale * factor) as f32;
        }
    }
    loss
}
