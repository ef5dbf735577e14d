//! Rows that begin with the same token again and again: texts of different lengths, padded in front, without a mask.
//!
//! From states of zero the same inputs lead to the same states. So the steps with which such rows begin are run once, as a row
//! of their own, and each row of the batch begins where it leaves it. Back through time gradients are linear: those of the
//! states with which the rows begin are added up at the step where each row leaves, and run back once. Forward the bits are
//! the same; backward only the order of the sums differs.

use super::track::Track;
use crate::cpu::Memory;
use crate::scan::layout::TimeLayout;
use crate::tensor::Span;
use std::ops::Range;

/// How many rows must share a step. The shared row goes through the weights alone, on one thread, which takes as long as a
/// register tile of 12 rows: from the rows of two threads' tiles on, sharing saves time.
pub(super) const ROWS: usize = 24;

/// The shared steps of a batch.
#[derive(Default)]
pub(super) struct Prefix {
    layout: TimeLayout,
    token: usize,
    /// For each row of the batch how many of its first steps are shared.
    lengths: Vec<usize>,
    /// (batch, time): 1 where a row has a step of its own.
    mask: Vec<u8>,
    /// Room for sorting.
    sorted: Vec<usize>,
}

impl Prefix {
    /// Says that nothing is shared.
    pub(super) fn clear(&mut self) {
        self.layout.update(1, 0, None, false);
    }

    /// Finds the steps that rows of tokens (batch, time) share, where sharing them pays.
    pub(super) fn find(&mut self, ids: &[i32], batch: usize, time: usize, backwards: bool) {
        self.clear();
        if batch < ROWS || time == 0 {
            return;
        }
        let at = |row: usize, position: usize| ids[row * time + if backwards { time - 1 - position } else { position }];
        self.sorted.clear();
        // Ids have been checked to be indices of a table.
        self.sorted.extend((0..batch).map(|row| at(row, 0) as usize));
        self.sorted.sort_unstable();
        let Some(token) = self.sorted.chunk_by(|a, b| a == b).max_by_key(|run| run.len()).map(|run| run[0]) else {
            return;
        };
        let leading = |row: usize| (0..time).take_while(|&position| at(row, position) as usize == token).count();
        self.lengths.clear();
        self.lengths.extend((0..batch).map(leading));
        self.sorted.clear();
        self.sorted.extend(&self.lengths);
        self.sorted.sort_unstable();
        let steps = self.sorted[batch - ROWS];
        self.lengths.iter_mut().for_each(|length| *length = steps.min(*length));
        // Rows of different lengths ask for more bookkeeping than equal ones, which an eighth of the steps pays for.
        if self.lengths.iter().sum::<usize>() * 8 < batch * time {
            return;
        }
        self.layout.update(1, steps, None, false);
        self.token = token;
        self.mask.clear();
        self.mask.resize(batch * time, 1);
        for (mask, &length) in self.mask.chunks_exact_mut(time).zip(&self.lengths) {
            if backwards { mask[time - length..].fill(0) } else { mask[..length].fill(0) }
        }
    }

    /// The input of the shared steps.
    pub(super) fn token(&self) -> usize {
        self.token
    }

    /// How many steps are shared at most.
    pub(super) fn steps(&self) -> usize {
        self.layout.steps()
    }

    /// The order of the shared row.
    pub(super) fn layout(&self) -> &TimeLayout {
        &self.layout
    }

    /// Where rows have steps of their own, if any are shared.
    pub(super) fn mask(&self) -> Option<&[u8]> {
        (self.steps() > 0).then_some(&self.mask)
    }

    /// How many of a row's first steps are shared.
    pub(super) fn length(&self, row: usize) -> usize {
        self.lengths[row]
    }

