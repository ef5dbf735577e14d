//! Schedule-free `AdamW` (Defazio et al. 2024): averages take the place of a falling learning rate. With gradient `g`, learning
//! rate `a`, which rises to its value over the first steps, and step `t` counted from 1:
//!
//! ```text
//! v <- v + (1 - beta_2) (g^2 - v)
//! z' = z - a g / (sqrt(v / (1 - beta_2^t)) + epsilon)      z begins as the weight
//! x = (w - (1 - beta_1) z) / beta_1
//! x' = (1 - 1/t) x + z' / t
//! w <- (1 - beta_1) z' + beta_1 x'
//! ```
//!
//! As in Keras the mean `x` is not kept: it follows from the weight, which lies between it and `z`.

use foliot_simd::Isa;
use serde::{Deserialize, Serialize};

use super::formula::{Formula, Slot, correction};
use super::sweep::{MAX_SLOTS, Step, Sweep};
use crate::{Error, Result, check};

/// Keras's `ScheduleFreeAdamW`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleFreeAdamW {
    /// How near the weight is to the mean, in `(0, 1)`.
    pub beta_1: f64,
    /// How much of the running mean of squares is kept at each step, in `[0, 1)`.
    pub beta_2: f64,
    /// Keeps the denominator away from zero.
    pub epsilon: f64,
    /// Over so many steps the learning rate rises.
    pub warmup_steps: u64,
}

impl Formula for ScheduleFreeAdamW {
    fn validate(&self) -> Result<()> {
        check::below_one("beta_1", self.beta_1)?;
        if self.beta_1 == 0.0 {
            return Err(Error::value("beta_1", "a number above 0", "0"));
        }
        check::below_one("beta_2", self.beta_2)?;
        check::non_negative("epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zeros("momentum"), Slot::zeros("velocity")]
    }

    fn update(&self, iteration: u64, sweep: Sweep) {
        if iteration == 1 {
            // Before any decay.
            sweep.slots[0].copy_from_slice(sweep.weight);
        }
        let warmup = if self.warmup_steps == 0 { 1.0 } else { (iteration as f32 / self.warmup_steps as f32).min(1.0) };
        let beta_1 = self.beta_1 as f32;
        let vectors = Vectors {
            learning_rate: sweep.learning_rate * warmup,
            correction: correction(self.beta_2, iteration),
            beta_1,
            rest_1: 1.0 - beta_1,
            rest_2: 1.0 - self.beta_2 as f32,
            epsilon: self.epsilon as f32,
            share: 1.0 / iteration as f32,
        };
        sweep.run(&vectors);
    }
}

struct Vectors {
    learning_rate: f32,
    correction: f32,
    beta_1: f32,
    rest_1: f32,
    rest_2: f32,
    epsilon: f32,
    share: f32,
}

impl Step for Vectors {
    const SLOTS: usize = 2;

    #[inline(always)]
    fn step<I: Isa>(&self, isa: I, w: I::F32, g: I::F32, slots: &mut [I::F32; MAX_SLOTS]) -> I::F32 {
        let z = slots[0];
        let v = isa.mul_add(isa.sub(isa.mul(g, g), slots[1]), isa.splat(self.rest_2), slots[1]);
        let denominator = isa.add(isa.sqrt(isa.div(v, isa.splat(self.correction))), isa.splat(self.epsilon));
        let next = isa.sub(z, isa.div(isa.mul(g, isa.splat(self.learning_rate)), denominator));
        let mean = isa.div(isa.sub(w, isa.mul(z, isa.splat(self.rest_1))), isa.splat(self.beta_1));
        let mean = isa.mul_add(next, isa.splat(self.share), isa.mul(mean, isa.splat(1.0 - self.share)));
        slots[0] = next;
        slots[1] = v;
        isa.mul_add(next, isa.splat(self.rest_1), isa.mul(mean, isa.splat(self.beta_1)))
    }
}
