//! What an optimizer remembers between steps.

use super::Optimizer;
use crate::parameter::Parameter;
use crate::{Error, Result};
use std::sync::Arc;

/// An optimizer with its arrays for each weight.
pub struct OptimizerState {
    optimizer: Optimizer,
    /// The step size of the next step; schedules and callbacks change it.
    pub learning_rate: f32,
    /// Steps that have been made.
    pub iterations: u64,
    entries: Vec<Entry>,
}

struct Entry {
    parameter: Arc<Parameter>,
    slots: Vec<Vec<f32>>,
}

impl OptimizerState {
    /// An optimizer that has made no step.
    ///
    /// # Errors
    /// When the description is not that of an optimizer, or a number in it cannot be used.
    pub fn parse(json: &str) -> Result<Self> {
        let optimizer: Optimizer = serde_json::from_str(json)
            .map_err(|error| Error::value("optimizer", "a description of an optimizer", error.to_string()))?;
        optimizer.validate()?;
        Ok(Self { learning_rate: optimizer.learning_rate as f32, optimizer, iterations: 0, entries: Vec::new() })
    }

    /// The formula.
    #[must_use]
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// Makes the arrays for weights that have none yet.
    pub fn build(&mut self, parameters: &[Arc<Parameter>]) {
        let names = self.optimizer.slot_names().len();
        for parameter in parameters {
            if self.position(parameter).is_none() {
                let len: usize = parameter.shape().iter().product();
                self.entries.push(Entry { parameter: parameter.clone(), slots: vec![vec![0.0; len]; names] });
            }
        }
    }

    fn position(&self, parameter: &Arc<Parameter>) -> Option<usize> {
        self.entries.iter().position(|entry| Arc::ptr_eq(&entry.parameter, parameter))
    }

    /// The arrays of the given weights, each weight once.
    pub fn slots_of<'a>(&'a mut self, parameters: &[Arc<Parameter>]) -> Vec<&'a mut [Vec<f32>]> {
        self.build(parameters);
        let mut order: Vec<Option<usize>> = vec![None; self.entries.len()];
        for (index, parameter) in parameters.iter().enumerate() {
            if let Some(position) = self.position(parameter) {
                order[position] = Some(index);
            }
        }
        let mut picked: Vec<(usize, &mut [Vec<f32>])> = Vec::with_capacity(parameters.len());
        for (entry, index) in self.entries.iter_mut().zip(order) {
            if let Some(index) = index {
                picked.push((index, &mut entry.slots));
            }
        }
        picked.sort_by_key(|(index, _)| *index);
        picked.into_iter().map(|(_, slots)| slots).collect()
    }

    /// For each slot name and weight: the shape and the values.
    #[must_use]
    pub fn slots(&self) -> Vec<Vec<(Vec<usize>, Vec<f32>)>> {
        let names = self.optimizer.slot_names().len();
        let slot = |slot: usize| {
            self.entries
                .iter()
                .map(move |entry| (entry.parameter.shape().to_vec(), entry.slots[slot].clone()))
                .collect()
        };
        (0..names).map(slot).collect()
    }

    /// Replaces the values of [`OptimizerState::slots`].
    ///
    /// # Errors
    /// When numbers of slots, weights or values differ.
    pub fn set_slots(&mut self, slots: Vec<Vec<Vec<f32>>>) -> Result<()> {
        let names = self.optimizer.slot_names();
        let fits = slots.len() == names.len()
            && slots.iter().all(|values| {
                values.len() == self.entries.len()
                    && values
                        .iter()
                        .zip(&self.entries)
                        .all(|(value, entry)| value.len() == entry.parameter.shape().iter().product::<usize>())
            });
        if !fits {
            let expected = format!("{} slots ({}) of {} weights", names.len(), names.join(", "), self.entries.len());
            let received = slots.iter().map(|values| values.len().to_string()).collect::<Vec<_>>().join(", ");
            return Err(Error::value("slots", expected, format!("{} slots of [{received}] arrays", slots.len())));
        }
        for (slot, values) in slots.into_iter().enumerate() {
            for (entry, value) in self.entries.iter_mut().zip(values) {
                entry.slots[slot] = value;
            }
        }
        Ok(())
    }
}
