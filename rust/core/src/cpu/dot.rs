//! Products of two tensors summed along an axis of each. Every sample is a product of two matrices, into which the tensors are
//! brought first.

use super::places::{axes, for_each_place, picked, strides};
use super::{Compute, Context, Memory, Parts};
use crate::Result;
use crate::backend::{Call, Workspace};
use crate::layers::{Dot, inner_axis};
use crate::tensor::{Shape, Span};
use crate::threads;
use foliot_simd::dispatch::Level;
use foliot_simd::gemm::{Init, MatrixMut, MatrixRef, Operand, gemm};

/// Keras's bound for the inverse of a norm, `1 / epsilon()`.
const GREATEST_INVERSE: f32 = 1e7;

/// The sizes of a call: samples, rows of the first and the second matrix, and their columns, along which is summed.
struct Sizes {
    batch: usize,
    rows: [usize; 2],
    depth: usize,
}

/// What the forward pass keeps: the matrices (batch, rows, depth), the inverse norms of their rows where these are divided by
/// them, and the product (batch, rows of the first, rows of the second).
struct Regions {
    matrices: [Span; 2],
    inverses: [Span; 2],
    product: Span,
}

impl Dot {
    fn sizes(&self, call: &Call<'_>) -> Sizes {
        let batch = call.inputs[0].shape.axis(0);
        let depth = call.inputs[0].shape.axis(self.axis(0, &call.inputs[0].shape));
        let rows = [0, 1].map(|side| {
            let shape = &call.inputs[side].shape;
            let summed = self.axis(side, shape);
            (1..shape.rank()).filter(|&axis| axis != summed).map(|axis| shape.axis(axis)).product()
        });
        Sizes { batch, rows, depth }
    }

    fn regions(&self, sizes: &Sizes, memory: Span) -> Regions {
        let mut used = 0;
        let mut cut = |len: usize| {
            used += len;
            memory.part(used - len, len)
        };
        let rows = sizes.rows.map(|rows| sizes.batch * rows);
        Regions {
            matrices: rows.map(|rows| cut(rows * sizes.depth)),
            inverses: rows.map(|rows| cut(if self.normalize { rows } else { 0 })),
            product: cut(rows[0] * sizes.rows[1]),
        }
    }

    /// The axis along which an input is summed.
    fn axis(&self, side: usize, shape: &Shape) -> usize {
        inner_axis(self.axes[side], shape.rank())
    }

    /// Calls `visit(place in the matrices, place in memory)` for each element of an input.
    fn for_each_element(&self, side: usize, shape: &Shape, visit: impl FnMut(usize, usize)) {
        let (lengths, summed) = (axes(shape), self.axis(side, shape));
        let order: Vec<usize> = (0..lengths.len()).filter(|&axis| axis != summed).chain([summed]).collect();
        for_each_place(&picked(&lengths, &order), &picked(&strides(&lengths), &order), visit);
    }
}

/// Copies between the product, batch first, and the output as memory has it.
fn for_each_result(shape: &Shape, visit: impl FnMut(usize, usize)) {
    let lengths = axes(shape);
    for_each_place(&lengths, &strides(&lengths), visit);
}

/// `c = a b` for each sample, with matrices as (values, length of a sample, strides).
fn multiply(
    level: Level,
    batch: usize,
    [m, n, k]: [usize; 3],
    a: (&[f32], [usize; 2]),
    b: (&[f32], [usize; 2]),
    c: &mut [f32],
) {
    if m * n == 0 {
        return;
    }
    assert!(c.len() >= batch * m * n);
    let c = Parts(c.as_mut_ptr());
    threads::for_each(batch, |sample| {
        // SAFETY: samples have disjoint parts of the product, inside by the check above.
        let c = unsafe { c.part(sample * m * n, m * n) };
        if k == 0 {
            return c.fill(0.0);
        }
        let a = MatrixRef::new(&a.0[sample * m * k..][..m * k], a.1[0], a.1[1]);
        let b = MatrixRef::new(&b.0[sample * k * n..][..k * n], b.1[0], b.1[1]);
        gemm(level, m, n, k, a, Operand::Matrix(b), Init::Zero, MatrixMut::new(c, n));
    });
}

