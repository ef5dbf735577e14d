//! Gradient descent. With gradient `g`, learning rate `a` and momentum `b`:
//!
//! ```text
//! m <- b m - a g
//! w <- w + m               or, with Nesterov's momentum, w + b m - a g
//! ```
//!
//! Without momentum there is no slot, and `w <- w - a g`.

use foliot_simd::Isa;
use serde::{Deserialize, Serialize};

use super::formula::{Formula, Slot};
use super::sweep::{MAX_SLOTS, Step, Sweep};
use crate::{Result, check};

/// Keras's `SGD`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    /// How much of the last step is taken again, in `[0, 1]`.
    pub momentum: f64,
    /// Look one step ahead along the momentum.
    pub nesterov: bool,
}

impl Formula for Sgd {
    fn validate(&self) -> Result<()> {
        check::fraction("momentum", self.momentum)
    }

    fn slots(&self) -> Vec<Slot> {
        if self.momentum == 0.0 { vec![] } else { vec![Slot::zeros("momentum")] }
    }

    fn update(&self, _: u64, sweep: Sweep) {
        let learning_rate = sweep.learning_rate;
        let momentum = self.momentum as f32;
        if self.momentum == 0.0 {
            sweep.run(&Plain { learning_rate });
        } else if self.nesterov {
            sweep.run(&Momentum::<true> { learning_rate, momentum });
        } else {
            sweep.run(&Momentum::<false> { learning_rate, momentum });
        }
    }
}

struct Plain {
    learning_rate: f32,
}

impl Step for Plain {
    const SLOTS: usize = 0;

    #[inline(always)]
    fn step<I: Isa>(&self, isa: I, w: I::F32, g: I::F32, _: &mut [I::F32; MAX_SLOTS]) -> I::F32 {
        isa.neg_mul_add(g, isa.splat(self.learning_rate), w)
    }
}

struct Momentum<const NESTEROV: bool> {
    learning_rate: f32,
    momentum: f32,
}

impl<const NESTEROV: bool> Momentum<NESTEROV> {
    #[inline(always)]
    fn along<I: Isa>(&self, isa: I, m: I::F32, g: I::F32) -> I::F32 {
        let kept = isa.mul(m, isa.splat(self.momentum));
        isa.neg_mul_add(g, isa.splat(self.learning_rate), kept)
    }
}

impl<const NESTEROV: bool> Step for Momentum<NESTEROV> {
    const SLOTS: usize = 1;

    #[inline(always)]
    fn step<I: Isa>(&self, isa: I, w: I::F32, g: I::F32, slots: &mut [I::F32; MAX_SLOTS]) -> I::F32 {
        let m = self.along(isa, slots[0], g);
        slots[0] = m;
        isa.add(w, if NESTEROV { self.along(isa, m, g) } else { m })
    }
}
