//! Penalties on weights: `l1 * sum |w| + l2 * sum w^2`. As in Keras there is no factor 1/2 before `l2`. And Keras's penalty on
//! what the rows or columns of a matrix have in common, `factor * mean |u_i · u_j|` over pairs of them as unit vectors.

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
    /// The penalty on vectors that are not at right angles.
    #[serde(default)]
    pub orthogonal: Option<Orthogonal>,
}

/// A penalty on the products of the rows of a matrix, or of its columns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orthogonal {
    /// Weight of the mean product.
    pub factor: f32,
    /// Whether it is of columns.
    pub columns: bool,
}

impl Orthogonal {
    /// The rows or columns as unit vectors, one after another, their lengths, and how many elements each has.
    fn vectors(self, shape: &[usize], values: &[f32]) -> (Vec<f64>, Vec<f64>, usize) {
        let [rows, columns] = *shape else { return (Vec::new(), Vec::new(), 0) };
        let (count, len) = if self.columns { (columns, rows) } else { (rows, columns) };
        let place = |vector: usize, element: usize| self.place(columns, vector, element);
        let mut units = Vec::with_capacity(values.len());
        let mut norms = Vec::with_capacity(count);
        for vector in 0..count {
            let elements = || (0..len).map(|element| f64::from(values[place(vector, element)]));
            let norm = elements().map(|value| value * value).sum::<f64>().sqrt();
            // A vector of zeros is at right angles to all.
            let norm = if norm == 0.0 { 1.0 } else { norm };
            units.extend(elements().map(|value| value / norm));
            norms.push(norm);
        }
        (units, norms, len)
    }

    fn place(self, columns: usize, vector: usize, element: usize) -> usize {
        if self.columns { element * columns + vector } else { vector * columns + element }
    }

    /// The factor of the sum over ordered pairs, of which there are twice as many; 0 where there is no pair.
    fn scale(self, count: usize) -> f64 {
        let pairs = count as f64 * (count as f64 - 1.0) / 2.0;
        if pairs > 0.0 { f64::from(self.factor) / pairs } else { 0.0 }
    }

