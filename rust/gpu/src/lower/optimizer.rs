//! Steps of optimizers: clipping, then one dispatch for each weight.

use crate::plan::{Dispatch, MOST_WORKGROUPS, Source, groups_for};
use crate::shaders::{ADD_SQUARES, CLIP, CLIP_VALUES, UPDATE};
use foliot_core::backend::UpdateParameter;
use foliot_core::optimizers::{Adam, Optimizer, Rmsprop, Rule, Sgd};
use foliot_core::tensor::Span;

/// How many parts the sum of squares of a gradient has at most, and elements that one sums up.
const PLACES: usize = 64;
const SHARE: usize = 4096;

/// A weight in a step.
pub struct Step {
    /// The weight.
    pub weight: u64,
    /// Its gradient.
    pub gradient: Span,
    /// What the optimizer keeps for it.
    pub slots: Vec<u64>,
    /// Whether weight decay applies to it.
    pub decays: bool,
}

impl Step {
    /// The step of an entry of an update.
    #[must_use]
    pub fn of(entry: &UpdateParameter<'_>) -> Self {
        Self {
            weight: entry.parameter.id(),
            gradient: entry.gradient,
            slots: entry.state.slots.iter().map(|slot| slot.id()).collect(),
            decays: entry.state.decays,
        }
    }
}

/// Why an optimizer cannot run on a GPU; none if it can.
#[must_use]
pub fn refuses(optimizer: &Optimizer) -> Option<String> {
    if optimizer.ema_momentum.is_some() {
        return Some("use_ema=True".into());
    }
    if optimizer.gradient_accumulation_steps.is_some() {
        return Some("gradient_accumulation_steps".into());
    }
    match &optimizer.rule {
        Rule::Sgd(_) | Rule::Rmsprop(_) | Rule::Adam(_) => None,
        rule => {
            let text = format!("{rule:?}");
            Some(text.split('(').next().unwrap_or_default().to_owned())
        }
    }
}

/// The scratch memory of a step of so many weights.
#[must_use]
pub fn scratch(weights: usize) -> usize {
    weights * PLACES
}

/// The dispatches of a step.
pub fn update(optimizer: &Optimizer, learning_rate: f32, iteration: u64, steps: &[Step], out: &mut Vec<Dispatch>) {
    clip(optimizer, steps, out);
    let rate = optimizer.learning_rate_at(learning_rate, iteration);
    for step in steps {
        let count = step.gradient.len;
        if count == 0 {
            continue;
        }
        let decay = optimizer.weight_decay.filter(|_| step.decays).map(|decay| decay as f32 * rate);
        let [rule, momentum, variant] = kind(&optimizer.rule);
        let [rate, first, second, third, epsilon] = numbers(&optimizer.rule, rate, iteration);
        let mut dispatch = Dispatch::new(UPDATE, "optimizer", &[count], groups_for(count));
        for number in [rate, decay.unwrap_or(0.0), first, second, third, epsilon] {
            dispatch = dispatch.number(number);
        }
        dispatch = dispatch
            .constant("RULE", rule)
            .flag("MOMENTUM", momentum != 0)
            .flag("VARIANT", variant != 0)
            .flag("DECAYED", decay.is_some())
            .bind(0, Source::Weight(step.weight))
            .bind(1, Source::Floats(step.gradient));
        for slot in 0..3 {
            let source = step.slots.get(slot).map_or(Source::Nothing, |&id| Source::Weight(id));
            dispatch = dispatch.bind(2 + slot as u32, source);
        }
        out.push(dispatch);
    }
}

/// The rule's number in optimizer.wgsl, and its two switches.
fn kind(rule: &Rule) -> [u32; 3] {
    match rule {
        Rule::Rmsprop(Rmsprop { momentum, centered, .. }) => [1, u32::from(*momentum > 0.0), u32::from(*centered)],
        Rule::Adam(Adam { amsgrad, .. }) => [2, 0, u32::from(*amsgrad)],
        Rule::Sgd(Sgd { momentum, nesterov }) => [0, u32::from(*momentum > 0.0), u32::from(*nesterov)],
        // Refused before.
        _ => [0; 3],
    }
}

/// The learning rate and the rule's numbers, rounded as on the CPU.
fn numbers(rule: &Rule, rate: f32, iteration: u64) -> [f32; 5] {
    match rule {
        Rule::Sgd(sgd) => [rate, sgd.momentum as f32, 0.0, 0.0, 0.0],
        Rule::Rmsprop(Rmsprop { rho, momentum, epsilon, .. }) => {
            [rate, *rho as f32, (1.0 - rho) as f32, *momentum as f32, *epsilon as f32]
        }
        Rule::Adam(adam) => {
            let rests = [(1.0 - adam.beta_1) as f32, (1.0 - adam.beta_2) as f32];
            [adam.corrected_rate(rate, iteration), rests[0], rests[1], 0.0, adam.epsilon as f32]
        }
        _ => [0.0; 5],
    }
}

/// Scales gradients down. A bound of 0 turns clipping off, as in Keras.
fn clip(optimizer: &Optimizer, steps: &[Step], out: &mut Vec<Dispatch>) {
    let bound = |value: Option<f64>| value.filter(|&value| value > 0.0).map(|value| value as f32);
    let (own, global) = (bound(optimizer.clipnorm), bound(optimizer.global_clipnorm));
    if let Some(bound) = own.or(global) {
        let partial = Span { offset: 0, len: scratch(steps.len()) };
        let places: Vec<usize> = steps.iter().map(|step| step.gradient.len.div_ceil(SHARE).min(PLACES)).collect();
        let starts: Vec<usize> =
            places.iter().scan(0, |sum, places| Some(std::mem::replace(sum, *sum + places))).collect();
        let all: usize = places.iter().sum();
        let norms = |kernel, step: &Step, sizes: &[usize], groups: usize| {
            Dispatch::new(kernel, "clipping", sizes, [groups, 1, 1])
                .number(bound)
                .bind(0, Source::Floats(step.gradient))
                .bind(1, Source::Scratch(partial))
        };
        let used = || steps.iter().zip(&places).zip(&starts).filter(|((_, places), _)| **places > 0);
        for ((step, &places), &start) in used() {
            out.push(norms(ADD_SQUARES, step, &[step.gradient.len, start, places], places));
        }
        for ((step, &places), &start) in used() {
            let [first, count] = if own.is_some() { [start, places] } else { [0, all] };
            let groups = step.gradient.len.div_ceil(64).min(MOST_WORKGROUPS);
            out.push(norms(CLIP, step, &[step.gradient.len, first, count], groups));
        }
    } else if let Some(bound) = bound(optimizer.clipvalue) {
        for step in steps.iter().filter(|step| step.gradient.len > 0) {
            let count = step.gradient.len;
            let mut dispatch = Dispatch::new(CLIP_VALUES, "clipping", &[count], groups_for(count));
            for number in [0.0, 0.0, bound] {
                dispatch = dispatch.number(number);
            }
            out.push(dispatch.bind(1, Source::Floats(step.gradient)));
        }
    }
}
