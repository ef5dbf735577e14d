//! Lion. With gradient `g` and learning rate `a`:
//!
//! ```text
//! w <- w - a sign(beta_1 m + (1 - beta_1) g)
//! m <- beta_2 m + (1 - beta_2) g
//! ```

use foliot_simd::Isa;
use serde::{Deserialize, Serialize};

use super::formula::{Formula, Slot};
use super::sweep::{MAX_SLOTS, Step, Sweep};
use crate::{Error, Result, check};

/// Keras's `Lion`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lion {
    /// The share of the momentum in the direction, in `(0, 1]`.
    pub beta_1: f64,
    /// How much of the momentum is kept at each step, in `[0, 1]`.
    pub beta_2: f64,
}

impl Formula for Lion {
    fn validate(&self) -> Result<()> {
        check::fraction("beta_1", self.beta_1)?;
        if self.beta_1 == 0.0 {
            return Err(Error::value("beta_1", "a number in (0, 1]", "0"));
        }
        check::fraction("beta_2", self.beta_2)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zeros("momentum")]
    }

    fn update(&self, _: u64, sweep: Sweep) {
        let (beta_1, beta_2) = (self.beta_1 as f32, self.beta_2 as f32);
        let vectors =
            Vectors { learning_rate: sweep.learning_rate, beta_1, rest_1: 1.0 - beta_1, beta_2, rest_2: 1.0 - beta_2 };
        sweep.run(&vectors);
    }
}

struct Vectors {
    learning_rate: f32,
    beta_1: f32,
    rest_1: f32,
    beta_2: f32,
    rest_2: f32,
}

impl Step for Vectors {
    const SLOTS: usize = 1;

    #[inline(always)]
    fn step<I: Isa>(&self, isa: I, w: I::F32, g: I::F32, slots: &mut [I::F32; MAX_SLOTS]) -> I::F32 {
        let m = slots[0];
        // Two products and a sum, not fused: a sign must not hang on which of the levels rounds once.
        let direction = isa.add(isa.mul(m, isa.splat(self.beta_1)), isa.mul(g, isa.splat(self.rest_1)));
        slots[0] = isa.mul_add(m, isa.splat(self.beta_2), isa.mul(g, isa.splat(self.rest_2)));
        // Zero stays zero, NaN stays NaN.
        let one = isa.copy_sign(isa.splat(1.0), direction);
        let moves = isa.mask_or(isa.lt(direction, isa.zero()), isa.gt(direction, isa.zero()));
        isa.neg_mul_add(isa.select(moves, one, direction), isa.splat(self.learning_rate), w)
    }
}
