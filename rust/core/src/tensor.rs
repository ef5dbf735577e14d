//! Shapes, element types and where tensors lie in a plan's memory.

use crate::{Error, Result};
use std::fmt;

/// The element type of a tensor in a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DType {
    /// 32-bit floating point.
    Float32,
    /// 32-bit integers: token ids and sparse labels.
    Int32,
}

/// The axes of a tensor, batch first, as the user counts them. `None` is an axis whose length the data decide.
///
/// Tensors of rank three and more lie in memory with their first two axes exchanged (time, batch, ...): the rows that one
/// time step works on are then contiguous. [`Shape::is_time_major`] says which ones.
#[derive(Clone, PartialEq, Eq)]
pub struct Shape(pub Vec<Option<usize>>);

impl Shape {
    /// A shape with every axis known.
    #[must_use]
    pub fn known(axes: &[usize]) -> Self {
        Self(axes.iter().copied().map(Some).collect())
    }

    /// The number of axes, the batch axis included.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The length of one axis; an unknown length counts as zero.
    #[must_use]
    pub fn axis(&self, axis: usize) -> usize {
        self.0[axis].unwrap_or(0)
    }

    /// The number of elements; an unknown length counts as zero.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.0.iter().map(|axis| axis.unwrap_or(0)).product()
    }

    /// The length of the last axis.
    #[must_use]
    pub fn features(&self) -> usize {
        self.0.last().copied().flatten().unwrap_or(0)
    }

    /// How many rows of [`Shape::features`] values there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.0[..self.rank().saturating_sub(1)].iter().map(|axis| axis.unwrap_or(0)).product()
    }

    /// Whether the first two axes are exchanged in memory.
    #[must_use]
    pub fn is_time_major(&self) -> bool {
        self.rank() >= 3
    }

    /// Where in memory the element of a sample lies that is the `offset`-th in C order.
    #[must_use]
    pub fn position(&self, row: usize, offset: usize) -> usize {
        let batch = self.axis(0);
        if !self.is_time_major() {
            return row * self.elements().checked_div(batch).unwrap_or(0) + offset;
        }
        let inner: usize = self.0[2..].iter().map(|axis| axis.unwrap_or(0)).product();
        (offset.checked_div(inner).unwrap_or(0) * batch + row) * inner + offset.checked_rem(inner).unwrap_or(0)
    }

    /// Which of `flags` flags belongs to a row in memory order. The mask of a sequence is (batch, time), batch first; one of
    /// any other tensor has a flag for each row, in the order of the rows.
    #[must_use]
    pub fn flag_of_row(&self, flags: usize, row: usize) -> usize {
        if self.rank() != 3 && flags == self.rows() {
            return row;
        }
        let (batch, time) = (self.axis(0), self.axis(1));
        let rest = self.rows().checked_div(batch * time).unwrap_or(0).max(1);
        row / rest % batch * time + row / rest / batch
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "(")?;
        for (position, axis) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            match axis {
                Some(length) => write!(formatter, "{separator}{length}")?,
                None => write!(formatter, "{separator}None")?,
            }
        }
        write!(formatter, "{})", if self.rank() == 1 { "," } else { "" })
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A range of elements in one of the backend's memories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first element.
    pub offset: usize,
    /// The number of elements.
    pub len: usize,
}

impl Span {
    /// The part that starts at `start` and holds `len` elements.
    ///
    /// # Panics
    /// When the part does not lie inside: a fault of the plan, never of the data.
    #[must_use]
    pub fn part(self, start: usize, len: usize) -> Self {
        assert!(start + len <= self.len, "part {start}+{len} of a span of {}", self.len);
        Self { offset: self.offset + start, len }
    }
}

/// Elements of an array in C order from batch-first to memory order: calls `copy(source, target, run)` for each contiguous
/// run. `rows` picks the batch rows.
pub fn for_each_run(shape: &Shape, rows: usize, mut copy: impl FnMut(usize, usize, usize)) {
    if shape.is_time_major() {
        let time = shape.axis(1);
        let inner: usize = shape.0[2..].iter().map(|axis| axis.unwrap_or(0)).product();
        for row in 0..rows {
            for step in 0..time {
                copy((row * time + step) * inner, (step * rows + row) * inner, inner);
            }
        }
    } else {
        let inner: usize = shape.0[1..].iter().map(|axis| axis.unwrap_or(0)).product();
        for row in 0..rows {
            copy(row * inner, row * inner, inner);
        }
    }
}

/// 64-byte aligned floats, so that a vector load never straddles cache lines without need.
#[derive(Default)]
pub struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// The refusal of a batch whose `values` floats do not fit into memory.
pub(crate) fn too_large(values: usize) -> Error {
    let received = format!("one that takes {:.1} GB", values as f64 * 4e-9);
    Error::value("batch_size", "a batch that fits into memory", received)
}

impl Buffer {
    /// Makes room for `len` elements. What it held is lost when it has to grow; new memory is zero.
    ///
    /// # Errors
    /// When there is not so much memory.
    pub fn resize(&mut self, len: usize) -> Result<()> {
        let lines = len.div_ceil(16);
        if lines > self.lines.len() {
            let mut grown = Vec::new();
            grown.try_reserve_exact(lines).map_err(|_| too_large(len))?;
            grown.resize(lines, Line([0.0; 16]));
            self.lines = grown;
        }
        self.len = len;
        Ok(())
    }

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The number of elements that there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.lines.len() * 16
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the elements start.
    #[must_use]
    pub fn as_mut_ptr(&mut self) -> *mut f32 {
        self.lines.as_mut_ptr().cast()
    }

    /// The elements.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        // SAFETY: `Line` is sixteen floats without padding and `resize` keeps `len <= 16 * lines.len()`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    /// The elements, to write.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as in `as_slice`; the borrow of `self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
