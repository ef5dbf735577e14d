//! What a step does to numbers of all kinds, however a weight is cut.

use foliot_simd::available;
use proptest::prelude::*;

use super::keras::golden;
use super::*;

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
