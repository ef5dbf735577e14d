use foliot_simd::available;
use proptest::prelude::*;

use super::*;

const COUNT: usize = 11;

/// The same recipe as the generator of the golden numbers below; every value is exact in f32.
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

/// Keras 3.15.1 on JAX 0.10.2, x86-64. Recipe, for each line `opt` below:
///
/// ```python
/// weight = keras.Variable(np.array([((i * 7) % 11 - 5) / 8 for i in range(11)], "float32"))
/// for step in range(10):
///     gradient = np.array([((i * 5 + step * 3) % 13 - 6) / 16 for i in range(11)], "float32")
///     opt.apply([keras.ops.convert_to_tensor(gradient)], [weight])
/// ```
#[expect(clippy::too_many_lines, reason = "a table")]
fn golden() -> Vec<(Optimizer, [f32; COUNT])> {
    vec![
        // SGD(0.05)
        (
            optimizer(0.05, sgd(0.0, false)),
            [
                -0.615625,
                0.265625,
                -0.26874998,
                0.653125,
                0.11875,
                -0.375,
                0.50625,
                -0.028125003,
                -0.48125002,
                0.35937497,
                -0.13437499,
            ],
        ),
        // SGD(0.05, momentum=0.9)
        (
            optimizer(0.05, sgd(0.9, false)),
            [
                -0.55127674,
                0.26671946,
                -0.25991714,
                0.70763123,
                0.11446051,
                -0.4365603,
                0.53594154,
                -0.12946174,
                -0.36524048,
                0.2624036,
                -0.097869486,
            ],
        ),
        // SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01)
        (
            Optimizer { weight_decay: Some(0.01), ..optimizer(0.05, sgd(0.9, true)) },
            [
                -0.546491,
                0.27947703,
                -0.2764821,
                0.7241832,
                0.108652756,
                -0.42831087,
                0.5359867,
                -0.14426902,
                -0.35788682,
                0.25648072,
                -0.109372854,
            ],
        ),
        // SGD(0.05, global_clipnorm=0.5)
        (
            Optimizer { global_clipnorm: Some(0.5), ..optimizer(0.05, sgd(0.0, false)) },
            [
                -0.620035,
                0.26001748,
                -0.26023126,
                0.64113414,
                0.12166241,
                -0.375,
                0.5033377,
                -0.01613415,
                -0.4897687,
                0.36498255,
                -0.12996505,
            ],
        ),
        // SGD(0.05, clipvalue=0.125)
        (
            Optimizer { clipvalue: Some(0.125), ..optimizer(0.05, sgd(0.0, false)) },
            [
                -0.621875,
                0.25625,
                -0.259375,
                0.63750005,
                0.11874999,
                -0.375,
                0.50625,
                -0.012500001,
                -0.49062502,
                0.36875,
                -0.12812498,
            ],
        ),
        // RMSprop(0.01)
        (
            optimizer(0.01, rmsprop(0.9, 0.0, 1e-7, false)),
            [
                -0.60642743,
                0.26388663,
                -0.28234857,
                0.66264546,
                0.077836685,
                -0.38803446,
                0.51032805,
                -0.060280673,
                -0.4674723,
                0.32849628,
                -0.14463763,
            ],
        ),
        // RMSprop(0.01, rho=0.8, momentum=0.5, epsilon=1e-3)
        (
            optimizer(0.01, rmsprop(0.8, 0.5, 1e-3, false)),
            [
                -0.6080796,
                0.25542423,
                -0.28620964,
                0.66563326,
                0.075998925,
                -0.4021579,
                0.5069895,
                -0.07518052,
                -0.4589381,
                0.31139496,
                -0.13905667,
            ],
        ),
        // RMSprop(0.01, centered=True)
        (
            optimizer(0.01, rmsprop(0.9, 0.0, 1e-7, true)),
            [
                -0.6037985,
                0.26338616,
                -0.28425708,
                0.66510546,
                0.07358611,
                -0.390652,
                0.5114723,
                -0.06602304,
                -0.46384898,
                0.32299823,
                -0.14624664,
            ],
        ),
        // RMSprop(0.01, centered=True, momentum=0.9, weight_decay=0.02)
        (
            Optimizer { weight_decay: Some(0.02), ..optimizer(0.01, rmsprop(0.9, 0.9, 1e-7, true)) },
            [
                -0.45591107,
                0.2666849,
                -0.34913933,
                0.79590076,
                -0.16645633,
                -0.5217536,
                0.5844283,
                -0.35660127,
                -0.24327491,
                0.051281884,
                -0.1723112,
            ],
        ),
        // Adam(0.01)
        (
            optimizer(0.01, adam(0.9, 0.999, 1e-7, false)),
            [
                -0.59646314,
                0.25442111,
                -0.25463545,
                0.653067,
                0.11014312,
                -0.39401585,
                0.5168401,
                -0.036807332,
                -0.4605431,
                0.34505528,
                -0.12704644,
            ],
        ),
        // Adam(0.01, beta_1=0.8, beta_2=0.9, amsgrad=True)
        (
            optimizer(0.01, adam(0.8, 0.9, 1e-7, true)),
            [
                -0.60292685,
                0.25666568,
                -0.25659955,
                0.65085274,
                0.11015848,
                -0.3908609,
                0.5144905,
                -0.03281521,
                -0.4660009,
                0.34844926,
                -0.12612063,
            ],
        ),
        // Adam(0.01, epsilon=1e-3, weight_decay=0.1)
        (
            Optimizer { weight_decay: Some(0.1), ..optimizer(0.01, adam(0.9, 0.999, 1e-3, false)) },
            [
                -0.5925411,
                0.2496211,
                -0.25143695,
                0.6440755,
                0.11301112,
                -0.38886988,
                0.50916344,
                -0.033566162,
                -0.45872968,
                0.3439044,
                -0.1252549,
            ],
        ),
        // Adam(0.01, clipnorm=0.25)
        (
            Optimizer { clipnorm: Some(0.25), ..optimizer(0.01, adam(0.9, 0.999, 1e-7, false)) },
            [
                -0.59714323,
                0.25419524,
                -0.25291947,
                0.6509405,
                0.11114427,
                -0.39347643,
                0.51603454,
                -0.03500689,
                -0.46213934,
                0.34547386,
                -0.12591507,
            ],
        ),
        // Adagrad(0.05)
        (
            optimizer(0.05, Rule::Adagrad(Adagrad { initial_accumulator_value: 0.1, epsilon: 1e-7 })),
            [
                -0.601784,
                0.25952554,
                -0.2786174,
                0.6674479,
                0.10563949,
                -0.38833004,
                0.50832635,
                -0.058489054,
                -0.4608269,
                0.33219543,
                -0.1416289,
            ],
        ),
        // Adadelta(1.0, rho=0.9, epsilon=1e-3)
        (
            optimizer(1.0, Rule::Adadelta(Adadelta { rho: 0.9, epsilon: 1e-3 })),
            [
                -0.57761604,
                0.36908078,
                -0.3927377,
                0.8250646,
                0.033296205,
                -0.36239398,
                0.5461867,
                -0.20781799,
                -0.38743496,
                0.26156318,
                -0.19099015,
            ],
        ),
        // Adamax(0.01)
        (
            optimizer(0.01, Rule::Adamax(Adamax { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 })),
            [
                -0.60180336,
                0.255689,
                -0.25572485,
                0.64751047,
                0.111070834,
                -0.3912224,
                0.51417464,
                -0.02895975,
                -0.47014987,
                0.35579234,
                -0.12924804,
            ],
        ),
        // Nadam(0.01)
        (
            optimizer(0.01, Rule::Nadam(Nadam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 })),
            [
                -0.6159537,
                0.2568829,
                -0.26162755,
                0.64240915,
                0.10896038,
                -0.3815843,
                0.5061647,
                -0.024564609,
                -0.48303786,
                0.35538518,
                -0.13040161,
            ],
        ),
        // Ftrl(0.05, l1_regularization_strength=0.01, l2_shrinkage_regularization_strength=0.02)
        (
            optimizer(0.05, ftrl(-0.5, 0.01, 0.0, 0.02, 0.0)),
            [
                -0.19034022,
                0.012846937,
                -0.0785937,
                0.1681045,
                -0.016056916,
                -0.13990222,
                0.037641432,
                -0.055971876,
                -0.09898212,
                -0.04248209,
                -0.050032724,
            ],
        ),
        // Ftrl(0.05, learning_rate_power=-0.3, l2_regularization_strength=0.1, beta=0.01)
        (
            optimizer(0.05, ftrl(-0.3, 0.0, 0.1, 0.0, 0.01)),
            [
                -0.12476907,
                0.015900316,
                -0.055695873,
                0.116463,
                -0.010371552,
                -0.090612,
                0.027827317,
                -0.04198976,
                -0.061313372,
                -0.02798727,
                -0.03475285,
            ],
        ),
        // Lion(0.01, weight_decay=0.1)
        (
            Optimizer { weight_decay: Some(0.1), ..optimizer(0.01, Rule::Lion(Lion { beta_1: 0.9, beta_2: 0.99 })) },
            [
                -0.59894735,
                0.26750126,
                -0.24758105,
                0.6386884,
                0.12378534,
                -0.37125686,
                0.51497257,
                -0.0199104,
                -0.47515202,
                0.36134657,
                -0.12378565,
            ],
        ),
        // Lamb(0.01, weight_decay=0.1)
        (
            Optimizer {
                weight_decay: Some(0.1),
                ..optimizer(0.01, Rule::Lamb(Lamb { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }))
            },
            [
                -0.6021856,
                0.25829464,
                -0.25070685,
                0.6437589,
                0.11851954,
                -0.38949662,
                0.5076551,
                -0.036591507,
                -0.4567792,
                0.33543372,
                -0.11428629,
            ],
        ),
        // Adafactor(0.01, clip_threshold=0.5)
        (
            optimizer(
                0.01,
                Rule::Adafactor(Adafactor {
                    beta_2_decay: -0.8,
                    epsilon_1: 1e-30,
                    epsilon_2: 1e-3,
                    clip_threshold: 0.5,
                }),
            ),
            [
                -0.62513673,
                0.25184503,
                -0.25418735,
                0.6283311,
                0.12106666,
                -0.3750812,
                0.49988517,
                -0.0051631946,
                -0.4984895,
                0.3709742,
                -0.12710284,
            ],
        ),
    ]
}

