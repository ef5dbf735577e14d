//! Adadelta. With gradient `g`, learning rate `a` and decay `r` of the running means:
//!
//! ```text
//! v <- r v + (1 - r) g^2
//! d <- sqrt(u + epsilon) / sqrt(v + epsilon) g      epsilon stands inside both roots
//! u <- r u + (1 - r) d^2
//! w <- w - a d
//! ```

use foliot_simd::Isa;
use serde::{Deserialize, Serialize};

use super::formula::{Formula, Slot};
use super::sweep::{MAX_SLOTS, Step, Sweep};
use crate::{Result, check};

/// Keras's `Adadelta`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adadelta {
    /// How much of a running mean is kept at each step, in `[0, 1]`.
    pub rho: f64,
    /// Keeps the roots away from zero.
    pub epsilon: f64,
}

impl Formula for Adadelta {
    fn validate(&self) -> Result<()> {
        check::fraction("rho", self.rho)?;
        check::non_negative("epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zeros("accumulated_grad"), Slot::zeros("accumulated_delta_var")]
    }

    fn update(&self, _: u64, sweep: Sweep) {
        let vectors = Vectors {
            learning_rate: sweep.learning_rate,
            rho: self.rho as f32,
            // Rounded after the subtraction, as Keras does.
            rest: (1.0 - self.rho) as f32,
            epsilon: self.epsilon as f32,
        };
        sweep.run(&vectors);
    }
}

struct Vectors {
    learning_rate: f32,
    rho: f32,
    rest: f32,
    epsilon: f32,
}

impl Vectors {
    #[inline(always)]
    fn running<I: Isa>(&self, isa: I, mean: I::F32, x: I::F32) -> I::F32 {
        isa.mul_add(mean, isa.splat(self.rho), isa.mul(isa.mul(x, x), isa.splat(self.rest)))
    }
}

impl Step for Vectors {
    const SLOTS: usize = 2;

    #[inline(always)]
    fn step<I: Isa>(&self, isa: I, w: I::F32, g: I::F32, slots: &mut [I::F32; MAX_SLOTS]) -> I::F32 {
        let epsilon = isa.splat(self.epsilon);
        let v = self.running(isa, slots[0], g);
        let d = isa.div(isa.mul(isa.sqrt(isa.add(slots[1], epsilon)), g), isa.sqrt(isa.add(v, epsilon)));
        slots[0] = v;
        slots[1] = self.running(isa, slots[1], d);
        isa.neg_mul_add(d, isa.splat(self.learning_rate), w)
    }
}
