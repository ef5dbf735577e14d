//! Losses and their gradients, in Keras's definitions.
//!
//! With `y` the targets and `p` the predictions of one row of `n` features:
//!
//! ```text
//! mean_squared_error         mean (p - y)^2
//! half_mean_squared_error    mean (p - y)^2 / 2
//! mean_absolute_error        mean |p - y|
//! binary_crossentropy        mean -(y ln c(p) + (1 - y) ln(1 - c(p)))           of probabilities
//!                            mean max(p, 0) - p y + ln(1 + exp(-|p|))           of logits
//! categorical_crossentropy   -sum y ln c(p / sum p)                             of probabilities
//!                            sum y (ln(sum exp p) - p)                          of logits
//! ```
//!
//! `c` clips to `[1e-7, 1 - 1e-7]`; outside, the gradient is zero. Label smoothing by `s` replaces `y` with
//! `y (1 - s) + s / 2` (binary) or `y (1 - s) + s / n` (categorical). The sparse form takes the index of the class whose
//! `y` is 1. Values are computed and summed in f64, rows in order.

use serde::{Deserialize, Serialize};

use crate::{Error, Result, check};

/// The bounds of Keras's clip, `epsilon()` and `1 - epsilon()`, as the f32 numbers that they are there: the upper one is
/// 1 - 2^-23, so that a wrong prediction of exactly 1 costs 15.942 while one of exactly 0 costs 16.118.
const CLIP: (f64, f64) = (1e-7f32 as f64, 0.9999999f32 as f64);

/// A loss, as `compile` names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// The mean of the squared differences.
    MeanSquaredError {},
    /// Half of it, whose gradient is the difference itself.
    HalfMeanSquaredError {},
    /// The mean of the absolute differences.
    MeanAbsoluteError {},
    /// Cross-entropy of independent yes/no targets.
    BinaryCrossentropy {
        /// Predictions are logits, not probabilities.
        from_logits: bool,
        /// How far targets are pulled towards 1/2, in `[0, 1]`.
        label_smoothing: f64,
    },
    /// Cross-entropy of a distribution over classes.
    CategoricalCrossentropy {
        /// Predictions are logits, not probabilities.
        from_logits: bool,
        /// How far targets are pulled towards the uniform distribution, in `[0, 1]`.
        label_smoothing: f64,
    },
    /// Cross-entropy of a class given by its index.
    SparseCategoricalCrossentropy {
        /// Predictions are logits, not probabilities.
        from_logits: bool,
    },
}

/// What predictions are compared with.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a> {
    /// One value for each prediction; or, where class indices are wanted, one value a row.
    Dense(&'a [f32]),
    /// One integer for each row: a class index, or the target of a single feature.
    Sparse(&'a [i32]),
}

/// Targets and predictions of matching sizes.
pub(crate) struct Batch<'a> {
    targets: Targets<'a>,
    predictions: &'a [f32],
    rows: usize,
    features: usize,
    weights: Option<&'a [f32]>,
}

impl<'a> Batch<'a> {
    /// `indices` says that the targets are one class index a row.
    pub(crate) fn new(
        indices: bool,
        targets: Targets<'a>,
        predictions: &'a [f32],
        rows: usize,
        features: usize,
        weights: Option<&'a [f32]>,
    ) -> Result<Self> {
        let size = rows.checked_mul(features);
        if features == 0 || size != Some(predictions.len()) {
            let expected = format!("{rows} rows of {features} (at least 1) values");
            return Err(Error::value("y_pred", expected, format!("{} values", predictions.len())));
        }
        let (expected, received) = match targets {
            Targets::Dense(values) => (if indices { rows } else { predictions.len() }, values.len()),
            Targets::Sparse(values) if indices || features == 1 => (rows, values.len()),
            Targets::Sparse(_) => {
                let expected = format!("{features} values for each of the {rows} rows");
                return Err(Error::value("y_true", expected, "one integer for each row"));
            }
        };
        if expected != received {
            let expected = format!("{expected} values for {rows} rows of {features} predictions");
            return Err(Error::value("y_true", expected, format!("{received} values")));
        }
        if let Some(weights) = weights
            && weights.len() != rows
        {
            let expected = format!("{rows} values, one for each row");
            return Err(Error::value("sample_weight", expected, format!("{} values", weights.len())));
        }
        Ok(Self { targets, predictions, rows, features, weights })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[row]))
    }

    pub(crate) fn total_weight(&self) -> f64 {
        (0..self.rows).map(|row| self.weight(row)).sum()
    }

    pub(crate) fn prediction(&self, row: usize) -> &'a [f32] {
        &self.predictions[row * self.features..][..self.features]
    }

    /// The targets of a row, one a feature. `single` holds the value that an integer target becomes.
    pub(crate) fn target<'b>(&self, row: usize, single: &'b mut [f32; 1]) -> &'b [f32]
    where
        'a: 'b,
    {
        match self.targets {
            Targets::Dense(values) => &values[row * self.features..][..self.features],
            Targets::Sparse(values) => {
                single[0] = values[row] as f32;
                single
            }
        }
    }

    /// The class index of a row as it was given, whole or not, in range or not.
    pub(crate) fn index(&self, row: usize) -> f64 {
        match self.targets {
            Targets::Dense(values) => f64::from(values[row]),
            Targets::Sparse(values) => f64::from(values[row]),
        }
    }

    fn class(&self, row: usize) -> Result<usize> {
        let index = self.index(row);
        if index.fract() == 0.0 && (0.0..self.features as f64).contains(&index) {
            Ok(index as usize)
        } else {
            let expected = format!("class indices in [0, {})", self.features);
            Err(Error::value("y_true", expected, format!("{index} in row {row}")))
        }
    }
}

