//! The transcendental functions against f64, on every level that the CPU has.
//!
//! All 2^32 inputs, about two minutes for each function and level:
//! `cargo test --release -p foliot-simd --test math -- --ignored`

#![allow(clippy::float_cmp, reason = "exact results are claimed, and tested as such")]

use foliot_simd::math::{
    EXP_MAX_ULP, LN_MAX_ULP, SIGMOID_MAX_ULP, TANH_MAX_ULP, map_exp, map_ln, map_sigmoid, map_tanh,
};
use foliot_simd::{Level, available};

/// A function under test.
struct Function {
    name: &'static str,
    map: fn(Level, &mut [f32]),
    exact: fn(f64) -> f64,
    max_ulp: f64,
    /// By how many ulp it may fall from one float to the next, of a function that must not fall on a grid.
    neighbour_fall: Option<f64>,
}

const EXP: Function =
    Function { name: "exp", map: map_exp, exact: f64::exp, max_ulp: EXP_MAX_ULP, neighbour_fall: None };
const TANH: Function =
    Function { name: "tanh", map: map_tanh, exact: f64::tanh, max_ulp: TANH_MAX_ULP, neighbour_fall: Some(0.0) };
const SIGMOID: Function = Function {
    name: "sigmoid",
    map: map_sigmoid,
    exact: exact_sigmoid,
    max_ulp: SIGMOID_MAX_ULP,
    neighbour_fall: Some(1.0),
};
const LN: Function = Function { name: "ln", map: map_ln, exact: f64::ln, max_ulp: LN_MAX_ULP, neighbour_fall: None };
const ALL: [&Function; 4] = [&EXP, &TANH, &SIGMOID, &LN];

