//! Counts of right and wrong predictions at thresholds: a prediction above the threshold means yes, a target other than 0 is.
//!
//! ```text
//! precision    tp / (tp + fp)
//! recall       tp / (tp + fn)              also called sensitivity
//! specificity  tn / (tn + fp)
//! ```

use serde::{Deserialize, Serialize};

use crate::losses::Batch;
use crate::{Error, Result};

/// What is counted, and what becomes of it. Gathered are true positives, false positives, true negatives and false
/// negatives, each for every threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// What is wanted.
    pub goal: Goal,
    /// Predictions above one of them mean yes.
    pub thresholds: Vec<f64>,
    /// Only so many largest predictions of a row can mean yes.
    pub top_k: Option<usize>,
    /// The one feature that counts.
    pub class_id: Option<usize>,
    /// Predictions are logits, not probabilities.
    #[serde(default)]
    pub from_logits: bool,
}

/// What becomes of the counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "goal", rename_all = "snake_case", deny_unknown_fields)]
pub enum Goal {
    /// Their number.
    TruePositives {},
    /// Their number.
    FalsePositives {},
    /// Their number.
    TrueNegatives {},
    /// Their number.
    FalseNegatives {},
    /// A share at each threshold.
    Share {
        /// Which.
        share: Share,
    },
    /// The best of a share at those thresholds where another one is high enough.
    Best {
        /// Which.
        share: Share,
        /// The other one.
        given: Share,
        /// How high that has to be.
        least: f64,
    },
    /// The area under a curve over all thresholds, which have to rise.
    Area {
        /// Which curve.
        curve: Curve,
        /// How it is summed up.
        summation: Summation,
    },
}

/// A share of the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// Of those predicted, those that are.
    Precision,
    /// Of those that are, those predicted.
    Recall,
    /// Of those that are not, those not predicted.
    Specificity,
}

/// A curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Curve {
    /// Recall over the share of false positives.
    #[serde(rename = "ROC")]
    Roc,
    /// Precision over recall.
    #[serde(rename = "PR")]
    Pr,
}

/// The height of a curve between two thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Summation {
    /// The middle; for precision that which follows from counts in between (Davis and Goadrich, 2006).
    Interpolation,
    /// The lower one.
    Minoring,
    /// The higher one.
    Majoring,
}

/// The sums over all batches.
struct Counts<'a> {
    tp: &'a [f64],
    fp: &'a [f64],
    tn: &'a [f64],
    fn_: &'a [f64],
}

/// `a / b`, and 0 where there is nothing to share.
fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}

impl Confusion {
    pub(super) fn validate(&self) -> Result<()> {
        if self.thresholds.is_empty() || self.thresholds.iter().any(|threshold| threshold.is_nan()) {
            return Err(Error::value("thresholds", "at least one number", format!("{:?}", self.thresholds)));
        }
        Ok(())
    }