impl Loss {
    /// Refuses a smoothing outside of `[0, 1]`.
    ///
    /// # Errors
    /// [`Error::Value`] naming `label_smoothing`.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::BinaryCrossentropy { label_smoothing, .. }
            | Self::CategoricalCrossentropy { label_smoothing, .. } => {
                check::fraction("label_smoothing", *label_smoothing)
            }
            Self::MeanSquaredError {}
            | Self::HalfMeanSquaredError {}
            | Self::MeanAbsoluteError {}
            | Self::SparseCategoricalCrossentropy { .. } => Ok(()),
        }
    }

    /// Whether the targets are one class index a row.
    #[must_use]
    pub fn wants_sparse(&self) -> bool {
        matches!(self, Self::SparseCategoricalCrossentropy { .. })
    }

    /// The sum over the rows of `weights[row] * loss(row)`, a missing weight being 1. If `grad` is given it is overwritten
    /// with `weights[row] * scale * d loss(row) / d prediction`.
    ///
    /// A row of weight 0 counts nothing and is not looked at, so padding needs no valid target.
    ///
    /// # Errors
    /// [`Error::Value`] when sizes do not match or a class index is outside of `0..features`; it names the row.
    ///
    /// # Panics
    /// When `grad` does not have the length of `predictions`.
    pub fn evaluate(
        &self,
        targets: Targets,
        predictions: &[f32],
        rows: usize,
        features: usize,
        weights: Option<&[f32]>,
        scale: f32,
        mut grad: Option<&mut [f32]>,
    ) -> Result<f64> {
        let batch = Batch::new(self.wants_sparse(), targets, predictions, rows, features, weights)?;
        if let Some(grad) = &grad {
            assert_eq!(grad.len(), predictions.len());
        }
        let mut total = 0.0;
        for row in 0..rows {
            let weight = batch.weight(row);
            let slots = grad.as_deref_mut().map(|grad| &mut grad[row * features..][..features]);
            if weight == 0.0 {
                if let Some(slots) = slots {
                    slots.fill(0.0);
                }
                continue;
            }
            let grad = slots.map(|slots| Gradient { slots, factor: weight * f64::from(scale) });
            total += weight * self.row(&batch, row, grad)?;
        }
        Ok(total)
    }

    /// The loss of each row, unweighted.
    ///
    /// # Errors
    /// Those of [`Self::evaluate`].
    pub fn rows(&self, targets: Targets, predictions: &[f32], rows: usize, features: usize) -> Result<Vec<f32>> {
        let batch = Batch::new(self.wants_sparse(), targets, predictions, rows, features, None)?;
        (0..rows).map(|row| Ok(self.row(&batch, row, None)? as f32)).collect()
    }

    fn row(&self, batch: &Batch, row: usize, grad: Option<Gradient>) -> Result<f64> {
        let p = batch.prediction(row);
        let mut single = [0.0];
        Ok(match self {
            Self::MeanSquaredError {} => {
                mean(batch.target(row, &mut single), p, grad, |y, p| ((p - y) * (p - y), 2.0 * (p - y)))
            }
            Self::HalfMeanSquaredError {} => {
                mean(batch.target(row, &mut single), p, grad, |y, p| (0.5 * (p - y) * (p - y), p - y))
            }
            Self::MeanAbsoluteError {} => {
                mean(batch.target(row, &mut single), p, grad, |y, p| ((p - y).abs(), sign(p - y)))
            }
            Self::BinaryCrossentropy { from_logits, label_smoothing: s } => {
                let y = batch.target(row, &mut single);
                let smooth = |y: f64| y * (1.0 - s) + 0.5 * s;
                if *from_logits {
                    mean(y, p, grad, |y, p| binary_from_logit(smooth(y), p))
                } else {
                    mean(y, p, grad, |y, p| binary_from_probability(smooth(y), p))
                }
            }
            Self::CategoricalCrossentropy { from_logits, label_smoothing: s } => {
                let y = batch.target(row, &mut single);
                let share = s / y.len() as f64;
                categorical(*from_logits, |j| f64::from(y[j]) * (1.0 - s) + share, p, grad)
            }
            Self::SparseCategoricalCrossentropy { from_logits } => {
                let class = batch.class(row)?;
                categorical(*from_logits, |j| if j == class { 1.0 } else { 0.0 }, p, grad)
            }
        })
    }
}