/// Divides rows by their norms and keeps the inverse norms.
fn normalize(matrix: &mut [f32], depth: usize, inverses: &mut [f32]) {
    for (row, inverse) in matrix.chunks_exact_mut(depth.max(1)).zip(inverses) {
        let squares: f32 = row.iter().map(|value| value * value).sum();
        *inverse = squares.sqrt().recip().min(GREATEST_INVERSE);
        for value in row {
            *value *= *inverse;
        }
    }
}

/// From the gradient of rows divided by their norms to that of the rows: `inverse * (g - y (y · g))`, and `inverse * g` where
/// the inverse is bounded.
fn denormalize(gradient: &mut [f32], unit: &[f32], depth: usize, inverses: &[f32]) {
    let rows = gradient.chunks_exact_mut(depth.max(1)).zip(unit.chunks_exact(depth.max(1)));
    for ((gradient, unit), inverse) in rows.zip(inverses) {
        let along: f32 =
            if *inverse < GREATEST_INVERSE { gradient.iter().zip(unit).map(|(g, y)| g * y).sum() } else { 0.0 };
        gradient.iter_mut().zip(unit).for_each(|(g, y)| *g = inverse * (*g - y * along));
    }
}

impl Compute for Dot {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        let Sizes { batch, rows, depth } = self.sizes(call);
        let inverses = if self.normalize { rows[0] + rows[1] } else { 0 };
        let product = rows[0] * rows[1];
        let saved = batch * ((rows[0] + rows[1]) * depth + inverses + product);
        Workspace { saved, scratch: batch * (product + rows[0].max(rows[1]) * depth) }
    }

    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Context { level, memory, .. } = context;
        let sizes = self.sizes(call);
        let regions = self.regions(&sizes, call.saved);
        for side in [0, 1] {
            let [input, matrix, inverses] =
                memory.many([call.inputs[side].value, regions.matrices[side], regions.inverses[side]]);
            self.for_each_element(side, &call.inputs[side].shape, |place, source| matrix[place] = input[source]);
            if self.normalize {
                normalize(matrix, sizes.depth, inverses);
            }
        }
        let Sizes { batch, rows: [m, n], depth } = sizes;
        let [x, y, product, output] =
            memory.many([regions.matrices[0], regions.matrices[1], regions.product, call.outputs[0].value]);
        multiply(level, batch, [m, n, depth], (x, [depth, 1]), (y, [1, depth]), product);
        for_each_result(&call.outputs[0].shape, |source, target| output[target] = product[source]);
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Context { level, memory, .. } = context;
        let Some(dy) = call.outputs[0].gradient else { return };
        let sizes = self.sizes(call);
        let regions = self.regions(&sizes, call.saved);
        let product = call.scratch.part(0, regions.product.len);
        let rest = call.scratch.part(product.len, call.scratch.len - product.len);
        let [source, target] = memory.many([dy, product]);
        for_each_result(&call.outputs[0].shape, |place, from| target[place] = source[from]);
        for side in [0, 1] {
            self.differentiate(level, memory, call, &sizes, &regions, side, product, rest);
        }
    }
}

impl Dot {
    /// Writes the gradient of one input, from that of the product.
    fn differentiate(
        &self,
        level: Level,
        memory: &mut Memory,
        call: &Call<'_>,
        sizes: &Sizes,
        regions: &Regions,
        side: usize,
        product: Span,
        scratch: Span,
    ) {
        let Some(gradient) = call.inputs[side].gradient else { return };
        let (rows, others, depth) = (sizes.rows[side], sizes.rows[1 - side], sizes.depth);
        let matrix = scratch.part(0, sizes.batch * rows * depth);
        let [g, other, target] = memory.many([product, regions.matrices[1 - side], matrix]);
        let steps = if side == 0 { [others, 1] } else { [1, rows] };
        multiply(level, sizes.batch, [rows, depth, others], (g, steps), (other, [depth, 1]), target);
        let [unit, inverses, matrix, gradient] =
            memory.many([regions.matrices[side], regions.inverses[side], matrix, gradient]);
        if self.normalize {
            denormalize(matrix, unit, depth, inverses);
        }
        self.for_each_element(side, &call.inputs[side].shape, |place, target| gradient[target] = matrix[place]);
    }
}
