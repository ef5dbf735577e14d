//! Sums over rows and time: gradients of weights and biases.
//!
//! The work is cut into blocks of the result and, where these are few, into pieces of the rows, each with a partial sum of its
//! own. Where the cuts lie depends on shapes only, so the bits do not depend on the number of threads.
//!
//! The backward pass meets the last steps first, and with checkpoints has a part of them at a time. So rows are added from
//! the last to the first, wherever a part ends: the bits do not depend on the parts either.

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

/// How all rows of a sum are cut into pieces.
#[derive(Clone, Copy)]
struct Pieces {
    count: usize,
    rows: usize,
}

impl Pieces {
    fn new(most: usize, rows: usize) -> Self {
        let count = most.min(rows.div_ceil(PIECE)).max(1);
        Self { count, rows: rows.div_ceil(count).max(1) }
    }

    /// The pieces that some rows belong to.
    fn holding(self, rows: &Range<usize>) -> Range<usize> {
        rows.start / self.rows..rows.end.div_ceil(self.rows)
    }

    /// The part of some rows that belongs to a piece, counted from the first of the rows.
    fn part(self, piece: usize, rows: &Range<usize>) -> Range<usize> {
        let (start, end) = (rows.start.max(piece * self.rows), rows.end.min((piece + 1) * self.rows));
        start - rows.start..end - rows.start
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
    /// A sum over `rows` rows, which are added in parts, the last ones first.
    #[must_use]
    pub fn new(m: usize, n: usize, rows: usize) -> Self {
        let blocks = m.div_ceil(BLOCK_ROWS) * n.div_ceil(BLOCK_COLUMNS);
        Self { m, n, pieces: Pieces::new(PIECES.div_ceil(blocks.max(1)), rows) }
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
        threads::for_each(held.len() * blocks, |task| {
            let (piece, block) = (held.start + task / blocks, task % blocks);
            let (row, col) = (block / across * BLOCK_ROWS, block % across * BLOCK_COLUMNS);
            let (height, columns) = (BLOCK_ROWS.min(m - row), BLOCK_COLUMNS.min(width - col));
            for part in clip(segments, pieces.part(piece, &rows)) {
                // SAFETY: each task writes its own block of its own piece of `partials`, which outlives the tasks.
                let c = unsafe { target.block(piece * m * n + row * n + column + col, n) };
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

/// Adds the partial sums of all pieces, in order.
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
    /// Sums over `rows` rows, which are added in parts, the last ones first.
    #[must_use]
    pub fn new(n: usize, rows: usize) -> Self {
        Self { n, pieces: Pieces::new(PIECES, rows) }
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
        threads::for_each(held.len(), |task| {
            let piece = held.start + task;
            // SAFETY: each task has its own row of `partials`, which outlives the tasks.
            let sums = unsafe { target.row(piece * n + columns.start, columns.len()) };
            clip(segments, pieces.part(piece, &rows)).for_each(|part| add(part, sums));
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
            m in 0_usize..40, n in 0_usize..150, rows in 0_usize..1500, gap in 0_usize..5, cut in 0.0_f64..1.0
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
            let sum = OuterProducts::new(m, n + 3, rows);
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
            n in 1_usize..40, rows in 0_usize..1500, cut in 0.0_f64..1.0
        ) {
            let values: Vec<f32> = (0..rows * n).map(|index| ((index * 7919) % 1013) as f32 / 1013.0 - 0.5).collect();
            let sums = ColumnSums::new(n, rows);
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
