//! Circle loss (Sun et al. 2020): rows of features are to be near those of their own class and far from all others.
//!
//! With the distances `d = max(1 - p q, 0)` of a row `p` to the rows `q` of the batch, and `m` the margin, `g` gamma:
//!
//! ```text
//! a = -g max(m + d, 0) (m - d)             for the rows of its class
//! b = g max(1 + m - d, 0) (1 - m - d)      for all others
//! loss = ln(1 + exp(ln sum exp a + ln sum exp b))
//! ```
//!
//! A row without another one of its class, or without one of another class, has nothing to compare and counts as masked.

use super::{Batch, Gradient, step};
use crate::losses::crossentropy::binary_from_logit;

/// What the loss is told.
#[derive(Clone, Copy)]
pub(super) struct Circle {
    pub(super) gamma: f64,
    pub(super) margin: f64,
    /// A row is not compared with itself.
    pub(super) remove_diagonal: bool,
}

/// A score of a pair, its slope by the product of the two rows, and whether they are of one class.
struct Pair {
    other: usize,
    score: f64,
    slope: f64,
    alike: bool,
}

impl Circle {
    /// Which rows have nothing to compare.
    pub(super) fn ignored(&self, class: impl Fn(usize) -> f64, rows: usize) -> Vec<bool> {
        let has = |row: usize, alike: bool| {
            (0..rows)
                .any(|other| (class(other) == class(row)) == alike && !(alike && self.remove_diagonal && other == row))
        };
        (0..rows).map(|row| !has(row, true) || !has(row, false)).collect()
    }

    /// The loss of a row. `grad` is the gradient of the whole batch, to which that of the row's loss is added.
    pub(super) fn row(&self, batch: &Batch, row: usize, grad: Option<Gradient>) -> f64 {
        let pairs: Vec<Pair> = (0..batch.rows()).filter_map(|other| self.pair(batch, row, other)).collect();
        let log_sum = |alike: bool| {
            let scores = || pairs.iter().filter(|pair| pair.alike == alike).map(|pair| pair.score);
            let max =
                scores().fold(f64::NEG_INFINITY, |max, score| if score > max || score.is_nan() { score } else { max });
            if max == f64::NEG_INFINITY {
                max
            } else {
                max + scores().map(|score| (score - max).exp()).sum::<f64>().ln()
            }
        };
        let (near, far) = (log_sum(true), log_sum(false));
        if near == f64::NEG_INFINITY || far == f64::NEG_INFINITY {
            return 0.0;
        }
        // ln(1 + exp x) is what a target of 0 costs at the logit x.
        let (loss, derivative) = binary_from_logit(0.0, near + far);
        if let Some(Gradient { slots, factor }) = grad {
            let features = batch.prediction(row).len();
            for pair in &pairs {
                let share = (pair.score - if pair.alike { near } else { far }).exp();
                let slope = factor * derivative * share * pair.slope;
                for (one, two) in [(row, pair.other), (pair.other, row)] {
                    let slots = &mut slots[one * features..][..features];
                    for (slot, value) in slots.iter_mut().zip(batch.prediction(two)) {
                        *slot += (slope * f64::from(*value)) as f32;
                    }
                }
            }
        }
        loss
    }

    fn pair(&self, batch: &Batch, row: usize, other: usize) -> Option<Pair> {
        let alike = batch.index(row) == batch.index(other);
        if alike && self.remove_diagonal && row == other {
            return None;
        }
        let (p, q) = (batch.prediction(row), batch.prediction(other));
        let product: f64 = p.iter().zip(q).map(|(p, q)| f64::from(*p) * f64::from(*q)).sum();
        let distance = positive_part(1.0 - product);
        let (sign, weight, rest, turn) = if alike {
            (-1.0, self.margin + distance, self.margin - distance, 1.0)
        } else {
            (1.0, 1.0 + self.margin - distance, 1.0 - self.margin - distance, -1.0)
        };
        let by_distance = sign * self.gamma * (turn * step(weight) * rest - positive_part(weight));
        let score = sign * self.gamma * positive_part(weight) * rest;
        Some(Pair { other, score, slope: -step(1.0 - product) * by_distance, alike })
    }
}

/// `max(x, 0)` that lets a NaN through.
fn positive_part(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}
