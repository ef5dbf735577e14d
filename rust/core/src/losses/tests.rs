use super::*;

const ROWS: usize = 5;

/// The losses once more, in f64 and straight from their definitions, for one row.
fn reference(loss: &Loss, y: &[f64], p: &[f64]) -> f64 {
    let n = p.len() as f64;
    let clip = |x: f64| x.clamp(CLIP.0, CLIP.1);
    let mean = |term: &dyn Fn(f64, f64) -> f64| y.iter().zip(p).map(|(&y, &p)| term(y, p)).sum::<f64>() / n;
    match loss {
        Loss::MeanSquaredError {} => mean(&|y, p| (y - p).powi(2)),
        Loss::HalfMeanSquaredError {} => mean(&|y, p| 0.5 * (y - p).powi(2)),
        Loss::MeanAbsoluteError {} => mean(&|y, p| (y - p).abs()),
        Loss::BinaryCrossentropy { from_logits, label_smoothing: s } => mean(&|y, p| {
            let y = y * (1.0 - s) + s / 2.0;
            let q = if *from_logits { 1.0 / (1.0 + (-p).exp()) } else { clip(p) };
            -y * q.ln() - (1.0 - y) * (1.0 - q).ln()
        }),
        Loss::CategoricalCrossentropy { from_logits, label_smoothing: s } => {
            cross_entropy(*from_logits, y.iter().map(|y| y * (1.0 - s) + s / n), p)
        }
        Loss::SparseCategoricalCrossentropy { from_logits, .. } => cross_entropy(*from_logits, y.iter().copied(), p),
        other => panic!("{other:?} is compared with the oracle in Python"),
    }
}

fn cross_entropy(from_logits: bool, y: impl Iterator<Item = f64>, p: &[f64]) -> f64 {
    let weights: Vec<f64> = p.iter().map(|&p| if from_logits { p.exp() } else { p }).collect();
    let total: f64 = weights.iter().sum();
    let clip = |q: f64| if from_logits { q } else { q.clamp(CLIP.0, CLIP.1) };
    y.zip(weights).map(|(y, w)| -y * clip(w / total).ln()).sum()
}

fn every_loss() -> Vec<Loss> {
    let mut all = vec![Loss::MeanSquaredError {}, Loss::HalfMeanSquaredError {}, Loss::MeanAbsoluteError {}];
    for from_logits in [false, true] {
        for label_smoothing in [0.0, 0.3] {
            all.push(Loss::BinaryCrossentropy { from_logits, label_smoothing });
            all.push(Loss::CategoricalCrossentropy { from_logits, label_smoothing });
        }
        all.push(Loss::SparseCategoricalCrossentropy { from_logits, ignore_class: None });
    }
    all
}

/// Predictions that differ in every place; probabilities stay within the clip and do not sum to 1.
fn predictions(loss: &Loss, features: usize) -> Vec<f32> {
    let logits = !matches!(
        loss,
        Loss::BinaryCrossentropy { from_logits: false, .. }
            | Loss::CategoricalCrossentropy { from_logits: false, .. }
            | Loss::SparseCategoricalCrossentropy { from_logits: false, .. }
    );
    (0..ROWS * features)
        .map(|i| {
            let z = 3.0 * (i as f32 * 1.7 + 0.3).sin();
            if logits { z } else { 1.0 / (1.0 + (-z).exp()) }
        })
        .collect()
}

