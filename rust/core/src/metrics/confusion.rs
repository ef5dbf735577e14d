//! Counts of right and wrong predictions at thresholds: a prediction above the threshold means yes, a target other than 0 is.
//!
//! ```text
//! precision    tp / (tp + fp)
//! recall       tp / (tp + fn)              also called sensitivity
//! specificity  tn / (tn + fp)
//! precision gain  1 - p/n fp / tp          with p and n the numbers of those that are and of those that are not
//! recall gain     1 - p/n fn / tp          (Flach and Kull, 2015)
//! ```

use serde::{Deserialize, Serialize};

use crate::losses::Batch;
use crate::{Error, Result, check};

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
    /// Each feature has counts of its own, and the area is the mean of theirs.
    #[serde(default)]
    pub multi_label: bool,
    /// How many features there have to be.
    #[serde(default)]
    pub num_labels: Option<usize>,
    /// The weights of the features: in the mean of their areas, else in the counts.
    #[serde(default)]
    pub label_weights: Option<Vec<f64>>,
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
    /// Precision gain over recall gain.
    #[serde(rename = "PRGAIN")]
    PrGain,
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
struct Counts {
    tp: Vec<f64>,
    fp: Vec<f64>,
    tn: Vec<f64>,
    fn_: Vec<f64>,
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
        if self.multi_label && !matches!(self.goal, Goal::Area { .. }) {
            return Err(Error::value("multi_label", "false where no area is wanted", "true"));
        }
        for &weight in self.label_weights.iter().flatten() {
            check::finite("label_weights", weight)?;
        }
        Ok(())
    }

    /// Refuses another number of labels than was told.
    fn check_labels(&self, features: usize) -> Result<()> {
        let wanted = [("num_labels", self.num_labels), ("label_weights", self.label_weights.as_ref().map(Vec::len))];
        for (name, count) in wanted {
            if let Some(count) = count.filter(|&count| count != features) {
                let what = if name == "num_labels" { "that number" } else { "a weight for each" };
                return Err(Error::value(name, format!("{what} of {features} labels"), count.to_string()));
            }
        }
        Ok(())
    }

    /// For each kind of count and each threshold the counts of the labels, or one for all features.
    pub(super) fn update(&self, batch: &Batch) -> Result<Vec<f64>> {
        self.check_labels(batch.features())?;
        let count = self.thresholds.len();
        let labels = if self.multi_label { batch.features() } else { 1 };
        // Each prediction is filed once, below the first threshold that it does not exceed.
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| self.thresholds[a].total_cmp(&self.thresholds[b]));
        let rising: Vec<f32> = order.iter().map(|&index| self.thresholds[index] as f32).collect();
        let mut filed = [vec![0.0; labels * (count + 1)], vec![0.0; labels * (count + 1)]];
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
                let (label, share) = match &self.label_weights {
                    _ if self.multi_label => (feature, 1.0),
                    Some(weights) => (0, weights[feature]),
                    None => (0, 1.0),
                };
                filed[usize::from(y != 0.0)][label * (count + 1) + exceeded] += weight * share;
            }
        }
        let mut state = vec![0.0; 4 * count * labels];
        for label in 0..labels {
            let [negatives, positives] = &filed;
            let (negatives, positives) =
                (&negatives[label * (count + 1)..][..=count], &positives[label * (count + 1)..][..=count]);
            for (place, &index) in order.iter().enumerate() {
                let (below, above) = (0..place + 1, place + 1..count + 1);
                let sum = |of: &[f64]| of.iter().sum::<f64>();
                let mut put = |kind: usize, value| state[(kind * count + index) * labels + label] = value;
                put(0, sum(&positives[above.clone()]));
                put(1, sum(&negatives[above]));
                put(2, sum(&negatives[below.clone()]));
                put(3, sum(&positives[below]));
            }
        }
        Ok(state)
    }

    pub(super) fn result(&self, state: &[f64]) -> Vec<f64> {
        let count = self.thresholds.len();
        let labels = (state.len() / (4 * count)).max(1);
        let nothing = vec![0.0; 4 * count];
        let state = if state.len() == 4 * count * labels { state } else { &nothing };
        let part = |kind: usize, label: usize| {
            state[kind * count * labels..][..count * labels].iter().skip(label).step_by(labels).copied().collect()
        };
        let counts = |label| Counts { tp: part(0, label), fp: part(1, label), tn: part(2, label), fn_: part(3, label) };
        let all = || counts(0);
        match self.goal {
            Goal::TruePositives {} => all().tp,
            Goal::FalsePositives {} => all().fp,
            Goal::TrueNegatives {} => all().tn,
            Goal::FalseNegatives {} => all().fn_,
            Goal::Share { share } => {
                let counts = all();
                (0..count).map(|index| counts.share(share, index)).collect()
            }
            Goal::Best { share, given, least } => {
                let counts = all();
                let enough = (0..count).filter(|&index| counts.share(given, index) >= least);
                vec![enough.map(|index| counts.share(share, index)).fold(0.0, f64::max)]
            }
            Goal::Area { curve, summation } => {
                let weights = self.label_weights.as_deref().filter(|weights| weights.len() == labels);
                let weight = |label: usize| weights.map_or(1.0, |weights| weights[label]);
                let sum: f64 = (0..labels).map(|label| weight(label) * counts(label).area(curve, summation)).sum();
                vec![ratio(sum, (0..labels).map(weight).sum())]
            }
        }
    }
}

impl Counts {
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
            Curve::PrGain => self.gains(index),
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

    /// Recall gain, which is not below 0, and precision gain; 0 and 1 where there are no true positives.
    fn gains(&self, index: usize) -> (f64, f64) {
        let tp = self.tp[index];
        if tp == 0.0 {
            return (0.0, 1.0);
        }
        let scale = ratio(tp + self.fn_[index], self.tn[index] + self.fp[index]);
        ((1.0 - scale * (self.fn_[index] / tp)).max(0.0), 1.0 - scale * (self.fp[index] / tp))
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
