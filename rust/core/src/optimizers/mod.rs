//! Optimizers in Keras's formulas, with its clipping, decoupled weight decay and the older time-based learning rate decay.
//!
//! One step is: [`Optimizer::clip`] on all gradients together, then [`Optimizer::update`] on every weight. An update treats
//! each element by itself, so a weight may be cut anywhere and its parts updated in any order, with the same bits.

mod adam;
mod rmsprop;
mod sgd;
mod state;
mod sweep;
#[cfg(test)]
mod tests;

use foliot_simd::Level;
use serde::{Deserialize, Serialize};

pub use adam::Adam;
pub use rmsprop::Rmsprop;
pub use sgd::Sgd;
pub use state::OptimizerState;

use crate::regularizers::sum_of_squares;
use crate::{Error, Result, check};
use sweep::Sweep;

/// An optimizer and all its hyper-parameters. They are f64, as written in Python, and become f32 where Keras's do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Optimizer {
    /// The step size, before any decay.
    pub learning_rate: f64,
    /// Keras 2's decay: step `t` (from 1) uses `learning_rate / (1 + decay * (t - 1))`.
    pub decay: f64,
    /// Each step takes `weight * weight_decay * learning_rate` off every weight, before the update.
    pub weight_decay: Option<f64>,
    /// The largest norm of the gradient of one weight.
    pub clipnorm: Option<f64>,
    /// The largest absolute value in a gradient.
    pub clipvalue: Option<f64>,
    /// The largest norm of all gradients together.
    pub global_clipnorm: Option<f64>,
    /// The update itself. Being flattened, it sees every key that is none of the above, and refuses those it does not know.
    #[serde(flatten)]
    pub rule: Rule,
}

/// What turns a gradient into a change of a weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// Gradient descent, with momentum.
    Sgd(Sgd),
    /// Gradients divided by a running root mean square.
    Rmsprop(Rmsprop),
    /// Running means of gradients and their squares, corrected for their start at zero.
    Adam(Adam),
}

impl Optimizer {
    /// Refuses hyper-parameters that are negative, not finite or out of their range.
    ///
    /// # Errors
    /// [`Error::Value`] naming the argument.
    pub fn validate(&self) -> Result<()> {
        check::non_negative("learning_rate", self.learning_rate)?;
        check::non_negative("decay", self.decay)?;
        let optional = [
            ("weight_decay", self.weight_decay),
            ("clipnorm", self.clipnorm),
            ("clipvalue", self.clipvalue),
            ("global_clipnorm", self.global_clipnorm),
        ];
        for (argument, value) in optional {
            if let Some(value) = value {
                check::non_negative(argument, value)?;
            }
        }
        let clips = || optional[1..].iter().filter_map(|(argument, value)| value.map(|value| (argument, value)));
        if clips().count() > 1 {
            let received: Vec<_> = clips().map(|(argument, value)| format!("{argument}={value}")).collect();
            let expected = "at most one of `clipnorm`, `clipvalue` and `global_clipnorm`";
            return Err(Error::value("clipnorm", expected, received.join(", ")));
        }
        match &self.rule {
            Rule::Sgd(rule) => rule.validate(),
            Rule::Rmsprop(rule) => rule.validate(),
            Rule::Adam(rule) => rule.validate(),
        }
    }

    /// The state that each weight has beside it, in Keras's order. All of it starts as zeros of the weight's shape.
    #[must_use]
    pub fn slot_names(&self) -> Vec<&'static str> {
        match &self.rule {
            Rule::Sgd(rule) => rule.slot_names(),
            Rule::Rmsprop(rule) => rule.slot_names(),
            Rule::Adam(rule) => rule.slot_names(),
        }
    }

    /// The learning rate of step `iteration`, counted from 1.
    #[must_use]
    pub fn learning_rate_at(&self, learning_rate: f32, iteration: u64) -> f32 {
        let before = iteration.saturating_sub(1) as f64;
        (f64::from(learning_rate) / (1.0 + self.decay * before)) as f32
    }

    /// Clips the gradients of all weights: by the norm of each if `clipnorm` is set, else by their common norm if
    /// `global_clipnorm` is, else by value. A bound of 0 turns clipping off, as in Keras. Norms are taken in f64, in an
    /// order that depends on the lengths only.
    pub fn clip(&self, gradients: &mut [&mut [f32]]) {
        let bound = |value: Option<f64>| value.filter(|&value| value > 0.0);
        if let Some(bound) = bound(self.clipnorm) {
            for gradient in gradients {
                let norm = sum_of_squares(gradient).sqrt();
                scale_to(bound, norm, gradient);
            }
        } else if let Some(bound) = bound(self.global_clipnorm) {
            let norm = gradients.iter().map(|gradient| sum_of_squares(gradient)).sum::<f64>().sqrt();
            // Once a gradient is infinite there is no direction to keep: all become NaN, as in Keras, and it shows.
            let norm = if norm.is_finite() { norm } else { f64::NAN };
            for gradient in gradients {
                scale_to(bound, norm, gradient);
            }
        } else if let Some(bound) = bound(self.clipvalue) {
            let bound = bound as f32;
            for gradient in gradients {
                for g in gradient.iter_mut() {
                    *g = g.clamp(-bound, bound);
                }
            }
        }
    }

    /// One step of one weight, or of any part of it, in place.
    ///
    /// `learning_rate` is the one before decay; `iteration` counts from 1; `slots` are those of [`Self::slot_names`].
    ///
    /// # Panics
    /// When lengths differ or the number of slots is not that of [`Self::slot_names`]; both are the caller's mistake.
    pub fn update(
        &self,
        level: Level,
        learning_rate: f32,
        iteration: u64,
        weight: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
    ) {
        let learning_rate = self.learning_rate_at(learning_rate, iteration);
        let weight_decay = self.weight_decay.map(|decay| decay as f32);
        let sweep = Sweep { level, learning_rate, weight_decay, weight, gradient, slots };
        match &self.rule {
            Rule::Sgd(rule) => rule.update(sweep),
            Rule::Rmsprop(rule) => rule.update(sweep),
            Rule::Adam(rule) => rule.update(sweep, iteration),
        }
    }
}

/// Scales a gradient of this norm down to the bound.
fn scale_to(bound: f64, norm: f64, gradient: &mut [f32]) {
    if norm <= bound {
        return;
    }
    // Not under an `else` of `norm > bound`: a NaN norm has to make the gradient NaN.
    let factor = bound / norm;
    for g in gradient {
        *g = (f64::from(*g) * factor) as f32;
    }
}
