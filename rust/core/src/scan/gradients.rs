//! Sums over rows and time: gradients of weights and biases.
//!
//! The work is cut into blocks of the result and, where these are few, into chunks of rows whose partial results are added
//! in order. Where the cuts lie depends on shapes only, so the bits do not depend on the number of threads.

use crate::threads;
use foliot_simd::dispatch::Level;
use foliot_simd::gemm::{Init, MatrixMut, MatrixRef, Operand, gemm};

/// Rows of two arrays that belong together: `rows` of them, from these rows on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The first row of the left array.
    pub left: usize,
    /// The first row of the right array.
    pub right: usize,
    /// How many.
    pub rows: usize,
}

/// An array of rows with a stride.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// The values.
    pub values: &'a [f32],
    /// From one row to the next.
    pub stride: usize,
    /// The first column that counts.
    pub start: usize,
    /// How many columns count.
    pub width: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `width` values, one after another.
    #[must_use]
    pub fn whole(values: &'a [f32], width: usize) -> Self {
        Self { values, stride: width, start: 0, width }
    }

    fn matrix(&self, row: usize, column: usize) -> &'a [f32] {
        &self.values[row * self.stride + self.start + column..]
    }
}

/// Block sizes of the result: large enough for the GEMM to run at its rate, small enough to share.
const BLOCK_ROWS: usize = 256;
const BLOCK_COLUMNS: usize = 128;
/// The number of pieces of work to aim at.
const PIECES: usize = 16;
/// The fewest rows that a chunk should sum.
const CHUNK: usize = 512;

/// `result[i, column + j] += Σ left[r, i]·right[r, j]` over the rows of the segments. `result` has `stride` columns.
pub fn add_outer_products(
    level: Level,
    segments: &[Segment],
    left: Rows<'_>,
    right: Rows<'_>,
    result: &mut [f32],
    stride: usize,
    column: usize,
    partials: &mut [f32],
) {
    let (m, n) = (left.width, right.width);
    let total: usize = segments.iter().map(|segment| segment.rows).sum();
    if m == 0 || n == 0 || total == 0 {
        return;
    }
    let blocks = m.div_ceil(BLOCK_ROWS) * n.div_ceil(BLOCK_COLUMNS);
    let chunks = chunk_count(m, n, total);
    let chunk = total.div_ceil(chunks);
    let partials = &mut partials[..chunks * m * n];
    let target = Target(partials.as_mut_ptr(), partials.len());
    threads::for_each(chunks * blocks, |task| {
        let (piece, block) = (task / blocks, task % blocks);
        let (row, col) =
            (block / n.div_ceil(BLOCK_COLUMNS) * BLOCK_ROWS, block % n.div_ceil(BLOCK_COLUMNS) * BLOCK_COLUMNS);
        let (rows, columns) = (BLOCK_ROWS.min(m - row), BLOCK_COLUMNS.min(n - col));
        let mut init = Init::Zero;
        for part in clip(segments, piece * chunk, ((piece + 1) * chunk).min(total)) {
            // SAFETY: each task writes its own block of its own chunk of `partials`, which outlives the tasks.
            let c = unsafe { target.block(piece * m * n + row * n + col, n) };
            let a = MatrixRef::new(left.matrix(part.left, row), 1, left.stride);
            let b = MatrixRef::new(right.matrix(part.right, col), right.stride, 1);
            gemm(level, rows, columns, part.rows, a, Operand::Matrix(b), init, c);
            init = Init::Accumulate;
        }
    });
    for row in 0..m {
        for piece in 0..chunks {
            let source = &partials[piece * m * n + row * n..][..n];
            let sums = &mut result[row * stride + column..][..n];
            sums.iter_mut().zip(source).for_each(|(sum, part)| *sum += part);
        }
    }
}

/// Into how many chunks the rows are cut.
fn chunk_count(m: usize, n: usize, rows: usize) -> usize {
    let blocks = m.div_ceil(BLOCK_ROWS) * n.div_ceil(BLOCK_COLUMNS);
    PIECES.div_ceil(blocks.max(1)).min(rows.div_ceil(CHUNK)).max(1)
}

/// The length of the partial results of [`add_outer_products`].
#[must_use]
pub fn partials_len(m: usize, n: usize, rows: usize) -> usize {
    chunk_count(m, n, rows) * m * n
}

/// A pointer into the partial results that tasks share.
#[derive(Clone, Copy)]
struct Target(*mut f32, usize);

