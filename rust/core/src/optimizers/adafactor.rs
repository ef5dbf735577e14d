//! Adafactor: of a matrix only the means of squares of its rows and columns are kept. With gradient `g`, learning rate `a`,
//! step `t` and the root mean square `rms`:
//!
//! ```text
//! rho = min(a, 1 / sqrt(t)),  b = 1 - t^beta_2_decay
//! s <- g^2 + epsilon_1
//! v <- b v + (1 - b) s                     of a vector
//! r <- b r + (1 - b) mean of s over the last axis,  c <- b c + (1 - b) mean of s over the last axis but one,
//! v <- r / mean(r) c                       of a matrix, or of each matrix in the last two axes
//! u <- g / sqrt(v)
//! w <- w - max(epsilon_2, rms(w)) rho u / max(1, rms(u) / clip_threshold)
//! ```
//!
//! Keras's `relative_step` caps the learning rate at `1 / sqrt(t)`, as `rho` does for every learning rate: it changes nothing.

use serde::{Deserialize, Serialize};

use super::formula::{Formula, Slot, SlotShape, sum_in_order};
use super::sweep::Sweep;
use crate::{Error, Result, check};

/// Keras's `Adafactor`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adafactor {
    /// The power of the step's number that is new in a running mean, at most 0.
    pub beta_2_decay: f64,
    /// Added to squares of gradients.
    pub epsilon_1: f64,
    /// The least root mean square of a weight that counts.
    pub epsilon_2: f64,
    /// The largest root mean square of an update.
    pub clip_threshold: f64,
}

impl Formula for Adafactor {
    fn validate(&self) -> Result<()> {
        check::finite("beta_2_decay", self.beta_2_decay)?;
        if self.beta_2_decay > 0.0 {
            return Err(Error::value("beta_2_decay", "a finite number <= 0", self.beta_2_decay.to_string()));
        }
        check::non_negative("epsilon_1", self.epsilon_1)?;
        check::non_negative("epsilon_2", self.epsilon_2)?;
        check::positive("clip_threshold", self.clip_threshold)
    }

    fn slots(&self) -> Vec<Slot> {
        let slot = |name, shape| Slot { shape, ..Slot::zeros(name) };
        vec![slot("row", SlotShape::Rows), slot("column", SlotShape::Columns), slot("velocity", SlotShape::Vector)]
    }

    fn needs_whole(&self) -> bool {
        true
    }

    fn update(&self, iteration: u64, sweep: Sweep) {
        let Sweep { learning_rate, weight_decay, weight, gradient, slots, shape, .. } = sweep;
        let [rows, columns, velocity] = slots else { return };
        if weight.is_empty() {
            return;
        }
        if let Some(decay) = weight_decay {
            for w in weight.iter_mut() {
                *w -= *w * decay * learning_rate;
            }
        }
        let count = weight.len() as f64;
        let rms = |sum: f64| (sum / count).sqrt();
        let square = |x: f32| f64::from(x) * f64::from(x);
        let time = iteration as f64;
        let rho = learning_rate.min((1.0 / time.sqrt()) as f32);
        let alpha = (self.epsilon_2).max(rms(sum_in_order(weight.iter().map(|&w| square(w))))) as f32 * rho;
        let new = time.powf(self.beta_2_decay);
        let running = |mean: &mut f32, x: f64| *mean = (f64::from(*mean) * (1.0 - new) + x * new) as f32;
        let regulated = |g: f32| square(g) + self.epsilon_1;

        let step = |v: f32, g: f32| g / v.sqrt();
        let apply = |total: f64, weight: &mut [f32], update: &dyn Fn(usize) -> f32| {
            let factor = alpha / (rms(total) / self.clip_threshold).max(1.0) as f32;
            for (position, w) in weight.iter_mut().enumerate() {
                *w -= factor * update(position);
            }
        };
        let [.., height, width] = *shape else {
            for (v, &g) in velocity.iter_mut().zip(gradient) {
                running(v, regulated(g));
            }
            let update = |position: usize| step(velocity[position], gradient[position]);
            let total = sum_in_order((0..weight.len()).map(|position| square(update(position))));
            return apply(total, weight, &update);
        };
        let matrices = gradient.chunks_exact(height * width).zip(rows.chunks_exact_mut(height));
        let mut means = Vec::with_capacity(weight.len() / (height * width));
        for ((matrix, rows), columns) in matrices.zip(columns.chunks_exact_mut(width)) {
            for (row, values) in rows.iter_mut().zip(matrix.chunks_exact(width)) {
                running(row, sum_in_order(values.iter().map(|&g| regulated(g))) / width as f64);
            }
            for (position, column) in columns.iter_mut().enumerate() {
                let values = matrix[position..].iter().step_by(width);
                running(column, sum_in_order(values.map(|&g| regulated(g))) / height as f64);
            }
            means.push((sum_in_order(rows.iter().map(|&r| f64::from(r))) / height as f64) as f32);
        }
        let update = |position: usize| {
            let (matrix, place) = (position / (height * width), position % (height * width));
            let row = rows[matrix * height + place / width] / means[matrix];
            step(row * columns[matrix * width + place % width], gradient[position])
        };
        let total = sum_in_order((0..weight.len()).map(|position| square(update(position))));
        apply(total, weight, &update);
    }
}
