//! Losses that are one number for a sample or for a whole batch, where others have one for each row.

use super::overlap::{Overlap, Sums};
use super::{Batch, Gradient, Loss, Targets, ctc};
use crate::{Error, Result};

/// What a loss is one number for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A row of features.
    Row,
    /// A sample, of all its rows.
    Sample,
    /// The batch.
    Batch,
}

/// How rows make up units: row `r` belongs to sample `r / inner % samples`, for time comes first in memory.
#[derive(Debug, Clone, Copy)]
pub struct Units {
    /// What a unit is: a sample or the batch.
    pub unit: Unit,
    /// Samples of the batch.
    pub samples: usize,
    /// Rows of a sample that lie together.
    pub inner: usize,
}

impl Units {
    /// How many there are.
    #[must_use]
    pub fn count(&self, rows: usize) -> usize {
        match self.unit {
            Unit::Row => rows,
            Unit::Sample => self.samples,
            Unit::Batch => 1,
        }
    }

    fn of(&self, row: usize) -> usize {
        match self.unit {
            Unit::Row => row,
            Unit::Sample => row / self.inner.max(1) % self.samples.max(1),
            Unit::Batch => 0,
        }
    }
}

impl Loss {
    fn overlap(&self) -> Option<(Overlap, Option<&[isize]>)> {
        match self {
            Self::Dice { axis } => Some((Overlap::dice(), axis.as_deref())),
            Self::Tversky { alpha, beta, axis } => Some((Overlap::tversky(*alpha, *beta), axis.as_deref())),
            _ => None,
        }
    }

    /// What the loss of an output with so many axes is one number for.
    ///
    /// # Errors
    /// The loss cannot be taken of such an output, or sums along axes that a training step does not know.
    pub fn unit(&self, rank: usize) -> Result<Unit> {
        if matches!(self, Self::Ctc {}) {
            if rank == 3 {
                return Ok(Unit::Sample);
            }
            return Err(Error::value("ctc", "an output (batch, time, classes)", format!("one with {rank} axes")));
        }
        if matches!(self, Self::Circle { .. }) && rank != 2 {
            return Err(Error::value("circle", "an output (batch, features)", format!("one with {rank} axes")));
        }
        let Some((_, axis)) = self.overlap() else { return Ok(Unit::Row) };
        let Some(given) = axis else { return Ok(Unit::Batch) };
        let signed = rank as isize;
        let mut axes: Vec<isize> = given.iter().map(|axis| if *axis < 0 { axis + signed } else { *axis }).collect();
        axes.sort_unstable();
        if axes == [signed - 1] {
            Ok(Unit::Row)
        } else if axes == (1..signed).collect::<Vec<_>>() {
            Ok(Unit::Sample)
        } else if axes == (0..signed).collect::<Vec<_>>() {
            Ok(Unit::Batch)
        } else {
            let expected = format!("None, the last axis, or all axes but the first, of an output with {rank} axes");
            Err(Error::value("axis", expected, format!("{given:?}")))
        }
    }

    /// The overlap of a row.
    pub(super) fn overlap_of_row(&self, y: &[f32], p: &[f32], grad: Option<Gradient>) -> Option<f64> {
        let (overlap, _) = self.overlap()?;
        let mut sums = Sums::default();
        sums.add(y, p);
        if let Some(mut grad) = grad {
            overlap.differentiate(&sums, y, &mut grad);
        }
        Some(overlap.value(&sums))
    }

    /// As [`Loss::evaluate`], of a loss that is not one of rows: the weights are those of the units. Writes the loss of each
    /// unit to `values`.
    ///
    /// # Errors
    /// As [`Loss::evaluate`].
    ///
    /// # Panics
    /// When `grad` does not have the length of `predictions`.
    pub fn evaluate_units(
        &self,
        targets: Targets,
        predictions: &[f32],
        features: usize,
        units: Units,
        weights: Option<&[f32]>,
        scale: f32,
        mut grad: Option<&mut [f32]>,
        values: &mut Vec<f64>,
    ) -> Result<f64> {
        let rows = predictions.len().checked_div(features).unwrap_or(0);
        let count = units.count(rows);
        values.clear();
        values.resize(count, 0.0);
        if let Some(grad) = &grad {
            assert_eq!(grad.len(), predictions.len());
        }
        if let Some(weights) = weights
            && weights.len() != count
        {
            let expected = format!("{count} values, one for each loss");
            return Err(Error::value("sample_weight", expected, format!("{} values", weights.len())));
        }
        let weight = |unit: usize| weights.map_or(1.0, |weights| f64::from(weights[unit]));
        if let Some((overlap, _)) = self.overlap() {
            let batch = Batch::new(false, targets, predictions, rows, features, None)?;
            let mut single = [0.0];
            let mut sums = vec![Sums::default(); count];
            for row in 0..rows {
                sums[units.of(row)].add(batch.target(row, &mut single), batch.prediction(row));
            }
            for (value, sums) in values.iter_mut().zip(&sums) {
                *value = overlap.value(sums);
            }
            for row in 0..rows {
                let Some(grad) = grad.as_deref_mut() else { break };
                let unit = units.of(row);
                let slots = &mut grad[row * features..][..features];
                let factor = weight(unit) * f64::from(scale);
                overlap.differentiate(&sums[unit], batch.target(row, &mut single), &mut Gradient { slots, factor });
            }
        } else {
            for unit in 0..count {
                let factor = weight(unit) * f64::from(scale);
                let grad = grad.as_deref_mut().map(|grad| (grad, factor));
                values[unit] = ctc_of_sample(unit, targets, predictions, rows, features, units.samples, grad)?;
            }
        }
        // A weight of 0 takes out what is not a number, too.
        let terms = values.iter().enumerate().filter(|(unit, _)| weight(*unit) != 0.0);
        Ok(terms.map(|(unit, value)| weight(unit) * value).sum())
    }
}

/// The loss of a sample whose steps lie `samples` rows apart, and its gradient times a factor.
fn ctc_of_sample(
    sample: usize,
    targets: Targets,
    predictions: &[f32],
    rows: usize,
    classes: usize,
    samples: usize,
    grad: Option<(&mut [f32], f64)>,
) -> Result<f64> {
    let given = match targets {
        Targets::Dense(values) => values.len(),
        Targets::Sparse(values) => values.len(),
    };
    let (len, steps) = (given / samples, rows / samples);
    let target = |position: usize| match targets {
        Targets::Dense(values) => f64::from(values[sample * len + position]),
        Targets::Sparse(values) => f64::from(values[sample * len + position]),
    };
    let labels = ctc::Labels::new(sample, target, len, classes)?;
    let place = |step: usize| (step * samples + sample) * classes;
    let logits = |step: usize| &predictions[place(step)..][..classes];
    let Some((grad, factor)) = grad else { return Ok(ctc::sample(&labels, steps, classes, logits, None)) };
    let mut write = |step: usize, slopes: &[f64]| {
        for (slot, slope) in grad[place(step)..][..classes].iter_mut().zip(slopes) {
            *slot = if factor == 0.0 { 0.0 } else { (factor * slope) as f32 };
        }
    };
    Ok(ctc::sample(&labels, steps, classes, logits, Some(&mut write)))
}