/// Class indices, and the same as one-hot rows (or, for the losses by element, as numbers).
fn targets(loss: &Loss, features: usize) -> (Vec<i32>, Vec<f32>) {
    let classes: Vec<i32> = (0..ROWS).map(|row| (row * 2 % features) as i32).collect();
    let dense = match loss {
        Loss::SparseCategoricalCrossentropy { .. } => {
            let one_hot = |row: usize, j| f32::from(u8::from(classes[row] == j as i32));
            (0..ROWS * features).map(|i| one_hot(i / features, i % features)).collect()
        }
        _ => (0..ROWS * features).map(|i| (i * 3 % 7) as f32 / 7.0).collect(),
    };
    (classes, dense)
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    let weights = [1.0, 0.0, 2.5, 0.25, 1.5];
    let scale = 0.5;
    for loss in every_loss() {
        for features in [1, 2, 3, 8, 11] {
            let p = predictions(&loss, features);
            let (classes, dense) = targets(&loss, features);
            let given = if loss.wants_sparse() { Targets::Sparse(&classes) } else { Targets::Dense(&dense) };
            let mut grad = vec![f32::NAN; p.len()];
            let total = loss.evaluate(given, &p, ROWS, features, Some(&weights), scale, Some(&mut grad)).unwrap();
            let again = loss.evaluate(given, &p, ROWS, features, Some(&weights), scale, None).unwrap();
            assert_eq!(
                total.to_bits(),
                again.to_bits(),
                "{loss:?}: the value depends on whether a gradient is asked for"
            );

            let wide: Vec<f64> = p.iter().map(|&p| f64::from(p)).collect();
            let y: Vec<f64> = dense.iter().map(|&y| f64::from(y)).collect();
            let of_row = |p: &[f64], row: usize| {
                let range = row * features..(row + 1) * features;
                f64::from(weights[row]) * reference(&loss, &y[range.clone()], &p[range])
            };
            let expected: f64 = (0..ROWS).map(|row| of_row(&wide, row)).sum();
            assert!((total - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{loss:?}: {total} {expected}");

            for i in 0..p.len() {
                let h = 1e-6;
                let (mut up, mut down) = (wide.clone(), wide.clone());
                up[i] += h;
                down[i] -= h;
                let row = i / features;
                let slope = f64::from(scale) * (of_row(&up, row) - of_row(&down, row)) / (2.0 * h);
                let actual = f64::from(grad[i]);
                assert!(
                    (actual - slope).abs() <= 2e-7 * slope.abs().max(1.0),
                    "{loss:?} {features} {i}: {actual} {slope}"
                );
            }
        }
    }
}

#[test]
fn one_row_by_hand() {
    let value =
        |loss: Loss, y: &[f32], p: &[f32]| loss.evaluate(Targets::Dense(y), p, 1, p.len(), None, 1.0, None).unwrap();
    assert_eq!(value(Loss::MeanSquaredError {}, &[1.0, 3.0], &[2.0, 1.0]), 2.5);
    assert_eq!(value(Loss::HalfMeanSquaredError {}, &[1.0, 3.0], &[2.0, 1.0]), 1.25);
    assert_eq!(value(Loss::MeanAbsoluteError {}, &[1.0, 3.0], &[2.0, 1.0]), 1.5);
}

#[test]
fn limits_of_the_clip_are_those_of_keras() {
    // keras.losses.binary_crossentropy and its jax.grad, Keras 3.15.1 on JAX, float32.
    let upper = 0.9999999f32;
    let cases = [
        // (prediction, target, loss, gradient)
        (0.0, 0.0, 1.1920928955078125e-07, 0.0),
        (0.0, 1.0, 16.11809539794922, 0.0),
        (1.0, 0.0, 15.942384719848633, 0.0),
        (1.0, 1.0, 1.1920928955078125e-07, 0.0),
        (1e-7, 0.0, 1.1920928955078125e-07, 0.5),
        (1e-7, 1.0, 16.11809539794922, -5e6),
        (upper, 0.0, 15.942384719848633, 4.194304e6),
        (upper, 1.0, 1.1920928955078125e-07, -0.50000006),
    ];
    let loss = Loss::BinaryCrossentropy { from_logits: false, label_smoothing: 0.0 };
    for (p, y, expected, slope) in cases {
        let mut grad = [f32::NAN];
        let value = loss.evaluate(Targets::Dense(&[y]), &[p], 1, 1, None, 1.0, Some(&mut grad)).unwrap();
        // Keras rounds 1 - 1e-7 to f32 before its logarithm, hence 1.19e-7 where f64 gives 1.00e-7.
        assert!((value - expected).abs() < 1e-6 * expected + 2e-8, "{p} {y}: {value} {expected}");
        assert!((grad[0] - slope).abs() <= 1e-6 * slope.abs(), "{p} {y}: {} {slope}", grad[0]);
    }

    let loss = Loss::SparseCategoricalCrossentropy { from_logits: false, ignore_class: None };
    let mut grad = [f32::NAN; 3];
    let p = [1e-9, 0.5, 0.7];
    let value = loss.evaluate(Targets::Sparse(&[0]), &p, 1, 3, None, 1.0, Some(&mut grad)).unwrap();
    assert!((value - 16.118095).abs() < 1e-5);
    assert_eq!(grad, [0.0; 3]);
}

#[test]
fn logits_are_stable_at_any_size() {
    let binary = Loss::BinaryCrossentropy { from_logits: true, label_smoothing: 0.0 };
    let sparse = Loss::SparseCategoricalCrossentropy { from_logits: true, ignore_class: None };
    for (z, y, expected, slope) in
        [(1e4, 0.0, 1e4, 1.0), (1e4, 1.0, 0.0, 0.0), (-1e4, 1.0, 1e4, -1.0), (-1e4, 0.0, 0.0, 0.0)]
    {
        let mut grad = [f32::NAN];
        let value = binary.evaluate(Targets::Dense(&[y]), &[z], 1, 1, None, 1.0, Some(&mut grad)).unwrap();
        assert_eq!((value, grad[0]), (expected, slope));
    }
    let mut grad = [f32::NAN; 3];
    let value = sparse.evaluate(Targets::Sparse(&[1]), &[1e30, -1e30, 0.0], 1, 3, None, 1.0, Some(&mut grad)).unwrap();
    assert_eq!(value, f64::from(1e30f32) * 2.0);
    assert_eq!(grad, [1.0, -1.0, 0.0]);
}

#[test]
fn nan_in_a_prediction_reaches_the_loss() {
    for loss in every_loss() {
        let (classes, dense) = targets(&loss, 3);
        let mut p = predictions(&loss, 3);
        p[0] = f32::NAN;
        let given = if loss.wants_sparse() { Targets::Sparse(&classes) } else { Targets::Dense(&dense) };
        let mut grad = vec![0.0; p.len()];
        assert!(loss.evaluate(given, &p, ROWS, 3, None, 1.0, Some(&mut grad)).unwrap().is_nan(), "{loss:?}");
        assert!(grad[0].is_nan(), "{loss:?}");
    }
}

#[test]
fn integer_targets_of_one_feature_and_whole_float_classes_are_taken() {
    let loss = Loss::BinaryCrossentropy { from_logits: false, label_smoothing: 0.1 };
    let p = [0.25, 0.75];
    let integers = loss.evaluate(Targets::Sparse(&[0, 1]), &p, 2, 1, None, 1.0, None).unwrap();
    let floats = loss.evaluate(Targets::Dense(&[0.0, 1.0]), &p, 2, 1, None, 1.0, None).unwrap();
    assert_eq!(integers, floats);

    let loss = Loss::SparseCategoricalCrossentropy { from_logits: false, ignore_class: None };
    let p = [0.25, 0.75, 0.5, 0.5];
    let integers = loss.evaluate(Targets::Sparse(&[0, 1]), &p, 2, 2, None, 1.0, None).unwrap();
    let floats = loss.evaluate(Targets::Dense(&[0.0, 1.0]), &p, 2, 2, None, 1.0, None).unwrap();
    assert_eq!(integers, floats);
}

#[test]
fn a_class_out_of_range_is_an_error_that_names_the_row() {
    let loss = Loss::SparseCategoricalCrossentropy { from_logits: false, ignore_class: None };
    let p = [0.5; 6];
    for (classes, row) in [([0, 2, 0], 1), ([0, 1, -1], 2), ([i32::MAX, 0, 0], 0)] {
        let text = loss.evaluate(Targets::Sparse(&classes), &p, 3, 2, None, 1.0, None).unwrap_err().to_string();
        assert!(text.contains("`y_true`") && text.contains("[0, 2)"), "{text}");
        assert!(text.contains(&format!("{} in row {row}", classes[row])), "{text}");
    }
    for class in [0.5, f32::NAN, -1.0, 2.0] {
        assert!(loss.evaluate(Targets::Dense(&[class]), &p[..2], 1, 2, None, 1.0, None).is_err());
    }
    // Padding has weight 0 and may hold anything.
    let mut grad = [f32::NAN; 6];
    let weights = [1.0, 0.0, 1.0];
    let sum = loss.evaluate(Targets::Sparse(&[0, -7, 1]), &p, 3, 2, Some(&weights), 1.0, Some(&mut grad)).unwrap();
    assert!((sum - 2.0 * std::f64::consts::LN_2).abs() < 1e-12);
    assert_eq!(grad[2..4], [0.0, 0.0]);
}

#[test]
fn sizes_that_do_not_match_are_errors() {
    let loss = Loss::MeanSquaredError {};
    let p = [0.0; 6];
    let fails = |targets, rows, features, weights: Option<&[f32]>, name: &str| {
        let error = loss.evaluate(targets, &p, rows, features, weights, 1.0, None).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    };
    fails(Targets::Dense(&p), 4, 2, None, "`y_pred`");
    fails(Targets::Dense(&p), usize::MAX, 2, None, "`y_pred`");
    fails(Targets::Dense(&p[..5]), 3, 2, None, "`y_true`");
    fails(Targets::Sparse(&[0; 3]), 3, 2, None, "`y_true`");
    fails(Targets::Dense(&p), 3, 2, Some(&[1.0]), "`sample_weight`");
    assert!(loss.evaluate(Targets::Dense(&[]), &[], 3, 0, None, 1.0, None).is_err());
    assert_eq!(loss.evaluate(Targets::Dense(&[]), &[], 0, 2, None, 1.0, None).unwrap(), 0.0);
}

#[test]
fn specification_is_strict() {
    let parse = |text: &str| serde_json::from_str::<Loss>(text);
    let loss = Loss::BinaryCrossentropy { from_logits: false, label_smoothing: 0.25 };
    let text = r#"{"kind":"binary_crossentropy","from_logits":false,"label_smoothing":0.25}"#;
    assert_eq!(parse(text).unwrap(), loss);
    assert_eq!(serde_json::to_string(&loss).unwrap(), text);
    assert_eq!(parse(r#"{"kind":"mean_squared_error"}"#).unwrap(), Loss::MeanSquaredError {});
    for text in [
        r#"{"kind":"mean_squared_error","axis":1}"#,
        r#"{"kind":"binary_crossentropy","from_logits":false}"#,
        r#"{"kind":"sparse_categorical_crossentropy","from_logits":false,"label_smoothing":0.1}"#,
        r#"{"kind":"no_such_loss"}"#,
        r"{}",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    for label_smoothing in [-0.1, 1.1, f64::NAN] {
        for loss in [
            Loss::BinaryCrossentropy { from_logits: true, label_smoothing },
            Loss::CategoricalCrossentropy { from_logits: true, label_smoothing },
        ] {
            assert!(loss.validate().unwrap_err().to_string().contains("`label_smoothing`"));
        }
    }
    assert!(every_loss().iter().all(|loss| loss.validate().is_ok()));
}

#[test]
fn what_is_checked_without_predictions_is_what_is_refused_with_them() {
    let sparse = Loss::SparseCategoricalCrossentropy { from_logits: false, ignore_class: Some(-1) };
    let squared = Loss::MeanSquaredError {};
    let predictions = [0.25; 8];
    let agree = |loss: &Loss, targets: Targets, rows: usize, weights: Option<&[f32]>| {
        let features = 8 / rows;
        let checked = loss.check(targets, predictions.len(), rows, features, weights);
        let evaluated = loss.evaluate(targets, &predictions, rows, features, weights, 1.0, None);
        assert_eq!(checked.as_ref().err().map(ToString::to_string), evaluated.err().map(|error| error.to_string()));
        checked.is_ok()
    };
    assert!(agree(&sparse, Targets::Sparse(&[3, -1]), 2, None));
    assert!(!agree(&sparse, Targets::Sparse(&[3, 4]), 2, None));
    assert!(agree(&sparse, Targets::Sparse(&[3, 4]), 2, Some(&[1.0, 0.0])));
    assert!(!agree(&sparse, Targets::Dense(&[0.5, 0.0]), 2, None));
    assert!(!agree(&sparse, Targets::Dense(&[0.0; 3]), 2, None));
    assert!(agree(&squared, Targets::Dense(&[0.0; 8]), 2, Some(&[1.0, 2.0])));
    assert!(!agree(&squared, Targets::Dense(&[0.0; 7]), 2, None));
    assert!(!agree(&squared, Targets::Dense(&[0.0; 8]), 2, Some(&[1.0])));
    assert!(!agree(&squared, Targets::Sparse(&[0; 2]), 2, None));
    assert!(agree(&squared, Targets::Sparse(&[0; 8]), 8, None));
}