/// Where the gradient of one row goes, and what it is multiplied with.
struct Gradient<'a> {
    slots: &'a mut [f32],
    factor: f64,
}

/// The mean of `term(y, p).0`, with `term(y, p).1` its derivative by `p`.
fn mean(y: &[f32], p: &[f32], grad: Option<Gradient>, term: impl Fn(f64, f64) -> (f64, f64)) -> f64 {
    let count = p.len() as f64;
    let pairs = y.iter().zip(p).map(|(&y, &p)| term(f64::from(y), f64::from(p)));
    let mut sum = 0.0;
    if let Some(Gradient { slots, factor }) = grad {
        let factor = factor / count;
        for (slot, (value, derivative)) in slots.iter_mut().zip(pairs) {
            sum += value;
            *slot = (derivative * factor) as f32;
        }
    } else {
        for (value, _) in pairs {
            sum += value;
        }
    }
    sum / count
}

/// The derivative of the absolute value, 0 at 0.
fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// `x` clipped, and the derivative of that. On a bound the two sides are averaged, as JAX does: a saturated sigmoid
/// does give exactly the upper bound.
fn clip(x: f64) -> (f64, f64) {
    let (low, high) = CLIP;
    let slope = if x < low || x > high {
        0.0
    } else if x == low || x == high {
        0.5
    } else {
        1.0
    };
    // `clamp` lets a NaN through.
    (x.clamp(low, high), slope)
}

fn binary_from_probability(y: f64, p: f64) -> (f64, f64) {
    let (q, slope) = clip(p);
    (-(y * q.ln() + (1.0 - y) * (1.0 - q).ln()), slope * (q - y) / (q * (1.0 - q)))
}

fn binary_from_logit(y: f64, z: f64) -> (f64, f64) {
    // exp(-|z|) is in (0, 1]: nothing overflows for any z.
    let e = (-z.abs()).exp();
    let sigmoid = if z >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) };
    (z.max(0.0) - z * y + e.ln_1p(), sigmoid - y)
}

fn categorical(from_logits: bool, y: impl Fn(usize) -> f64, p: &[f32], grad: Option<Gradient>) -> f64 {
    if from_logits { categorical_from_logits(y, p, grad) } else { categorical_from_probabilities(y, p, grad) }
}

/// With `q = p / sum p` and `g` the gradient by `q`, the gradient by `p` is `(g - sum g q) / sum p`.
fn categorical_from_probabilities(y: impl Fn(usize) -> f64, p: &[f32], grad: Option<Gradient>) -> f64 {
    let total: f64 = p.iter().map(|&p| f64::from(p)).sum();
    let mut loss = 0.0;
    let mut inner = 0.0;
    // A class without weight adds nothing, whatever its probability: its logarithm is not taken.
    let derivative = |j: usize, q: f64| {
        let weight = y(j);
        if weight == 0.0 {
            return (0.0, 0.0);
        }
        let (clipped, slope) = clip(q);
        (-weight * clipped.ln(), -weight * slope / clipped)
    };
    for (j, &p) in p.iter().enumerate() {
        let q = f64::from(p) / total;
        let (value, g) = derivative(j, q);
        loss += value;
        inner += g * q;
    }
    if let Some(Gradient { slots, factor }) = grad {
        for (j, (slot, &p)) in slots.iter_mut().zip(p).enumerate() {
            let (_, g) = derivative(j, f64::from(p) / total);
            *slot = ((g - inner) / total * factor) as f32;
        }
    }
    loss
}

/// The gradient is `(sum y) softmax(z) - y`.
fn categorical_from_logits(y: impl Fn(usize) -> f64, z: &[f32], mut grad: Option<Gradient>) -> f64 {
    let max = z.iter().fold(f32::NEG_INFINITY, |max, &z| if z > max { z } else { max });
    let mut total = 0.0;
    for (j, &z) in z.iter().enumerate() {
        let e = (f64::from(z) - f64::from(max)).exp();
        total += e;
        if let Some(Gradient { slots, .. }) = &mut grad {
            // Kept for the softmax below, where its rounding to f32 is no more than the result's own.
            slots[j] = e as f32;
        }
    }
    let log_total = f64::from(max) + total.ln();
    let mut loss = 0.0;
    let mut weights = 0.0;
    for (j, &z) in z.iter().enumerate() {
        let weight = y(j);
        weights += weight;
        if weight != 0.0 {
            loss += weight * (log_total - f64::from(z));
        }
    }
    if let Some(Gradient { slots, factor }) = grad {
        for (j, slot) in slots.iter_mut().enumerate() {
            *slot = ((weights * f64::from(*slot) / total - y(j)) * factor) as f32;
        }
    }
    loss
}

#[cfg(test)]
mod tests;
