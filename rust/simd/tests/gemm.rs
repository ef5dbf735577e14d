//! The matrix kernels against a product in f64, on every level that the CPU has.

#![allow(clippy::float_cmp, reason = "exact results are claimed, and tested as such")]
#![allow(clippy::inline_always, reason = "only what is inlined into the trampoline is compiled with its CPU features")]

use std::ops::Range;

use foliot_simd::{
    Epilogue, Init, Isa, Kernel, Level, MatrixMut, MatrixRef, Operand, Packed, available, dispatch, gemm, tiles,
};
use proptest::prelude::*;

/// Values in [-1, 1) that differ from each other, so that no permutation of a matrix goes unnoticed.
fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (f64::from(state) / f64::from(1_u32 << 31) - 1.0) as f32
        })
        .collect()
}

/// A matrix inside a larger slice.
#[derive(Clone, Debug)]
struct Matrix {
    data: Vec<f32>,
    row_stride: usize,
    column_stride: usize,
}

impl Matrix {
    /// Row-major, with `padding` values behind each row.
    fn rows(rows: usize, columns: usize, padding: usize, seed: u32) -> Self {
        let row_stride = columns + padding;
        Self { data: values(rows * row_stride, seed), row_stride, column_stride: 1 }
    }

    /// Column-major: the transpose of a row-major matrix.
    fn columns(rows: usize, columns: usize, padding: usize, seed: u32) -> Self {
        let column_stride = rows + padding;
        Self { data: values(columns * column_stride, seed), row_stride: 1, column_stride }
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        f64::from(self.data[i * self.row_stride + j * self.column_stride])
    }

    fn view(&self) -> MatrixRef<'_> {
        MatrixRef::new(&self.data, self.row_stride, self.column_stride)
    }
}

/// The sum and the sum of magnitudes, which scales the rounding error of a chain.
fn product(a: &Matrix, b: &Matrix, i: usize, j: usize, k: usize, init: f64) -> (f64, f64) {
    (0..k).fold((init, init.abs()), |(sum, size), l| {
        let term = a.at(i, l) * b.at(l, j);
        (sum + term, size + term.abs())
    })
}

/// Each of the `2 (k + 1)` roundings of a chain errs by at most half an ulp of a partial sum.
fn assert_close(actual: f32, (expected, size): (f64, f64), k: usize, place: &str) {
    let tolerance = (k + 1) as f64 * f64::from(f32::EPSILON) * size;
    assert!((f64::from(actual) - expected).abs() <= tolerance, "{place}: got {actual}, expected {expected}");
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    Zero,
    Accumulate,
    Bias,
}

const STARTS: [Start; 3] = [Start::Zero, Start::Accumulate, Start::Bias];

/// Runs `gemm` and compares it; values between the rows of C must survive.
fn check_gemm(level: Level, m: usize, n: usize, k: usize, a: &Matrix, b: &Matrix, packed: bool, start: Start) {
    const GAP: usize = 3;
    let place = format!("{level} {m}x{n}x{k} packed={packed} {start:?}");
    let bias = values(n, 77);
    let before = values(m * (n + GAP), 78);
    let mut c = before.clone();
    let init = match start {
        Start::Zero => Init::Zero,
        Start::Accumulate => Init::Accumulate,
        Start::Bias => Init::Bias(&bias),
    };
    let packing = packed.then(|| Packed::plain(level, &b.data, k, n, b.row_stride, b.column_stride));
    let operand = packing.as_ref().map_or(Operand::Matrix(b.view()), Operand::Packed);
    gemm(level, m, n, k, a.view(), operand, init, MatrixMut::new(&mut c, n + GAP));
    for (at, (&value, &before)) in c.iter().zip(&before).enumerate() {
        let (i, j) = (at / (n + GAP), at % (n + GAP));
        if j >= n {
            assert_eq!(value.to_bits(), before.to_bits(), "{place}: wrote beyond row {i}");
            continue;
        }
        let first = match start {
            Start::Zero => 0.0,
            Start::Accumulate => f64::from(before),
            Start::Bias => f64::from(bias[j]),
        };
        assert_close(value, product(a, b, i, j, k, first), k, &format!("{place} ({i}, {j})"));
    }
}

#[test]
fn gemm_matches_the_product_in_f64() {
    for &level in available() {
        for m in [0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 15, 25] {
            for n in [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 50] {
                for k in [0, 1, 2, 3, 4, 5, 9] {
                    let (a, b) = (Matrix::rows(m, k, 2, 1), Matrix::rows(k, n, 1, 2));
                    check_gemm(level, m, n, k, &a, &b, (m + n + k) % 2 == 0, STARTS[(m + n + k) % 3]);
                }
            }
        }
    }
}

