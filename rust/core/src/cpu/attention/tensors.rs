//! Where the matrices of samples and heads lie in tensors that have time first.

use crate::backend::Call;
use crate::cpu::Parts;
use crate::layers::Attention;
use foliot_simd::gemm::{MatrixMut, MatrixRef};

/// The sizes of a call. A matrix is a head of a sample, counted sample by sample.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) matrices: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) width: usize,
    pub(super) value_width: usize,
}

impl Sizes {
    pub(super) fn new(layer: &Attention, call: &Call<'_>) -> Self {
        let (query, value) = (&call.inputs[0].shape, &call.inputs[1].shape);
        Self {
            batch: query.axis(0),
            matrices: query.axis(0) * layer.heads,
            queries: query.axis(1),
            keys: value.axis(1),
            width: query.features() / layer.heads,
            value_width: value.features() / layer.heads,
        }
    }

    /// Scores of a matrix.
    pub(super) fn scores(&self) -> usize {
        self.queries * self.keys
    }

    /// Matrices that are worth a task.
    pub(super) fn per_task(&self) -> usize {
        const MULTIPLICATIONS: usize = 128 * 1024;
        MULTIPLICATIONS / (self.scores() * (self.width + self.value_width)).max(1)
    }

    /// A tensor with time first, in rows of `width` for each matrix.
    pub(super) fn rows<'a>(&self, values: &'a [f32], width: usize) -> Rows<'a> {
        Rows { values, width, stride: self.matrices * width }
    }
}

/// The rows of all matrices in a tensor (time, matrices, width).
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    values: &'a [f32],
    width: usize,
    stride: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn matrix(&self, index: usize) -> MatrixRef<'a> {
        MatrixRef::new(&self.values[index * self.width..], self.stride, 1)
    }

    pub(super) fn transposed(&self, index: usize) -> MatrixRef<'a> {
        MatrixRef::new(&self.values[index * self.width..], 1, self.stride)
    }

    pub(super) fn row(&self, index: usize, step: usize) -> &'a [f32] {
        &self.values[step * self.stride + index * self.width..][..self.width]
    }
}

/// A gradient or an output (time, matrices, width) that tasks write, each the rows of its own matrices.
#[derive(Clone, Copy)]
pub(super) struct RowsMut {
    values: Parts,
    len: usize,
    width: usize,
    stride: usize,
}

impl RowsMut {
    pub(super) fn new(values: &mut [f32], sizes: &Sizes, width: usize) -> Self {
        Self { len: values.len(), values: Parts(values.as_mut_ptr()), width, stride: sizes.matrices * width }
    }

    /// # Safety
    /// Nothing else accesses the matrix while the view is used, and the tensor outlives it.
    pub(super) unsafe fn matrix<'a>(&self, index: usize) -> MatrixMut<'a> {
        let offset = index * self.width;
        assert!(offset <= self.len);
        // SAFETY: inside the tensor; the caller answers for the rest.
        unsafe { MatrixMut::from_raw(self.values.0.add(offset), self.len - offset, self.stride) }
    }

    /// # Safety
    /// As of `matrix`.
    pub(super) unsafe fn row<'a>(&self, index: usize, step: usize) -> &'a mut [f32] {
        let offset = step * self.stride + index * self.width;
        assert!(offset + self.width <= self.len);
        // SAFETY: inside the tensor; the caller answers for the rest.
        unsafe { self.values.part(offset, self.width) }
    }
}
