//! Moving rows of numbers.

use crate::plan::{Dispatch, Source, groups_for};
use crate::shaders::{MOVE_ROWS, TRANSPOSE};
use foliot_core::tensor::Span;

/// What is moved, and how.
pub(super) struct Move {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// None for zeros.
    pub(super) source: Option<Source>,
    pub(super) target: Source,
    /// Where the rows start in the source and in the target, in elements.
    pub(super) starts: [usize; 2],
    /// How far apart the rows of the source and of the target are.
    pub(super) strides: [usize; 2],
    /// Added to what is there.
    pub(super) accumulate: bool,
    /// Which rows count.
    pub(super) flags: Option<Vec<u32>>,
    /// Batch and steps of a sequence whose time is turned around.
    pub(super) reversed: Option<[usize; 2]>,
    /// Factors (batch, columns) that all steps of a sequence share: where they are, where they start, and the batch.
    pub(super) factors: Option<(Source, usize, usize)>,
}

impl Move {
    pub(super) fn new([rows, columns]: [usize; 2], source: Option<Source>, target: Source) -> Self {
        let (starts, strides) = ([0, 0], [columns, columns]);
        Self {
            rows,
            columns,
            source,
            target,
            starts,
            strides,
            accumulate: false,
            flags: None,
            reversed: None,
            factors: None,
        }
    }

    pub(super) fn push(self, out: &mut Vec<Dispatch>, label: &str) {
        if self.rows * self.columns == 0 {
            return;
        }
        let (factor_start, batch) = self.factors.as_ref().map_or((0, 1), |(_, start, batch)| (*start, *batch));
        let [batch, steps] = self.reversed.unwrap_or([batch, 1]);
        let [[from, to], [from_row, to_row]] = [self.starts, self.strides];
        let sizes = [self.rows, self.columns, batch, steps, from, to, from_row, to_row, factor_start];
        let dispatch = Dispatch::new(MOVE_ROWS, label, &sizes, groups_for(self.rows * self.columns))
            .flag("ACCUMULATE", self.accumulate)
            .flag("FLAGGED", self.flags.is_some())
            .flag("REVERSED", self.reversed.is_some())
            .flag("SCALED", self.factors.is_some())
            .flag("CLEARED", self.source.is_none());
        out.push(
            dispatch
                .bind(0, self.source.unwrap_or(Source::Nothing))
                .bind(1, self.target)
                .bind(2, Source::Words(self.flags.unwrap_or_default()))
                .bind(3, self.factors.map_or(Source::Nothing, |(factors, ..)| factors)),
        );
    }
}

/// Zeroes a span.
pub fn clear(out: &mut Vec<Dispatch>, span: Span) {
    Move::new([1, span.len], None, Source::Floats(span)).push(out, "clear");
}

/// `target += source`
pub fn add(out: &mut Vec<Dispatch>, target: Span, source: Span) {
    let shape = [1, source.len];
    Move { accumulate: true, ..Move::new(shape, Some(Source::Floats(source)), Source::Floats(target)) }
        .push(out, "add");
}

/// `target` (columns, rows) becomes the transpose of `source` (rows, columns).
pub(super) fn transpose(
    out: &mut Vec<Dispatch>,
    label: &str,
    [rows, columns]: [usize; 2],
    source: Source,
    target: Span,
) {
    let sizes = [rows, columns, 1, 1, 0, 0, columns, rows, 0];
    let dispatch = Dispatch::new(TRANSPOSE, label, &sizes, groups_for(rows * columns));
    out.push(dispatch.bind(0, source).bind(1, Source::Floats(target)));
}