#[test]
fn gemm_crosses_the_chunks_of_columns_and_k() {
    for &level in available() {
        for (m, n, k) in [(7, 20, 513), (3, 300, 260), (14, 530, 3), (1, 257, 257), (40, 100, 600), (1, 16, 1025)] {
            let (a, at) = (Matrix::rows(m, k, 0, 3), Matrix::columns(m, k, 5, 3));
            let (b, bt) = (Matrix::rows(k, n, 3, 4), Matrix::columns(k, n, 0, 4));
            for packed in [false, true] {
                for start in STARTS {
                    check_gemm(level, m, n, k, &a, &b, packed, start);
                }
                check_gemm(level, m, n, k, &at, &b, packed, Start::Accumulate);
                check_gemm(level, m, n, k, &a, &bt, packed, Start::Zero);
                check_gemm(level, m, n, k, &at, &bt, packed, Start::Bias);
            }
        }
    }
}

/// C in one call, and again in parts of rows, columns and k.
fn check_split(level: Level, (m, n, k): (usize, usize, usize), at: (usize, usize, usize), transposed: bool) {
    let a = if transposed { Matrix::columns(m, k, 1, 5) } else { Matrix::rows(m, k, 1, 5) };
    let b = Matrix::rows(k, n, 2, 6);
    let mut whole = values(m * n, 7);
    let mut parts = whole.clone();
    gemm(level, m, n, k, a.view(), Operand::Matrix(b.view()), Init::Accumulate, MatrixMut::new(&mut whole, n));
    for ks in [0..at.2, at.2..k] {
        for rows in [0..at.0, at.0..m] {
            for columns in [0..at.1, at.1..n] {
                if rows.is_empty() || columns.is_empty() || ks.is_empty() {
                    continue;
                }
                let a_part = &a.data[rows.start * a.row_stride + ks.start * a.column_stride..];
                let b_part = &b.data[ks.start * b.row_stride + columns.start..];
                gemm(
                    level,
                    rows.len(),
                    columns.len(),
                    ks.len(),
                    MatrixRef::new(a_part, a.row_stride, a.column_stride),
                    Operand::Matrix(MatrixRef::new(b_part, b.row_stride, b.column_stride)),
                    Init::Accumulate,
                    MatrixMut::new(&mut parts[rows.start * n + columns.start..], n),
                );
            }
        }
    }
    for (i, (whole, parts)) in whole.iter().zip(&parts).enumerate() {
        assert_eq!(whole.to_bits(), parts.to_bits(), "{level} {m}x{n}x{k} at {at:?}: element {i}: {whole} and {parts}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gemm_gives_the_same_bits_however_it_is_split(
        m in 1..40_usize, n in 1..90_usize, k in 1..300_usize, at in (0.0..1.0, 0.0..1.0, 0.0..1.0), transposed: bool,
    ) {
        let cut = |len: usize, share: f64| (len as f64 * share) as usize;
        for &level in available() {
            check_split(level, (m, n, k), (cut(m, at.0), cut(n, at.1), cut(k, at.2)), transposed);
        }
    }
}

/// Sums that run from the last k to the first, and the same with the operands turned around in memory.
fn check_reversed(level: Level, (m, n, k): (usize, usize, usize), transposed: bool) {
    let a = if transposed { Matrix::columns(m, k, 1, 5) } else { Matrix::rows(m, k, 1, 5) };
    let b = Matrix::rows(k, n, 2, 6);
    let (mut turned_a, mut turned_b) = (a.clone(), b.clone());
    for l in 0..k {
        for i in 0..m {
            turned_a.data[i * a.row_stride + l * a.column_stride] =
                a.data[i * a.row_stride + (k - 1 - l) * a.column_stride];
        }
        for j in 0..n {
            turned_b.data[l * b.row_stride + j] = b.data[(k - 1 - l) * b.row_stride + j];
        }
    }
    let run = |a: MatrixRef<'_>, b: MatrixRef<'_>| {
        let mut c = values(m * n, 7);
        gemm(level, m, n, k, a, Operand::Matrix(b), Init::Accumulate, MatrixMut::new(&mut c, n));
        c
    };
    let reversed = run(a.view().reversed_columns(k), b.view().reversed_rows(k));
    assert_eq!(reversed, run(turned_a.view(), turned_b.view()), "{level} {m}x{n}x{k}");
    let initial = values(m * n, 7);
    for i in 0..m {
        for j in 0..n {
            let expected = product(&a, &b, i, j, k, f64::from(initial[i * n + j]));
            assert_close(reversed[i * n + j], expected, k, &format!("{level} {m}x{n}x{k} at ({i}, {j})"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reversed_operands_are_those_that_were_turned_around(
        m in 1..40_usize, n in 1..90_usize, k in 1..300_usize, transposed: bool,
    ) {
        for &level in available() {
            check_reversed(level, (m, n, k), transposed);
        }
    }
}

#[test]
#[should_panic(expected = "5 rows or columns at a distance of 3 need 12 values, got 11")]
fn reversing_refuses_a_short_slice() {
    let _ = MatrixRef::new(&[0.0; 11], 3, 1).reversed_rows(5);
}

#[test]
fn threads_share_a_product_by_columns() {
    let (m, n, k) = (13, 100, 40);
    let (a, b) = (Matrix::rows(m, k, 0, 13), Matrix::rows(k, n, 0, 14));
    for &level in available() {
        let (mut whole, mut parts) = (vec![f32::NAN; m * n], vec![f32::NAN; m * n]);
        gemm(level, m, n, k, a.view(), Operand::Matrix(b.view()), Init::Zero, MatrixMut::new(&mut whole, n));
        let places: Vec<(Range<usize>, MatrixMut)> = [0..33, 33..34, 34..100]
            .into_iter()
            .map(|columns| {
                let len = m * n - columns.start;
                // SAFETY: the columns of the views differ, and all are inside `parts`, which outlives the threads.
                let c = unsafe { MatrixMut::from_raw(parts.as_mut_ptr().add(columns.start), len, n) };
                (columns, c)
            })
            .collect();
        // SAFETY: the values of `a`, which nothing writes.
        let a = unsafe { MatrixRef::from_raw(a.data.as_ptr(), a.data.len(), a.row_stride, 1) };
        let b = &b;
        std::thread::scope(|scope| {
            for (columns, c) in places {
                scope.spawn(move || {
                    let b = Operand::Matrix(MatrixRef::new(&b.data[columns.start..], n, 1));
                    gemm(level, m, columns.len(), k, a, b, Init::Zero, c);
                });
            }
        });
        assert_eq!(parts, whole, "{level}");
    }
}

/// Keeps what `tiles` computes at `[row][block][vector][lane]`, from an initial value that differs everywhere.
struct Keep {
    sums: Vec<f32>,
    visits: Vec<u32>,
    blocks: usize,
}

impl Keep {
    fn initial(row: usize, block: usize, vector: usize) -> f32 {
        (row * 100 + block * 10 + vector) as f32 / 64.0
    }
}

impl<I: Isa, const NV: usize> Epilogue<I, NV> for Keep {
    #[inline(always)]
    fn init(&self, isa: I, row: usize, block: usize) -> [I::F32; NV] {
        let mut sums = [isa.zero(); NV];
        for (v, sum) in sums.iter_mut().enumerate() {
            *sum = isa.splat(Self::initial(row, block, v));
        }
        sums
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, acc: [I::F32; NV]) {
        self.visits[row * self.blocks + block] += 1;
        for (v, sum) in acc.into_iter().enumerate() {
            let at = ((row * self.blocks + block) * NV + v) * I::LANES;
            // SAFETY: the slice is checked to hold `LANES` values from `at` on.
            unsafe { isa.store(self.sums[at..at + I::LANES].as_mut_ptr(), sum) };
        }
    }
}

struct Tiles<'a, const NV: usize> {
    rows: Range<usize>,
    a: &'a Matrix,
    b: &'a Packed,
    blocks: Range<usize>,
    keep: &'a mut Keep,
}

impl<const NV: usize> Kernel for Tiles<'_, NV> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let (a, k) = (self.a, self.b.k());
        // SAFETY: the callers below make A as large as their rows and the packed k.
        unsafe {
            tiles::<I, NV, _>(
                isa,
                self.rows,
                a.data.as_ptr(),
                a.row_stride,
                a.column_stride,
                k,
                self.b,
                self.blocks,
                self.keep,
            );
        }
    }
}

fn check_tiles<const NV: usize>(level: Level, gates: usize, rows: usize, units: usize, k: usize, transposed: bool) {
    let a = if transposed { Matrix::columns(rows, k, 1, 8) } else { Matrix::rows(rows, k, 1, 8) };
    let b = Matrix::rows(k, gates * units, 1, 9);
    let packed = Packed::interleaved(level, &b.data, k, gates, units, b.row_stride, b.column_stride);
    assert_eq!((packed.vectors(), packed.columns(), packed.level()), (NV, gates * units, level));
    let blocks = packed.blocks();
    let len = rows * blocks * NV * level.lanes();
    let fresh = || Keep { sums: vec![f32::NAN; len], visits: vec![0; rows * blocks], blocks };

    let mut keep = fresh();
    dispatch(level, Tiles::<NV> { rows: 0..rows, a: &a, b: &packed, blocks: 0..blocks, keep: &mut keep });
    assert!(keep.visits.iter().all(|&visits| visits == 1), "{level} rows={rows} units={units}: {:?}", keep.visits);
    for row in 0..rows {
        for block in 0..blocks {
            for vector in 0..NV {
                for lane in 0..level.lanes() {
                    let at = ((row * blocks + block) * NV + vector) * level.lanes() + lane;
                    let (gate, unit) = if gates == 1 {
                        (0, (block * NV + vector) * level.lanes() + lane)
                    } else {
                        (vector, block * level.lanes() + lane)
                    };
                    let init = f64::from(Keep::initial(row, block, vector));
                    let place = format!("{level} NV={NV} rows={rows} units={units} k={k} ({row}, {gate}, {unit})");
                    if unit < units {
                        let expected = product(&a, &b, row, gate * units + unit, k, init);
                        assert_close(keep.sums[at], expected, k, &place);
                    } else {
                        assert_eq!(f64::from(keep.sums[at]), init, "{place}: a lane without a column is not zero");
                    }
                }
            }
        }
    }

    let mut parts = fresh();
    for rows in [0..rows / 3, rows / 3..rows] {
        for blocks in [0..blocks / 2, blocks / 2..blocks] {
            dispatch(level, Tiles::<NV> { rows: rows.clone(), a: &a, b: &packed, blocks, keep: &mut parts });
        }
    }
    let bits = |keep: &Keep| keep.sums.iter().map(|sum| sum.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&parts), bits(&keep), "{level} rows={rows} units={units} k={k}: the split changed the bits");
}

#[test]
fn tiles_match_the_product_in_f64_and_do_not_depend_on_the_split() {
    for &level in available() {
        for rows in [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 23, 24, 25] {
            for units in [0, 1, 7, 8, 9, 16, 17, 40, 70] {
                let k = [0, 1, 3, 4, 6, 9][(rows + units) % 6];
                let transposed = rows % 2 == 1;
                check_tiles::<2>(level, 1, rows, units, k, transposed);
                check_tiles::<2>(level, 2, rows, units, k, transposed);
                check_tiles::<3>(level, 3, rows, units, k, transposed);
                check_tiles::<4>(level, 4, rows, units, k, transposed);
            }
        }
    }
}

#[test]
fn packing_puts_every_column_in_its_lane() {
    for &level in available() {
        for (gates, units, k) in [(1, 37, 3), (2, 9, 2), (3, 17, 5), (4, 16, 1), (4, 33, 20)] {
            let lanes = level.lanes();
            for b in [Matrix::rows(k, gates * units, 2, 10), Matrix::columns(k, gates * units, 3, 10)] {
                let packed = Packed::interleaved(level, &b.data, k, gates, units, b.row_stride, b.column_stride);
                let nv = packed.vectors();
                let expected: Vec<f32> = (0..packed.blocks() * k * nv * lanes)
                    .map(|at| {
                        let (lane, vector, row) = (at % lanes, at / lanes % nv, at / lanes / nv % k);
                        let block = at / lanes / nv / k;
                        let (gate, unit) = if gates == 1 {
                            (0, (block * nv + vector) * lanes + lane)
                        } else {
                            (vector, block * lanes + lane)
                        };
                        if unit < units { b.at(row, gate * units + unit) as f32 } else { 0.0 }
                    })
                    .collect();
                assert_eq!(packed.values(), expected, "{level} gates={gates} units={units} k={k}");
                assert_eq!(packed.values().as_ptr() as usize % 64, 0);
            }
        }
    }
}

#[test]
fn repacking_takes_the_new_values_without_moving() {
    for &level in available() {
        let (old, new) = (values(5 * 33, 11), values(5 * 33, 12));
        let mut packed = Packed::plain(level, &old, 5, 33, 33, 1);
        let place = packed.values().as_ptr();
        packed.repack(&new, 33, 1);
        assert_eq!(packed.values(), Packed::plain(level, &new, 5, 33, 33, 1).values());
        assert_eq!(packed.values().as_ptr(), place);
    }
}

#[test]
#[should_panic(expected = "b of 4 x 4 with strides 4 and 1 needs 16 values, got 15")]
fn packing_refuses_a_short_slice() {
    let _ = Packed::plain(Level::Portable, &[0.0; 15], 4, 4, 4, 1);
}

#[test]
#[should_panic(expected = "c of 2 x 3 with strides 3 and 1 needs 6 values, got 5")]
fn gemm_refuses_a_short_result() {
    let ones = [1.0; 6];
    let (a, b) = (MatrixRef::new(&ones, 1, 1), Operand::Matrix(MatrixRef::new(&ones, 3, 1)));
    gemm(Level::Portable, 2, 3, 1, a, b, Init::Zero, MatrixMut::new(&mut [0.0; 5], 3));
}
