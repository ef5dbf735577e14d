//! The distinct tokens of a batch, where an embedding is folded into the recurrent layer that reads it, or where the layer's
//! input is one-hot: such rows are tokens, too, with the unit vectors as their embedding.
//!
//! A text repeats its words: `table[id]·kernel + bias` is formed once for each distinct token, in a *record*, and each
//! element of the batch refers to its token's record. The gradient of the projections is summed for each record first; the
//! gradients of kernel, bias and table then are sums over records. Only the order of the sums differs from the plain way.

use super::prefix::Prefix;
use super::rows_per_task;
use super::weights::PackedWeights;
use crate::cpu::{ELEMENTS_PER_TASK, Parts, for_each_rows};
use crate::parameter::Parameter;
use crate::scan::Input;
use crate::scan::gradients::Rows;
use crate::scan::layout::TimeLayout;
use crate::threads;
use foliot_simd::dispatch::{Level, dispatch};
use foliot_simd::gemm::{Init, MatrixMut, MatrixRef, Operand, Packed, gemm};
use foliot_simd::isa::{Isa, Kernel};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a token without a record refers to.
const NONE: u32 = u32::MAX;

/// Values of projections (16 MB) that are kept from one batch to the next at most, beyond what one batch needs.
const KEPT_VALUES: usize = 4 << 20;

/// The shortest one-hot rows that are taken for tokens: below, a product costs no more than looking its result up.
const FEWEST_FEATURES: usize = 8;

/// What tokens are of, and their vectors.
pub(super) enum Vocabulary<'a> {
    /// Ids (batch, time), which have been checked against the table.
    Table {
        /// The ids.
        ids: &'a [i32],
        /// The vectors.
        table: &'a Parameter,
    },
    /// What [`Tokens::find_one_hot`] has found.
    OneHot {
        /// The length of the rows.
        features: usize,
    },
}

/// The distinct tokens and what is known of them.
#[derive(Default)]
pub(super) struct Tokens {
    /// The token of each one-hot row in packed order; behind the last one comes the token of the rows of zeros.
    found: Vec<u32>,
    /// The record of each token of the vocabulary.
    record_of: Vec<u32>,
    /// The token of each record, in the order of first appearance.
    distinct: Vec<usize>,
    /// The record of each element in packed order, then those of the prefix that rows share.
    records: Vec<u32>,
    features: usize,
    columns: usize,
    /// (records, features): the tokens' rows of the table.
    embedded: Vec<f32>,
    /// (records, columns): their projections, in the order of the slots.
    projected: Vec<f32>,
    /// Which values of the table and of the layer's weights the records belong to.
    versions: (u64, Vec<u64>),
}

