//! Checks of numbers that several parts share. Those of single numbers name the argument as the user wrote it; finite means
//! finite as the f32 that it becomes.

use crate::{Error, Result, threads};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the first NaN or infinity is.
#[must_use]
pub fn first_not_finite(values: &[f32]) -> Option<usize> {
    /// 128 KiB: a task takes some microseconds.
    const TASK: usize = 1 << 15;
    // Whole chunks without a way out in between, so that it vectorizes.
    let finite = |part: &[f32]| part.iter().fold(true, |all, x| all & x.is_finite());
    let first = AtomicUsize::new(values.len());
    threads::for_each(values.len().div_ceil(TASK), |task| {
        let start = task * TASK;
        let part = &values[start..values.len().min(start + TASK)];
        if !part.chunks(64).all(finite)
            && let Some(at) = part.iter().position(|x| !x.is_finite())
        {
            first.fetch_min(start + at, Ordering::Relaxed);
        }
    });
    Some(first.into_inner()).filter(|&first| first < values.len())
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
