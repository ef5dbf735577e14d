//! Which row of the batch is at which time step, with padding taken out.
//!
//! Rows are ordered by falling length, and a row's k-th step is its k-th unmasked one, wherever it lies in time. Step k then
//! works on a prefix of the rows, padding costs nothing, and left, right and interior masks are the same case. An array in
//! *packed order* holds the rows of step 0, then those of step 1, and so on. Without a mask packed order is time-major
//! order.

use std::ops::Range;

/// Steps that are packed at a time. A row's steps lie together where the caller has them, far from the next row's: a few of them at a
/// time use whole pages and cache lines. 4 to 8 are fastest, by a third (32 features, AVX2).
pub const PACKED_TOGETHER: usize = 8;

/// The order in which a scan visits the elements of a batch.
#[derive(Default)]
pub struct TimeLayout {
    batch: usize,
    time: usize,
    /// Whether every row has every step.
    full: bool,
    /// Whether packed order is the order in memory.
    identity: bool,
    /// For each packed row its row in the batch.
    rows: Vec<usize>,
    /// For each packed row its number of steps.
    lengths: Vec<usize>,
    /// Where each step starts, in rows; one more than there are steps.
    offsets: Vec<usize>,
    /// For each element in packed order its position in the order of processing.
    positions: Vec<usize>,
    backwards: bool,
}

impl TimeLayout {
    /// Lays out a batch; `mask` is (batch, time), non-zero where there is data.
    pub fn update(&mut self, batch: usize, time: usize, mask: Option<&[u8]>, backwards: bool) {
        // A mask that masks nothing is none, and costs no more.
        let mask = mask.filter(|mask| mask.contains(&0));
        self.batch = batch;
        self.time = time;
        self.backwards = backwards;
        self.full = mask.is_none();
        self.identity = self.full && !backwards;
        self.rows.clear();
        self.rows.extend(0..batch);
        self.lengths.clear();
        self.offsets.clear();
        self.offsets.push(0);
        self.positions.clear();
        let Some(mask) = mask else {
            self.lengths.resize(batch, time);
            self.offsets.extend((1..=time).map(|step| step * batch));
            if backwards {
                self.positions.extend((0..time).flat_map(|step| std::iter::repeat_n(step, batch)));
            }
            return;
        };
        let length = |row: &[u8]| row.iter().filter(|&&flag| flag != 0).count();
        self.lengths.extend(mask.chunks_exact(time).map(length));
        // Rows of one length stay in order, so that it depends on the lengths only; a stable sort would ask for memory.
        let lengths = &self.lengths;
        self.rows.sort_unstable_by_key(|&row| (std::cmp::Reverse(lengths[row]), row));
        self.lengths.sort_unstable_by(|a, b| b.cmp(a));
        let steps = self.lengths.first().copied().unwrap_or(0);
        let mut active = batch;
        for step in 0..steps {
            while active > 0 && self.lengths[active - 1] <= step {
                active -= 1;
            }
            self.offsets.push(self.offsets[step] + active);
        }
        self.positions.resize(self.offsets[steps], 0);
        for (packed, &row) in self.rows.iter().enumerate() {
            let mut step = 0;
            for position in 0..time {
                if mask[row * time + self.time_at(position)] != 0 {
                    self.positions[self.offsets[step] + packed] = position;
                    step += 1;
                }
            }
        }
    }

    /// The time step that is processed at a position.
    #[must_use]
    pub fn time_at(&self, position: usize) -> usize {
        if self.backwards { self.time - 1 - position } else { position }
    }

