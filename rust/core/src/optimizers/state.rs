//! What an optimizer remembers between steps.

use super::{Optimizer, Schedule};
use crate::parameter::Parameter;
use crate::{Error, Result};
use std::sync::Arc;

/// An optimizer with its arrays for each weight.
pub struct OptimizerState {
    optimizer: Optimizer,
    learning_rate: f32,
    /// Steps that have been made.
    pub iterations: u64,
    entries: Vec<Entry>,
}

/// The shape and the values of an array that is kept for a weight.
pub type SlotValues = (Vec<usize>, Vec<f32>);

struct Entry {
    parameter: Arc<Parameter>,
    decays: bool,
    slots: Vec<Arc<Parameter>>,
}

/// What belongs to one weight.
pub struct WeightState<'a> {
    /// Whether the weight decays.
    pub decays: bool,
    /// The arrays that are kept for it.
    pub slots: &'a [Arc<Parameter>],
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

    /// The step size of the next step.
    #[must_use]
    pub fn learning_rate(&self) -> f32 {
        self.optimizer
            .schedule
            .as_ref()
            .map_or(self.learning_rate, |schedule| schedule.at(self.iterations as f64) as f32)
    }

    /// Sets the step size of all steps that follow, in place of any schedule.
    pub fn set_learning_rate(&mut self, learning_rate: f32) {
        self.learning_rate = learning_rate;
        self.optimizer.schedule = None;
    }

    /// Sets what gives the step size of the steps that follow.
    ///
    /// # Errors
    /// When the description is not that of a schedule, or a number in it cannot be used.
    pub fn set_schedule(&mut self, json: &str) -> Result<()> {
        self.optimizer.schedule = Some(parse_schedule(json)?);
        Ok(())
    }

    /// Makes the arrays for weights that have none yet. Weights that are not in `undecayed`, by position, decay; those in
    /// `excluded` are left out by a rule that asks for it.
    pub fn build(&mut self, parameters: &[Arc<Parameter>], undecayed: &[usize], excluded: &[usize]) {
        for (position, parameter) in parameters.iter().enumerate() {
            if self.position(parameter).is_none() {
                let initial = self.optimizer.initial_slots(parameter.shape(), excluded.contains(&position));
                let names = self.optimizer.slot_names().into_iter();
                let slot = |(name, (shape, values))| Arc::new(Parameter::of(name, shape, values));
                let slots = names.zip(initial).map(slot).collect();
                let decays = !undecayed.contains(&position);
                self.entries.push(Entry { parameter: parameter.clone(), decays, slots });
            }
        }
    }

    fn position(&self, parameter: &Arc<Parameter>) -> Option<usize> {
        self.entries.iter().position(|entry| Arc::ptr_eq(&entry.parameter, parameter))
    }

    /// The state of the given weights, each weight once.
    pub fn state_of<'a>(&'a mut self, parameters: &[Arc<Parameter>]) -> Vec<WeightState<'a>> {
        self.build(parameters, &[], &[]);
        let mut order: Vec<Option<usize>> = vec![None; self.entries.len()];
        for (index, parameter) in parameters.iter().enumerate() {
            if let Some(position) = self.position(parameter) {
                order[position] = Some(index);
            }
        }
        let mut picked: Vec<(usize, WeightState)> = Vec::with_capacity(parameters.len());
        for (entry, index) in self.entries.iter().zip(order) {
            if let Some(index) = index {
                picked.push((index, WeightState { decays: entry.decays, slots: &entry.slots }));
            }
        }
        picked.sort_by_key(|(index, _)| *index);
        picked.into_iter().map(|(_, state)| state).collect()
    }

    /// Gives every weight the value of its running mean, if such are kept and a step was made.
    pub fn take_averages(&mut self) {
        if self.optimizer.ema_momentum.is_none() || self.iterations == 0 {
            return;
        }
        for entry in &self.entries {
            if let Some(mean) = entry.slots.last() {
                entry.parameter.write().copy_from_slice(&mean.read());
            }
        }
    }

    /// How many numbers the arrays hold.
    #[must_use]
    pub fn size(&self) -> usize {
        self.entries.iter().flat_map(|entry| &entry.slots).map(|slot| slot.len()).sum()
    }

    /// For each slot name and weight: the shape and the values.
    ///
    /// # Errors
    /// When a device that has them cannot give them.
    pub fn slots(&self) -> Result<Vec<Vec<SlotValues>>> {
        let values = |slot: &Arc<Parameter>| {
            slot.fetch()?;
            Ok((slot.shape().to_vec(), slot.read().clone()))
        };
        let names = self.optimizer.slot_names().len();
        let of_all = |slot: usize| self.entries.iter().map(|entry| values(&entry.slots[slot])).collect();
        (0..names).map(of_all).collect()
    }

    /// Replaces the values of [`OptimizerState::slots`].
    ///
    /// # Errors
    /// When numbers of slots, weights or values differ.
    pub fn set_slots(&mut self, slots: Vec<Vec<Vec<f32>>>) -> Result<()> {
        let names = self.optimizer.slot_names();
        let fits = slots.len() == names.len()
            && slots.iter().enumerate().all(|(slot, values)| {
                values.len() == self.entries.len()
                    && values.iter().zip(&self.entries).all(|(value, entry)| value.len() == entry.slots[slot].len())
            });
        if !fits {
            let expected = format!("{} slots ({}) of {} weights", names.len(), names.join(", "), self.entries.len());
            let received = slots.iter().map(|values| values.len().to_string()).collect::<Vec<_>>().join(", ");
            return Err(Error::value("slots", expected, format!("{} slots of [{received}] arrays", slots.len())));
        }
        for (slot, values) in slots.into_iter().enumerate() {
            for (entry, value) in self.entries.iter_mut().zip(values) {
                entry.slots[slot].assign(&value)?;
            }
        }
        Ok(())
    }
}

/// A schedule from its JSON.
///
/// # Errors
/// When the description is not that of a schedule, or a number in it cannot be used.
pub fn parse_schedule(json: &str) -> Result<Schedule> {
    let schedule: Schedule = serde_json::from_str(json)
        .map_err(|error| Error::value("learning_rate", "a description of a schedule", error.to_string()))?;
    schedule.validate()?;
    Ok(schedule)
}
