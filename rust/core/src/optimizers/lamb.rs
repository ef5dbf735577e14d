//! LAMB: Adam's direction at the length of the weight. With gradient `g`, learning rate `a` and step `t`:
//!
//! ```text
//! m <- m + (1 - beta_1) (g - m)
//! v <- v + (1 - beta_2) (g^2 - v)
//! d <- m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)
//! w <- w - a |w| / |d| d                   the ratio is 1 where a norm is 0
//! ```

use foliot_simd::Isa;
use serde::{Deserialize, Serialize};

use super::formula::{Formula, Slot, correction, sum_in_order};
use super::sweep::{MAX_SLOTS, Step, Sweep};
use crate::{Result, check};

/// Keras's `Lamb`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lamb {
    /// How much of the running mean of gradients is kept at each step, in `[0, 1)`.
    pub beta_1: f64,
    /// How much of the running mean of squares is kept at each step, in `[0, 1)`.
    pub beta_2: f64,
    /// Keeps the denominator away from zero.
    pub epsilon: f64,
}

impl Formula for Lamb {
    fn validate(&self) -> Result<()> {
        check::below_one("beta_1", self.beta_1)?;
        check::below_one("beta_2", self.beta_2)?;
        check::non_negative("epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zeros("momentum"), Slot::zeros("velocity")]
    }

    fn needs_whole(&self) -> bool {
        true
    }

    fn update(&self, iteration: u64, sweep: Sweep) {
        let Sweep { level, learning_rate, weight_decay, decays, weight, gradient, slots, shape } = sweep;
        let means = Means { rest_1: (1.0 - self.beta_1) as f32, rest_2: (1.0 - self.beta_2) as f32 };
        // The weight decays on the way, which its norm counts already.
        let sweep = Sweep {
            level,
            learning_rate,
            weight_decay,
            decays,
            weight: &mut *weight,
            gradient,
            slots: &mut *slots,
            shape,
        };
        sweep.run(&means);
        let [m, v] = slots else { return };
        let (correction_1, correction_2) = (correction(self.beta_1, iteration), correction(self.beta_2, iteration));
        let epsilon = self.epsilon as f32;
        let direction = |m: f32, v: f32| m / correction_1 / ((v / correction_2).sqrt() + epsilon);
        let square = |x: f32| f64::from(x) * f64::from(x);
        let length = sum_in_order(weight.iter().map(|&w| square(w))).sqrt() as f32;
        let step = sum_in_order(m.iter().zip(v.iter()).map(|(&m, &v)| square(direction(m, v)))).sqrt() as f32;
        let ratio = if length > 0.0 && step > 0.0 { length / step } else { 1.0 };
        let rate = ratio * learning_rate;
        for ((w, &m), &v) in weight.iter_mut().zip(m.iter()).zip(v.iter()) {
            *w -= rate * direction(m, v);
        }
    }
}

/// The running means; the weight stays.
struct Means {
    rest_1: f32,
    rest_2: f32,
}

impl Step for Means {
    const SLOTS: usize = 2;

    #[inline(always)]
    fn step<I: Isa>(&self, isa: I, w: I::F32, g: I::F32, slots: &mut [I::F32; MAX_SLOTS]) -> I::F32 {
        slots[0] = isa.mul_add(isa.sub(g, slots[0]), isa.splat(self.rest_1), slots[0]);
        slots[1] = isa.mul_add(isa.sub(isa.mul(g, g), slots[1]), isa.splat(self.rest_2), slots[1]);
        w
    }
}
