//! The distinct tokens of a batch, where an embedding is folded into the recurrent layer that reads it.
//!
//! A text repeats its words: `table[id]·kernel + bias` is formed once for each distinct token, in a *record*, and each
//! element of the batch refers to its token's record. The gradient of the projections is summed for each record first; the
//! gradients of kernel, bias and table then are sums over records. Only the order of the sums differs from the plain way.

use super::prefix::Prefix;
use super::rows_per_task;
use super::weights::PackedWeights;
use crate::cpu::{Parts, for_each_rows};
use crate::parameter::Parameter;
use crate::scan::Input;
use crate::scan::gradients::Rows;
use crate::scan::layout::TimeLayout;
use crate::threads;
use foliot_simd::dispatch::{Level, dispatch};
use foliot_simd::gemm::{Init, MatrixMut, MatrixRef, Operand, Packed, gemm};
use foliot_simd::isa::{Isa, Kernel};
use std::ops::Range;

/// What a token without a record refers to.
const NONE: u32 = u32::MAX;

/// Values of projections (16 MB) that are kept from one batch to the next at most, beyond what one batch needs.
const KEPT_VALUES: usize = 4 << 20;

/// The distinct tokens and what is known of them.
#[derive(Default)]
pub(super) struct Tokens {
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
    /// Gives each element of the batch its record; makes the records that are missing. `ids` (batch, time) have been checked
    /// against the table.
    ///
    /// With `afresh`, which a backward pass needs, there are no records but those of this batch.
    pub(super) fn project(
        &mut self,
        level: Level,
        layout: &TimeLayout,
        prefix: &Prefix,
        ids: &[i32],
        table: &Parameter,
        weights: &PackedWeights,
        afresh: bool,
    ) {
        let [input_dim, features] = *table.shape() else { return };
        // Inputs are the same for all gates here, so there is one projection.
        let projection = &weights.projections[0];
        (self.features, self.columns) = (features, projection.bias.len());
        let values = table.read();
        let (version, weights) = (table.version(), &weights.versions);
        let kept = (self.distinct.len() + layout.elements()) * self.columns <= KEPT_VALUES;
        if afresh || !kept || self.versions.0 != version || self.versions.1 != *weights {
            self.distinct.drain(..).for_each(|token| self.record_of[token] = NONE);
            self.versions = (version, weights.clone());
        }
        self.record_of.resize(input_dim, NONE);
        let known = self.distinct.len();
        self.records.clear();
        let time = ids.len() / layout.batch().max(1);
        let mut refer = |token: usize| {
            let record = &mut self.record_of[token];
            if *record == NONE {
                // Each record takes an int32 id at least.
                *record = self.distinct.len() as u32;
                self.distinct.push(token);
            }
            self.records.push(*record);
        };
        for step in 0..layout.steps() {
            for row in 0..layout.active(step) {
                let (origin, moment) = layout.origin(row, step);
                refer(ids[origin * time + moment] as usize);
            }
        }
        (0..prefix.steps()).for_each(|_| refer(prefix.token()));
        self.embedded.resize(self.distinct.len() * features, 0.0);
        self.projected.resize(self.distinct.len() * self.columns, 0.0);
        let (embedded, projected) = (Parts(self.embedded.as_mut_ptr()), Parts(self.projected.as_mut_ptr()));
        let (distinct, columns) = (&self.distinct, self.columns);
        for_each_rows(distinct.len() - known, rows_per_task(features, columns), |start, count| {
            let first = known + start;
            // SAFETY: tasks have disjoint records.
            let (embedded, projected) = unsafe {
                (embedded.part(first * features, count * features), projected.part(first * columns, count * columns))
            };
            for (row, &token) in embedded.chunks_exact_mut(features.max(1)).zip(&distinct[first..]) {
                row.copy_from_slice(&values[token * features..][..features]);
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
