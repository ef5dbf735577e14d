//! Losses and their gradients, in Keras's definitions.
//!
//! With `y` the targets and `p` the predictions of one row of `n` features:
//!
//! ```text
//! mean_squared_error               mean (p - y)^2
//! half_mean_squared_error          mean (p - y)^2 / 2
//! mean_absolute_error              mean |p - y|
//! mean_absolute_percentage_error   100 mean |p - y| / max(|y|, 1e-7)
//! mean_squared_logarithmic_error   mean (ln(1 + max(p, 1e-7)) - ln(1 + max(y, 1e-7)))^2
//! huber                            mean (p - y)^2 / 2, but delta |p - y| - delta^2 / 2 where |p - y| > delta
//! log_cosh                         mean ln cosh(p - y)
//! cosine_similarity                -sum y p / (max(|y|, 1e-7) max(|p|, 1e-7))
//! poisson                          mean p - y ln(p + 1e-7)
//! kl_divergence                    sum y ln(y / p), both clipped to [1e-7, 1]
//! hinge, squared_hinge             mean max(1 - y p, 0), and of its square; targets that are all 0 or 1 become -1 and 1
//! categorical_hinge                max(1 + max((1 - y) p) - sum y p, 0)
//! binary_crossentropy              mean -(y ln c(p) + (1 - y) ln(1 - c(p)))           of probabilities
//!                                  mean max(p, 0) - p y + ln(1 + exp(-|p|))           of logits
//! categorical_crossentropy         -sum y ln c(p / sum p)                             of probabilities
//!                                  sum y (ln(sum exp p) - p)                          of logits
//! binary_focal_crossentropy        mean (1 - y p - (1 - y)(1 - p))^gamma binary_crossentropy, times y alpha + (1 - y)(1 - alpha)
//!                                  with class balancing
//! categorical_focal_crossentropy   -sum alpha (1 - c)^gamma y ln c, c of p / sum p; alpha may differ from class to class
//! categorical_generalized_cross_entropy  (1 - p^q) / q, p that of the target's class
//! ```
//!
//! `c` clips to `[1e-7, 1 - 1e-7]`; outside, the gradient is zero. Label smoothing by `s` replaces `y` with
//! `y (1 - s) + s / 2` (binary) or `y (1 - s) + s / n` (categorical). The sparse form takes the index of the class whose
//! `y` is 1. Values are computed and summed in f64, rows in order.

mod circle;
mod crossentropy;
mod ctc;
mod focal;
mod hinge;
mod overlap;
mod regression;
mod whole;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, check};
use circle::Circle;
use crossentropy::{binary_from_logit, binary_from_probability, categorical, generalized};
pub use focal::ClassWeights;
pub use whole::{Unit, Units};

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
        /// Rows with this target count as if they were masked.
        #[serde(default)]
        ignore_class: Option<i64>,
    },
    /// The mean of the absolute differences, in hundredths of the targets.
    MeanAbsolutePercentageError {},
    /// The mean of the squared differences of logarithms.
    MeanSquaredLogarithmicError {},
    /// Squared differences, growing linearly from a bound on.
    Huber {
        /// The bound.
        delta: f64,
    },
    /// A smooth form of the absolute difference.
    LogCosh {},
    /// The negative cosine of the angle between targets and predictions.
    CosineSimilarity {},
    /// The Poisson likelihood.
    Poisson {},
    /// The divergence of two distributions.
    #[serde(rename = "kl_divergence")]
    KlDivergence {},
    /// The margin of signs.
    Hinge {},
    /// Its square.
    SquaredHinge {},
    /// The margin of the right class.
    CategoricalHinge {},
    /// Binary cross-entropy that counts what is predicted well less.
    BinaryFocalCrossentropy {
        /// Weigh the two classes by `alpha` and `1 - alpha`.
        apply_class_balancing: bool,
        /// The weight of class 1.
        alpha: f64,
        /// How much less.
        gamma: f64,
        /// Predictions are logits, not probabilities.
        from_logits: bool,
        /// How far targets are pulled towards 1/2, in `[0, 1]`.
        label_smoothing: f64,
    },
    /// Categorical cross-entropy that counts what is predicted well less.
    CategoricalFocalCrossentropy {
        /// The weights of the classes.
        alpha: ClassWeights,
        /// How much less.
        gamma: f64,
        /// Predictions are logits, not probabilities.
        from_logits: bool,
        /// How far targets are pulled towards the uniform distribution, in `[0, 1]`.
        label_smoothing: f64,
    },
    /// See `overlap`.
    Dice {
        /// The axes along which is summed; all without.
        axis: Option<Vec<isize>>,
    },
    /// See `overlap`.
    Tversky {
        /// What false negatives count.
        alpha: f64,
        /// What false positives count.
        beta: f64,
        /// The axes along which is summed; all without.
        axis: Option<Vec<isize>>,
    },
    /// See `ctc`.
    Ctc {},
    /// A bridge from cross-entropy, as `q` goes to 0, to the absolute error at 1, of a class given by its index.
    CategoricalGeneralizedCrossEntropy {
        /// Between 0 and 1.
        q: f64,
    },
    /// See `circle`.
    Circle {
        /// What scores are multiplied with.
        gamma: f64,
        /// How far rows may be from those of their class.
        margin: f64,
        /// A row is not compared with itself.
        remove_diagonal: bool,
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

impl Targets<'_> {
    fn index(self, row: usize) -> f64 {
        match self {
            Self::Dense(values) => f64::from(values[row]),
            Self::Sparse(values) => f64::from(values[row]),
        }
    }
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
        check_sizes(indices, targets, predictions.len(), [rows, features], weights)?;
        Ok(Self { targets, predictions, rows, features, weights })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn features(&self) -> usize {
        self.features
    }

    pub(crate) fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[row]))
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
        self.targets.index(row)
    }

    /// Whether every target is 0 or 1.
    fn is_binary(&self) -> bool {
        match self.targets {
            Targets::Dense(values) => values.iter().all(|&y| y == 0.0 || y == 1.0),
            Targets::Sparse(values) => values.iter().all(|&y| y == 0 || y == 1),
        }
    }

    fn class(&self, row: usize) -> Result<usize> {
        class_of(self.targets, row, self.features)
    }
}

