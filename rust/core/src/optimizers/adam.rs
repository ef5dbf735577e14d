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

use super::sweep::{MAX_SLOTS, Step, Sweep};
use crate::{Result, check};

/// Keras's `Adam`.
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

impl Adam {
    pub(super) fn validate(&self) -> Result<()> {
        check::below_one("beta_1", self.beta_1)?;
        check::below_one("beta_2", self.beta_2)?;
        check::non_negative("epsilon", self.epsilon)
    }

    pub(super) fn slot_names(&self) -> Vec<&'static str> {
        let mut names = vec!["momentum", "velocity"];
        if self.amsgrad {
            names.push("velocity_hat");
        }
        names
    }

    pub(super) fn update(&self, sweep: Sweep, iteration: u64) {
        let rate = sweep.learning_rate;
        if self.amsgrad {
            sweep.run(&self.vectors::<true>(rate, iteration));
        } else {
            sweep.run(&self.vectors::<false>(rate, iteration));
        }
    }

    fn vectors<const AMSGRAD: bool>(&self, learning_rate: f32, iteration: u64) -> Vectors<AMSGRAD> {
        // 1 - beta^t, with Keras's roundings: beta, the power and the difference are f32 there, and for the 0.999 of a
        // first step that shows in the sixth digit.
        let correction = |beta: f64| 1.0 - f64::from(beta as f32).powf(iteration as f64) as f32;
        Vectors {
            rate: learning_rate * correction(self.beta_2).sqrt() / correction(self.beta_1),
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
