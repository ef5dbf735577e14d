//! Every operation of every instruction set that the CPU has, against scalar Rust.

#![allow(clippy::float_cmp, reason = "exact results are claimed, and tested as such")]
#![allow(clippy::inline_always, reason = "only what is inlined into the trampoline is compiled with its CPU features")]

use foliot_simd::{Isa, Kernel, Level, available, dispatch};
use proptest::prelude::*;

/// An operation of three vectors, as a type.
trait Operation {
    fn call<I: Isa>(isa: I, a: I::F32, b: I::F32, c: I::F32) -> I::F32;
}

struct Apply<'a, O> {
    a: &'a [f32],
    b: &'a [f32],
    c: &'a [f32],
    out: &'a mut [f32],
    operation: std::marker::PhantomData<O>,
}

impl<O: Operation> Kernel for Apply<'_, O> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let load = |source: &[f32], at: usize| {
            let chunk = &source[at..source.len().min(at + I::LANES)];
            // SAFETY: the pointer and the length are those of `chunk`, which is at most `LANES` long.
            unsafe { isa.load_partial(chunk.as_ptr(), chunk.len()) }
        };
        for at in (0..self.out.len()).step_by(I::LANES) {
            let result = O::call(isa, load(self.a, at), load(self.b, at), load(self.c, at));
            let len = self.out.len();
            let chunk = &mut self.out[at..len.min(at + I::LANES)];
            // SAFETY: the pointer and the length are those of `chunk`, which is at most `LANES` long.
            unsafe { isa.store_partial(chunk.as_mut_ptr(), result, chunk.len()) };
        }
    }
}

fn apply<O: Operation>(level: Level, [a, b, c]: [&[f32]; 3]) -> Vec<f32> {
    let mut out = vec![f32::NAN; a.len()];
    dispatch(level, Apply::<O> { a, b, c, out: &mut out, operation: std::marker::PhantomData });
    out
}

/// Values at which operations differ or go wrong.
const SPECIAL: [f32; 24] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1.5,
    -2.5,
    2.5,
    3.0,
    -7.25,
    1e-45,
    -1e-40,
    f32::MIN_POSITIVE,
    1e-20,
    -3e20,
    f32::MAX,
    f32::MIN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    -f32::NAN,
    8388607.5,
    -8388609.0,
    0.49999997,
];

fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

/// Compares an operation with its scalar meaning, which may allow several results, on all pairs of special values.
fn check<O: Operation>(name: &str, expected: impl Fn(f32, f32, f32) -> Vec<f32>) {
    let pairs: Vec<(f32, f32)> = SPECIAL.iter().flat_map(|&a| SPECIAL.iter().map(move |&b| (a, b))).collect();
    let a: Vec<f32> = pairs.iter().map(|pair| pair.0).collect();
    let b: Vec<f32> = pairs.iter().map(|pair| pair.1).collect();
    let c: Vec<f32> = (0..pairs.len()).map(|i| SPECIAL[(i * 7 + i / 24) % 24]).collect();
    for &level in available() {
        for (i, out) in apply::<O>(level, [&a, &b, &c]).into_iter().enumerate() {
            let expected = expected(a[i], b[i], c[i]);
            assert!(
                expected.iter().any(|&expected| same(out, expected)),
                "{name}({:e}, {:e}, {:e}) on {level}: got {out:e}, expected {expected:?}",
                a[i],
                b[i],
                c[i]
            );
        }
    }
}

/// Declares operations and checks each: name, what the vectors do, what the scalars do.
macro_rules! check {
    ($($name:ident: |$isa:ident, $a:ident, $b:ident, $c:ident| $vector:expr => $scalar:expr;)+) => {$(
        {
            struct This;

            impl Operation for This {
                #[inline(always)]
                fn call<I: Isa>($isa: I, $a: I::F32, $b: I::F32, $c: I::F32) -> I::F32 {
                    $vector
                }
            }
            check::<This>(stringify!($name), |$a: f32, $b: f32, $c: f32| $scalar);
        }
    )+};
}

