//! Nadam: Adam with Nesterov's momentum and a momentum that warms up. With gradient `g`, learning rate `a` and step `t`:
//!
//! ```text
//! u_t = beta_1 (1 - 0.96^t / 2),  U_t = u_1 u_2 ... u_t
//! m <- m + (1 - beta_1) (g - m)
//! v <- v + (1 - beta_2) (g^2 - v)
//! d <- u_{t+1} m / (1 - U_t u_{t+1}) + (1 - u_t) g / (1 - U_t)
//! w <- w - a d / (sqrt(v / (1 - beta_2^t)) + epsilon)
//! ```
//!
//! Keras keeps `U_t` as a variable. It follows from `t` alone, so that there is nothing to save here.

use foliot_simd::Isa;
use serde::{Deserialize, Serialize};

use super::formula::{Formula, Slot, correction};
use super::sweep::{MAX_SLOTS, Step, Sweep};
use crate::{Result, check};

/// How fast the momentum warms up.
const WARMUP: f64 = 0.96;

/// Keras's `Nadam`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nadam {
    /// How much of the running mean of gradients is kept at each step, in `[0, 1)`.
    pub beta_1: f64,
    /// How much of the running mean of squares is kept at each step, in `[0, 1)`.
    pub beta_2: f64,
    /// Keeps the denominator away from zero.
    pub epsilon: f64,
}

impl Nadam {
    /// `u_t`.
    fn momentum(&self, iteration: u64) -> f64 {
        self.beta_1 * (1.0 - 0.5 * WARMUP.powf(iteration as f64))
    }

    /// `U_t`.
    fn product(&self, iteration: u64) -> f64 {
        let mut product = self.beta_1.powf(iteration as f64);
        let mut power = 1.0;
        for _ in 0..iteration {
            power *= WARMUP;
            // From here on, after a thousand steps at most, the factors are 1.
            if power < f64::EPSILON / 4.0 {
                break;
            }
            product *= 1.0 - 0.5 * power;
        }
        product
    }
}

impl Formula for Nadam {
    fn validate(&self) -> Result<()> {
        check::below_one("beta_1", self.beta_1)?;
        check::below_one("beta_2", self.beta_2)?;
        check::non_negative("epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zeros("momentum"), Slot::zeros("velocity")]
    }

    fn update(&self, iteration: u64, sweep: Sweep) {
        let product = self.product(iteration);
        let (now, next) = (self.momentum(iteration), self.momentum(iteration + 1));
        let vectors = Vectors {
            learning_rate: sweep.learning_rate,
            of_momentum: (next / (1.0 - product * next)) as f32,
            of_gradient: ((1.0 - now) / (1.0 - product)) as f32,
            correction: correction(self.beta_2, iteration),
            rest_1: 1.0 - self.beta_1 as f32,
            rest_2: 1.0 - self.beta_2 as f32,
            epsilon: self.epsilon as f32,
        };
        sweep.run(&vectors);
    }
}

struct Vectors {
    learning_rate: f32,
    of_momentum: f32,
    of_gradient: f32,
    correction: f32,
    rest_1: f32,
    rest_2: f32,
    epsilon: f32,
}

impl Step for Vectors {
    const SLOTS: usize = 2;

    #[inline(always)]
    fn step<I: Isa>(&self, isa: I, w: I::F32, g: I::F32, slots: &mut [I::F32; MAX_SLOTS]) -> I::F32 {
        let m = isa.mul_add(isa.sub(g, slots[0]), isa.splat(self.rest_1), slots[0]);
        let v = isa.mul_add(isa.sub(isa.mul(g, g), slots[1]), isa.splat(self.rest_2), slots[1]);
        slots[0] = m;
        slots[1] = v;
        let d = isa.mul_add(m, isa.splat(self.of_momentum), isa.mul(g, isa.splat(self.of_gradient)));
        let root = isa.sqrt(isa.div(v, isa.splat(self.correction)));
        let denominator = isa.add(root, isa.splat(self.epsilon));
        isa.sub(w, isa.div(isa.mul(d, isa.splat(self.learning_rate)), denominator))
    }
}
