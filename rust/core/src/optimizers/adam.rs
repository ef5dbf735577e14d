//! Adam. With gradient `g`, learning rate `a` and step `t` counted from 1:
//!
//! ```text
//! m <- m + (1 - beta_1) (g - m)
//! v <- v + (1 - beta_2) (g^2 - v)
//! u <- max(u, v)                           only with amsgrad; else u = v
//! w <- w - a sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(u) + epsilon)
//! ```
//!
//! Epsilon is added to the root before its correction, as in the paper's remark on efficiency ("epsilon hat").

use foliot_simd::Isa;
use serde::{Deserialize, Serialize};

use super::formula::{Formula, Slot, correction};
use super::sweep::{MAX_SLOTS, Step, Sweep};
use crate::{Result, check};

/// Keras's `Adam`, and its `AdamW`, which is Adam with a weight decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// How much of the running mean of gradients is kept at each step, in `[0, 1)`.
    pub beta_1: f64,
    /// How much of the running mean of squares is kept at each step, in `[0, 1)`.
    pub beta_2: f64,
    /// Keeps the denominator away from zero.
    pub epsilon: f64,
    /// Divide by the largest running mean of squares so far.
    pub amsgrad: bool,
}

impl Formula for Adam {
    fn validate(&self) -> Result<()> {
        check::below_one("beta_1", self.beta_1)?;
        check::below_one("beta_2", self.beta_2)?;
        check::non_negative("epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::zeros("momentum"), Slot::zeros("velocity")];
        if self.amsgrad {
            slots.push(Slot::zeros("velocity_hat"));
        }
        slots
    }

    fn update(&self, iteration: u64, sweep: Sweep) {
        let rate = sweep.learning_rate;
        if self.amsgrad {
            sweep.run(&self.vectors::<true>(rate, iteration));
        } else {
            sweep.run(&self.vectors::<false>(rate, iteration));
        }
    }
}

impl Adam {
    /// What multiplies m / (sqrt(u) + epsilon) in step `iteration`, counted from 1.
    #[must_use]
    pub fn corrected_rate(&self, learning_rate: f32, iteration: u64) -> f32 {
        learning_rate * correction(self.beta_2, iteration).sqrt() / correction(self.beta_1, iteration)
    }

    fn vectors<const AMSGRAD: bool>(&self, learning_rate: f32, iteration: u64) -> Vectors<AMSGRAD> {
        Vectors {
            rate: self.corrected_rate(learning_rate, iteration),
            rest_1: (1.0 - self.beta_1) as f32,
            rest_2: (1.0 - self.beta_2) as f32,
            epsilon: self.epsilon as f32,
        }
    }
}

struct Vectors<const AMSGRAD: bool> {
    rate: f32,
    rest_1: f32,
    rest_2: f32,
    epsilon: f32,
}

impl<const AMSGRAD: bool> Step for Vectors<AMSGRAD> {
    const SLOTS: usize = 2 + AMSGRAD as usize;

    #[inline(always)]
    fn step<I: Isa>(&self, isa: I, w: I::F32, g: I::F32, slots: &mut [I::F32; MAX_SLOTS]) -> I::F32 {
        let m = isa.mul_add(isa.sub(g, slots[0]), isa.splat(self.rest_1), slots[0]);
        let v = isa.mul_add(isa.sub(isa.mul(g, g), slots[1]), isa.splat(self.rest_2), slots[1]);
        slots[0] = m;
        slots[1] = v;
        let mut square = v;
        if AMSGRAD {
            // `max` keeps a NaN in its second operand.
            square = isa.max(slots[2], v);
            slots[2] = square;
        }
        let denominator = isa.add(isa.sqrt(square), isa.splat(self.epsilon));
        isa.sub(w, isa.div(isa.mul(m, isa.splat(self.rate)), denominator))
    }
}