#[test]
#[expect(unused_variables, reason = "an operation names all three operands and uses some")]
fn arithmetic_is_that_of_scalars() {
    check! {
        add: |isa, a, b, c| isa.add(a, b) => vec![a + b];
        sub: |isa, a, b, c| isa.sub(a, b) => vec![a - b];
        mul: |isa, a, b, c| isa.mul(a, b) => vec![a * b];
        div: |isa, a, b, c| isa.div(a, b) => vec![a / b];
        mul_add: |isa, a, b, c| isa.mul_add(a, b, c) => vec![a * b + c, a.mul_add(b, c)];
        neg_mul_add: |isa, a, b, c| isa.neg_mul_add(a, b, c) => vec![c - a * b, (-a).mul_add(b, c)];
        neg: |isa, a, b, c| isa.neg(a) => vec![-a];
        abs: |isa, a, b, c| isa.abs(a) => vec![a.abs()];
        copy_sign: |isa, a, b, c| isa.copy_sign(a, b) => vec![a.copysign(b)];
        min: |isa, a, b, c| isa.min(a, b) => vec![if a < b { a } else { b }];
        max: |isa, a, b, c| isa.max(a, b) => vec![if a > b { a } else { b }];
        sqrt: |isa, a, b, c| isa.sqrt(a) => vec![a.sqrt()];
        round: |isa, a, b, c| isa.round(a) => vec![a.round_ties_even()];
        zero: |isa, a, b, c| isa.zero() => vec![0.0];
        splat: |isa, a, b, c| isa.splat(-2.75) => vec![-2.75];
    }
}

#[test]
fn comparisons_and_masks_are_those_of_scalars() {
    fn choose(condition: bool, a: f32, b: f32) -> Vec<f32> {
        vec![if condition { a } else { b }]
    }
    check! {
        lt: |isa, a, b, c| isa.select(isa.lt(a, b), a, c) => choose(a < b, a, c);
        le: |isa, a, b, c| isa.select(isa.le(a, b), a, c) => choose(a <= b, a, c);
        gt: |isa, a, b, c| isa.select(isa.gt(a, b), a, c) => choose(a > b, a, c);
        ge: |isa, a, b, c| isa.select(isa.ge(a, b), a, c) => choose(a >= b, a, c);
        eq: |isa, a, b, c| isa.select(isa.eq(a, b), isa.splat(9.0), c) => choose(a == b, 9.0, c);
        is_nan: |isa, a, b, c| isa.select(isa.is_nan(a), b, c) => choose(a.is_nan(), b, c);
        and: |isa, a, b, c| isa.select(isa.mask_and(isa.lt(a, b), isa.lt(b, c)), a, c) => choose(a < b && b < c, a, c);
        or: |isa, a, b, c| isa.select(isa.mask_or(isa.lt(a, b), isa.lt(b, c)), a, c) => choose(a < b || b < c, a, c);
        not: |isa, a, b, c| isa.select(isa.mask_not(isa.lt(a, b)), a, c) => choose(a >= b || a.is_nan() || b.is_nan(), a, c);
    }
}

/// What a kernel reports about one vector of ascending values 0, 1, 2 and so on.
struct Lanes;