#[test]
fn ten_steps_end_where_those_of_keras_end() {
    // Ten steps of f32 arithmetic on numbers below 1, each step rounding a few times.
    const TOLERANCE: f32 = 5e-7;
    for &level in available() {
        for (optimizer, expected) in golden() {
            let (weight, _) = train(&optimizer, level);
            for i in 0..COUNT {
                let difference = (weight[i] - expected[i]).abs();
                assert!(difference <= TOLERANCE, "{level} {optimizer:?} [{i}]: {} {}", weight[i], expected[i]);
            }
        }
    }
}

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

#[test]
fn centered_rmsprop_survives_a_constant_gradient() {
    // v - c^2 is 0 but for rounding, which at 1e4^2 is far larger than epsilon.
    let optimizer = optimizer(0.01, rmsprop(0.9, 0.0, 1e-7, true));
    for &level in available() {
        let (mut w, mut v, mut c) = ([1.0; COUNT], [0.0; COUNT], [0.0; COUNT]);
        for step in 1..=300 {
            update(&optimizer, level, 0.01, step, &mut w, &[1e4; COUNT], &mut [&mut v, &mut c]);
        }
        assert!(w.iter().all(|w| w.is_finite()), "{level} {w:?}");
    }
}

#[test]
fn nan_in_a_gradient_reaches_the_weight() {
    for &level in available() {
        for (optimizer, _) in golden() {
            let mut weight = weights();
            let mut gradient = gradient(0);
            gradient[9] = f32::NAN;
            let mut slots = vec![vec![0.0; COUNT]; optimizer.slot_names().len()];
            let mut views: Vec<&mut [f32]> = slots.iter_mut().map(Vec::as_mut_slice).collect();
            update(&optimizer, level, 0.01, 1, &mut weight, &gradient, &mut views);
            // A norm carries it on to the others.
            assert!(weight[9].is_nan() && (optimizer.needs_whole() || weight[8].is_finite()), "{level} {optimizer:?}");
        }
    }
}

