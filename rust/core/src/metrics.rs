//! Metrics that are weighted means of a value per row, in Keras's definitions.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::losses::{Batch, Loss, Targets};

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
    /// Any loss, followed as a metric.
    Loss {
        /// The loss.
        loss: Loss,
    },
}

impl Metric {
    /// Refuses a threshold that is not finite, and what the loss refuses.
    ///
    /// # Errors
    /// [`crate::Error::Value`] naming the argument.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::BinaryAccuracy { threshold } => crate::check::finite("threshold", f64::from(*threshold)),
            Self::Loss { loss } => loss.validate(),
            Self::CategoricalAccuracy {}
            | Self::SparseCategoricalAccuracy {}
            | Self::Accuracy {}
            | Self::MeanSquaredError {}
            | Self::MeanAbsoluteError {} => Ok(()),
        }
    }

    /// Whether the targets are one class index a row.
    #[must_use]
    pub fn wants_sparse(&self) -> bool {
        match self {
            Self::SparseCategoricalAccuracy {} => true,
            Self::Loss { loss } => loss.wants_sparse(),
            _ => false,
        }
    }

    /// The weighted sum of the values of the rows, and the sum of the weights: the metric is the one divided by the
    /// other, over all batches. A missing weight is 1.
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
    ) -> Result<(f64, f64)> {
        let batch = Batch::new(self.wants_sparse(), targets, predictions, rows, features, weights)?;
        let evaluate = |loss: &Loss| loss.evaluate(targets, predictions, rows, features, weights, 1.0, None);
        let sum = match self {
            Self::BinaryAccuracy { threshold } => share(&batch, |y, p| y == f32::from(u8::from(p > *threshold))),
            Self::Accuracy {} => share(&batch, |y, p| y == p),
            Self::CategoricalAccuracy {} => matches(&batch, |row, single| largest(batch.target(row, single)) as f64),
            Self::SparseCategoricalAccuracy {} => matches(&batch, |row, _| batch.index(row)),
            Self::MeanSquaredError {} => evaluate(&Loss::MeanSquaredError {})?,
            Self::MeanAbsoluteError {} => evaluate(&Loss::MeanAbsoluteError {})?,
            Self::Loss { loss } => evaluate(loss)?,
        };
        Ok((sum, batch.total_weight()))
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

    fn dense(metric: &Metric, y: &[f32], p: &[f32], features: usize, weights: Option<&[f32]>) -> (f64, f64) {
        metric.update(Targets::Dense(y), p, p.len() / features, features, weights).unwrap()
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
        let integers = metric.update(Targets::Sparse(&[1, 0]), &[0.9, 0.9], 2, 1, None).unwrap();
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
        let update = |classes: &[i32]| sparse.update(Targets::Sparse(classes), &p, 3, 3, Some(&weights)).unwrap();
        assert_eq!(update(&[1, 1, 2]), (1.5, 5.5));
        assert_eq!(update(&[1, 0, 2]), (5.5, 5.5));
        // No prediction can be at an index that does not exist.
        assert_eq!(update(&[-1, 3, 2]), (0.5, 5.5));
        assert_eq!(sparse.update(Targets::Dense(&[1.0, 0.0, 2.0]), &p, 3, 3, None).unwrap(), (3.0, 3.0));
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
        let metric = Metric::Loss { loss: Loss::SparseCategoricalCrossentropy { from_logits: true } };
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