impl Kernel for Lanes {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let ramp: Vec<f32> = (0..I::LANES).map(|lane| lane as f32).collect();
        assert_eq!(I::LANES, I::LEVEL.lanes());
        // SAFETY: the vector holds `LANES` values.
        let x = unsafe { isa.load(ramp.as_ptr()) };
        for n in 0..=I::LANES + 2 {
            let mask = isa.mask_first(n);
            assert_eq!(isa.any(mask), n > 0, "{} any {n}", I::LEVEL);
            assert_eq!(isa.all(mask), n >= I::LANES, "{} all {n}", I::LEVEL);
            let mut out = vec![0.0; I::LANES];
            // SAFETY: the vector holds `LANES` values.
            unsafe { isa.store(out.as_mut_ptr(), isa.select(mask, x, isa.splat(-1.0))) };
            for (lane, value) in out.into_iter().enumerate() {
                assert_eq!(
                    value,
                    if lane < n { lane as f32 } else { -1.0 },
                    "{} mask_first({n}) lane {lane}",
                    I::LEVEL
                );
            }
        }
        // Each lane alone, so that none is missing from a reduction or a test.
        for lane in 0..I::LANES {
            let mut one = vec![0.0; I::LANES];
            one[lane] = 5.0;
            // SAFETY: the vector holds `LANES` values.
            let one = unsafe { isa.load(one.as_ptr()) };
            assert_eq!((isa.reduce_add(one), isa.reduce_max(one)), (5.0, 5.0), "{} lane {lane}", I::LEVEL);
            assert_eq!(isa.reduce_max(isa.neg(isa.add(one, isa.splat(1.0)))), -1.0);
            assert!(isa.any(isa.gt(one, isa.zero())) && !isa.all(isa.le(one, isa.zero())), "{} lane {lane}", I::LEVEL);
        }
        // The order of the sum: in halves.
        let mut values: Vec<f32> = (0..I::LANES).map(|lane| (lane as f32 * 12.9898).sin() * 1e4).collect();
        // SAFETY: the vector holds `LANES` values.
        let sum = isa.reduce_add(unsafe { isa.load(values.as_ptr()) });
        while values.len() > 1 {
            let half = values.len() / 2;
            values = (0..half).map(|lane| values[lane] + values[lane + half]).collect();
        }
        assert_eq!(sum.to_bits(), values[0].to_bits(), "{}", I::LEVEL);
    }
}

#[test]
fn reductions_and_masks_see_every_lane() {
    for &level in available() {
        dispatch(level, Lanes);
    }
}

struct Exp2;
struct Scale;
struct Mantissa;
struct Exponent;

impl Operation for Exp2 {
    #[inline(always)]
    fn call<I: Isa>(isa: I, a: I::F32, _: I::F32, _: I::F32) -> I::F32 {
        isa.exp2(a)
    }
}

impl Operation for Scale {
    #[inline(always)]
    fn call<I: Isa>(isa: I, a: I::F32, b: I::F32, _: I::F32) -> I::F32 {
        isa.scale(a, b)
    }
}

impl Operation for Mantissa {
    #[inline(always)]
    fn call<I: Isa>(isa: I, a: I::F32, _: I::F32, _: I::F32) -> I::F32 {
        isa.split(a).0
    }
}

impl Operation for Exponent {
    #[inline(always)]
    fn call<I: Isa>(isa: I, a: I::F32, _: I::F32, _: I::F32) -> I::F32 {
        isa.split(a).1
    }
}

#[test]
fn powers_of_two_are_exact() {
    let n: Vec<f32> = (-126..=127).map(|n| n as f32).collect();
    for &level in available() {
        for (n, power) in n.iter().zip(apply::<Exp2>(level, [&n, &n, &n])) {
            assert_eq!(f64::from(power), f64::from(*n).exp2(), "2^{n} on {level}");
        }
    }
}