#[test]
fn older_decay_divides_the_learning_rate() {
    let slow = Optimizer { decay: 0.5, ..optimizer(1.0, sgd(0.0, false)) };
    let rates: Vec<f32> = (1..=4).map(|iteration| slow.learning_rate_at(1.0, iteration)).collect();
    assert_eq!(rates, [1.0, 1.0 / 1.5, 0.5, 0.4]);
    let mut weight = [0.0];
    update(&slow, available()[0], 1.0, 3, &mut weight, &[1.0], &mut []);
    assert_eq!(weight, [-0.5]);
}

#[test]
fn each_kind_of_clipping() {
    let clip = |optimizer: &Optimizer, mut a: Vec<f32>, mut b: Vec<f32>| {
        optimizer.clip(&mut [&mut a, &mut b]);
        (a, b)
    };
    let none = optimizer(0.1, sgd(0.0, false));
    let (a, b) = (vec![3.0, -4.0], vec![0.0, 12.0]);
    assert_eq!(clip(&none, a.clone(), b.clone()), (a.clone(), b.clone()));

    let value = Optimizer { clipvalue: Some(3.5), ..none.clone() };
    assert_eq!(clip(&value, a.clone(), b.clone()), (vec![3.0, -3.5], vec![0.0, 3.5]));

    // Norms 5 and 12: only the second is above 10.
    let norm = Optimizer { clipnorm: Some(10.0), ..none.clone() };
    assert_eq!(clip(&norm, a.clone(), b.clone()), (a.clone(), vec![0.0, 10.0]));

    // The common norm is 13.
    let global = Optimizer { global_clipnorm: Some(6.5), ..none.clone() };
    assert_eq!(clip(&global, a.clone(), b.clone()), (vec![1.5, -2.0], vec![0.0, 6.0]));
    let global = Optimizer { global_clipnorm: Some(13.0), ..none.clone() };
    assert_eq!(clip(&global, a.clone(), b.clone()), (a.clone(), b.clone()));

    for off in [
        Optimizer { clipnorm: Some(0.0), ..none.clone() },
        Optimizer { clipvalue: Some(0.0), ..none.clone() },
        Optimizer { global_clipnorm: Some(0.0), ..none.clone() },
    ] {
        assert_eq!(clip(&off, a.clone(), b.clone()), (a.clone(), b.clone()));
    }
    // Validation lets only one be set, but the order of precedence is Keras's.
    let all = Optimizer { clipnorm: Some(10.0), clipvalue: Some(1.0), global_clipnorm: Some(1.0), ..none };
    assert_eq!(clip(&all, a.clone(), b.clone()), (a, vec![0.0, 10.0]));
}

