//! Optimizers in Keras's formulas, with its clipping, decoupled weight decay and the older time-based learning rate decay.
//!
//! One step is: [`Optimizer::accumulate`], [`Optimizer::clip`] on all gradients together, [`Optimizer::update`] and
//! [`Optimizer::average`] on every weight. Unless [`Optimizer::needs_whole`], an update treats each element by itself, so
//! a weight may be cut anywhere and its parts updated in any order, with the same bits.

mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod formula;
mod ftrl;
mod lamb;
mod lion;
mod muon;
mod nadam;
mod rmsprop;
mod schedule;
mod schedule_free;
mod sgd;
mod state;
mod sweep;
#[cfg(test)]
mod tests;

use foliot_simd::Level;
use serde::{Deserialize, Serialize};

pub use adadelta::Adadelta;
pub use adafactor::Adafactor;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamax::Adamax;
pub use ftrl::Ftrl;
pub use lamb::Lamb;
pub use lion::Lion;
pub use muon::Muon;
pub use nadam::Nadam;
pub use rmsprop::Rmsprop;
pub use schedule::Schedule;
pub use schedule_free::ScheduleFreeAdamW;
pub use sgd::Sgd;
pub use state::{OptimizerState, SlotValues, WeightState, parse_schedule};

use crate::regularizers::sum_of_squares;
use crate::{Error, Result, check};
use formula::{Formula, Slot};
use sweep::Sweep;

/// An optimizer and all its hyper-parameters. They are f64, as written in Python, and become f32 where Keras's do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Optimizer {
    /// The step size, before any decay.
    pub learning_rate: f64,
    /// What gives the step size instead, from the number of steps that were made.
    #[serde(default)]
    pub schedule: Option<Schedule>,
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
    /// Running means of the weights are kept; this much of them at each step.
    #[serde(default)]
    pub ema_momentum: Option<f64>,
    /// Every so many steps the weights take the values of their running means.
    #[serde(default)]
    pub ema_overwrite_frequency: Option<u64>,
    /// The mean of the gradients of so many batches makes one step.
    #[serde(default)]
    pub gradient_accumulation_steps: Option<u64>,
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
    /// Gradients divided by the root of the sum of their squares.
    Adagrad(Adagrad),
    /// Steps as long as the root mean square of the steps before.
    Adadelta(Adadelta),
    /// Adam with a decaying maximum.
    Adamax(Adamax),
    /// Adam with Nesterov's momentum.
    Nadam(Nadam),
    /// Follow the regularized leader.
    Ftrl(Ftrl),
    /// The sign of a running mean.
    Lion(Lion),
    /// Adam with steps in proportion to the weight.
    Lamb(Lamb),
    /// Squares of gradients by rows and columns.
    Adafactor(Adafactor),
    /// Momentum that is made orthogonal.
    Muon(Muon),
    /// Adam with means of weights in place of a schedule.
    #[serde(rename = "schedule_free_adamw")]
    ScheduleFreeAdamW(ScheduleFreeAdamW),
}

impl Rule {
    fn formula(&self) -> &dyn Formula {
        match self {
            Self::Sgd(rule) => rule,
            Self::Rmsprop(rule) => rule,
            Self::Adam(rule) => rule,
            Self::Adagrad(rule) => rule,
            Self::Adadelta(rule) => rule,
            Self::Adamax(rule) => rule,
            Self::Nadam(rule) => rule,
            Self::Ftrl(rule) => rule,
            Self::Lion(rule) => rule,
            Self::Lamb(rule) => rule,
            Self::Adafactor(rule) => rule,
            Self::Muon(rule) => rule,
            Self::ScheduleFreeAdamW(rule) => rule,
        }
    }
}

