//! F-scores and the coefficient of determination, by features; correlations, by rows.
//!
//! ```text
//! F     (1 + beta^2) precision recall / (beta^2 precision + recall)
//! R2    1 - sum (y - p)^2 / sum (y - mean y)^2
//! ```

use serde::{Deserialize, Serialize};

use crate::losses::Batch;

/// Keras's `epsilon()`, which it adds to the divisors of F.
const EPSILON: f64 = 1e-7;

/// How F-scores of features become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// The score of all counts together.
    Micro,
    /// Their mean.
    Macro,
    /// Their mean, weighted by the number of positive targets.
    Weighted,
}

/// How R2 scores of features become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Their mean.
    UniformAverage,
    /// Their mean, weighted by the variances.
    VarianceWeightedAverage,
}

/// For each feature true positives, false positives and false negatives.
pub(super) fn update_f_beta(threshold: Option<f64>, batch: &Batch) -> Vec<f64> {
    let mut state = Vec::new();
    let mut single = [0.0];
    for row in 0..batch.rows() {
        let (p, weight) = (batch.prediction(row), batch.weight(row));
        state.resize(3 * p.len(), 0.0);
        if weight == 0.0 {
            continue;
        }
        let y = batch.target(row, &mut single);
        let largest = p.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for (feature, (&y, &p)) in y.iter().zip(p).enumerate() {
            let y = f64::from(y);
            let yes = match threshold {
                Some(threshold) => p > threshold as f32,
                // A row of zeros has no largest.
                None => p >= largest && p.abs() > 1e-9,
            };
            let counts = &mut state[3 * feature..][..3];
            if yes {
                counts[0] += weight * y;
                counts[1] += weight * (1.0 - y);
            } else {
                counts[2] += weight * y;
            }
        }
    }
    state
}

pub(super) fn f_beta(average: Option<Average>, beta: f64, state: &[f64]) -> Vec<f64> {
    let score = |tp: f64, fp: f64, fn_: f64| {
        let (precision, recall) = (tp / (tp + fp + EPSILON), tp / (tp + fn_ + EPSILON));
        (1.0 + beta * beta) * (precision * recall / (beta * beta * precision + recall + EPSILON))
    };
    let features = || state.chunks_exact(3);
    let scores = || features().map(|counts| score(counts[0], counts[1], counts[2]));
    match average {
        Some(Average::Micro) => {
            let sum = |index: usize| features().map(|counts| counts[index]).sum();
            vec![score(sum(0), sum(1), sum(2))]
        }
        Some(Average::Macro) => vec![scores().sum::<f64>() / features().len().max(1) as f64],
        Some(Average::Weighted) => {
            let positives = || features().map(|counts| counts[0] + counts[2]);
            let total = positives().sum::<f64>() + EPSILON;
            vec![scores().zip(positives()).map(|(score, positives)| score * (positives / total)).sum()]
        }
        None => scores().collect(),
    }
}

/// The number of elements, and for each feature the weight, the weighted sums of targets and of their squares, and that of
/// the squared differences.
pub(super) fn update_r2(batch: &Batch) -> Vec<f64> {
    let mut state = vec![0.0];
    let mut single = [0.0];
    for row in 0..batch.rows() {
        let (p, weight) = (batch.prediction(row), batch.weight(row));
        state.resize(1 + 4 * p.len(), 0.0);
        if weight == 0.0 {
            continue;
        }
        state[0] += p.len() as f64;
        let y = batch.target(row, &mut single);
        for (sums, (&y, &p)) in state[1..].chunks_exact_mut(4).zip(y.iter().zip(p)) {
            let (y, p) = (f64::from(y), f64::from(p));
            sums[0] += weight;
            sums[1] += weight * y;
            sums[2] += weight * y * y;
            sums[3] += weight * (y - p) * (y - p);
        }
    }
    state
}

pub(super) fn r2(aggregation: Option<Aggregation>, regressors: u32, state: &[f64]) -> Vec<f64> {
    let [samples, sums @ ..] = state else { return vec![0.0] };
    let parts = || {
        sums.chunks_exact(4).map(|sums| {
            let variance = if sums[0] == 0.0 { 0.0 } else { sums[2] - sums[1] * (sums[1] / sums[0]) };
            let score = 1.0 - sums[3] / variance;
            (variance, if score.is_infinite() { 0.0 } else { score })
        })
    };
    let scores = match aggregation {
        Some(Aggregation::UniformAverage) => {
            vec![parts().map(|(_, score)| score).sum::<f64>() / parts().len().max(1) as f64]
        }
        Some(Aggregation::VarianceWeightedAverage) => {
            let total: f64 = parts().map(|(variance, _)| variance).sum();
            vec![parts().map(|(variance, score)| variance * score).sum::<f64>() / total]
        }
        None => parts().map(|(_, score)| score).collect(),
    };
    let rest = samples - f64::from(regressors) - 1.0;
    // With no more samples than variables there is no adjusted score.
    if regressors == 0 || rest <= 0.0 {
        return scores;
    }
    scores.into_iter().map(|score| 1.0 - (1.0 - score) * (samples - 1.0) / rest).collect()
}

/// The sum over rows of `score(mean y, mean p, var y, var p, cov)` of their features, by weight.
pub(super) fn correlate(batch: &Batch, score: impl Fn(f64, f64, f64, f64, f64) -> f64) -> f64 {
    let mut single = [0.0];
    let mut sum = 0.0;
    for row in 0..batch.rows() {
        let weight = batch.weight(row);
        if weight == 0.0 {
            continue; // what has no score is not a number, which no weight takes away
        }
        let p = batch.prediction(row);
        let y = batch.target(row, &mut single);
        let mean = |values: &[f32]| values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
        let (mean_y, mean_p) = (mean(y), mean(p));
        let [mut var_y, mut var_p, mut cov] = [0.0; 3];
        for (y, p) in y.iter().zip(p) {
            let (y, p) = (f64::from(*y) - mean_y, f64::from(*p) - mean_p);
            var_y += y * y;
            var_p += p * p;
            cov += y * p;
        }
        let count = p.len() as f64;
        sum += weight * score(mean_y, mean_p, var_y / count, var_p / count, cov / count);
    }
    sum
}

pub(super) fn pearson(_: f64, _: f64, var_y: f64, var_p: f64, cov: f64) -> f64 {
    cov / (var_y.sqrt() * var_p.sqrt())
}

pub(super) fn concordance(mean_y: f64, mean_p: f64, var_y: f64, var_p: f64, cov: f64) -> f64 {
    2.0 * cov / (var_y + var_p + (mean_y - mean_p).powi(2) + EPSILON)
}
