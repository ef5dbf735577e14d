//! How tasks share the rows of a scan.

use super::layout::TimeLayout;
use std::ops::Range;

/// Whole register tiles of every instruction set, but for panels of three vectors: those have 12 or 6 rows, or 8 or 3.
const TILE: usize = 12;

/// Half of the tallest tiles, of AVX-512 and NEON; a whole one of AVX2.
const HALF_TILE: usize = 6;

/// The rows of each task, in packed order.
///
/// Where rows differ in length, tasks have equal shares of the steps: few long rows, many short ones. More tasks than threads would
/// share the work as well, but go through memory in smaller pieces.
pub(super) struct Split<'a> {
    layout: &'a TimeLayout,
    steps: Range<usize>,
    tasks: usize,
    /// The rows of every task but the last, where all are equally long.
    equal: Option<usize>,
}

/// The rows of every task but the last, where all are equally long.
fn equal_rows(batch: usize, threads: usize) -> usize {
    batch.div_ceil(threads).div_ceil(TILE).max(1) * TILE
}

/// What part of equally long rows the thread with the most of them has.
#[must_use]
pub fn largest_share(batch: usize, threads: usize) -> f64 {
    equal_rows(batch, threads).min(batch) as f64 / batch.max(1) as f64
}

impl<'a> Split<'a> {
    /// Shares the rows for some steps.
    pub(super) fn new(layout: &'a TimeLayout, steps: Range<usize>, threads: usize) -> Self {
        let batch = layout.batch();
        let is_equal = batch == 0 || layout.length(0) == layout.length(batch - 1);
        let equal = is_equal.then(|| equal_rows(batch, threads));
        let tasks = equal.map_or_else(|| threads.min(batch.div_ceil(HALF_TILE)), |rows| batch.div_ceil(rows));
        Self { layout, steps, tasks, equal }
    }

    pub(super) fn tasks(&self) -> usize {
        self.tasks
    }

    /// The first row of a task and that of the next.
    pub(super) fn rows(&self, task: usize) -> (usize, usize) {
        (self.first_row(task), self.first_row(task + 1))
    }

    fn first_row(&self, task: usize) -> usize {
        let Self { layout, ref steps, tasks, equal } = *self;
        let batch = layout.batch();
        if task == tasks {
            return batch;
        }
        if let Some(rows) = equal {
            return task * rows;
        }
        let count = |row: usize| layout.length(row).clamp(steps.start, steps.end) - steps.start;
        let share = (layout.offset(steps.end) - layout.offset(steps.start)) * task / tasks;
        let (mut row, mut sum) = (0, 0);
        while sum < share {
            sum += count(row);
            row += 1;
        }
        row.next_multiple_of(HALF_TILE).min(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tasks_have_all_rows_once_in_order(
            lengths in proptest::collection::vec(0_usize..9, 0..80), threads in 1_usize..7, part in 1_usize..9
        ) {
            let mask: Vec<u8> =
                lengths.iter().flat_map(|&length| (0..8).map(move |step| u8::from(step < length))).collect();
            let mut layout = TimeLayout::default();
            layout.update(lengths.len(), 8, Some(&mask), false);
            for start in (0..layout.steps().max(1)).step_by(part) {
                let split = Split::new(&layout, start..layout.steps().min(start + part), threads);
                prop_assert!(split.tasks() <= threads.max(1));
                let mut next = 0;
                for (first, end) in (0..split.tasks()).map(|task| split.rows(task)) {
                    prop_assert_eq!(first, next);
                    prop_assert!(first <= end);
                    next = end;
                }
                prop_assert_eq!(next, lengths.len());
            }
        }
    }

    #[test]
    fn tasks_have_equal_shares_of_the_steps() {
        let lengths: Vec<usize> = (1..=120).collect();
        let mask: Vec<u8> =
            lengths.iter().flat_map(|&length| (0..120).map(move |step| u8::from(step < length))).collect();
        let mut layout = TimeLayout::default();
        layout.update(120, 120, Some(&mask), false);
        let split = Split::new(&layout, 0..120, 3);
        for task in 0..3 {
            let (first, end) = split.rows(task);
            let steps: usize = (first..end).map(|row| layout.length(row)).sum();
            let share = layout.elements() / 3;
            // Rounding to tiles moves a border by less than a tile of the longest rows.
            assert!(steps.abs_diff(share) < HALF_TILE * 120, "{steps} of {share}");
        }
    }
}