/// Refuses targets and weights that do not fit the predictions.
pub(crate) fn check_sizes(
    indices: bool,
    targets: Targets,
    predictions: usize,
    [rows, features]: [usize; 2],
    weights: Option<&[f32]>,
) -> Result<()> {
    let size = rows.checked_mul(features);
    if features == 0 || size != Some(predictions) {
        let expected = format!("{rows} rows of {features} (at least 1) values");
        return Err(Error::value("y_pred", expected, format!("{predictions} values")));
    }
    let (expected, received) = match targets {
        Targets::Dense(values) => (if indices { rows } else { predictions }, values.len()),
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
    Ok(())
}

fn class_of(targets: Targets, row: usize, features: usize) -> Result<usize> {
    let index = targets.index(row);
    if index.fract() == 0.0 && (0.0..features as f64).contains(&index) {
        Ok(index as usize)
    } else {
        let expected = format!("class indices in [0, {features})");
        Err(Error::value("y_true", expected, format!("{index} in row {row}")))
    }
}

impl Loss {
    /// Refuses numbers out of their range.
    ///
    /// # Errors
    /// [`Error::Value`] naming the argument.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::BinaryCrossentropy { label_smoothing, .. }
            | Self::CategoricalCrossentropy { label_smoothing, .. } => {
                check::fraction("label_smoothing", *label_smoothing)
            }
            Self::BinaryFocalCrossentropy { alpha, gamma, label_smoothing, .. } => {
                check::finite("alpha", *alpha)?;
                check::non_negative("gamma", *gamma)?;
                check::fraction("label_smoothing", *label_smoothing)
            }
            Self::CategoricalFocalCrossentropy { alpha, gamma, label_smoothing, .. } => {
                alpha.validate()?;
                check::non_negative("gamma", *gamma)?;
                check::fraction("label_smoothing", *label_smoothing)
            }
            Self::Huber { delta } => check::non_negative("delta", *delta),
            Self::Tversky { alpha, beta, .. } => {
                check::finite("alpha", *alpha)?;
                check::finite("beta", *beta)
            }
            Self::CategoricalGeneralizedCrossEntropy { q } if !(*q > 0.0 && *q < 1.0) => {
                Err(Error::value("q", "a number between 0 and 1", q.to_string()))
            }
            Self::Circle { gamma, margin, .. } => {
                check::finite("gamma", *gamma)?;
                check::finite("margin", *margin)
            }
            _ => Ok(()),
        }
    }

    /// The rows that count as masked: those whose target is the class to ignore, or that have nothing to compare.
    #[must_use]
    pub fn ignored(&self, targets: Targets, rows: usize) -> Option<Vec<bool>> {
        if let Some(circle) = self.circle() {
            let class = |row: usize| match targets {
                Targets::Dense(values) => values.get(row).map_or(f64::NAN, |&y| f64::from(y)),
                Targets::Sparse(values) => values.get(row).map_or(f64::NAN, |&y| f64::from(y)),
            };
            return Some(circle.ignored(class, rows));
        }
        let Self::SparseCategoricalCrossentropy { ignore_class: Some(class), .. } = *self else { return None };
        Some(match targets {
            Targets::Dense(values) => values.iter().take(rows).map(|&y| f64::from(y) == class as f64).collect(),
            Targets::Sparse(values) => values.iter().take(rows).map(|&y| i64::from(y) == class).collect(),
        })
    }

    /// Refuses what was told of another number of classes.
    fn check_classes(&self, features: usize) -> Result<()> {
        match self {
            Self::CategoricalFocalCrossentropy { alpha, .. } => alpha.check(features),
            _ => Ok(()),
        }
    }

    fn circle(&self) -> Option<Circle> {
        let Self::Circle { gamma, margin, remove_diagonal } = *self else { return None };
        Some(Circle { gamma, margin, remove_diagonal })
    }

    /// Whether the targets are one class index a row.
    #[must_use]
    pub fn wants_sparse(&self) -> bool {
        matches!(
            self,
            Self::SparseCategoricalCrossentropy { .. }
                | Self::CategoricalGeneralizedCrossEntropy { .. }
                | Self::Circle { .. }
        )
    }

    /// Whether the targets are labels, of which there may be any number.
    #[must_use]
    pub fn wants_labels(&self) -> bool {
        matches!(self, Self::Ctc {})
    }

    /// Refuses what [`Self::evaluate`] would, where nobody has the predictions: there are `predictions` of them.
    ///
    /// # Errors
    /// Those of [`Self::evaluate`].
    pub fn check(
        &self,
        targets: Targets,
        predictions: usize,
        rows: usize,
        features: usize,
        weights: Option<&[f32]>,
    ) -> Result<()> {
        check_sizes(self.wants_sparse(), targets, predictions, [rows, features], weights)?;
        self.check_classes(features)?;
        let Self::SparseCategoricalCrossentropy { ignore_class, .. } = *self else { return Ok(()) };
        let counts = |row: &usize| {
            weights.is_none_or(|weights| weights[*row] != 0.0)
                && ignore_class.is_none_or(|class| targets.index(*row) != class as f64)
        };
        (0..rows).filter(counts).try_for_each(|row| class_of(targets, row, features).map(drop))
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
        self.check_classes(features)?;
        if let Some(grad) = &grad {
            assert_eq!(grad.len(), predictions.len());
        }
        let signs = self.wants_signs(&batch);
        let mut total = 0.0;
        if let (Some(_), Some(grad)) = (self.circle(), &mut grad) {
            grad.fill(0.0);
        }
        for row in 0..rows {
            let weight = batch.weight(row);
            if let Some(circle) = self.circle() {
                // A row that counts nothing still is one that others are compared with.
                if weight != 0.0 {
                    let factor = weight * f64::from(scale);
                    let grad = grad.as_deref_mut().map(|slots| Gradient { slots, factor });
                    total += weight * circle.row(&batch, row, grad);
                }
                continue;
            }
            let slots = grad.as_deref_mut().map(|grad| &mut grad[row * features..][..features]);
            if weight == 0.0 {
                if let Some(slots) = slots {
                    slots.fill(0.0);
                }
                continue;
            }
            let grad = slots.map(|slots| Gradient { slots, factor: weight * f64::from(scale) });
            total += weight * self.row(&batch, row, signs, grad)?;
        }
        Ok(total)
    }

    /// The loss of each row, unweighted.
    ///
    /// # Errors
    /// Those of [`Self::evaluate`].
    pub fn rows(&self, targets: Targets, predictions: &[f32], rows: usize, features: usize) -> Result<Vec<f32>> {
        let batch = Batch::new(self.wants_sparse(), targets, predictions, rows, features, None)?;
        self.check_classes(features)?;
        let signs = self.wants_signs(&batch);
        (0..rows).map(|row| Ok(self.row(&batch, row, signs, None)? as f32)).collect()
    }

    /// Whether targets 0 and 1 stand for -1 and 1: where a hinge finds no others in the batch.
    fn wants_signs(&self, batch: &Batch) -> bool {
        matches!(self, Self::Hinge {} | Self::SquaredHinge {}) && batch.is_binary()
    }

    fn row(&self, batch: &Batch, row: usize, signs: bool, grad: Option<Gradient>) -> Result<f64> {
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
            Self::SparseCategoricalCrossentropy { from_logits, ignore_class } => {
                if ignore_class.is_some_and(|class| batch.index(row) == class as f64) {
                    if let Some(Gradient { slots, .. }) = grad {
                        slots.fill(0.0);
                    }
                    return Ok(0.0);
                }
                let class = batch.class(row)?;
                categorical(*from_logits, |j| if j == class { 1.0 } else { 0.0 }, p, grad)
            }
            Self::MeanAbsolutePercentageError {} => {
                mean(batch.target(row, &mut single), p, grad, regression::percentage)
            }
            Self::MeanSquaredLogarithmicError {} => {
                mean(batch.target(row, &mut single), p, grad, regression::logarithmic)
            }
            Self::Huber { delta } => {
                mean(batch.target(row, &mut single), p, grad, |y, p| regression::huber(*delta, p - y))
            }
            Self::LogCosh {} => mean(batch.target(row, &mut single), p, grad, |y, p| regression::log_cosh(p - y)),
            Self::CosineSimilarity {} => regression::cosine(batch.target(row, &mut single), p, grad),
            Self::Poisson {} => mean(batch.target(row, &mut single), p, grad, regression::poisson),
            Self::KlDivergence {} => {
                let mean = mean(
                    batch.target(row, &mut single),
                    p,
                    grad.map(|grad| grad.times(p.len())),
                    regression::divergence,
                );
                mean * p.len() as f64
            }
            Self::Hinge {} => mean(batch.target(row, &mut single), p, grad, |y, p| hinge::hinge(signs, y, p)),
            Self::SquaredHinge {} => mean(batch.target(row, &mut single), p, grad, |y, p| hinge::squared(signs, y, p)),
            Self::CategoricalHinge {} => hinge::categorical(batch.target(row, &mut single), p, grad),
            Self::BinaryFocalCrossentropy { apply_class_balancing, alpha, gamma, from_logits, label_smoothing: s } => {
                let weight = |y: f64| if *apply_class_balancing { y * alpha + (1.0 - y) * (1.0 - alpha) } else { 1.0 };
                mean(batch.target(row, &mut single), p, grad, |y, p| {
                    let y = y * (1.0 - s) + 0.5 * s;
                    let (value, derivative) = focal::binary(*gamma, *from_logits, y, p);
                    (weight(y) * value, weight(y) * derivative)
                })
            }
            Self::CategoricalFocalCrossentropy { alpha, gamma, from_logits, label_smoothing: s } => {
                let y = batch.target(row, &mut single);
                let share = s / y.len() as f64;
                let weighted = |j: usize| alpha.of(j) * (f64::from(y[j]) * (1.0 - s) + share);
                focal::categorical(*gamma, *from_logits, weighted, p, grad)
            }
            Self::Dice { .. } | Self::Tversky { .. } => {
                self.overlap_of_row(batch.target(row, &mut single), p, grad).unwrap_or_default()
            }
            Self::CategoricalGeneralizedCrossEntropy { q } => generalized(*q, batch.class(row)?, p, grad),
            // Its gradient is one of all rows: see `evaluate`.
            Self::Circle { .. } => self.circle().map_or(0.0, |circle| circle.row(batch, row, None)),
            Self::Ctc {} => return Err(Error::value("ctc", "sequences (batch, time, classes)", "rows")),
        })
    }
}

/// Where the gradient of one row goes, and what it is multiplied with.
struct Gradient<'a> {
    slots: &'a mut [f32],
    factor: f64,
}

impl Gradient<'_> {
    /// The gradient of so many times the loss.
    fn times(self, count: usize) -> Self {
        Self { factor: self.factor * count as f64, ..self }
    }
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

/// The step function that is the derivative of `max(x, 0)`: on the bound the two sides are averaged, as JAX does.
fn step(x: f64) -> f64 {
    if x == 0.0 { 0.5 } else { f64::from(u8::from(x > 0.0)) }
}

/// `x` clipped, and the derivative of that. On a bound the two sides are averaged, as JAX does: a saturated sigmoid
/// does give exactly the upper bound.
fn clip(x: f64) -> (f64, f64) {
    clip_to(CLIP, x)
}

fn clip_to((low, high): (f64, f64), x: f64) -> (f64, f64) {
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

#[cfg(test)]
mod tests;