fn exact_sigmoid(x: f64) -> f64 {
    // Below -709, e^-x overflows f64; the result is zero in f32 from -104 on.
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

/// The distance in units of the last place that the exact value has in f32.
fn ulp_error(actual: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if exact.is_nan() || actual.is_nan() {
        return if exact.is_nan() && actual.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if rounded.is_infinite() && rounded == actual {
        // The difference below would be no number, or count from a value beyond the range of f32.
        return 0.0;
    }
    (f64::from(actual) - exact).abs() / ulp(exact)
}

fn ulp(exact: f64) -> f64 {
    let exponent = ((exact.to_bits() >> 52) & 0x7FF) as i32 - 1023;
    2.0_f64.powi(exponent.clamp(-126, 127) - 23)
}

/// The worst error over some inputs and whether values never fell, the inputs being in increasing order.
struct Scan {
    worst: f64,
    at: f32,
    actual: f32,
    /// The steepest fall, in ulp, and where it ends.
    fall: f64,
    fall_at: f32,
    last: Option<(f32, f32)>,
}

impl Scan {
    fn new() -> Self {
        Self { worst: 0.0, at: 0.0, actual: 0.0, fall: 0.0, fall_at: 0.0, last: None }
    }

    fn add(&mut self, x: f32, value: f32, exact: f64) {
        let error = ulp_error(value, exact);
        if error > self.worst {
            (self.worst, self.at, self.actual) = (error, x, value);
        }
        if let Some((last_x, last)) = self.last
            && last_x <= x
            && value < last
        {
            let fall = f64::from(last - value) / ulp(f64::from(last));
            if fall > self.fall {
                (self.fall, self.fall_at) = (fall, x);
            }
        }
        self.last = Some((x, value));
    }

    fn assert(&self, function: &Function, level: Level, max_fall: Option<f64>) {
        let Function { name, max_ulp, .. } = function;
        assert!(
            self.worst <= *max_ulp,
            "{name} on {level}: {} ulp at {:e} ({:#X}): got {:e}, expected {:e}",
            self.worst,
            self.at,
            self.at.to_bits(),
            self.actual,
            (function.exact)(f64::from(self.at))
        );
        if let Some(max_fall) = max_fall {
            assert!(self.fall <= max_fall, "{name} on {level} falls by {} ulp at {:e}", self.fall, self.fall_at);
        }
    }
}

/// The values of every `step`th bit pattern, from the least to the greatest, with the NaNs at both ends.
fn patterns(step: usize) -> impl Iterator<Item = f32> {
    let negative = (0x8000_0000..=u32::MAX).rev().step_by(step);
    let positive = (0..=0x7FFF_FFFF_u32).step_by(step);
    negative.chain(positive).map(f32::from_bits)
}

/// Scans a function on every level and asserts its bounds.
fn check(function: &Function, inputs: impl Iterator<Item = f32>, max_fall: Option<f64>) -> Vec<(Level, Scan)> {
    let mut scans: Vec<(Level, Scan)> = available().iter().map(|&level| (level, Scan::new())).collect();
    let mut inputs = inputs.peekable();
    while inputs.peek().is_some() {
        let chunk: Vec<f32> = inputs.by_ref().take(1 << 14).collect();
        // Once for all levels: the exact values take most of the time.
        let exact: Vec<f64> = chunk.iter().map(|&x| (function.exact)(f64::from(x))).collect();
        for (level, scan) in &mut scans {
            let mut values = chunk.clone();
            (function.map)(*level, &mut values);
            for ((&x, value), &exact) in chunk.iter().zip(values).zip(&exact) {
                scan.add(x, value, exact);
            }
        }
    }
    for (level, scan) in &scans {
        scan.assert(function, *level, max_fall);
    }
    scans
}

#[test]
fn functions_stay_within_their_bound_on_a_grid_of_all_magnitudes() {
    for function in ALL {
        // A prime, so that all low bits occur.
        check(function, patterns(8209), function.neighbour_fall.and(Some(0.0)));
    }
}

#[test]
fn functions_stay_within_their_bound_on_a_dense_grid_of_everyday_values() {
    for function in ALL {
        let grid = (-400_000..=400_000).map(|i| i as f32 * 5e-5);
        check(function, grid, function.neighbour_fall.and(Some(0.0)));
    }
}

#[test]
fn tanh_and_sigmoid_hardly_fall_from_one_float_to_the_next() {
    // Around the seams: where tanh changes its formula, where n of 2^n steps, and where the functions saturate.
    for function in [&TANH, &SIGMOID] {
        for centre in [0.1_f32, 0.173, 0.25, 0.3466, 0.5, 0.55, 1.0, 1.04, 1.733, 3.0, 5.0, 8.9, 9.01, 16.6, 17.3] {
            let bits = centre.to_bits();
            let near = (bits - 20_000..bits + 20_000).map(f32::from_bits);
            check(function, near.clone(), function.neighbour_fall);
            check(function, near.rev().map(|x| -x), function.neighbour_fall);
        }
    }
}

#[test]
fn special_values_are_exact() {
    let check = |function: &Function, cases: &[(f32, f32)]| {
        for &level in available() {
            let mut values: Vec<f32> = cases.iter().map(|case| case.0).collect();
            (function.map)(level, &mut values);
            for (&(x, expected), value) in cases.iter().zip(values) {
                let same = value.to_bits() == expected.to_bits() || value.is_nan() && expected.is_nan();
                assert!(same, "{}({x:e}) on {level}: got {value:e}, expected {expected:e}", function.name);
            }
        }
    };
    let (infinity, nan, tiny) = (f32::INFINITY, f32::NAN, f32::from_bits(1));
    check(
        &EXP,
        &[
            (0.0, 1.0),
            (-0.0, 1.0),
            (tiny, 1.0),
            (infinity, infinity),
            (-infinity, 0.0),
            (89.0, infinity),
            (f32::MAX, infinity),
            (-104.0, 0.0),
            (f32::MIN, 0.0),
            (nan, nan),
            (-nan, nan),
        ],
    );
    check(
        &TANH,
        &[
            (0.0, 0.0),
            (-0.0, -0.0),
            (tiny, tiny),
            (-tiny, -tiny),
            (9.02, 1.0),
            (-9.02, -1.0),
            (f32::MAX, 1.0),
            (infinity, 1.0),
            (-infinity, -1.0),
            (nan, nan),
            (-nan, nan),
        ],
    );
    check(
        &SIGMOID,
        &[
            (0.0, 0.5),
            (-0.0, 0.5),
            (tiny, 0.5),
            (17.4, 1.0),
            (f32::MAX, 1.0),
            (infinity, 1.0),
            (-104.0, 0.0),
            (f32::MIN, 0.0),
            (-infinity, 0.0),
            (nan, nan),
            (-nan, nan),
        ],
    );
    check(
        &LN,
        &[
            (1.0, 0.0),
            (0.0, -infinity),
            (-0.0, -infinity),
            (infinity, infinity),
            (-tiny, nan),
            (-1.0, nan),
            (-infinity, nan),
            (nan, nan),
            (-nan, nan),
        ],
    );
}

#[test]
fn a_value_does_not_depend_on_its_place_in_the_slice() {
    for function in ALL {
        for &level in available() {
            let inputs: Vec<f32> = (0..67).map(|i| (i as f32 - 30.0) * 0.37).collect();
            let mut whole = inputs.clone();
            (function.map)(level, &mut whole);
            for (x, expected) in inputs.into_iter().zip(whole) {
                let mut single = [x];
                (function.map)(level, &mut single);
                assert_eq!(single[0].to_bits(), expected.to_bits(), "{}({x}) on {level}", function.name);
            }
        }
    }
}

fn exhaust(function: &Function) {
    for (level, scan) in check(function, patterns(1), function.neighbour_fall) {
        eprintln!(
            "{} on {level}: {:.3} ulp at {:e}, falls by {} ulp at {:e}",
            function.name, scan.worst, scan.at, scan.fall, scan.fall_at
        );
    }
}

#[test]
#[ignore = "all 2^32 inputs take minutes"]
fn exp_stays_within_its_bound_everywhere() {
    exhaust(&EXP);
}

#[test]
#[ignore = "all 2^32 inputs take minutes"]
fn tanh_stays_within_its_bound_and_never_falls() {
    exhaust(&TANH);
}

#[test]
#[ignore = "all 2^32 inputs take minutes"]
fn sigmoid_stays_within_its_bound_and_hardly_falls() {
    exhaust(&SIGMOID);
}

#[test]
#[ignore = "all 2^32 inputs take minutes"]
fn ln_stays_within_its_bound_everywhere() {
    exhaust(&LN);
}