impl Tokens {
    /// Looks for the tokens of an input (batch, time, features) whose rows are one-hot, or zero. Says whether all of them are.
    pub(super) fn find_one_hot<'s>(
        &mut self,
        level: Level,
        layout: &TimeLayout,
        features: usize,
        source: impl Fn(usize, usize) -> &'s [f32] + Sync,
    ) -> bool {
        if features < FEWEST_FEATURES || layout.elements() == 0 {
            return false;
        }
        let token = |row: usize, step: usize| {
            let (row, time) = layout.origin(row, step);
            dispatch(level, HotPlace { row: source(row, time) })
        };
        // Most inputs are anything else from the very beginning.
        if token(0, 0).is_none() {
            return false;
        }
        self.found.resize(layout.elements(), 0);
        let (found, is_other) = (Parts(self.found.as_mut_ptr()), AtomicBool::new(false));
        for_each_rows(layout.steps(), ELEMENTS_PER_TASK / (layout.batch() * features) + 1, |start, count| {
            for step in start..start + count {
                // SAFETY: tasks have disjoint steps, and each step has its own rows.
                let found = unsafe { found.part(layout.offset(step), layout.active(step)) };
                for (row, found) in found.iter_mut().enumerate() {
                    match token(row, step) {
                        Some(place) => *found = place as u32,
                        None => is_other.store(true, Ordering::Relaxed),
                    }
                }
                if is_other.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        !is_other.into_inner()
    }

    /// Gives each element of the batch its record; makes the records that are missing.
    ///
    /// With `afresh`, which a backward pass needs, there are no records but those of this batch.
    pub(super) fn project(
        &mut self,
        level: Level,
        layout: &TimeLayout,
        prefix: &Prefix,
        vocabulary: &Vocabulary<'_>,
        weights: &PackedWeights,
        afresh: bool,
    ) {
        let (input_dim, features, version) = match vocabulary {
            Vocabulary::Table { table, .. } => {
                let [input_dim, features] = *table.shape() else { return };
                (input_dim, features, table.version())
            }
            Vocabulary::OneHot { features } => (features + 1, *features, 0),
        };
        // Inputs are the same for all gates here, so there is one projection.
        let projection = &weights.projections[0];
        (self.features, self.columns) = (features, projection.bias.len());
        let weights = &weights.versions;
        let kept = (self.distinct.len() + layout.elements()) * self.columns <= KEPT_VALUES;
        if afresh || !kept || self.versions.0 != version || self.versions.1 != *weights {
            self.distinct.drain(..).for_each(|token| self.record_of[token] = NONE);
            self.versions = (version, weights.clone());
        }
        self.record_of.resize(input_dim, NONE);
        let known = self.distinct.len();
        self.records.clear();
        let mut refer = |token: usize| {
            let record = &mut self.record_of[token];
            if *record == NONE {
                // Each record takes an int32 id at least.
                *record = self.distinct.len() as u32;
                self.distinct.push(token);
            }
            self.records.push(*record);
        };
        match vocabulary {
            Vocabulary::Table { ids, .. } => {
                let time = ids.len() / layout.batch().max(1);
                for step in 0..layout.steps() {
                    for row in 0..layout.active(step) {
                        let (origin, moment) = layout.origin(row, step);
                        refer(ids[origin * time + moment] as usize);
                    }
                }
            }
            Vocabulary::OneHot { .. } => self.found.iter().for_each(|&token| refer(token as usize)),
        }
        (0..prefix.steps()).for_each(|_| refer(prefix.token()));
        self.embedded.resize(self.distinct.len() * features, 0.0);
        self.projected.resize(self.distinct.len() * self.columns, 0.0);
        let (embedded, projected) = (Parts(self.embedded.as_mut_ptr()), Parts(self.projected.as_mut_ptr()));
        let (distinct, columns) = (&self.distinct, self.columns);
        let table = match vocabulary {
            Vocabulary::Table { table, .. } => Some(table.read()),
            Vocabulary::OneHot { .. } => None,
        };
        let values = table.as_deref();
        for_each_rows(distinct.len() - known, rows_per_task(features, columns), |start, count| {
            let first = known + start;
            // SAFETY: tasks have disjoint records.
            let (embedded, projected) = unsafe {
                (embedded.part(first * features, count * features), projected.part(first * columns, count * columns))
            };
            for (row, &token) in embedded.chunks_exact_mut(features.max(1)).zip(&distinct[first..]) {
                match values {
                    Some(values) => row.copy_from_slice(&values[token * features..][..features]),
                    None => row.iter_mut().enumerate().for_each(|(place, value)| *value = f32::from(place == token)),
                }
            }
            let (a, init) = (MatrixRef::new(embedded, features, 1), Init::Bias(&projection.bias));
            let c = MatrixMut::new(projected, columns);
            gemm(level, count, columns, features, a, Operand::Packed(&projection.kernel), init, c);
        });
    }

    /// What a scan reads whose elements' records begin with the record `first`.
    pub(super) fn input(&self, first: usize) -> Input<'_> {
        Input::Tokens { projected: &self.projected, records: &self.records[first..] }
    }

    /// The number of records.
    pub(super) fn count(&self) -> usize {
        self.distinct.len()
    }

    /// The tokens' rows of the table.
    pub(super) fn embedded(&self) -> Rows<'_> {
        Rows::whole(&self.embedded, self.features)
    }
}

/// The place of the one in a row of zeros, behind the last one where there is none; none for any other row.
struct HotPlace<'a> {
    row: &'a [f32],
}

impl Kernel for HotPlace<'_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> Option<usize> {
        let (mut place, zero) = (self.row.len(), isa.splat(0.0));
        for (chunk, values) in self.row.chunks(I::LANES).enumerate() {
            let n = values.len();
            // SAFETY: the pointer and the length are those of `values`, which is at most `LANES` long; what is not loaded is zero.
            let x =
                unsafe { if n == I::LANES { isa.load(values.as_ptr()) } else { isa.load_partial(values.as_ptr(), n) } };
            if isa.any(isa.mask_not(isa.eq(x, zero))) {
                for (lane, &value) in values.iter().enumerate() {
                    if value == 1.0 && place == self.row.len() {
                        place = chunk * I::LANES + lane;
                    } else if value != 0.0 {
                        return None;
                    }
                }
            }
        }
        Some(place)
    }
}

/// The sums of the tokens' gradients.
#[derive(Default)]
pub(super) struct TokenGradients {
    columns: usize,
    /// (records, columns): the gradients of the projections.
    projected: Vec<f32>,
    /// (records, features): the gradients of the rows.
    embedded: Vec<f32>,
}

impl TokenGradients {
    /// Starts the sums of the projections' gradients anew.
    pub(super) fn clear(&mut self, tokens: &Tokens) {
        self.columns = tokens.columns;
        self.projected.clear();
        self.projected.resize(tokens.count() * tokens.columns, 0.0);
    }