#[test]
fn clipping_does_not_hide_what_is_not_finite() {
    let none = optimizer(0.1, sgd(0.0, false));
    let norm = Optimizer { clipnorm: Some(1.0), ..none.clone() };
    let global = Optimizer { global_clipnorm: Some(1.0), ..none.clone() };
    let value = Optimizer { clipvalue: Some(1.0), ..none };
    for bad in [f32::NAN, f32::INFINITY] {
        let (mut a, mut b) = ([bad, 2.0], [2.0, 0.0]);
        norm.clip(&mut [&mut a, &mut b]);
        assert!(a[0].is_nan() && b == [1.0, 0.0]);
        let (mut a, mut b) = ([bad, 2.0], [2.0, 0.0]);
        global.clip(&mut [&mut a, &mut b]);
        assert!(a.iter().chain(&b).all(|g| g.is_nan()));
    }
    let mut a = [f32::NAN, f32::INFINITY];
    value.clip(&mut [&mut a]);
    assert!(a[0].is_nan() && a[1] == 1.0);
    // The square of 3e38 overflows f32, not f64.
    let mut a = [3e38, 0.0];
    norm.clip(&mut [&mut a]);
    assert_eq!(a, [1.0, 0.0]);
    let mut zeros = [0.0; 3];
    global.clip(&mut [&mut zeros]);
    assert_eq!(zeros, [0.0; 3]);
}

