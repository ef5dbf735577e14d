//! Constraints on weights, applied after the optimizer's step.
//!
//! The norms are Euclidean, taken over `axis` of the weight's shape: with axis 0 of an `(inputs, units)` kernel, the
//! norm of all weights into one unit. As in Keras a small epsilon is added to the norm that divides.

use serde::{Deserialize, Serialize};

use crate::{Error, Result, check};

/// Keras's `backend.epsilon()`.
const EPSILON: f32 = 1e-7;

/// Weights have few axes; a fixed bound keeps [`Constraint::apply`] free of allocation.
const MAX_RANK: usize = 8;

/// Slices along a last axis that is kept are taken this many at a time, so that memory is read in runs.
const BLOCK: usize = 16;

/// The axis or axes that a norm is taken over; negative ones count from the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Axes {
    /// One axis.
    One(i64),
    /// Several axes at once, as for a convolution kernel.
    Many(Vec<i64>),
}

/// One of Keras's constraints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Constraint {
    /// Norms above `max_value` are scaled down to it.
    MaxNorm {
        /// The largest norm.
        max_value: f32,
        /// What a norm is taken over.
        axis: Axes,
    },
    /// Negative weights become 0.
    NonNeg {},
    /// Every norm is scaled to 1.
    UnitNorm {
        /// What a norm is taken over.
        axis: Axes,
    },
    /// Norms are moved, by the fraction `rate`, to between `min_value` and `max_value`.
    MinMaxNorm {
        /// The smallest norm.
        min_value: f32,
        /// The largest norm.
        max_value: f32,
        /// 1 moves the whole way at once, less than 1 only a part.
        rate: f32,
        /// What a norm is taken over.
        axis: Axes,
    },
}

impl Constraint {
    /// Refuses values that make no sense for any shape.
    ///
    /// # Errors
    /// [`Error::Value`] naming `min_value`, `max_value` or `rate`.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::MaxNorm { max_value, .. } => check::non_negative("max_value", f64::from(*max_value)),
            Self::NonNeg {} | Self::UnitNorm { .. } => Ok(()),
            Self::MinMaxNorm { min_value, max_value, rate, .. } => {
                check::non_negative("min_value", f64::from(*min_value))?;
                check::non_negative("max_value", f64::from(*max_value))?;
                check::fraction("rate", f64::from(*rate))?;
                if min_value > max_value {
                    let expected = format!("at most max_value = {max_value}");
                    return Err(Error::value("min_value", expected, min_value.to_string()));
                }
                Ok(())
            }
        }
    }

    /// Refuses an axis that a weight of this shape does not have.
    ///
    /// # Errors
    /// [`Error::Value`] naming `axis`.
    pub fn validate_for(&self, shape: &[usize]) -> Result<()> {
        match self {
            Self::NonNeg {} => Ok(()),
            Self::MaxNorm { axis, .. } | Self::UnitNorm { axis } | Self::MinMaxNorm { axis, .. } => {
                reduced(axis, shape).map(|_| ())
            }
        }
    }

    /// Applies the constraint to `values`, a row-major array of this shape.
    ///
    /// # Errors
    /// [`Error::Value`] naming `axis` when the shape does not have it.
    ///
    /// # Panics
    /// When `values` does not have the length that `shape` says.
    pub fn apply(&self, values: &mut [f32], shape: &[usize]) -> Result<()> {
        assert_eq!(values.len(), shape.iter().product::<usize>());
        match self {
            Self::NonNeg {} => {
                for w in values {
                    // Not `max`, which would turn a NaN into 0 and hide it.
                    if *w < 0.0 {
                        *w = 0.0;
                    }
                }
                Ok(())
            }
            Self::MaxNorm { max_value, axis } => {
                scale_by_norm(values, shape, axis, |norm| norm.clamp(0.0, *max_value) / (EPSILON + norm))
            }
            Self::UnitNorm { axis } => scale_by_norm(values, shape, axis, |norm| 1.0 / (EPSILON + norm)),
            Self::MinMaxNorm { min_value, max_value, rate, axis } => scale_by_norm(values, shape, axis, |norm| {
                let desired = rate * norm.clamp(*min_value, *max_value) + (1.0 - rate) * norm;
                desired / (EPSILON + norm)
            }),
        }
    }
}

/// Which axes of `shape` a norm sums over.
fn reduced(axes: &Axes, shape: &[usize]) -> Result<[bool; MAX_RANK]> {
    if shape.len() > MAX_RANK {
        return Err(Error::value("shape", format!("at most {MAX_RANK} axes"), format!("{shape:?}")));
    }
    let mut flags = [false; MAX_RANK];
    let list = match axes {
        Axes::One(axis) => std::slice::from_ref(axis),
        Axes::Many(list) => list.as_slice(),
    };
    let rank = shape.len() as i64;
    for &axis in list {
        let index = if axis < 0 { axis.saturating_add(rank) } else { axis };
        if !(0..rank).contains(&index) {
            let expected = format!("axes in [-{rank}, {rank}) for a weight of shape {shape:?}");
            return Err(Error::value("axis", expected, axis.to_string()));
        }
        if std::mem::replace(&mut flags[index as usize], true) {
            return Err(Error::value("axis", "each axis once", format!("{list:?}")));
        }
    }
    Ok(flags)
}

