//! Penalties on weights: `l1 * sum |w| + l2 * sum w^2`. As in Keras there is no factor 1/2 before `l2`.

use serde::{Deserialize, Serialize};

use crate::{Result, check};

/// Independent partial sums, so that the additions vectorize. The order of a sum depends on its length alone: the same
/// bits come out on every machine and for every number of threads.
const PARTIAL_SUMS: usize = 8;

/// An L1 penalty, an L2 penalty, or both; 0 turns one off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regularizer {
    /// Weight of the sum of absolute values.
    pub l1: f32,
    /// Weight of the sum of squares.
    pub l2: f32,
}

impl Regularizer {
    /// Refuses weights that are negative or not finite.
    ///
    /// # Errors
    /// [`crate::Error::Value`] naming `l1` or `l2`.
    pub fn validate(&self) -> Result<()> {
        check::non_negative("l1", f64::from(self.l1))?;
        check::non_negative("l2", f64::from(self.l2))
    }

    /// The penalty on `values`, summed in f64.
    #[must_use]
    pub fn penalty(&self, values: &[f32]) -> f64 {
        let mut penalty = 0.0;
        if self.l1 != 0.0 {
            penalty += f64::from(self.l1) * sum_by(values, f64::abs);
        }
        if self.l2 != 0.0 {
            penalty += f64::from(self.l2) * sum_of_squares(values);
        }
        penalty
    }

    /// Adds the gradient of the penalty, `l1 * sign(w) + 2 * l2 * w` with `sign(0) = 0`, to `gradient`.
    ///
    /// # Panics
    /// When the two lengths differ.
    pub fn add_gradient(&self, values: &[f32], gradient: &mut [f32]) {
        assert_eq!(values.len(), gradient.len());
        let double = 2.0 * self.l2;
        for (g, &w) in gradient.iter_mut().zip(values) {
            let sign = if w == 0.0 { 0.0 } else { 1.0f32.copysign(w) };
            *g += self.l1 * sign + double * w;
        }
    }
}

/// The sum of the squares, in f64: no f32 input overflows it.
#[must_use]
pub(crate) fn sum_of_squares(values: &[f32]) -> f64 {
    sum_by(values, |x| x * x)
}

fn sum_by(values: &[f32], term: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; PARTIAL_SUMS];
    let chunks = values.chunks_exact(PARTIAL_SUMS);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += term(f64::from(x));
        }
    }
    for (sum, &x) in sums.iter_mut().zip(rest) {
        *sum += term(f64::from(x));
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_are_those_of_keras() {
        let w = [0.5, -1.5, 2.0, 0.0, -0.25, 1.0, 1.0, 1.0, -3.0];
        let both = Regularizer { l1: 0.5, l2: 0.25 };
        // 0.5 * 10.25 + 0.25 * 18.5625: every term is exact in binary.
        assert_eq!(both.penalty(&w), 5.125 + 4.640625);
        assert_eq!(Regularizer { l1: 0.0, l2: 0.25 }.penalty(&w), 4.640625);
        assert_eq!(both.penalty(&[]), 0.0);
        // Squares of large f32 values do not overflow.
        assert_eq!(Regularizer { l1: 0.0, l2: 1.0 }.penalty(&[1e30, 0.0]), f64::from(1e30f32).powi(2));
    }

    #[test]
    fn gradient_is_added_and_zero_has_no_sign() {
        let w = [0.5, -1.5, 0.0, -0.0];
        let mut gradient = [1.0; 4];
        Regularizer { l1: 0.25, l2: 0.5 }.add_gradient(&w, &mut gradient);
        assert_eq!(gradient, [1.0 + 0.25 + 0.5, 1.0 - 0.25 - 1.5, 1.0, 1.0]);
    }

    #[test]
    fn gradient_is_the_slope_of_the_penalty() {
        let regularizer = Regularizer { l1: 0.03, l2: 0.07 };
        let w: Vec<f32> = (0..19).map(|i| (i as f32 * 0.37 - 3.1).sin()).collect();
        let mut gradient = vec![0.0; w.len()];
        regularizer.add_gradient(&w, &mut gradient);
        for i in 0..w.len() {
            // A power of two far below |w|, so that w +- h is exact enough and the sign does not change.
            let h = 2.0f32.powi(-7);
            let (mut up, mut down) = (w.clone(), w.clone());
            up[i] += h;
            down[i] -= h;
            let slope = (regularizer.penalty(&up) - regularizer.penalty(&down)) / f64::from(up[i] - down[i]);
            assert!((slope - f64::from(gradient[i])).abs() < 1e-6, "{i}: {slope} {}", gradient[i]);
        }
    }

    #[test]
    fn specification_is_strict() {
        let parse = |text: &str| serde_json::from_str::<Regularizer>(text);
        assert_eq!(parse(r#"{"l1": 0.0, "l2": 0.01}"#).unwrap(), Regularizer { l1: 0.0, l2: 0.01 });
        assert!(parse(r#"{"l1": 0.0, "l2": 0.01, "l3": 1}"#).is_err());
        assert!(parse(r#"{"l1": 0.0}"#).is_err());
        for (l1, l2, name) in [(-0.1, 0.0, "`l1`"), (0.0, f32::NAN, "`l2`"), (f32::INFINITY, 0.0, "`l1`")] {
            assert!(Regularizer { l1, l2 }.validate().unwrap_err().to_string().contains(name));
        }
        assert!(Regularizer { l1: 0.0, l2: 0.0 }.validate().is_ok());
    }
}