#[test]
fn scaling_rounds_once() {
    let factors = [1.0, 0.7072, 1.4141, 0.25, 4.0, -1.3333334, 1.0000001, 0.99999994];
    let n: Vec<f32> = (-252..=254).map(|n| n as f32).collect();
    for &level in available() {
        for x in factors {
            let x = vec![x; n.len()];
            for ((x, n), scaled) in x.iter().zip(&n).zip(apply::<Scale>(level, [&x, &n, &n])) {
                // A product by a power of two is exact in f64; the conversion rounds once.
                let expected = (f64::from(*x) * f64::from(*n).exp2()) as f32;
                assert!(same(scaled, expected), "{x} * 2^{n} on {level}: got {scaled:e}, expected {expected:e}");
            }
        }
        let nan = [f32::NAN];
        assert!(apply::<Scale>(level, [&nan, &nan, &nan])[0].is_nan());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn splitting_is_exact_and_centred(bits in proptest::collection::vec(0x0080_0000..0x7F80_0000_u32, 1..40)) {
        let x: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        for &level in available() {
            let mantissas = apply::<Mantissa>(level, [&x, &x, &x]);
            let exponents = apply::<Exponent>(level, [&x, &x, &x]);
            for ((&x, m), e) in x.iter().zip(mantissas).zip(exponents) {
                prop_assert!((0.70710677..1.4142137).contains(&m), "{level}: mantissa {m} of {x:e}");
                prop_assert_eq!(f64::from(m) * f64::from(e).exp2(), f64::from(x), "{} {}", level, x);
            }
        }
    }

    #[test]
    fn rounding_is_to_the_nearest_even_integer(bits in proptest::collection::vec(any::<u32>(), 1..40)) {
        struct Round;

        impl Operation for Round {
            #[inline(always)]
            fn call<I: Isa>(isa: I, a: I::F32, _: I::F32, _: I::F32) -> I::F32 {
                isa.round(a)
            }
        }
        let x: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        for &level in available() {
            for (&x, rounded) in x.iter().zip(apply::<Round>(level, [&x, &x, &x])) {
                prop_assert!(same(rounded, x.round_ties_even()), "{level}: {x} to {rounded}");
            }
        }
    }
}

/// Copies by partial loads and stores from one place to another.
struct Copy {
    from: *const f32,
    to: *mut f32,
    n: usize,
}

impl Kernel for Copy {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> Vec<f32> {
        let mut lanes = vec![f32::NAN; I::LANES];
        // SAFETY: the callers pass two places of `n` values, and `n` is at most `LANES`.
        unsafe {
            let x = isa.load_partial(self.from, self.n);
            isa.store_partial(self.to, x, self.n);
            isa.store(lanes.as_mut_ptr(), x);
        }
        lanes
    }
}

#[test]
fn partial_stores_leave_the_neighbours_alone() {
    for &level in available() {
        for n in 0..=level.lanes() {
            let from: Vec<f32> = (0..n).map(|i| i as f32 + 1.0).collect();
            let mut to = vec![-7.0; n + 34];
            let lanes = dispatch(level, Copy { from: from.as_ptr(), to: to[17..].as_mut_ptr(), n });
            assert_eq!(lanes[..n], from[..], "{level} n={n}");
            assert!(lanes[n..].iter().all(|lane| lane.to_bits() == 0), "{level} n={n}: {lanes:?}");
            assert_eq!(to[17..17 + n], from[..], "{level} n={n}");
            assert!(to[..17].iter().chain(&to[17 + n..]).all(|&value| value == -7.0), "{level} n={n}: {to:?}");
        }
    }
}

/// Values that end where a page begins that no one may touch: one access too far ends the test with a signal.
#[cfg(unix)]
#[test]
fn partial_loads_and_stores_stop_at_the_end_of_a_page() {
    // SAFETY: plain system calls on memory that only this function knows; the results are checked.
    let (base, page) = unsafe {
        let page = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).expect("a page has a size");
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let base = libc::mmap(std::ptr::null_mut(), 2 * page, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        assert_ne!(base, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(base.wrapping_byte_add(page), page, libc::PROT_NONE), 0);
        (base.cast::<f32>(), page)
    };
    for &level in available() {
        for n in 0..=level.lanes() {
            let end = base.wrapping_byte_add(page);
            let place = end.wrapping_sub(n);
            let mut from: Vec<f32> = (0..n).map(|i| i as f32 + 0.5).collect();
            dispatch(level, Copy { from: from.as_ptr(), to: place, n });
            let lanes = dispatch(level, Copy { from: place, to: from.as_mut_ptr(), n });
            assert!(lanes[..n].iter().enumerate().all(|(i, &lane)| lane == i as f32 + 0.5), "{level} n={n}: {lanes:?}");
        }
    }
    // SAFETY: the mapping from above, which nothing refers to any more.
    unsafe { libc::munmap(base.cast(), 2 * page) };
}
