//! Metrics in Keras's definitions. What a metric gathers is a row of numbers that add up over batches; its result is
//! computed from their sums.
//!
//! Where Keras leaves masked steps in (its confusion counts, AUC, F-scores and R2 do not look at masks), rows of weight 0
//! count nothing here, like in all other metrics.

mod confusion;
mod scores;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::losses::{Batch, Loss, Targets};
pub use confusion::{Confusion, Curve, Goal, Share, Summation};
pub use scores::{Aggregation, Average};

/// A metric, as `compile` names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Metric {
    /// The share of features for which `prediction > threshold` says the same as the target, which is 0 or 1.
    BinaryAccuracy {
        /// Predictions above it mean 1.
        threshold: f32,
    },
    /// Whether the largest prediction is where the largest target is; the first one, if there are several.
    CategoricalAccuracy {},
    /// Whether the largest prediction is at the index that the target names.
    SparseCategoricalAccuracy {},
    /// The share of features where prediction and target are equal.
    Accuracy {},
    /// The mean of the squared differences.
    MeanSquaredError {},
    /// The mean of the absolute differences.
    MeanAbsoluteError {},
    /// The root of the mean of the squared differences.
    RootMeanSquaredError {},
    /// Whether fewer than `k` predictions are larger than that of the largest target.
    TopKCategoricalAccuracy {
        /// How many may be.
        k: u32,
    },
    /// Whether fewer than `k` predictions are larger than that of the class that the target names.
    SparseTopKCategoricalAccuracy {
        /// How many may be.
        k: u32,
    },
    /// Counts of right and wrong predictions at thresholds, and shares of them.
    Confusion(Confusion),
    /// The F-score: a mean of precision and recall.
    FBetaScore {
        /// How the scores of the features become one.
        average: Option<Average>,
        /// How much more recall counts than precision.
        beta: f64,
        /// Predictions above it mean 1; the largest of a row does where there is none.
        threshold: Option<f64>,
    },
    /// The share of the variance that is explained.
    R2Score {
        /// How the scores of the features become one.
        class_aggregation: Option<Aggregation>,
        /// The number of variables of the model, for the adjusted score.
        num_regressors: u32,
    },
    /// The mean over rows of the correlation of the features of target and prediction.
    PearsonCorrelation {},
    /// The mean over rows of their concordance: 2·cov / (var + var + (mean - mean)²).
    ConcordanceCorrelation {},
    /// Minus a loss, followed as a metric.
    Negative {
        /// The loss.
        loss: Loss,
    },
    /// Any loss, followed as a metric.
    Loss {
        /// The loss.
        loss: Loss,
    },
}

