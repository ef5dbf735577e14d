//! Recurrent kernels as the products read them: whole, or with heads their diagonal blocks only.
//!
//! With heads the units fall into groups, and a group sees the states of its own group alone: the matrix (width, gates·units)
//! has a block for each head on its diagonals and nothing elsewhere, of which only the blocks are stored and multiplied. A
//! packed block of columns then meets the rows of its own heads, a *run*; where a head is narrower than a packed block, those
//! of the few heads that share it.

use foliot_simd::dispatch::Level;
use foliot_simd::gemm::Packed;
use std::ops::Range;

/// Packed blocks of columns that meet the same rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The blocks.
    pub blocks: Range<usize>,
    /// The first row of the matrix that they meet, which is the first in their packing.
    pub first: usize,
    /// How many rows.
    pub k: usize,
}

/// The right operand of a recurrent product.
pub struct Panels {
    /// The columns; with heads with as many rows as a block of them meets at most.
    pub packed: Packed,
    /// Which rows they meet; empty if all meet all.
    pub runs: Vec<Run>,
}

/// The shape of a recurrent kernel: (width, gates·units), or with several heads (heads, width/heads, gates·units/heads).
#[derive(Clone, Copy, Debug)]
pub struct KernelShape {
    /// The length of h.
    pub width: usize,
    /// The size of a gate.
    pub units: usize,
    /// Column blocks.
    pub gates: usize,
    /// Heads.
    pub heads: usize,
}

impl KernelShape {
    /// The length of h, and the size of a gate, of one head.
    #[must_use]
    pub fn head(&self) -> (usize, usize) {
        (self.width / self.heads, self.units / self.heads)
    }

    /// The columns of `count` gates from `gate` on, interleaved; without any row for a cell without a kernel.
    #[must_use]
    pub fn forward(&self, level: Level, kernel: &[f32], gate: usize, count: usize) -> Panels {
        let (columns, units) = (self.gates * self.units, self.units);
        if self.heads == 1 {
            let k = if kernel.is_empty() { 0 } else { self.width };
            let from = &kernel[(gate * units).min(kernel.len())..];
            return Panels::whole(Packed::interleaved(level, from, k, count, units, columns, 1));
        }
        let (rows, units) = self.head();
        let value = |head: usize, row: usize, index: usize, unit: usize| {
            kernel[((head * rows + row) * self.gates + gate + index) * units + unit]
        };
        Panels::diagonal(level, self.heads, rows, count, units, value)
    }

    /// The transposed columns of `count` gates from `gate` on; with several heads of one gate.
    #[must_use]
    pub fn backward(&self, level: Level, kernel: &[f32], gate: usize, count: usize) -> Panels {
        let (columns, units) = (self.gates * self.units, self.units);
        if self.heads == 1 {
            let k = if kernel.is_empty() { 0 } else { count * units };
            let from = &kernel[(gate * units).min(kernel.len())..];
            return Panels::whole(Packed::plain(level, from, k, self.width, 1, columns));
        }
        let (rows, units) = self.head();
        let value = |head: usize, unit: usize, _: usize, row: usize| {
            kernel[((head * rows + row) * self.gates + gate) * units + unit]
        };
        Panels::diagonal(level, self.heads, units, 1, rows, value)
    }
}

impl Panels {
    /// A matrix whose columns meet all rows.
    #[must_use]
    pub fn whole(packed: Packed) -> Self {
        Self { packed, runs: Vec::new() }
    }

    /// Packs the blocks of `rows` by `gates`·`units` values of each head, which `value` tells by head, row, gate and unit.
    fn diagonal(
        level: Level,
        heads: usize,
        rows: usize,
        gates: usize,
        units: usize,
        value: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Self {
        let all = heads * units;
        // As `Packed::interleaved` cuts the columns.
        let width = if gates == 1 { 2 * level.lanes() } else { level.lanes() };
        let heads_of = |block: usize| block * width / units..(((block + 1) * width).min(all) - 1) / units + 1;
        let mut runs: Vec<Run> = Vec::new();
        for block in 0..all.div_ceil(width) {
            let met = heads_of(block);
            let (first, k) = (met.start * rows, met.len() * rows);
            match runs.last_mut().filter(|run| (run.first, run.k) == (first, k)) {
                Some(run) => run.blocks.end += 1,
                None => runs.push(Run { blocks: block..block + 1, first, k }),
            }
        }
        let (k, columns) = (runs.iter().map(|run| run.k).max().unwrap_or(0), gates * all);
        let mut met = vec![0.0; k * columns];
        for unit in 0..all {
            let head = unit / units;
            let before = (head - heads_of(unit / width).start) * rows;
            for row in 0..rows {
                for gate in 0..gates {
                    met[(before + row) * columns + gate * all + unit] = value(head, row, gate, unit % units);
                }
            }
        }
        Self { packed: Packed::interleaved(level, &met, k, gates, all, columns, 1), runs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_whole_blocks_meet_their_own_rows_only() {
        let level = foliot_simd::available()[0];
        let units = 4 * level.lanes();
        let shape = KernelShape { width: 4 * units, units: 4 * units, gates: 3, heads: 4 };
        let kernel = vec![1.0; 4 * units * 3 * units];
        for (panels, blocks) in [(shape.forward(level, &kernel, 0, 3), 4), (shape.backward(level, &kernel, 2, 1), 2)] {
            let run = |head: usize| Run { blocks: head * blocks..(head + 1) * blocks, first: head * units, k: units };
            assert_eq!(panels.runs, (0..4).map(run).collect::<Vec<_>>());
            // No zero is packed, so none is multiplied.
            assert!(panels.packed.values().iter().all(|value| *value == 1.0));
        }
    }

    #[test]
    fn blocks_meet_the_rows_of_all_heads_that_share_them() {
        let level = foliot_simd::available()[0];
        let units = level.lanes() / 2 + 1;
        let shape = KernelShape { width: 3 * units, units: 3 * units, gates: 2, heads: 3 };
        let panels = shape.forward(level, &vec![1.0; 3 * units * 2 * units], 0, 2);
        assert_eq!(panels.runs[0], Run { blocks: 0..1, first: 0, k: 2 * units });
        assert_eq!(panels.runs.last().map(|run| run.first + run.k), Some(3 * units));
    }
}
