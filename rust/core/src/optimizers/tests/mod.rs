use super::*;

mod clipping;
mod keras;
mod slots;
mod specification;
mod steps;

const COUNT: usize = 11;

/// The same recipe as the generator of Keras's numbers; every value is exact in f32.
fn weights() -> Vec<f32> {
    (0..COUNT).map(|i| ((i * 7 % 11) as f32 - 5.0) / 8.0).collect()
}

fn gradient(step: usize) -> Vec<f32> {
    (0..COUNT).map(|i| (((i * 5 + step * 3) % 13) as f32 - 6.0) / 16.0).collect()
}

fn optimizer(learning_rate: f64, rule: Rule) -> Optimizer {
    Optimizer {
        learning_rate,
        schedule: None,
        decay: 0.0,
        weight_decay: None,
        clipnorm: None,
        clipvalue: None,
        global_clipnorm: None,
        ema_momentum: None,
        ema_overwrite_frequency: None,
        gradient_accumulation_steps: None,
        rule,
    }
}

fn sgd(momentum: f64, nesterov: bool) -> Rule {
    Rule::Sgd(Sgd { momentum, nesterov })
}

fn rmsprop(rho: f64, momentum: f64, epsilon: f64, centered: bool) -> Rule {
    Rule::Rmsprop(Rmsprop { rho, momentum, epsilon, centered })
}

fn adam(beta_1: f64, beta_2: f64, epsilon: f64, amsgrad: bool) -> Rule {
    Rule::Adam(Adam { beta_1, beta_2, epsilon, amsgrad })
}

fn ftrl(learning_rate_power: f64, l1: f64, l2: f64, shrinkage: f64, beta: f64) -> Rule {
    Rule::Ftrl(Ftrl {
        learning_rate_power,
        initial_accumulator_value: 0.1,
        l1_regularization_strength: l1,
        l2_regularization_strength: l2,
        l2_shrinkage_regularization_strength: shrinkage,
        beta,
    })
}

/// A step of a weight that decays, of one axis.
fn update(
    optimizer: &Optimizer,
    level: Level,
    learning_rate: f32,
    iteration: u64,
    weight: &mut [f32],
    gradient: &[f32],
    slots: &mut [&mut [f32]],
) {
    let shape = &[weight.len()];
    let part = Part { shape, decays: true, weight, gradient, slots };
    optimizer.update(level, learning_rate, iteration, part);
}

/// Weights and slots after ten steps.
fn train(optimizer: &Optimizer, level: Level) -> (Vec<f32>, Vec<Vec<f32>>) {
    let mut weight = weights();
    let mut slots: Vec<Vec<f32>> =
        optimizer.initial_slots(&[COUNT], false).into_iter().map(|(_, values)| values).collect();
    for step in 0..10 {
        let mut gradient = gradient(step);
        optimizer.clip(&mut [&mut gradient]);
        let mut views: Vec<&mut [f32]> = slots.iter_mut().map(Vec::as_mut_slice).collect();
        update(optimizer, level, optimizer.learning_rate as f32, step as u64 + 1, &mut weight, &gradient, &mut views);
    }
    (weight, slots)
}