    fn penalty(self, shape: &[usize], values: &[f32]) -> f64 {
        let (units, norms, len) = self.vectors(shape, values);
        let unit = |vector: usize| &units[vector * len..][..len];
        let products = (0..norms.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        self.scale(norms.len()) * products.map(|(i, j)| dot(unit(i), unit(j)).abs()).sum::<f64>()
    }

    fn add_gradient(self, shape: &[usize], values: &[f32], gradient: &mut [f32]) {
        let (units, norms, len) = self.vectors(shape, values);
        let unit = |vector: usize| &units[vector * len..][..len];
        let scale = self.scale(norms.len());
        let mut slope = vec![0.0; len];
        for (i, norm) in norms.iter().enumerate() {
            slope.fill(0.0);
            for j in (0..norms.len()).filter(|&j| j != i) {
                let product = dot(unit(i), unit(j));
                let sign = if product == 0.0 { 0.0 } else { product.signum() };
                slope.iter_mut().zip(unit(j)).for_each(|(slope, other)| *slope += sign * other);
            }
            // Along the vector itself nothing changes, for its length does not count.
            let along = dot(&slope, unit(i));
            for (element, (slope, own)) in slope.iter().zip(unit(i)).enumerate() {
                gradient[self.place(shape[1], i, element)] += (scale * (slope - along * own) / norm) as f32;
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Regularizer {
    /// Refuses weights that are negative or not finite.
    ///
    /// # Errors
    /// [`crate::Error::Value`] naming `l1` or `l2`.
    pub fn validate(&self) -> Result<()> {
        check::non_negative("l1", f64::from(self.l1))?;
        check::non_negative("l2", f64::from(self.l2))?;
        self.orthogonal.map_or(Ok(()), |orthogonal| check::finite("factor", f64::from(orthogonal.factor)))
    }

    /// The penalty on `values` of a weight of the given shape, summed in f64.
    #[must_use]
    pub fn penalty(&self, shape: &[usize], values: &[f32]) -> f64 {
        let mut penalty = self.orthogonal.map_or(0.0, |orthogonal| orthogonal.penalty(shape, values));
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
    pub fn add_gradient(&self, shape: &[usize], values: &[f32], gradient: &mut [f32]) {
        assert_eq!(values.len(), gradient.len());
        if let Some(orthogonal) = self.orthogonal {
            orthogonal.add_gradient(shape, values, gradient);
        }
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
        let both = Regularizer { l1: 0.5, l2: 0.25, orthogonal: None };
        // 0.5 * 10.25 + 0.25 * 18.5625: every term is exact in binary.
        assert_eq!(both.penalty(&[9], &w), 5.125 + 4.640625);
        assert_eq!(Regularizer { l1: 0.0, l2: 0.25, orthogonal: None }.penalty(&[9], &w), 4.640625);
        assert_eq!(both.penalty(&[0], &[]), 0.0);
        // Squares of large f32 values do not overflow.
        assert_eq!(
            Regularizer { l1: 0.0, l2: 1.0, orthogonal: None }.penalty(&[2], &[1e30, 0.0]),
            f64::from(1e30f32).powi(2)
        );
    }

    #[test]
    fn gradient_is_added_and_zero_has_no_sign() {
        let w = [0.5, -1.5, 0.0, -0.0];
        let mut gradient = [1.0; 4];
        Regularizer { l1: 0.25, l2: 0.5, orthogonal: None }.add_gradient(&[w.len()], &w, &mut gradient);
        assert_eq!(gradient, [1.0 + 0.25 + 0.5, 1.0 - 0.25 - 1.5, 1.0, 1.0]);
    }

    #[test]
    fn gradient_is_the_slope_of_the_penalty() {
        let regularizer = Regularizer { l1: 0.03, l2: 0.07, orthogonal: None };
        let w: Vec<f32> = (0..19).map(|i| (i as f32 * 0.37 - 3.1).sin()).collect();
        let mut gradient = vec![0.0; w.len()];
        regularizer.add_gradient(&[w.len()], &w, &mut gradient);
        for i in 0..w.len() {
            // A power of two far below |w|, so that w +- h is exact enough and the sign does not change.
            let h = 2.0f32.powi(-7);
            let (mut up, mut down) = (w.clone(), w.clone());
            up[i] += h;
            down[i] -= h;
            let slope = (regularizer.penalty(&[w.len()], &up) - regularizer.penalty(&[w.len()], &down))
                / f64::from(up[i] - down[i]);
            assert!((slope - f64::from(gradient[i])).abs() < 1e-6, "{i}: {slope} {}", gradient[i]);
        }
    }

    #[test]
    fn slopes_of_the_orthogonal_penalty() {
        for columns in [false, true] {
            let orthogonal = Some(Orthogonal { factor: 0.3, columns });
            let regularizer = Regularizer { l1: 0.0, l2: 0.0, orthogonal };
            let w: Vec<f32> = (0..12).map(|i| (i as f32 * 1.37 - 3.1).sin()).collect();
            let mut gradient = vec![0.0; w.len()];
            regularizer.add_gradient(&[3, 4], &w, &mut gradient);
            for i in 0..w.len() {
                let h = 2.0f32.powi(-9);
                let (mut up, mut down) = (w.clone(), w.clone());
                up[i] += h;
                down[i] -= h;
                let rise = regularizer.penalty(&[3, 4], &up) - regularizer.penalty(&[3, 4], &down);
                let slope = rise / f64::from(up[i] - down[i]);
                assert!((slope - f64::from(gradient[i])).abs() < 1e-5, "{i}: {slope} {}", gradient[i]);
            }
        }
    }

    #[test]
    fn specification_is_strict() {
        let parse = |text: &str| serde_json::from_str::<Regularizer>(text);
        assert_eq!(parse(r#"{"l1": 0.0, "l2": 0.01}"#).unwrap(), Regularizer { l1: 0.0, l2: 0.01, orthogonal: None });
        assert!(parse(r#"{"l1": 0.0, "l2": 0.01, "l3": 1}"#).is_err());
        assert!(parse(r#"{"l1": 0.0}"#).is_err());
        for (l1, l2, name) in [(-0.1, 0.0, "`l1`"), (0.0, f32::NAN, "`l2`"), (f32::INFINITY, 0.0, "`l1`")] {
            assert!(Regularizer { l1, l2, orthogonal: None }.validate().unwrap_err().to_string().contains(name));
        }
        assert!(Regularizer { l1: 0.0, l2: 0.0, orthogonal: None }.validate().is_ok());
    }
}
