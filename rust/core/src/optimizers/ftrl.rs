//! FTRL-proximal. With gradient `g`, learning rate `a` and power `p = -learning_rate_power`:
//!
//! ```text
//! h <- g + 2 l2_shrinkage w
//! N <- n + g^2                             n begins at initial_accumulator_value
//! z <- z + h - (N^p - n^p) / a w
//! w <- (clip(z, -l1, l1) - z) / (N^p / a + 2 (l2 + beta / (2 a)))
//! n <- N
//! ```

use foliot_simd::{Isa, math};
use serde::{Deserialize, Serialize};

use super::formula::{Formula, Slot};
use super::sweep::{MAX_SLOTS, Step, Sweep};
use crate::{Error, Result, check};

/// Keras's `Ftrl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ftrl {
    /// How the learning rate falls with the sum of squares: at most 0.
    pub learning_rate_power: f64,
    /// What the sum of squares begins at.
    pub initial_accumulator_value: f64,
    /// Weight of the sum of absolute weights.
    pub l1_regularization_strength: f64,
    /// Weight of the sum of squared weights.
    pub l2_regularization_strength: f64,
    /// Weight of squared weights in the gradient.
    pub l2_shrinkage_regularization_strength: f64,
    /// More of `l2_regularization_strength`, falling with the learning rate.
    pub beta: f64,
}

impl Formula for Ftrl {
    fn validate(&self) -> Result<()> {
        check::finite("learning_rate_power", self.learning_rate_power)?;
        if self.learning_rate_power > 0.0 {
            let received = self.learning_rate_power.to_string();
            return Err(Error::value("learning_rate_power", "a finite number <= 0", received));
        }
        check::non_negative("initial_accumulator_value", self.initial_accumulator_value)?;
        check::non_negative("l1_regularization_strength", self.l1_regularization_strength)?;
        check::non_negative("l2_regularization_strength", self.l2_regularization_strength)?;
        check::non_negative("l2_shrinkage_regularization_strength", self.l2_shrinkage_regularization_strength)?;
        check::finite("beta", self.beta)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::begun_at("accumulator", self.initial_accumulator_value as f32), Slot::zeros("linear")]
    }

    fn update(&self, _: u64, sweep: Sweep) {
        let rate = sweep.learning_rate;
        if self.learning_rate_power == -0.5 {
            sweep.run(&self.vectors::<true>(rate));
        } else {
            sweep.run(&self.vectors::<false>(rate));
        }
    }
}

impl Ftrl {
    fn vectors<const ROOT: bool>(&self, learning_rate: f32) -> Vectors<ROOT> {
        let l2 = self.l2_regularization_strength + self.beta / (2.0 * f64::from(learning_rate));
        Vectors {
            learning_rate,
            power: -self.learning_rate_power as f32,
            l1: self.l1_regularization_strength as f32,
            double_l2: (2.0 * l2) as f32,
            double_shrinkage: (2.0 * self.l2_shrinkage_regularization_strength) as f32,
        }
    }
}

/// With `ROOT` the power is 1/2.
struct Vectors<const ROOT: bool> {
    learning_rate: f32,
    power: f32,
    l1: f32,
    double_l2: f32,
    double_shrinkage: f32,
}

impl<const ROOT: bool> Vectors<ROOT> {
    #[inline(always)]
    fn raise<I: Isa>(&self, isa: I, x: I::F32) -> I::F32 {
        if ROOT {
            return isa.sqrt(x);
        }
        let power = isa.splat(self.power);
        // The logarithm of 0 is infinite; 0 to the power 0 is 1.
        let at_zero = isa.splat(if self.power == 0.0 { 1.0 } else { 0.0 });
        isa.select(isa.eq(x, isa.zero()), at_zero, math::exp(isa, isa.mul(power, math::ln(isa, x))))
    }
}

impl<const ROOT: bool> Step for Vectors<ROOT> {
    const SLOTS: usize = 2;

    #[inline(always)]
    fn step<I: Isa>(&self, isa: I, w: I::F32, g: I::F32, slots: &mut [I::F32; MAX_SLOTS]) -> I::F32 {
        let [before, z, ..] = *slots;
        let rate = isa.splat(self.learning_rate);
        let shrunk = isa.mul_add(w, isa.splat(self.double_shrinkage), g);
        let sum = isa.mul_add(g, g, before);
        let raised = self.raise(isa, sum);
        let sigma = isa.div(isa.sub(raised, self.raise(isa, before)), rate);
        let z = isa.add(z, isa.neg_mul_add(sigma, w, shrunk));
        slots[0] = sum;
        slots[1] = z;
        let quadratic = isa.add(isa.div(raised, rate), isa.splat(self.double_l2));
        // `min` and `max` keep a NaN in their second operand.
        let clipped = isa.max(isa.splat(-self.l1), isa.min(isa.splat(self.l1), z));
        isa.div(isa.sub(clipped, z), quadratic)
    }
}
