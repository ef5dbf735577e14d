//! `RMSprop`. With gradient `g`, learning rate `a`, decay `r` of the running means and momentum `b`:
//!
//! ```text
//! v <- r v + (1 - r) g^2
//! c <- r c + (1 - r) g                     only if centered; else c = 0
//! d <- a g / sqrt(v - c^2 + epsilon)       epsilon stands inside the root
//! m <- b m + d,  w <- w - m                only with momentum; else w <- w - d
//! ```

use foliot_simd::Isa;
use serde::{Deserialize, Serialize};

use super::formula::{Formula, Slot};
use super::sweep::{MAX_SLOTS, Step, Sweep};
use crate::{Result, check};

/// Keras's `RMSprop`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rmsprop {
    /// How much of a running mean is kept at each step, in `[0, 1]`.
    pub rho: f64,
    /// How much of the last step is taken again, in `[0, 1]`.
    pub momentum: f64,
    /// Keeps the root away from zero.
    pub epsilon: f64,
    /// Divide by the standard deviation instead of the root mean square.
    pub centered: bool,
}

impl Formula for Rmsprop {
    fn validate(&self) -> Result<()> {
        check::fraction("rho", self.rho)?;
        check::fraction("momentum", self.momentum)?;
        check::non_negative("epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::zeros("velocity")];
        if self.momentum > 0.0 {
            slots.push(Slot::zeros("momentum"));
        }
        if self.centered {
            slots.push(Slot::zeros("average_gradient"));
        }
        slots
    }

    fn update(&self, _: u64, sweep: Sweep) {
        let rate = sweep.learning_rate;
        match (self.momentum > 0.0, self.centered) {
            (false, false) => sweep.run(&self.vectors::<false, false>(rate)),
            (true, false) => sweep.run(&self.vectors::<true, false>(rate)),
            (false, true) => sweep.run(&self.vectors::<false, true>(rate)),
            (true, true) => sweep.run(&self.vectors::<true, true>(rate)),
        }
    }
}

impl Rmsprop {
    fn vectors<const MOMENTUM: bool, const CENTERED: bool>(&self, learning_rate: f32) -> Vectors<MOMENTUM, CENTERED> {
        Vectors {
            learning_rate,
            rho: self.rho as f32,
            // Rounded after the subtraction, as Keras does.
            rest: (1.0 - self.rho) as f32,
            momentum: self.momentum as f32,
            epsilon: self.epsilon as f32,
        }
    }
}

struct Vectors<const MOMENTUM: bool, const CENTERED: bool> {
    learning_rate: f32,
    rho: f32,
    rest: f32,
    momentum: f32,
    epsilon: f32,
}

impl<const MOMENTUM: bool, const CENTERED: bool> Vectors<MOMENTUM, CENTERED> {
    #[inline(always)]
    fn running<I: Isa>(&self, isa: I, mean: I::F32, x: I::F32) -> I::F32 {
        let new = isa.mul(x, isa.splat(self.rest));
        isa.mul_add(mean, isa.splat(self.rho), new)
    }
}

impl<const MOMENTUM: bool, const CENTERED: bool> Step for Vectors<MOMENTUM, CENTERED> {
    const SLOTS: usize = 1 + MOMENTUM as usize + CENTERED as usize;

    #[inline(always)]
    fn step<I: Isa>(&self, isa: I, w: I::F32, g: I::F32, slots: &mut [I::F32; MAX_SLOTS]) -> I::F32 {
        let v = self.running(isa, slots[0], isa.mul(g, g));
        slots[0] = v;
        let mut square = v;
        if CENTERED {
            let slot = Self::SLOTS - 1;
            let c = self.running(isa, slots[slot], g);
            slots[slot] = c;
            // A variance; rounding may leave it below zero when the gradient hardly changes, and more so than epsilon.
            // `max` keeps a NaN in its second operand.
            square = isa.max(isa.zero(), isa.neg_mul_add(c, c, v));
        }
        let root = isa.sqrt(isa.add(square, isa.splat(self.epsilon)));
        let step = isa.div(isa.mul(g, isa.splat(self.learning_rate)), root);
        if MOMENTUM {
            let m = isa.mul_add(slots[1], isa.splat(self.momentum), step);
            slots[1] = m;
            isa.sub(w, m)
        } else {
            isa.sub(w, step)
        }
    }
}