// SAFETY: tasks write disjoint blocks.
unsafe impl Sync for Target {}

impl Target {
    /// A block that starts at an element.
    ///
    /// # Safety
    /// No other task accesses the block's elements.
    unsafe fn block<'a>(&self, offset: usize, stride: usize) -> MatrixMut<'a> {
        // SAFETY: the offset lies inside; the caller answers for the rest.
        unsafe { MatrixMut::from_raw(self.0.add(offset), self.1 - offset, stride) }
    }
}

/// The parts of the segments that lie in a range of all their rows.
fn clip(segments: &[Segment], start: usize, end: usize) -> impl Iterator<Item = Segment> {
    let mut first = 0;
    segments.iter().filter_map(move |segment| {
        let (from, to) = (start.max(first), end.min(first + segment.rows));
        let skipped = from - first.min(from);
        first += segment.rows;
        (from < to).then(|| Segment { left: segment.left + skipped, right: segment.right + skipped, rows: to - from })
    })
}

/// `result[column + j] += Σ values[r, j]` over the first `total` rows.
pub fn add_column_sums(values: Rows<'_>, total: usize, result: &mut [f32], column: usize, partials: &mut [f32]) {
    let n = values.width;
    let chunks = PIECES.min(total.div_ceil(CHUNK)).max(1);
    let chunk = total.div_ceil(chunks);
    let partials = &mut partials[..chunks * n];
    let target = Target(partials.as_mut_ptr(), partials.len());
    threads::for_each(chunks, |piece| {
        // SAFETY: each task has its own row of `partials`, which outlives the tasks.
        let sums = unsafe { target.row(piece * n, n) };
        sums.fill(0.0);
        for row in piece * chunk..((piece + 1) * chunk).min(total) {
            let source = &values.matrix(row, 0)[..n];
            sums.iter_mut().zip(source).for_each(|(sum, value)| *sum += value);
        }
    });
    for piece in 0..chunks {
        let sums = &mut result[column..][..n];
        sums.iter_mut().zip(&partials[piece * n..][..n]).for_each(|(sum, part)| *sum += part);
    }
}

/// The length of the partial results of [`add_column_sums`].
#[must_use]
pub fn column_partials_len(n: usize) -> usize {
    PIECES * n
}

impl Target {
    /// `len` consecutive elements.
    ///
    /// # Safety
    /// No other task accesses them.
    // The elements belong to the pointer's owner, not to this copy of the pointer.
    #[allow(clippy::mut_from_ref)]
    unsafe fn row<'a>(&self, offset: usize, len: usize) -> &'a mut [f32] {
        assert!(offset + len <= self.1);
        // SAFETY: inside the array; the caller answers for the rest.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(offset), len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_equal_the_definition(m in 0_usize..40, n in 0_usize..150, rows in 0_usize..1500, gap in 0_usize..5) {
            let cut = rows / 3;
            let segments = [
                Segment { left: 0, right: gap, rows: cut },
                Segment { left: cut + gap, right: cut + 2 * gap, rows: rows - cut },
            ];
            let value = |index: usize| ((index * 7919) % 1013) as f32 / 1013.0 - 0.5;
            let left: Vec<f32> = (0..(rows + 3 * gap + 1) * (m + 1)).map(value).collect();
            let right: Vec<f32> = (0..(rows + 3 * gap + 1) * (n + 2)).map(|i| value(i + 5)).collect();
            let a = Rows { values: &left, stride: m + 1, start: 1, width: m };
            let b = Rows { values: &right, stride: n + 2, start: 2, width: n };
            let mut result = vec![1.0; m * (n + 3)];
            let mut partials = vec![0.0; partials_len(m, n, rows)];
            let level = *foliot_simd::available().last().unwrap();
            add_outer_products(level, &segments, a, b, &mut result, n + 3, 3, &mut partials);
            for i in 0..m {
                for j in 0..n {
                    let mut sum = 1.0_f64;
                    for segment in &segments {
                        for r in 0..segment.rows {
                            let x = left[(segment.left + r) * (m + 1) + 1 + i];
                            let y = right[(segment.right + r) * (n + 2) + 2 + j];
                            sum += f64::from(x) * f64::from(y);
                        }
                    }
                    let got = f64::from(result[i * (n + 3) + 3 + j]);
                    prop_assert!((got - sum).abs() <= 1e-4 * (1.0 + sum.abs()), "{got} {sum}");
                }
            }
        }
    }
}