impl Metric {
    /// Refuses numbers out of their range.
    ///
    /// # Errors
    /// [`crate::Error::Value`] naming the argument.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::BinaryAccuracy { threshold } => crate::check::finite("threshold", f64::from(*threshold)),
            Self::Loss { loss } | Self::Negative { loss } => loss.validate(),
            Self::Confusion(confusion) => confusion.validate(),
            Self::FBetaScore { beta, threshold, .. } => {
                crate::check::positive("beta", *beta)?;
                threshold.map_or(Ok(()), |threshold| crate::check::finite("threshold", threshold))
            }
            _ => Ok(()),
        }
    }

    /// Whether the targets are one class index a row.
    #[must_use]
    pub fn wants_sparse(&self) -> bool {
        match self {
            Self::SparseCategoricalAccuracy {} | Self::SparseTopKCategoricalAccuracy { .. } => true,
            Self::Loss { loss } | Self::Negative { loss } => loss.wants_sparse(),
            _ => false,
        }
    }

    /// What the rows of a batch add to what was gathered. A missing weight is 1.
    ///
    /// The rows are the time steps of `samples` samples. As in Keras a mean counts a sample once, or by the mean of its
    /// steps' weights, however many steps it has: batches of longer sequences count no more than those of shorter ones.
    /// Counts, F-scores and R2 are of all rows.
    ///
    /// # Errors
    /// [`crate::Error::Value`] when sizes do not match, or what the loss refuses.
    pub fn update(
        &self,
        targets: Targets,
        predictions: &[f32],
        rows: usize,
        features: usize,
        weights: Option<&[f32]>,
        samples: usize,
    ) -> Result<Vec<f64>> {
        let batch = Batch::new(self.wants_sparse(), targets, predictions, rows, features, weights)?;
        let evaluate = |loss: &Loss| loss.evaluate(targets, predictions, rows, features, weights, 1.0, None);
        let sum = match self {
            Self::BinaryAccuracy { threshold } => share(&batch, |y, p| y == f32::from(u8::from(p > *threshold))),
            Self::Accuracy {} => share(&batch, |y, p| y == p),
            Self::CategoricalAccuracy {} => matches(&batch, |row, single| largest(batch.target(row, single)) as f64),
            Self::SparseCategoricalAccuracy {} => matches(&batch, |row, _| batch.index(row)),
            Self::TopKCategoricalAccuracy { k } => {
                in_top(*k, &batch, |row, single| largest(batch.target(row, single)) as f64)
            }
            Self::SparseTopKCategoricalAccuracy { k } => in_top(*k, &batch, |row, _| batch.index(row)),
            Self::MeanSquaredError {} | Self::RootMeanSquaredError {} => evaluate(&Loss::MeanSquaredError {})?,
            Self::MeanAbsoluteError {} => evaluate(&Loss::MeanAbsoluteError {})?,
            Self::Loss { loss } => evaluate(loss)?,
            Self::Negative { loss } => -evaluate(loss)?,
            Self::PearsonCorrelation {} => scores::correlate(&batch, scores::pearson),
            Self::ConcordanceCorrelation {} => scores::correlate(&batch, scores::concordance),
            Self::Confusion(confusion) => return confusion.update(&batch),
            Self::FBetaScore { threshold, .. } => return Ok(scores::update_f_beta(*threshold, &batch)),
            Self::R2Score { .. } => return Ok(scores::update_r2(&batch)),
        };
        let [share, weight] = self.share(targets, rows, weights, samples);
        Ok(vec![sum * share, weight])
    }

    /// Of a mean: what the weighted sum over rows is multiplied with, and the weight of the batch.
    #[must_use]
    pub fn share(&self, targets: Targets, rows: usize, weights: Option<&[f32]>, samples: usize) -> [f64; 2] {
        let share = if rows == 0 { 0.0 } else { samples as f64 / rows as f64 };
        let weight = |row: usize| weights.map_or(1.0, |weights| f64::from(weights[row]));
        let mut total: f64 = (0..rows).map(weight).sum();
        if let Self::Loss { loss } | Self::Negative { loss } = self {
            let ignored = loss.ignored(targets, rows).into_iter().flatten().enumerate();
            total -= ignored.filter(|(_, ignored)| *ignored).map(|(row, _)| weight(row)).sum::<f64>();
        }
        [share, total * share]
    }

    /// What rows that are a part of their samples' steps add, from what they would add if they were all: to a mean they
    /// count as such a part, and all rows are counted as they are.
    #[must_use]
    pub fn of_part(&self, mut state: Vec<f64>, part: f64) -> Vec<f64> {
        if !matches!(self, Self::Confusion(_) | Self::FBetaScore { .. } | Self::R2Score { .. }) {
            for sum in &mut state {
                *sum *= part;
            }
        }
        state
    }

    /// What a metric that is a mean over rows says of each row.
    ///
    /// # Errors
    /// As [`Metric::update`].
    pub fn rows(&self, targets: Targets, predictions: &[f32], rows: usize, features: usize) -> Result<Vec<f32>> {
        // So that a wrong size is an error, and no slice out of range.
        Batch::new(self.wants_sparse(), targets, predictions, rows, features, None)?;
        (0..rows)
            .map(|row| {
                let own = match targets {
                    Targets::Dense(values) => {
                        let width = values.len() / rows;
                        Targets::Dense(&values[row * width..][..width])
                    }
                    Targets::Sparse(values) => Targets::Sparse(&values[row..=row]),
                };
                let state = self.update(own, &predictions[row * features..][..features], 1, features, None, 1)?;
                // A sum of nothing is -0.
                Ok(state.first().map_or(0.0, |value| *value as f32 + 0.0))
            })
            .collect()
    }

    /// The metric of what was gathered, an empty slice for nothing: one number, or several where it has several
    /// thresholds or features.
    #[must_use]
    pub fn result(&self, state: &[f64]) -> Vec<f64> {
        let mean = || match *state {
            [sum, weight] if weight != 0.0 => sum / weight,
            _ => 0.0,
        };
        match self {
            Self::RootMeanSquaredError {} => vec![mean().sqrt()],
            Self::Confusion(confusion) => confusion.result(state),
            Self::FBetaScore { average, beta, .. } => scores::f_beta(*average, *beta, state),
            Self::R2Score { class_aggregation, num_regressors } => {
                scores::r2(*class_aggregation, *num_regressors, state)
            }
            _ => vec![mean()],
        }
    }
}