    /// Whether packed order is the order in memory, so that nothing needs to be copied.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.identity
    }

    /// Whether every row has every step.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Rows of the batch.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Steps of the longest row.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Where a step starts in packed order, in rows.
    #[must_use]
    pub fn offset(&self, step: usize) -> usize {
        self.offsets[step]
    }

    /// The number of rows that take part in a step: the first ones in packed order.
    #[must_use]
    pub fn active(&self, step: usize) -> usize {
        if step < self.steps() { self.offsets[step + 1] - self.offsets[step] } else { 0 }
    }

    /// The number of elements in packed order.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.offsets[self.steps()]
    }

    /// The batch row of a packed row.
    #[must_use]
    pub fn row(&self, packed: usize) -> usize {
        self.rows[packed]
    }

    /// The number of steps of a packed row.
    #[must_use]
    pub fn length(&self, packed: usize) -> usize {
        self.lengths[packed]
    }

    /// The position in the order of processing of a packed row's step.
    #[must_use]
    pub fn position(&self, packed: usize, step: usize) -> usize {
        if self.identity { step } else { self.positions[self.offsets[step] + packed] }
    }

    /// The batch row and the time step of a packed row's step.
    #[must_use]
    pub fn origin(&self, packed: usize, step: usize) -> (usize, usize) {
        (self.rows[packed], self.time_at(self.position(packed, step)))
    }

    /// Whether the position that is processed last is masked in a packed row.
    #[must_use]
    pub fn ends_masked(&self, packed: usize) -> bool {
        match self.lengths[packed].checked_sub(1) {
            Some(last) => self.position(packed, last) + 1 != self.time,
            None => self.time > 0,
        }
    }

    /// Copies the `width` values that `source` has for a row of the batch at a time step into packed order, which begins with
    /// the first of the steps.
    pub fn pack<'s>(
        &self,
        steps: Range<usize>,
        width: usize,
        source: impl Fn(usize, usize) -> &'s [f32],
        packed: &mut [f32],
    ) {
        let first = self.offsets[steps.start];
        for start in steps.clone().step_by(PACKED_TOGETHER) {
            let end = steps.end.min(start + PACKED_TOGETHER);
            for row in 0..self.active(start) {
                for step in start..end.min(self.lengths[row]) {
                    let (origin, time) = self.origin(row, step);
                    let target = (self.offsets[step] - first + row) * width;
                    packed[target..target + width].copy_from_slice(source(origin, time));
                }
            }
        }
    }

    /// The reverse of [`TimeLayout::pack`], into time-major memory; what belongs to no step is left alone.
    pub fn unpack(&self, steps: Range<usize>, width: usize, packed: &[f32], target: &mut [f32]) {
        let first = self.offsets[steps.start];
        for step in steps {
            for row in 0..self.active(step) {
                let (origin, time) = self.origin(row, step);
                let to = (time * self.batch + origin) * width;
                let from = (self.offsets[step] - first + row) * width;
                target[to..to + width].copy_from_slice(&packed[from..from + width]);
            }
        }
    }

    /// Copies rows (batch, width) into packed row order.
    pub fn pack_rows(&self, width: usize, source: &[f32], packed: &mut [f32]) {
        for (target, &row) in packed.chunks_exact_mut(width).zip(&self.rows) {
            target.copy_from_slice(&source[row * width..(row + 1) * width]);
        }
    }

    /// The reverse of [`TimeLayout::pack_rows`].
    pub fn unpack_rows(&self, width: usize, packed: &[f32], target: &mut [f32]) {
        for (source, &row) in packed.chunks_exact(width).zip(&self.rows) {
            target[row * width..(row + 1) * width].copy_from_slice(source);
        }
    }

    /// The positions at which a packed row shows the output of a step: its own and the masked ones that follow.
    fn shown(&self, packed: usize, step: usize) -> Range<usize> {
        let more = step + 1 < self.lengths[packed];
        self.position(packed, step)..if more { self.position(packed, step + 1) } else { self.time }
    }

    /// The masked positions before a packed row's first step.
    fn leading(&self, packed: usize) -> Range<usize> {
        0..if self.lengths[packed] > 0 { self.position(packed, 0) } else { self.time }
    }

    /// Writes the outputs of some steps in the order of processing, time-major: a masked position repeats the output before
    /// it (the initial state when there is none, which is written with step 0), or is zero. `packed` begins with the first of
    /// the steps.
    pub fn hold(
        &self,
        steps: Range<usize>,
        width: usize,
        packed: &[f32],
        initial: &[f32],
        zero_masked: bool,
        target: &mut [f32],
    ) {
        let first = self.offsets[steps.start];
        for (row, &to_row) in self.rows.iter().enumerate() {
            let mut write = |position: usize, source: Option<&[f32]>| {
                let target = &mut target[(position * self.batch + to_row) * width..][..width];
                match source {
                    Some(source) => target.copy_from_slice(source),
                    None => target.fill(0.0),
                }
            };
            let masked = |source| if zero_masked { None } else { Some(source) };
            if steps.start == 0 {
                let source = &initial[row * width..][..width];
                self.leading(row).for_each(|position| write(position, masked(source)));
            }
            for step in steps.start..steps.end.min(self.lengths[row]) {
                let source = &packed[(self.offsets[step] - first + row) * width..][..width];
                let mut positions = self.shown(row, step);
                positions.next().into_iter().for_each(|position| write(position, Some(source)));
                positions.for_each(|position| write(position, masked(source)));
            }
        }
    }

    /// The gradient of [`TimeLayout::hold`]: the steps' part of `packed`, which begins with the first of them, is overwritten,
    /// `initial` is added to.
    pub fn hold_gradient(
        &self,
        steps: Range<usize>,
        width: usize,
        gradient: &[f32],
        zero_masked: bool,
        packed: &mut [f32],
        initial: &mut [f32],
    ) {
        let first = self.offsets[steps.start];
        for (row, &from_row) in self.rows.iter().enumerate() {
            let add = |position: usize, target: &mut [f32]| {
                let source = &gradient[(position * self.batch + from_row) * width..][..width];
                target.iter_mut().zip(source).for_each(|(sum, value)| *sum += value);
            };
            if steps.start == 0 && !zero_masked {
                let target = &mut initial[row * width..][..width];
                self.leading(row).for_each(|position| add(position, target));
            }
            for step in steps.start..steps.end.min(self.lengths[row]) {
                let target = &mut packed[(self.offsets[step] - first + row) * width..][..width];
                target.fill(0.0);
                let mut positions = self.shown(row, step);
                if zero_masked {
                    positions.end = positions.start + 1;
                }
                positions.for_each(|position| add(position, target));
            }
        }
    }
}
