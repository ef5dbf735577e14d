//! Checks of numbers that several parts share. Those of single numbers name the argument as the user wrote it; finite means
//! finite as the f32 that it becomes.

use crate::{Error, Result, threads};
use foliot_simd::{Isa, Kernel, Level, active, dispatch};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the first NaN or infinity is.
#[must_use]
pub fn first_not_finite(values: &[f32]) -> Option<usize> {
    /// 128 KiB: a task takes some microseconds.
    const TASK: usize = 1 << 15;
    // A FOLIOT_ISA that names nothing is reported where a model is built; this answer is the same on every level.
    let level = active().unwrap_or(Level::Portable);
    let first = AtomicUsize::new(values.len());
    threads::for_each(values.len().div_ceil(TASK), |task| {
        let start = task * TASK;
        let part = &values[start..values.len().min(start + TASK)];
        if !dispatch(level, AllFinite(part))
            && let Some(at) = part.iter().position(|x| !x.is_finite())
        {
            first.fetch_min(start + at, Ordering::Relaxed);
        }
    });
    Some(first.into_inner()).filter(|&first| first < values.len())
}

/// Whether all values are finite. Every input of a model comes by here, so this should cost no more than reading it.
struct AllFinite<'a>(&'a [f32]);

impl Kernel for AllFinite<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> bool {
        // Blocks without a way out in between, of vectors that do not wait for each other.
        const VECTORS: usize = 4;
        let Self(values) = self;
        let greatest = isa.splat(f32::MAX);
        // NaN compares as false.
        let is_finite = |x| isa.le(isa.abs(x), greatest);
        let mut blocks = values.chunks_exact(VECTORS * I::LANES);
        let all = blocks.by_ref().all(|block| {
            // SAFETY: a block holds `VECTORS` vectors.
            let finite = [0, 1, 2, 3].map(|at| is_finite(unsafe { isa.load(block.as_ptr().add(at * I::LANES)) }));
            isa.all(isa.mask_and(isa.mask_and(finite[0], finite[1]), isa.mask_and(finite[2], finite[3])))
        });
        all && blocks.remainder().chunks(I::LANES).all(|rest| {
            // SAFETY: the pointer and the length are those of `rest`, which is at most `LANES` long; zeros follow.
            isa.all(is_finite(unsafe { isa.load_partial(rest.as_ptr(), rest.len()) }))
        })
    }
}

/// `value` has to be finite and at least 0.
pub(crate) fn non_negative(argument: &str, value: f64) -> Result<()> {
    require(argument, is_finite(value) && value >= 0.0, "a finite number >= 0", value)
}

/// `value` has to be finite and above 0.
pub(crate) fn positive(argument: &str, value: f64) -> Result<()> {
    require(argument, is_finite(value) && value > 0.0, "a finite number > 0", value)
}

/// `value` has to be finite.
pub(crate) fn finite(argument: &str, value: f64) -> Result<()> {
    require(argument, is_finite(value), "a finite number", value)
}

/// `value` has to lie in `[0, 1]`.
pub(crate) fn fraction(argument: &str, value: f64) -> Result<()> {
    require(argument, (0.0..=1.0).contains(&value), "a number in [0, 1]", value)
}

/// `value` has to lie in `[0, 1)`.
pub(crate) fn below_one(argument: &str, value: f64) -> Result<()> {
    require(argument, (0.0..1.0).contains(&value), "a number in [0, 1)", value)
}

fn is_finite(value: f64) -> bool {
    (value as f32).is_finite()
}

fn require(argument: &str, holds: bool, expected: &str, value: f64) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::value(argument, expected, value.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_that_is_not_finite_is_found_wherever_it_is() {
        let mut values = vec![1.0_f32; 100_000];
        assert_eq!(first_not_finite(&values), None);
        assert_eq!(first_not_finite(&[]), None);
        for at in 0..260 {
            for value in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for len in [at + 1, at + 2, 260] {
                    let mut some = vec![f32::MAX; len];
                    some[at] = value;
                    for &level in foliot_simd::available() {
                        assert!(!dispatch(level, AllFinite(&some)), "{level}: {value} at {at} of {len}");
                        assert!(dispatch(level, AllFinite(&some[..at])) && dispatch(level, AllFinite(&some[at + 1..])));
                    }
                }
            }
        }
        for (at, value) in [(99_999, f32::NAN), (70_003, f32::INFINITY), (70_001, f32::NAN), (5, f32::NEG_INFINITY)] {
            values[at] = value;
            assert_eq!(first_not_finite(&values), Some(at));
        }
    }

    #[test]
    fn every_check_refuses_nan_and_its_own_outside() {
        for check in [non_negative, positive, finite, fraction, below_one] {
            assert!(check("x", f64::NAN).is_err());
            assert!(check("x", f64::INFINITY).is_err());
            assert!(check("x", 1e39).is_err());
            assert!(check("x", 0.5).is_ok());
        }
        assert!(non_negative("x", 0.0).is_ok() && non_negative("x", -1e-300).is_err());
        assert!(positive("x", 0.0).is_err());
        assert!(finite("x", -3.0).is_ok());
        assert!(fraction("x", 1.0).is_ok() && fraction("x", 1.1).is_err());
        assert!(below_one("x", 0.0).is_ok() && below_one("x", 1.0).is_err());
    }

    #[test]
    fn the_message_names_argument_expectation_and_value() {
        let text = non_negative("clipnorm", -2.5).unwrap_err().to_string();
        assert_eq!(text, "`clipnorm`: expected a finite number >= 0; received -2.5");
    }
}