/// A walk over some axes of an array: the sizes and strides that count, the outermost first.
#[derive(Default)]
struct Walk {
    sizes: [usize; MAX_RANK],
    strides: [usize; MAX_RANK],
    rank: usize,
}

impl Walk {
    fn push(&mut self, size: usize, stride: usize) {
        self.sizes[self.rank] = size;
        self.strides[self.rank] = stride;
        self.rank += 1;
    }

    /// Calls `visit` with the offset of every position, in row-major order.
    fn each(&self, mut visit: impl FnMut(usize)) {
        let count: usize = self.sizes[..self.rank].iter().product();
        let mut position = [0; MAX_RANK];
        let mut offset = 0;
        for _ in 0..count {
            visit(offset);
            for axis in (0..self.rank).rev() {
                position[axis] += 1;
                offset += self.strides[axis];
                if position[axis] < self.sizes[axis] {
                    break;
                }
                offset -= position[axis] * self.strides[axis];
                position[axis] = 0;
            }
        }
    }
}

/// Multiplies every slice along `axes` by `factor(its norm)`.
fn scale_by_norm(values: &mut [f32], shape: &[usize], axes: &Axes, factor: impl Fn(f32) -> f32) -> Result<()> {
    let summed = reduced(axes, shape)?;
    let mut strides = [1; MAX_RANK];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    // A kept last axis is the run of neighbours within which slices lie side by side.
    let last_kept = shape.len().checked_sub(1).filter(|&last| !summed[last]);
    let run = last_kept.map_or(1, |last| shape[last]);
    let (mut outer, mut inner) = (Walk::default(), Walk::default());
    for (axis, &size) in shape.iter().enumerate() {
        if summed[axis] {
            inner.push(size, strides[axis]);
        } else if Some(axis) != last_kept {
            outer.push(size, strides[axis]);
        }
    }
    outer.each(|start| {
        for first in (0..run).step_by(BLOCK) {
            let width = BLOCK.min(run - first);
            let mut sums = [0.0f64; BLOCK];
            inner.each(|offset| {
                let slice = &values[start + first + offset..][..width];
                for (sum, &w) in sums.iter_mut().zip(slice) {
                    *sum += f64::from(w) * f64::from(w);
                }
            });
            let factors = sums.map(|sum| factor(sum.sqrt() as f32));
            inner.each(|offset| {
                let slice = &mut values[start + first + offset..][..width];
                for (w, factor) in slice.iter_mut().zip(factors) {
                    *w *= factor;
                }
            });
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7 % 23) as f32 - 11.0) / 8.0).collect()
    }

    /// Euclidean norms straight from the definition: a map from the kept indices to a norm.
    fn norms(values: &[f32], shape: &[usize], over: &[usize]) -> std::collections::BTreeMap<Vec<usize>, f64> {
        let mut sums = std::collections::BTreeMap::new();
        for (flat, &w) in values.iter().enumerate() {
            let mut rest = flat;
            let mut index = vec![0; shape.len()];
            for axis in (0..shape.len()).rev() {
                index[axis] = rest % shape[axis];
                rest /= shape[axis];
            }
            for &axis in over {
                index[axis] = 0;
            }
            *sums.entry(index).or_insert(0.0) += f64::from(w).powi(2);
        }
        sums.into_iter().map(|(index, sum)| (index, sum.sqrt())).collect()
    }

    #[test]
    fn unit_norm_holds_for_every_choice_of_axes() {
        let cases: [(&[usize], &[i64], &[usize]); 9] = [
            (&[5, 3], &[0], &[0]),
            (&[5, 3], &[1], &[1]),
            (&[5, 3], &[-1], &[1]),
            (&[5, 37], &[0], &[0]),
            (&[4, 3, 19], &[0], &[0]),
            (&[4, 3, 19], &[1], &[1]),
            (&[4, 3, 19], &[0, 2], &[0, 2]),
            (&[2, 3, 4, 5], &[0, 1, 2], &[0, 1, 2]),
            (&[7], &[0], &[0]),
        ];
        for (shape, axes, over) in cases {
            let mut w: Vec<f32> = values(shape.iter().product()).iter().map(|x| x + 0.0625).collect();
            let axis = if let [one] = axes { Axes::One(*one) } else { Axes::Many(axes.to_vec()) };
            Constraint::UnitNorm { axis }.apply(&mut w, shape).unwrap();
            for (index, norm) in norms(&w, shape, over) {
                assert!((norm - 1.0).abs() < 1e-5, "{shape:?} {axes:?} {index:?}: {norm}");
            }
        }
    }

    #[test]
    fn max_norm_leaves_small_slices_alone() {
        let shape = [4, 6];
        let before = values(24);
        let mut after = before.clone();
        Constraint::MaxNorm { max_value: 1.6, axis: Axes::One(0) }.apply(&mut after, &shape).unwrap();
        let (old, new) = (norms(&before, &shape, &[0]), norms(&after, &shape, &[0]));
        assert!(old.values().any(|&norm| norm > 1.6) && old.values().any(|&norm| norm < 1.6));
        for (index, norm) in old {
            // The epsilon in the denominator costs 1e-7 of a norm of 1.
            assert!((new[&index] - norm.min(1.6)).abs() < 1e-6, "{index:?}");
        }
    }

    #[test]
    fn min_max_norm_moves_by_its_rate() {
        let shape = [3, 5];
        let before = values(15);
        let mut after = before.clone();
        let constraint = Constraint::MinMaxNorm { min_value: 1.0, max_value: 1.5, rate: 0.25, axis: Axes::One(1) };
        constraint.apply(&mut after, &shape).unwrap();
        let (old, new) = (norms(&before, &shape, &[1]), norms(&after, &shape, &[1]));
        for (index, norm) in old {
            let desired = 0.25 * norm.clamp(1.0, 1.5) + 0.75 * norm;
            assert!((new[&index] - desired).abs() < 1e-5, "{index:?}: {} {desired}", new[&index]);
        }
    }

    #[test]
    fn numbers_of_keras() {
        // keras.constraints on [[3, -0.5], [-4, 1]], Keras 3.15.1 on JAX.
        let w = [3.0, -0.5, -4.0, 1.0];
        let cases = [
            (Constraint::MaxNorm { max_value: 2.0, axis: Axes::One(0) }, [1.2, -0.5, -1.6, 1.0]),
            (Constraint::NonNeg {}, [3.0, 0.0, 0.0, 1.0]),
            (Constraint::UnitNorm { axis: Axes::One(0) }, [0.6, -0.4472136, -0.8, 0.8944272]),
            (Constraint::UnitNorm { axis: Axes::One(1) }, [0.9863939, -0.16439898, -0.9701425, 0.24253562]),
        ];
        for (constraint, expected) in cases {
            let mut actual = w;
            constraint.apply(&mut actual, &[2, 2]).unwrap();
            for (a, e) in actual.iter().zip(expected) {
                assert!((a - e).abs() < 3e-7, "{constraint:?}: {actual:?} {expected:?}");
            }
        }
    }

    #[test]
    fn nan_stays_visible_and_empty_is_fine() {
        let mut w = [f32::NAN, -1.0];
        Constraint::NonNeg {}.apply(&mut w, &[2]).unwrap();
        assert!(w[0].is_nan() && w[1] == 0.0);
        let mut w = [f32::NAN, -1.0];
        Constraint::MaxNorm { max_value: 1.0, axis: Axes::One(0) }.apply(&mut w, &[2]).unwrap();
        assert!(w[0].is_nan() && w[1].is_nan());
        Constraint::UnitNorm { axis: Axes::One(0) }.apply(&mut [], &[0, 3]).unwrap();
        Constraint::UnitNorm { axis: Axes::One(0) }.apply(&mut [], &[3, 0]).unwrap();
    }

    #[test]
    fn specification_is_strict() {
        let parse = |text: &str| serde_json::from_str::<Constraint>(text);
        let max_norm = Constraint::MaxNorm { max_value: 2.0, axis: Axes::One(0) };
        assert_eq!(parse(r#"{"kind": "max_norm", "max_value": 2.0, "axis": 0}"#).unwrap(), max_norm);
        assert_eq!(
            parse(r#"{"kind": "unit_norm", "axis": [0, 1]}"#).unwrap(),
            Constraint::UnitNorm { axis: Axes::Many(vec![0, 1]) }
        );
        assert_eq!(parse(r#"{"kind": "non_neg"}"#).unwrap(), Constraint::NonNeg {});
        assert!(parse(r#"{"kind": "non_neg", "axis": 0}"#).is_err());
        assert!(parse(r#"{"kind": "unit_norm"}"#).is_err());
        assert!(parse(r#"{"kind": "unknown"}"#).is_err());

        let axis = Axes::One(0);
        let wrong = [
            (Constraint::MaxNorm { max_value: -1.0, axis: axis.clone() }, "`max_value`"),
            (Constraint::MaxNorm { max_value: f32::NAN, axis: axis.clone() }, "`max_value`"),
            (Constraint::MinMaxNorm { min_value: 2.0, max_value: 1.0, rate: 1.0, axis: axis.clone() }, "`min_value`"),
            (Constraint::MinMaxNorm { min_value: 0.0, max_value: 1.0, rate: 1.5, axis }, "`rate`"),
        ];
        for (constraint, name) in wrong {
            assert!(constraint.validate().unwrap_err().to_string().contains(name), "{constraint:?}");
        }
        assert!(max_norm.validate().is_ok());
        for axis in [Axes::One(2), Axes::One(-3), Axes::One(i64::MIN), Axes::Many(vec![0, -2])] {
            let constraint = Constraint::UnitNorm { axis };
            assert!(constraint.validate_for(&[2, 3]).unwrap_err().to_string().contains("`axis`"));
            assert!(constraint.apply(&mut [0.0; 6], &[2, 3]).is_err());
        }
    }
}
