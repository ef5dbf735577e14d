//! Adamax: Adam with a decaying maximum in place of the root mean square. With gradient `g`, learning rate `a` and step `t`:
//!
//! ```text
//! m <- m + (1 - beta_1) (g - m)
//! u <- max(beta_2 u, |g|)
//! w <- w - a m / ((1 - beta_1^t) (u + epsilon))
//! ```

use foliot_simd::Isa;
use serde::{Deserialize, Serialize};

use super::formula::{Formula, Slot, correction};
use super::sweep::{MAX_SLOTS, Step, Sweep};
use crate::{Result, check};

/// Keras's `Adamax`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adamax {
    /// How much of the running mean of gradients is kept at each step, in `[0, 1)`.
    pub beta_1: f64,
    /// How much of the maximum is kept at each step, in `[0, 1)`.
    pub beta_2: f64,
    /// Keeps the denominator away from zero.
    pub epsilon: f64,
}

impl Formula for Adamax {
    fn validate(&self) -> Result<()> {
        check::below_one("beta_1", self.beta_1)?;
        check::below_one("beta_2", self.beta_2)?;
        check::non_negative("epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zeros("momentum"), Slot::zeros("norm")]
    }

    fn update(&self, iteration: u64, sweep: Sweep) {
        let vectors = Vectors {
            learning_rate: sweep.learning_rate,
            correction: correction(self.beta_1, iteration),
            rest_1: (1.0 - self.beta_1) as f32,
            beta_2: self.beta_2 as f32,
            epsilon: self.epsilon as f32,
        };
        sweep.run(&vectors);
    }
}

struct Vectors {
    learning_rate: f32,
    correction: f32,
    rest_1: f32,
    beta_2: f32,
    epsilon: f32,
}

impl Step for Vectors {
    const SLOTS: usize = 2;

    #[inline(always)]
    fn step<I: Isa>(&self, isa: I, w: I::F32, g: I::F32, slots: &mut [I::F32; MAX_SLOTS]) -> I::F32 {
        let m = isa.mul_add(isa.sub(g, slots[0]), isa.splat(self.rest_1), slots[0]);
        // `max` keeps a NaN in its second operand.
        let u = isa.max(isa.mul(slots[1], isa.splat(self.beta_2)), isa.abs(g));
        slots[0] = m;
        slots[1] = u;
        let denominator = isa.mul(isa.add(u, isa.splat(self.epsilon)), isa.splat(self.correction));
        isa.sub(w, isa.div(isa.mul(m, isa.splat(self.learning_rate)), denominator))
    }
}