    /// Columns of the summed gradients of the projections.
    pub(super) fn columns(&self, start: usize, width: usize) -> Rows<'_> {
        Rows { values: &self.projected, stride: self.columns, start, width }
    }

    /// Adds up the gradients of the projections, which fill the first columns of the elements' `gates`, for each record;
    /// `records` are those whose elements' gates these are, the last of all first.
    pub(super) fn add(&mut self, level: Level, tokens: &Tokens, gates: &[f32], stride: usize, records: Range<usize>) {
        // Threads share the columns, not the records: the order of each sum is that of the elements, and every thread has
        // the same work, whatever the tokens.
        let share = self.columns.div_ceil(threads::count()).next_multiple_of(16);
        let target = Parts(self.projected.as_mut_ptr());
        let (columns, records) = (self.columns, &tokens.records[records]);
        threads::for_each(columns.div_ceil(share), |task| {
            let start = task * share;
            let width = share.min(columns - start);
            dispatch(level, AddRows { source: gates, stride, target, columns, start, width, records });
        });
    }

    /// Adds the gradient of the table's rows: the summed gradients times the transposed kernel.
    pub(super) fn add_to_table(&mut self, level: Level, tokens: &Tokens, transposed: &Packed, target: &mut [f32]) {
        let Tokens { distinct, features, columns, .. } = tokens;
        let (features, columns) = (*features, *columns);
        self.embedded.resize(distinct.len() * features, 0.0);
        let (rows, target) = (Parts(self.embedded.as_mut_ptr()), Parts(target.as_mut_ptr()));
        let gradient = &self.projected;
        for_each_rows(distinct.len(), rows_per_task(features, columns), |first, count| {
            // SAFETY: tasks have disjoint records.
            let rows = unsafe { rows.part(first * features, count * features) };
            let a = MatrixRef::new(&gradient[first * columns..], columns, 1);
            let c = MatrixMut::new(rows, features);
            gemm(level, count, features, columns, a, Operand::Packed(transposed), Init::Zero, c);
            for (row, &token) in rows.chunks_exact(features.max(1)).zip(&distinct[first..]) {
                // SAFETY: different records are different tokens.
                let sums = unsafe { target.part(token * features, features) };
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        });
    }
}

/// Adds some columns of each source row to a target row, from the last row to the first as all sums of a backward pass.
struct AddRows<'a> {
    source: &'a [f32],
    stride: usize,
    target: Parts,
    columns: usize,
    start: usize,
    width: usize,
    records: &'a [u32],
}

impl Kernel for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { source, stride, target, columns, start, width, records } = self;
        assert!(records.is_empty() || (records.len() - 1) * stride + start + width <= source.len());
        for (row, &record) in records.iter().enumerate().rev() {
            // SAFETY: the source was checked; each record has a row of the target, whose columns from `start` on are this
            // task's alone.
            unsafe {
                let source = source.as_ptr().add(row * stride + start);
                let target = target.0.add(record as usize * columns + start);
                let mut column = 0;
                while column < width {
                    let n = (width - column).min(I::LANES);
                    let sum = isa.add(isa.load_partial(target.add(column), n), isa.load_partial(source.add(column), n));
                    isa.store_partial(target.add(column), sum, n);
                    column += I::LANES;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_hot_rows_are_found_where_they_are(
            places in proptest::collection::vec(0_usize..20, 1..40), batch in 1_usize..5, backwards: bool
        ) {
            let time = places.len().div_ceil(batch);
            // Nineteen places, and a row of zeros.
            let at = |row: usize, time: usize, steps: usize| places[(row * steps + time) % places.len()];
            let mut input = vec![0.0_f32; batch * time * 19];
            for row in 0..batch {
                for step in 0..time {
                    if let Some(value) = input[(row * time + step) * 19..][..19].get_mut(at(row, step, time)) {
                        *value = 1.0;
                    }
                }
            }
            let mut layout = TimeLayout::default();
            layout.update(batch, time, None, backwards);
            for &level in foliot_simd::dispatch::available() {
                let mut tokens = Tokens::default();
                let source = |row: usize, step: usize| &input[(row * time + step) * 19..][..19];
                prop_assert!(tokens.find_one_hot(level, &layout, 19, source));
                for step in 0..layout.steps() {
                    for row in 0..layout.active(step) {
                        let (origin, moment) = layout.origin(row, step);
                        prop_assert_eq!(tokens.found[layout.offset(step) + row] as usize, at(origin, moment, time));
                    }
                }
            }
        }

        #[test]
        fn other_rows_are_not_one_hot(place in 0_usize..21, other in 0_usize..21, value in prop::sample::select(vec![
            2.0_f32, 0.999_999_94, f32::NAN, f32::INFINITY, -1.0, 1e-40, 1.0
        ])) {
            prop_assume!(place != other);
            let mut row = vec![0.0_f32; 21];
            (row[place], row[other]) = (1.0, value);
            for &level in foliot_simd::dispatch::available() {
                prop_assert_eq!(dispatch(level, HotPlace { row: &row }), None);
                row[other] = -0.0;
                prop_assert_eq!(dispatch(level, HotPlace { row: &row }), Some(place));
                row[other] = value;
            }
        }
    }
}
