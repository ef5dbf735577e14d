//! Gradients that are too long.

use super::*;

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