/// A weight, or a part of one, in a step.
pub struct Part<'a, 'b> {
    /// The whole weight's axes.
    pub shape: &'a [usize],
    /// Whether `weight_decay` applies to it.
    pub decays: bool,
    /// Its values.
    pub weight: &'a mut [f32],
    /// Its gradient.
    pub gradient: &'a [f32],
    /// The arrays of the rule: the first [`Optimizer::rule_slots`] of those that are kept for it.
    pub slots: &'a mut [&'b mut [f32]],
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
        if let Some(momentum) = self.ema_momentum {
            check::fraction("ema_momentum", momentum)?;
        }
        if self.ema_overwrite_frequency == Some(0) {
            return Err(Error::value("ema_overwrite_frequency", "an integer >= 1", "0"));
        }
        if let Some(steps @ 0..=1) = self.gradient_accumulation_steps {
            return Err(Error::value("gradient_accumulation_steps", "an integer >= 2", steps.to_string()));
        }
        self.schedule.as_ref().map_or(Ok(()), Schedule::validate)?;
        self.rule.formula().validate()
    }

    /// The arrays that each weight has beside it: the rule's in Keras's order, sums of gradients, running means.
    fn slots(&self) -> Vec<Slot> {
        let mut slots = self.rule.formula().slots();
        if self.gradient_accumulation_steps.is_some() {
            slots.push(Slot::zeros("gradient_accumulator"));
        }
        if self.ema_momentum.is_some() {
            slots.push(Slot::zeros("average"));
        }
        slots
    }

    /// The names of the state that each weight has beside it.
    #[must_use]
    pub fn slot_names(&self) -> Vec<&'static str> {
        self.slots().iter().map(|slot| slot.name).collect()
    }

    /// How many of [`Self::slot_names`] are the rule's own; they come first.
    #[must_use]
    pub fn rule_slots(&self) -> usize {
        self.rule.formula().slots().len()
    }

    /// Whether a weight may not be cut.
    #[must_use]
    pub fn needs_whole(&self) -> bool {
        self.rule.formula().needs_whole()
    }

    /// The shapes and initial values of the state of a weight, which may be one that the rule is told to leave out.
    #[must_use]
    pub fn initial_slots(&self, shape: &[usize], excluded: bool) -> Vec<(Vec<usize>, Vec<f32>)> {
        let slot = |slot: &Slot| {
            let shape = slot.shape_for(shape, excluded);
            let values = vec![slot.initial; shape.iter().product()];
            (shape, values)
        };
        self.slots().iter().map(slot).collect()
    }

    /// The number from 1 of the step that batch `iteration` belongs to.
    fn step(&self, iteration: u64) -> u64 {
        iteration.saturating_sub(1) / self.gradient_accumulation_steps.unwrap_or(1) + 1
    }

    /// Whether weights change with batch `iteration`, counted from 1.
    #[must_use]
    pub fn is_update(&self, iteration: u64) -> bool {
        self.gradient_accumulation_steps.is_none_or(|steps| iteration.is_multiple_of(steps))
    }

    /// Adds a gradient to the sum of those before; where [`Self::is_update`] it becomes their mean, and the sum 0.
    pub fn accumulate(&self, iteration: u64, gradient: &mut [f32], slots: &mut [&mut [f32]]) {
        let Some(steps) = self.gradient_accumulation_steps else { return };
        let Some(sums) = slots.get_mut(self.rule_slots()) else { return };
        if self.is_update(iteration) {
            for (g, sum) in gradient.iter_mut().zip(sums.iter_mut()) {
                *g = (*g + *sum) / steps as f32;
                *sum = 0.0;
            }
        } else {
            for (g, sum) in gradient.iter().zip(sums.iter_mut()) {
                *sum += *g;
            }
        }
    }

    /// Takes a weight into its running mean, which is the first weight at first, and the mean into the weight where
    /// `ema_overwrite_frequency` wants it. As in Keras this happens with batches that only accumulate, too.
    pub fn average(&self, iteration: u64, weight: &mut [f32], slots: &mut [&mut [f32]]) {
        let (Some(momentum), Some(means)) = (self.ema_momentum, slots.last_mut()) else { return };
        let step = self.step(iteration);
        let momentum = if step == 1 { 0.0 } else { momentum as f32 };
        let rest = 1.0 - momentum;
        for (mean, w) in means.iter_mut().zip(weight.iter()) {
            *mean = if momentum == 0.0 { *w } else { momentum * *mean + rest * *w };
        }
        if self.ema_overwrite_frequency.is_some_and(|every| step.is_multiple_of(every)) {
            weight.copy_from_slice(means);
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

    /// One step of one weight, or of any part of it unless [`Self::needs_whole`], in place.
    ///
    /// `learning_rate` is the one before decay; `iteration` counts batches from 1.
    ///
    /// # Panics
    /// When lengths differ or the number of slots is not [`Self::rule_slots`]; both are the caller's mistake.
    pub fn update(&self, level: Level, learning_rate: f32, iteration: u64, part: Part<'_, '_>) {
        let Part { shape, decays, weight, gradient, slots } = part;
        let learning_rate = self.learning_rate_at(learning_rate, iteration);
        let weight_decay = self.weight_decay.filter(|_| decays).map(|decay| decay as f32);
        self.rule.formula().update(
            self.step(iteration),
            Sweep { level, learning_rate, weight_decay, decays, weight, gradient, slots, shape },
        );
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
