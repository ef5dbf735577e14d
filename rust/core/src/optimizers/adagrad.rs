//! Adagrad. With gradient `g` and learning rate `a`:
//!
//! ```text
//! n <- n + g^2                             n begins at initial_accumulator_value
//! w <- w - a g / sqrt(n + epsilon)         epsilon stands inside the root
//! ```

use foliot_simd::Isa;
use serde::{Deserialize, Serialize};

use super::formula::{Formula, Slot};
use super::sweep::{MAX_SLOTS, Step, Sweep};
use crate::{Result, check};

/// Keras's `Adagrad`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adagrad {
    /// What the sum of squares begins at.
    pub initial_accumulator_value: f64,
    /// Keeps the root away from zero.
    pub epsilon: f64,
}

impl Formula for Adagrad {
    fn validate(&self) -> Result<()> {
        check::non_negative("initial_accumulator_value", self.initial_accumulator_value)?;
        check::non_negative("epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::begun_at("accumulator", self.initial_accumulator_value as f32)]
    }

    fn update(&self, _: u64, sweep: Sweep) {
        let vectors = Vectors { learning_rate: sweep.learning_rate, epsilon: self.epsilon as f32 };
        sweep.run(&vectors);
    }
}

struct Vectors {
    learning_rate: f32,
    epsilon: f32,
}

impl Step for Vectors {
    const SLOTS: usize = 1;

    #[inline(always)]
    fn step<I: Isa>(&self, isa: I, w: I::F32, g: I::F32, slots: &mut [I::F32; MAX_SLOTS]) -> I::F32 {
        let n = isa.mul_add(g, g, slots[0]);
        slots[0] = n;
        let root = isa.sqrt(isa.add(n, isa.splat(self.epsilon)));
        isa.sub(w, isa.div(isa.mul(g, isa.splat(self.learning_rate)), root))
    }
}