/// Adds what a batch gathered; one without rows may have gathered nothing.
pub fn add(state: &mut Vec<f64>, part: Vec<f64>) {
    if state.is_empty() {
        *state = part;
    } else {
        state.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
}

/// The weighted sum over rows of the share of features where `agrees(target, prediction)`.
fn share(batch: &Batch, agrees: impl Fn(f32, f32) -> bool) -> f64 {
    let mut single = [0.0];
    let mut sum = 0.0;
    for row in 0..batch.rows() {
        let p = batch.prediction(row);
        let y = batch.target(row, &mut single);
        let count = y.iter().zip(p).filter(|&(&y, &p)| agrees(y, p)).count();
        sum += batch.weight(row) * (count as f64 / p.len() as f64);
    }
    sum
}

/// The summed weights of the rows whose largest prediction is at `class(row)`.
fn matches(batch: &Batch, class: impl Fn(usize, &mut [f32; 1]) -> f64) -> f64 {
    let mut single = [0.0];
    let hits = (0..batch.rows()).filter(|&row| largest(batch.prediction(row)) as f64 == class(row, &mut single));
    hits.map(|row| batch.weight(row)).sum()
}

/// The summed weights of the rows where fewer than `k` predictions are larger than that of `class(row)`.
fn in_top(k: u32, batch: &Batch, class: impl Fn(usize, &mut [f32; 1]) -> f64) -> f64 {
    let mut single = [0.0];
    let mut sum = 0.0;
    for row in 0..batch.rows() {
        let p = batch.prediction(row);
        let class = class(row, &mut single);
        let known = class >= 0.0 && class.fract() == 0.0 && class < p.len() as f64;
        let Some(&own) = p.get(class as usize).filter(|own| known && own.is_finite()) else { continue };
        // A NaN is no smaller than anything.
        if p.iter().filter(|&&other| other > own || other.is_nan()).count() < k as usize {
            sum += batch.weight(row);
        }
    }
    sum
}

/// The index of the first largest value; a NaN counts as largest, as in `NumPy`.
fn largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, &value) in values.iter().enumerate() {
        if values[best].is_nan() {
            break;
        }
        if value > values[best] || value.is_nan() {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(state: Result<Vec<f64>>) -> (f64, f64) {
        let state = state.unwrap();
        (state[0], state[1])
    }

    fn dense(metric: &Metric, y: &[f32], p: &[f32], features: usize, weights: Option<&[f32]>) -> (f64, f64) {
        pair(metric.update(Targets::Dense(y), p, p.len() / features, features, weights, p.len() / features))
    }

    #[test]
    fn binary_accuracy_compares_with_its_threshold() {
        let metric = Metric::BinaryAccuracy { threshold: 0.5 };
        // A prediction at the threshold means 0.
        assert_eq!(dense(&metric, &[1.0, 0.0, 1.0, 0.0], &[0.5, 0.5, 0.75, 0.75], 1, None), (2.0, 4.0));
        assert_eq!(dense(&metric, &[1.0, 0.0, 1.0, 0.0], &[0.5, 0.5, 0.75, 0.75], 2, None), (1.0, 2.0));
        // Rows with shares 1/2 and 1, weights 3 and 0.5.
        let weighted = dense(&metric, &[1.0, 1.0, 1.0, 0.0], &[0.0, 1.0, 1.0, 0.0], 2, Some(&[3.0, 0.5]));
        assert_eq!(weighted, (2.0, 3.5));
        // A soft target is neither 0 nor 1.
        assert_eq!(dense(&metric, &[0.9], &[0.9], 1, None), (0.0, 1.0));
        let integers = pair(metric.update(Targets::Sparse(&[1, 0]), &[0.9, 0.9], 2, 1, None, 2));
        assert_eq!(integers, (1.0, 2.0));
        assert_eq!(dense(&Metric::BinaryAccuracy { threshold: 0.8 }, &[0.0], &[0.75], 1, None), (1.0, 1.0));
    }

    #[test]
    fn categorical_accuracies_take_the_first_largest() {
        let p = [0.2, 0.5, 0.3, 0.4, 0.4, 0.2, 0.1, 0.2, 0.7];
        let one_hot = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let weights = [1.0, 4.0, 0.5];
        let categorical = Metric::CategoricalAccuracy {};
        assert_eq!(dense(&categorical, &one_hot, &p, 3, None), (2.0, 3.0));
        assert_eq!(dense(&categorical, &one_hot, &p, 3, Some(&weights)), (1.5, 5.5));
        let sparse = Metric::SparseCategoricalAccuracy {};
        let update = |classes: &[i32]| pair(sparse.update(Targets::Sparse(classes), &p, 3, 3, Some(&weights), 3));
        assert_eq!(update(&[1, 1, 2]), (1.5, 5.5));
        assert_eq!(update(&[1, 0, 2]), (5.5, 5.5));
        // No prediction can be at an index that does not exist.
        assert_eq!(update(&[-1, 3, 2]), (0.5, 5.5));
        assert_eq!(pair(sparse.update(Targets::Dense(&[1.0, 0.0, 2.0]), &p, 3, 3, None, 3)), (3.0, 3.0));
    }

    #[test]
    fn a_sample_counts_once_whatever_its_steps() {
        let metric = Metric::MeanAbsoluteError {};
        let update = |y: &[f32], weights, samples| {
            pair(metric.update(Targets::Dense(y), &vec![0.0; y.len()], y.len(), 1, weights, samples))
        };
        assert_eq!(update(&[1.0, 2.0, 3.0, 6.0], None, 2), (6.0, 2.0));
        assert_eq!(update(&[1.0, 2.0, 3.0, 6.0], Some(&[1.0, 0.0, 1.0, 0.0]), 2), (2.0, 1.0));
        assert_eq!(update(&[], None, 2), (0.0, 0.0));
    }

    #[test]
    fn nan_is_the_largest() {
        assert_eq!(largest(&[1.0, f32::NAN, 2.0, f32::NAN]), 1);
        assert_eq!(largest(&[f32::NAN, 5.0]), 0);
        assert_eq!(largest(&[f32::NEG_INFINITY; 3]), 0);
    }

    #[test]
    fn accuracy_is_equality() {
        assert_eq!(dense(&Metric::Accuracy {}, &[1.0, 2.0, 3.0, 4.0], &[1.0, 2.5, 3.0, 4.0], 2, None), (1.5, 2.0));
    }

    #[test]
    fn errors_and_losses_are_the_losses() {
        let (y, p, weights) = ([1.0, 3.0, 0.0, 0.0], [2.0, 1.0, 0.0, 4.0], [2.0, 1.0]);
        assert_eq!(dense(&Metric::MeanSquaredError {}, &y, &p, 2, Some(&weights)), (2.0 * 2.5 + 8.0, 3.0));
        assert_eq!(dense(&Metric::MeanAbsoluteError {}, &y, &p, 2, Some(&weights)), (2.0 * 1.5 + 2.0, 3.0));
        let loss = Metric::Loss { loss: Loss::HalfMeanSquaredError {} };
        assert_eq!(dense(&loss, &y, &p, 2, Some(&weights)), (2.0 * 1.25 + 4.0, 3.0));
        assert_eq!(dense(&loss, &[], &[], 2, None), (0.0, 0.0));
    }

    #[test]
    fn specification_is_strict() {
        let parse = |text: &str| serde_json::from_str::<Metric>(text);
        let nested = r#"{"kind":"loss","loss":{"kind":"sparse_categorical_crossentropy","from_logits":true}}"#;
        let metric =
            Metric::Loss { loss: Loss::SparseCategoricalCrossentropy { from_logits: true, ignore_class: None } };
        assert_eq!(parse(nested).unwrap(), metric);
        assert!(metric.wants_sparse());
        assert!(parse(r#"{"kind":"accuracy"}"#).is_ok());
        assert!(parse(r#"{"kind":"accuracy","threshold":0.5}"#).is_err());
        assert!(parse(r#"{"kind":"binary_accuracy"}"#).is_err());
        assert!(parse(r#"{"kind":"loss","loss":{"kind":"mean_squared_error","x":1}}"#).is_err());
        assert!(Metric::BinaryAccuracy { threshold: f32::NAN }.validate().is_err());
        let loss = Loss::BinaryCrossentropy { from_logits: false, label_smoothing: 2.0 };
        assert!(Metric::Loss { loss }.validate().is_err());
        assert!(metric.validate().is_ok());
    }
}
