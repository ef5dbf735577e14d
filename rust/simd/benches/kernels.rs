//! Speed of the kernels on every level that the CPU has: `cargo bench -p foliot-simd`.
//!
//! `peak` is the rate of independent multiply-adds in registers. The products report multiply-adds as two operations,
//! so their throughput over that of `peak` is the share of the peak that they reach.

#![allow(clippy::inline_always, reason = "only what is inlined into the trampoline is compiled with its CPU features")]
#![allow(missing_docs, reason = "`criterion_group!` declares a public function")]

#[path = "support/peak.rs"]
mod peak;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use foliot_simd::math::{map_exp, map_ln, map_sigmoid, map_tanh};
use foliot_simd::{
    Epilogue, Init, Isa, Kernel, Level, MatrixMut, MatrixRef, Operand, Packed, available, dispatch, gemm, tiles,
};

fn wave(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.37).sin() * 6.0).collect()
}

fn peak(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("peak");
    for &level in available() {
        group.throughput(Throughput::Elements(peak::operations(level)));
        group.bench_function(level.name(), |bencher| bencher.iter(|| dispatch(level, peak::Peak)));
    }
}

type Map = fn(Level, &mut [f32]);

fn functions(criterion: &mut Criterion) {
    let input = wave(4096);
    let mut output = input.clone();
    let functions: [(&str, Map); 4] = [("exp", map_exp), ("tanh", map_tanh), ("sigmoid", map_sigmoid), ("ln", map_ln)];
    for (name, map) in functions {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(input.len() as u64));
        for &level in available() {
            group.bench_function(level.name(), |bencher| {
                bencher.iter(|| {
                    output.copy_from_slice(&input);
                    map(level, black_box(&mut output));
                });
            });
        }
    }
}

/// Stores the sums of a tile over and over at the same place: the cost of the product alone.
struct Store {
    out: Vec<f32>,
}

impl<I: Isa, const NV: usize> Epilogue<I, NV> for Store {
    #[inline(always)]
    fn init(&self, isa: I, _: usize, _: usize) -> [I::F32; NV] {
        [isa.zero(); NV]
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, _: usize, acc: [I::F32; NV]) {
        for (v, sum) in acc.into_iter().enumerate() {
            let at = (row * NV + v) * I::LANES;
            // SAFETY: the slice is checked to hold `LANES` values from `at` on.
            unsafe { isa.store(self.out[at..at + I::LANES].as_mut_ptr(), sum) };
        }
    }
}

struct Tiles<'a, const NV: usize> {
    rows: usize,
    a: &'a [f32],
    b: &'a Packed,
    store: &'a mut Store,
}

impl<const NV: usize> Kernel for Tiles<'_, NV> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let (a, k) = (self.a.as_ptr(), self.b.k());
        // SAFETY: `recurrent` below makes A of `rows` rows of `k` values.
        unsafe { tiles::<I, NV, _>(isa, 0..self.rows, a, k, 1, k, self.b, 0..self.b.blocks(), self.store) };
    }
}

/// The recurrent product of one time step: `rows x units` by `units x (gates * units)`.
fn recurrent<const NV: usize>(criterion: &mut Criterion, name: &str, gates: usize) {
    let mut group = criterion.benchmark_group(name);
    for &level in available() {
        for (rows, units) in [(1, 128), (12, 32), (12, 128), (13, 128), (32, 256), (32, 512)] {
            let a = wave(rows * units);
            let b = Packed::interleaved(level, &wave(units * gates * units), units, gates, units, gates * units, 1);
            let mut store = Store { out: vec![0.0; rows * NV * level.lanes()] };
            group.throughput(Throughput::Elements((2 * rows * units * gates * units) as u64));
            group.bench_function(BenchmarkId::new(level.name(), format!("{rows}x{units}")), |bencher| {
                bencher.iter(|| dispatch(level, Tiles::<NV> { rows, a: &a, b: &b, store: &mut store }));
            });
        }
    }
}

fn recurrences(criterion: &mut Criterion) {
    recurrent::<2>(criterion, "tiles simple_rnn", 1);
    recurrent::<3>(criterion, "tiles gru", 3);
    recurrent::<4>(criterion, "tiles lstm", 4);
}

/// The products over whole sequences: the input projection and the weight gradient, which reads A transposed.
fn products(criterion: &mut Criterion) {
    let shapes = [
        ("projection", 3200, 512, 100, false),
        ("projection", 1000, 1024, 1024, false),
        ("gradient", 32, 32, 64000, true),
        ("gradient", 128, 512, 6400, true),
        ("gradient", 1024, 1024, 2000, true),
    ];
    for (name, m, n, k, transposed) in shapes {
        let mut group = criterion.benchmark_group(format!("gemm {name} {m}x{n}x{k}"));
        group.sample_size(10).throughput(Throughput::Elements((2 * m * n * k) as u64));
        let (a, b, mut c) = (wave(m * k), wave(k * n), vec![0.0; m * n]);
        for &level in available() {
            group.bench_function(level.name(), |bencher| {
                bencher.iter(|| {
                    let a = if transposed { MatrixRef::new(&a, 1, m) } else { MatrixRef::new(&a, k, 1) };
                    let b = Operand::Matrix(MatrixRef::new(&b, n, 1));
                    gemm(level, m, n, k, a, b, Init::Zero, MatrixMut::new(&mut c, n));
                });
            });
        }
    }
}

criterion_group!(benches, peak, functions, recurrences, products);
criterion_main!(benches);
