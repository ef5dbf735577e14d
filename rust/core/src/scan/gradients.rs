//! Sums over rows and time: gradients of weights and biases.
//!
//! The work is cut into blocks of the result and, where these are few, into pieces of the rows, which take turns at some
//! partial sums. Where the cuts lie depends on shapes only, so the bits do not depend on the number of threads.
//!
//! The backward pass meets the last steps first and adds some of them at a time, while they are in the cache. So rows are
//! added from the last to the first, wherever an addition ends: the bits do not depend on that either.

use crate::threads;
use foliot_simd::dispatch::Level;
use foliot_simd::gemm::{Init, MatrixMut, MatrixRef, Operand, gemm};
use std::ops::Range;

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
/// The fewest rows that a piece should sum.
const PIECE: usize = 512;

/// How the rows of a sum are cut into pieces: each has `rows` rows, and every `count`-th goes to the same partial sum.
#[derive(Clone, Copy)]
struct Pieces {
    count: usize,
    rows: usize,
}

impl Pieces {
    fn new(most: usize, at_once: usize) -> Self {
        let count = most.min(at_once.div_ceil(PIECE)).max(1);
        Self { count, rows: at_once.div_ceil(count).max(1) }
    }

    /// The pieces that some rows belong to.
    fn holding(self, rows: &Range<usize>) -> Range<usize> {
        rows.start / self.rows..rows.end.div_ceil(self.rows)
    }

    /// How many partial sums some pieces go to.
    fn sums(self, held: &Range<usize>) -> usize {
        held.len().min(self.count)
    }

    /// The partial sum that the `index`-th of the held pieces goes to, and all that go there: from the last to the first, the
    /// part of `rows` that belongs to each, counted from the first of the rows.
    fn of(self, index: usize, held: &Range<usize>, rows: &Range<usize>) -> (usize, impl Iterator<Item = Range<usize>>) {
        let (first, rows) = (held.start + index, rows.clone());
        let parts = (first..held.end).step_by(self.count).rev().map(move |piece| {
            let (start, end) = (rows.start.max(piece * self.rows), rows.end.min((piece + 1) * self.rows));
            start - rows.start..end - rows.start
        });
        (first % self.count, parts)
    }
}

/// The parts of the segments that lie in a range of all their rows, the last one first.
fn clip(segments: &[Segment], range: Range<usize>) -> impl Iterator<Item = Segment> {
    let mut end = count(segments);
    segments.iter().rev().filter_map(move |segment| {
        let start = end - segment.rows;
        let (from, to) = (range.start.max(start), range.end.min(end));
        end = start;
        let skipped = from - start.min(from);
        (from < to).then(|| Segment { left: segment.left + skipped, right: segment.right + skipped, rows: to - from })
    })
}

fn count(segments: &[Segment]) -> usize {
    segments.iter().map(|segment| segment.rows).sum()
}

/// The sum of the outer products of two arrays' rows, an (m, n) matrix: the gradient of a kernel.
#[derive(Clone, Copy)]
pub struct OuterProducts {
    m: usize,
    n: usize,
    pieces: Pieces,
}

impl OuterProducts {
    /// A sum over rows of which about `at_once` are added at a time, the last ones first.
    #[must_use]
    pub fn new(m: usize, n: usize, at_once: usize) -> Self {
        let blocks = m.div_ceil(BLOCK_ROWS) * n.div_ceil(BLOCK_COLUMNS);
        Self { m, n, pieces: Pieces::new(PIECES.div_ceil(blocks.max(1)), at_once) }
    }

    /// The length of the partial sums, which are zero before the first part.
    #[must_use]
    pub fn partials(&self) -> usize {
        self.pieces.count * self.m * self.n
    }

    /// Adds `Σ left[r, i]·right[r, j]` over the segments, of which the first row has the number `first` among all rows, to the
    /// columns from `column` on.
    pub fn add(
        &self,
        level: Level,
        first: usize,
        segments: &[Segment],
        left: Rows<'_>,
        right: Rows<'_>,
        column: usize,
        partials: &mut [f32],
    ) {
        let Self { m, n, pieces } = *self;
        let (rows, width) = (first..first + count(segments), right.width);
        if m == 0 || width == 0 || rows.is_empty() {
            return;
        }
        let partials = &mut partials[..pieces.count * m * n];
        let target = Target(partials.as_mut_ptr(), partials.len());
        let (across, held) = (width.div_ceil(BLOCK_COLUMNS), pieces.holding(&rows));
        let blocks = m.div_ceil(BLOCK_ROWS) * across;
        threads::for_each(pieces.sums(&held) * blocks, |task| {
            let (block, (sum, parts)) = (task % blocks, pieces.of(task / blocks, &held, &rows));
            let (row, col) = (block / across * BLOCK_ROWS, block % across * BLOCK_COLUMNS);
            let (height, columns) = (BLOCK_ROWS.min(m - row), BLOCK_COLUMNS.min(width - col));
            for part in parts.flat_map(|part| clip(segments, part)) {
                // SAFETY: each task writes its own block of one partial sum of `partials`, which outlives the tasks.
                let c = unsafe { target.block(sum * m * n + row * n + column + col, n) };
                let a = MatrixRef::new(left.matrix(part.left, row), 1, left.stride).reversed_columns(part.rows);
                let b = MatrixRef::new(right.matrix(part.right, col), right.stride, 1).reversed_rows(part.rows);
                gemm(level, height, columns, part.rows, a, Operand::Matrix(b), Init::Accumulate, c);
            }
        });
    }

    /// Adds the whole sum to `result`.
    pub fn finish(&self, partials: &[f32], result: &mut [f32]) {
        add_up(self.m * self.n, self.pieces, partials, result);
    }
}

