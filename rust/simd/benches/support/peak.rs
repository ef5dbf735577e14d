//! The rate of independent multiply-adds in registers, of which everything else is a share.

use foliot_simd::{Isa, Kernel, Level};
use std::hint::black_box;

const STEPS: u64 = 10_000;
/// Chains that hide the latency of a multiply-add on every CPU, and fit sixteen registers.
const CHAINS: usize = 12;

/// Runs the chains once.
pub(crate) struct Peak;

impl Kernel for Peak {
    type Output = f32;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> f32 {
        let (factor, term) = (isa.splat(black_box(0.5)), isa.splat(black_box(1.0)));
        let mut sums = [isa.zero(); CHAINS];
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = isa.mul_add(*sum, factor, term);
            }
        }
        let mut total = isa.zero();
        for sum in sums {
            total = isa.add(total, sum);
        }
        isa.reduce_add(total)
    }
}

/// Additions and multiplications of one run.
pub(crate) fn operations(level: Level) -> u64 {
    2 * STEPS * (CHAINS * level.lanes()) as u64
}