    /// Adds the gradients of the states with which the batch's rows begin, in packed row order, to those of the shared row's
    /// states (steps, width), each where its row leaves.
    pub(super) fn join(&self, layout: &TimeLayout, memory: &mut Memory, width: usize, source: Span, target: Span) {
        let [source, target] = memory.many([source, target]);
        target.fill(0.0);
        for (packed, values) in source.chunks_exact(width).enumerate() {
            if let Some(last) = self.length(layout.row(packed)).checked_sub(1) {
                target[last * width..][..width].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
    }

    /// The steps to take back at a time, the last ones first, and the rows, in packed row order, that leave the shared row
    /// behind them. All steps are one segment unless `cut`.
    pub(super) fn segments(
        &self,
        layout: &TimeLayout,
        cut: bool,
    ) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let (mut end, mut rows) = (self.steps(), layout.batch());
        // Packed rows are ordered by what is left of them: those that share the most are the last.
        std::iter::from_fn(move || {
            if end == 0 {
                return None;
            }
            let last = rows;
            while rows > 0 && self.length(layout.row(rows - 1)) == end {
                rows -= 1;
            }
            let start = if cut && rows > 0 { self.length(layout.row(rows - 1)) } else { 0 };
            let segment = (start..end, rows..last);
            end = start;
            Some(segment)
        })
    }

    /// Lets each row of the batch begin with the states that the shared row has when it leaves it.
    pub(super) fn branch(&self, memory: &mut Memory, shared: &Track<'_>, batch: &Track<'_>) {
        let states = if batch.sizes.has_cell_state { 2 } else { 1 };
        let spans = [(shared.saved.h, batch.saved.initial_h), (shared.saved.c, batch.saved.initial_c)];
        for ((source, target), size) in spans.into_iter().zip(batch.sizes.states()).take(states) {
            let [source, target] = memory.many([source, target]);
            for (packed, target) in target.chunks_exact_mut(size).enumerate() {
                if let Some(last) = self.length(batch.layout.row(packed)).checked_sub(1) {
                    target.copy_from_slice(&source[last * size..][..size]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(rows: &[Vec<i32>], backwards: bool) -> Prefix {
        let time = rows.first().map_or(0, Vec::len);
        let mut prefix = Prefix::default();
        prefix.find(&rows.concat(), rows.len(), time, backwards);
        prefix
    }

    proptest! {
        #[test]
        fn what_is_shared_begins_rows_enough(
            lengths in proptest::collection::vec(0_usize..12, 0..70), token in 0_i32..3, backwards: bool
        ) {
            let rows: Vec<Vec<i32>> = lengths
                .iter()
                .map(|&own| (0..12).map(|step| if step < 12 - own { token } else { 3 + (step % 2) as i32 }).collect())
                .map(|mut row: Vec<i32>| {
                    if backwards {
                        row.reverse();
                    }
                    row
                })
                .collect();
            let prefix = find(&rows, backwards);
            let mut sorted: Vec<usize> = lengths.iter().map(|&own| 12 - own).collect();
            sorted.sort_unstable();
            let most = if lengths.len() < ROWS { 0 } else { sorted[lengths.len() - ROWS] };
            let shared: usize = sorted.iter().map(|&length| length.min(most)).sum();
            prop_assert_eq!(prefix.steps(), if shared * 8 < 12 * lengths.len() { 0 } else { most });
            if prefix.steps() == 0 {
                prop_assert!(prefix.mask().is_none());
                return Ok(());
            }
            prop_assert_eq!(prefix.token(), token as usize);
            for (row, &own) in lengths.iter().enumerate() {
                let length = (12 - own).min(most);
                prop_assert_eq!(prefix.length(row), length);
                let mut mask = prefix.mask().unwrap()[row * 12..(row + 1) * 12].to_vec();
                if backwards {
                    mask.reverse();
                }
                prop_assert_eq!(mask, (0..12).map(|step| u8::from(step >= length)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn segments_end_where_rows_leave() {
        let rows: Vec<Vec<i32>> = (0..40)
            .map(|row| (0..6).map(|step| if step < [5, 5, 3, 5, 0][row % 5] { 7 } else { 100 + row as i32 }).collect())
            .collect();
        let prefix = find(&rows, false);
        let mut layout = TimeLayout::default();
        layout.update(40, 6, prefix.mask(), false);
        let cut: Vec<_> = prefix.segments(&layout, true).collect();
        assert_eq!(cut, [(3..5, 16..40), (0..3, 8..16)]);
        let whole: Vec<_> = prefix.segments(&layout, false).map(|(steps, _)| (steps.start, steps.end)).collect();
        assert_eq!(whole, [(0, 5)]);
        assert!(layout.row(39) % 5 != 4 && layout.row(0) % 5 == 4);
    }
}