    pub(super) fn update(&self, batch: &Batch) -> Vec<f64> {
        let count = self.thresholds.len();
        // Each prediction is filed once, below the first threshold that it does not exceed.
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| self.thresholds[a].total_cmp(&self.thresholds[b]));
        let rising: Vec<f32> = order.iter().map(|&index| self.thresholds[index] as f32).collect();
        let mut filed = [vec![0.0; count + 1], vec![0.0; count + 1]];
        let mut single = [0.0];
        let mut kept = Vec::new();
        for row in 0..batch.rows() {
            let weight = batch.weight(row);
            if weight == 0.0 {
                continue;
            }
            let (y, p) = (batch.target(row, &mut single), batch.prediction(row));
            if let Some(top) = self.top_k {
                kept.clear();
                kept.extend(0..p.len());
                kept.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
                kept.truncate(top);
            }
            for (feature, (&y, &p)) in y.iter().zip(p).enumerate() {
                if self.class_id.is_some_and(|class| class != feature) {
                    continue;
                }
                let out = self.top_k.is_some() && !kept.contains(&feature);
                let p = if self.from_logits { 1.0 / (1.0 + (-p).exp()) } else { p };
                let exceeded = if out { 0 } else { rising.partition_point(|&threshold| p > threshold) };
                filed[usize::from(y != 0.0)][exceeded] += weight;
            }
        }
        let mut state = vec![0.0; 4 * count];
        for (place, &index) in order.iter().enumerate() {
            let [negatives, positives] = &filed;
            let (below, above) = (0..place + 1, place + 1..count + 1);
            let sum = |of: &[f64]| of.iter().sum::<f64>();
            state[index] = sum(&positives[above.clone()]);
            state[count + index] = sum(&negatives[above]);
            state[2 * count + index] = sum(&negatives[below.clone()]);
            state[3 * count + index] = sum(&positives[below]);
        }
        state
    }

    pub(super) fn result(&self, state: &[f64]) -> Vec<f64> {
        let count = self.thresholds.len();
        let nothing = vec![0.0; 4 * count];
        let state = if state.len() == nothing.len() { state } else { &nothing };
        let part = |index: usize| &state[index * count..][..count];
        let counts = Counts { tp: part(0), fp: part(1), tn: part(2), fn_: part(3) };
        match self.goal {
            Goal::TruePositives {} => counts.tp.to_vec(),
            Goal::FalsePositives {} => counts.fp.to_vec(),
            Goal::TrueNegatives {} => counts.tn.to_vec(),
            Goal::FalseNegatives {} => counts.fn_.to_vec(),
            Goal::Share { share } => (0..count).map(|index| counts.share(share, index)).collect(),
            Goal::Best { share, given, least } => {
                let enough = (0..count).filter(|&index| counts.share(given, index) >= least);
                vec![enough.map(|index| counts.share(share, index)).fold(0.0, f64::max)]
            }
            Goal::Area { curve, summation } => vec![counts.area(curve, summation)],
        }
    }
}

impl Counts<'_> {
    fn share(&self, share: Share, index: usize) -> f64 {
        match share {
            Share::Precision => ratio(self.tp[index], self.tp[index] + self.fp[index]),
            Share::Recall => ratio(self.tp[index], self.tp[index] + self.fn_[index]),
            Share::Specificity => ratio(self.tn[index], self.tn[index] + self.fp[index]),
        }
    }

    fn area(&self, curve: Curve, summation: Summation) -> f64 {
        let steps = 0..self.tp.len() - 1;
        if (curve, summation) == (Curve::Pr, Summation::Interpolation) {
            return steps.map(|index| self.between(index)).sum();
        }
        let point = |index: usize| match curve {
            Curve::Roc => (ratio(self.fp[index], self.fp[index] + self.tn[index]), self.share(Share::Recall, index)),
            Curve::Pr => (self.share(Share::Recall, index), self.share(Share::Precision, index)),
        };
        let piece = |index: usize| {
            let ((x, y), (next_x, next_y)) = (point(index), point(index + 1));
            let height = match summation {
                Summation::Interpolation => f64::midpoint(y, next_y),
                Summation::Minoring => y.min(next_y),
                Summation::Majoring => y.max(next_y),
            };
            (x - next_x) * height
        };
        steps.map(piece).sum()
    }

    /// The area below precision over recall between two thresholds, with both counts of positives on a line.
    fn between(&self, index: usize) -> f64 {
        let positives = |index: usize| self.tp[index] + self.fp[index];
        let (here, next) = (positives(index), positives(index + 1));
        let gained = self.tp[index] - self.tp[index + 1];
        let slope = ratio(gained, (here - next).max(0.0));
        let intercept = self.tp[index + 1] - slope * next;
        let growth = if here > 0.0 && next > 0.0 { here / next } else { 1.0 };
        ratio(slope * (gained + intercept * growth.ln()), (self.tp[index + 1] + self.fn_[index + 1]).max(0.0))
    }
}