/// Adds the partial sums, in order.
fn add_up(len: usize, pieces: Pieces, partials: &[f32], result: &mut [f32]) {
    for part in partials[..pieces.count * len].chunks_exact(len.max(1)) {
        result[..len].iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
}

/// The sums of an array's columns: the gradient of a bias, or of a weight that only the cell knows.
#[derive(Clone, Copy)]
pub struct ColumnSums {
    n: usize,
    pieces: Pieces,
}

impl ColumnSums {
    /// Sums over rows of which about `at_once` are added at a time, the last ones first.
    #[must_use]
    pub fn new(n: usize, at_once: usize) -> Self {
        Self { n, pieces: Pieces::new(PIECES, at_once) }
    }

    /// The length of the partial sums, which are zero before the first part.
    #[must_use]
    pub fn partials(&self) -> usize {
        self.pieces.count * self.n
    }

    /// Adds `Σ values[r, j]` over the first `rows` rows of an array, which are those from `first` on, to the columns from
    /// `column` on.
    pub fn add(&self, first: usize, rows: usize, values: Rows<'_>, column: usize, partials: &mut [f32]) {
        let segments = [Segment { left: 0, right: 0, rows }];
        self.for_each_part(first, &segments, column..column + values.width, partials, |part, sums| {
            for row in (part.left..part.left + part.rows).rev() {
                let source = &values.matrix(row, 0)[..values.width];
                sums.iter_mut().zip(source).for_each(|(sum, value)| *sum += value);
            }
        });
    }

    fn for_each_part(
        &self,
        first: usize,
        segments: &[Segment],
        columns: Range<usize>,
        partials: &mut [f32],
        add: impl Fn(Segment, &mut [f32]) + Sync,
    ) {
        let Self { n, pieces } = *self;
        let rows = first..first + count(segments);
        if rows.is_empty() {
            return;
        }
        let partials = &mut partials[..pieces.count * n];
        let (target, held) = (Target(partials.as_mut_ptr(), partials.len()), pieces.holding(&rows));
        threads::for_each(pieces.sums(&held), |task| {
            let (sum, parts) = pieces.of(task, &held, &rows);
            // SAFETY: each task has its own row of `partials`, which outlives the tasks.
            let sums = unsafe { target.row(sum * n + columns.start, columns.len()) };
            parts.flat_map(|part| clip(segments, part)).for_each(|part| add(part, sums));
        });
    }

    /// Adds the whole sums to `result`.
    pub fn finish(&self, partials: &[f32], result: &mut [f32]) {
        add_up(self.n, self.pieces, partials, result);
    }
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
        fn sums_equal_the_definition_and_do_not_depend_on_the_parts(
            m in 0_usize..40, n in 0_usize..150, rows in 0_usize..1500, gap in 0_usize..5, cut in 0.0_f64..1.0,
            at_once in 1_usize..1600
        ) {
            let third = rows / 3;
            let segments = [
                Segment { left: 0, right: gap, rows: third },
                Segment { left: third + gap, right: third + 2 * gap, rows: rows - third },
            ];
            let value = |index: usize| ((index * 7919) % 1013) as f32 / 1013.0 - 0.5;
            let left: Vec<f32> = (0..(rows + 3 * gap + 1) * (m + 1)).map(value).collect();
            let right: Vec<f32> = (0..(rows + 3 * gap + 1) * (n + 2)).map(|i| value(i + 5)).collect();
            let a = Rows { values: &left, stride: m + 1, start: 1, width: m };
            let b = Rows { values: &right, stride: n + 2, start: 2, width: n };
            let level = *foliot_simd::available().last().unwrap();
            let sum = OuterProducts::new(m, n + 3, at_once);
            let run = |parts: &[(usize, Vec<Segment>)]| {
                let mut partials = vec![0.0; sum.partials()];
                let mut result = vec![1.0; m * (n + 3)];
                for (first, part) in parts {
                    sum.add(level, *first, part, a, b, 3, &mut partials);
                }
                sum.finish(&partials, &mut result);
                result
            };
            let result = run(&[(0, segments.to_vec())]);
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
            let cut = (cut * rows as f64) as usize;
            let mut late: Vec<Segment> = clip(&segments, cut..rows).collect();
            let mut early: Vec<Segment> = clip(&segments, 0..cut).collect();
            late.reverse();
            early.reverse();
            prop_assert_eq!(run(&[(cut, late), (0, early)]), result);
        }

        #[test]
        fn column_sums_equal_the_definition_and_do_not_depend_on_the_parts(
            n in 1_usize..40, rows in 0_usize..1500, cut in 0.0_f64..1.0, at_once in 1_usize..1600
        ) {
            let values: Vec<f32> = (0..rows * n).map(|index| ((index * 7919) % 1013) as f32 / 1013.0 - 0.5).collect();
            let sums = ColumnSums::new(n, at_once);
            let cut = (cut * rows as f64) as usize;
            let run = |cut: usize| {
                let mut partials = vec![0.0; sums.partials()];
                let mut result = vec![0.5; n];
                for range in [cut..rows, 0..cut] {
                    let part = Rows::whole(&values[range.start * n..range.end * n], n);
                    sums.add(range.start, range.len(), part, 0, &mut partials);
                }
                sums.finish(&partials, &mut result);
                result
            };
            let result = run(0);
            for (column, &got) in result.iter().enumerate() {
                let sum = 0.5 + (0..rows).map(|row| f64::from(values[row * n + column])).sum::<f64>();
                prop_assert!((f64::from(got) - sum).abs() <= 1e-4 * (1.0 + sum.abs()), "{got} {sum}");
            }
            prop_assert_eq!(run(cut), result);
        }
    }
}
