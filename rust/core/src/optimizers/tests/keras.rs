//! Ten steps of each optimizer, against Keras's numbers.

use foliot_simd::available;

use super::*;

/// Keras 3.15.1 on JAX 0.10.2, x86-64. Recipe, for each line `opt` below:
///
/// ```python
/// weight = keras.Variable(np.array([((i * 7) % 11 - 5) / 8 for i in range(11)], "float32"))
/// for step in range(10):
///     gradient = np.array([((i * 5 + step * 3) % 13 - 6) / 16 for i in range(11)], "float32")
///     opt.apply([keras.ops.convert_to_tensor(gradient)], [weight])
/// ```
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn golden() -> Vec<(Optimizer, [f32; COUNT])> {
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