#[test]
fn specification_is_strict() {
    let parse = |text: &str| serde_json::from_str::<Optimizer>(text);
    let common = r#""learning_rate":0.01,"decay":0.0,"weight_decay":null,"clipnorm":1.5,"clipvalue":null,"global_clipnorm":null"#;
    let rules = [
        (r#""kind":"sgd","momentum":0.5,"nesterov":true"#, sgd(0.5, true)),
        (r#""kind":"rmsprop","rho":0.9,"momentum":0,"epsilon":1e-7,"centered":false"#, rmsprop(0.9, 0.0, 1e-7, false)),
        (r#""kind":"adam","beta_1":0.9,"beta_2":0.999,"epsilon":1e-7,"amsgrad":true"#, adam(0.9, 0.999, 1e-7, true)),
    ];
    for (text, rule) in rules {
        let expected = Optimizer { clipnorm: Some(1.5), ..optimizer(0.01, rule) };
        let parsed = parse(&format!("{{{text},{common}}}")).unwrap();
        assert_eq!(parsed, expected);
        assert!(parsed.validate().is_ok());
        assert_eq!(parse(&serde_json::to_string(&parsed).unwrap()).unwrap(), parsed);
        let error = parse(&format!("{{{text},{common},\"lr\":0.1}}")).unwrap_err().to_string();
        assert!(error.contains("`lr`"), "{error}");
        assert!(parse(&format!("{{{text}}}")).is_err());
    }
    assert!(parse(&format!(r#"{{"kind":"sgd",{common}}}"#)).is_err());
    assert!(parse(&format!(r#"{{"kind":"no_such_optimizer",{common}}}"#)).is_err());
}

#[test]
fn wrong_numbers_name_their_argument() {
    let good = optimizer(0.01, sgd(0.0, false));
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        let wrong = [
            (Optimizer { learning_rate: bad, ..good.clone() }, "`learning_rate`"),
            (Optimizer { decay: bad, ..good.clone() }, "`decay`"),
            (Optimizer { weight_decay: Some(bad), ..good.clone() }, "`weight_decay`"),
            (Optimizer { clipnorm: Some(bad), ..good.clone() }, "`clipnorm`"),
            (Optimizer { clipvalue: Some(bad), ..good.clone() }, "`clipvalue`"),
            (Optimizer { global_clipnorm: Some(bad), ..good.clone() }, "`global_clipnorm`"),
            (optimizer(0.01, sgd(bad, false)), "`momentum`"),
            (optimizer(0.01, rmsprop(bad, 0.0, 0.0, false)), "`rho`"),
            (optimizer(0.01, rmsprop(0.5, bad, 0.0, false)), "`momentum`"),
            (optimizer(0.01, rmsprop(0.5, 0.0, bad, false)), "`epsilon`"),
            (optimizer(0.01, adam(bad, 0.5, 0.0, false)), "`beta_1`"),
            (optimizer(0.01, adam(0.5, bad, 0.0, false)), "`beta_2`"),
            (optimizer(0.01, adam(0.5, 0.5, bad, false)), "`epsilon`"),
        ];
        for (optimizer, name) in wrong {
            let text = optimizer.validate().unwrap_err().to_string();
            assert!(text.starts_with(name), "{text}");
        }
    }
    // 1 - beta would divide by zero.
    assert!(optimizer(0.01, adam(1.0, 0.5, 0.0, false)).validate().is_err());
    let two = Optimizer { clipnorm: Some(1.0), clipvalue: Some(2.0), ..good };
    let text = two.validate().unwrap_err().to_string();
    assert!(text.contains("at most one of") && text.contains("clipnorm=1, clipvalue=2"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a weight is cut into parts, every element gets the same bits.
    #[test]
    fn parts_give_the_same_bits(
        which in 0..golden().len(),
        values in proptest::collection::vec((-2.0f32..2.0, -2.0f32..2.0, 0.0f32..2.0), 0..80),
        cut in 0..80usize,
        iteration in 1..1000u64,
    ) {
        let (optimizer, _) = golden().swap_remove(which);
        prop_assume!(!optimizer.needs_whole());
        let count = values.len();
        let cut = cut.min(count);
        let gradient: Vec<f32> = values.iter().map(|v| v.1).collect();
        let slots = vec![values.iter().map(|v| v.2).collect::<Vec<f32>>(); optimizer.slot_names().len()];
        for &level in available() {
            let mut whole: Vec<f32> = values.iter().map(|v| v.0).collect();
            let mut parts = whole.clone();
            let (mut whole_slots, mut part_slots) = (slots.clone(), slots.clone());
            let mut views: Vec<&mut [f32]> = whole_slots.iter_mut().map(Vec::as_mut_slice).collect();
            update(&optimizer, level, 0.125, iteration, &mut whole, &gradient, &mut views);
            for range in [cut..count, 0..cut] {
                let mut views: Vec<&mut [f32]> = part_slots.iter_mut().map(|slot| &mut slot[range.clone()]).collect();
                update(&optimizer, level, 0.125, iteration, &mut parts[range.clone()], &gradient[range], &mut views);
            }
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&whole), bits(&parts));
            for (a, b) in whole_slots.iter().zip(&part_slots) {
                prop_assert_eq!(bits(a), bits(b));
            }
        }
    }
}
