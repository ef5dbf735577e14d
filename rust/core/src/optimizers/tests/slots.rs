//! What is kept for each weight from step to step.

use foliot_simd::available;

use super::*;

#[test]
fn slots_are_those_of_keras_in_its_order() {
    let names = |rule| optimizer(0.1, rule).slot_names();
    assert!(names(sgd(0.0, true)).is_empty());
    assert_eq!(names(sgd(0.5, false)), ["momentum"]);
    assert_eq!(names(rmsprop(0.9, 0.0, 1e-7, false)), ["velocity"]);
    assert_eq!(names(rmsprop(0.9, 0.5, 1e-7, true)), ["velocity", "momentum", "average_gradient"]);
    assert_eq!(names(rmsprop(0.9, 0.0, 1e-7, true)), ["velocity", "average_gradient"]);
    assert_eq!(names(adam(0.9, 0.999, 1e-7, false)), ["momentum", "velocity"]);
    assert_eq!(names(adam(0.9, 0.999, 1e-7, true)), ["momentum", "velocity", "velocity_hat"]);
}

#[test]
fn slots_of_a_matrix_and_of_a_vector() {
    let adafactor = Adafactor { beta_2_decay: -0.8, epsilon_1: 1e-30, epsilon_2: 1e-3, clip_threshold: 1.0 };
    let optimizer = Optimizer { ema_momentum: Some(0.9), ..optimizer(0.1, Rule::Adafactor(adafactor)) };
    let shapes =
        |shape: &[usize]| optimizer.initial_slots(shape, false).into_iter().map(|(shape, _)| shape).collect::<Vec<_>>();
    assert_eq!(shapes(&[2, 3, 4]), [vec![2, 3], vec![2, 4], vec![0], vec![2, 3, 4]]);
    assert_eq!(shapes(&[4]), [vec![0], vec![0], vec![4], vec![4]]);
    assert_eq!(optimizer.slot_names(), ["row", "column", "velocity", "average"]);
}

#[test]
fn gradients_of_some_batches_make_one_step() {
    let optimizer = Optimizer { gradient_accumulation_steps: Some(3), ..optimizer(0.1, sgd(0.0, false)) };
    let mut sums = [0.0; 2];
    let mut slots = [&mut sums[..]];
    for iteration in 1..=6 {
        let mut gradient = [iteration as f32, 1.0];
        optimizer.accumulate(iteration, &mut gradient, &mut slots);
        assert_eq!(optimizer.is_update(iteration), iteration % 3 == 0);
        if optimizer.is_update(iteration) {
            assert_eq!(gradient, [iteration as f32 - 1.0, 1.0]);
            assert_eq!(slots[0], [0.0, 0.0]);
        }
    }
}

#[test]
fn averages_begin_at_the_weight_and_are_taken_over() {
    let optimizer =
        Optimizer { ema_momentum: Some(0.75), ema_overwrite_frequency: Some(3), ..optimizer(0.1, sgd(0.0, false)) };
    let mut mean = [0.0];
    let mut slots = [&mut mean[..]];
    let means: Vec<f32> = [4.0, 8.0, 1.0]
        .into_iter()
        .zip(1..)
        .map(|(value, iteration)| {
            let mut weight = [value];
            optimizer.average(iteration, &mut weight, &mut slots);
            assert_eq!(weight[0], if iteration == 3 { slots[0][0] } else { value });
            slots[0][0]
        })
        .collect();
    assert_eq!(means, [4.0, 5.0, 4.0]);
}

#[test]
fn slots_hold_the_running_means() {
    let level = available()[0];
    let (_, slots) = train(&optimizer(0.01, rmsprop(0.75, 0.0, 1e-7, true)), level);
    let (_, adam_slots) = train(&optimizer(0.01, adam(0.75, 0.75, 1e-7, true)), level);
    for i in 0..COUNT {
        let (mut mean, mut square, mut peak) = (0.0f64, 0.0f64, 0.0f64);
        for step in 0..10 {
            let g = f64::from(gradient(step)[i]);
            mean = 0.75 * mean + 0.25 * g;
            square = 0.75 * square + 0.25 * g * g;
            peak = peak.max(square);
        }
        let close = |actual: f32, expected: f64| (f64::from(actual) - expected).abs() < 1e-7;
        assert!(close(slots[0][i], square) && close(slots[1][i], mean), "{i}");
        assert!(
            close(adam_slots[0][i], mean) && close(adam_slots[1][i], square) && close(adam_slots[2][i], peak),
            "{i}"
        );
    }
}
