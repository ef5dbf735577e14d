//! Where the elements of tensors lie, for layers that take them along other axes than memory does.

use crate::tensor::Shape;

/// The axes of a tensor of the given rank in the order in which memory has them.
pub(super) fn memory_order(rank: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rank).collect();
    if rank >= 3 {
        order.swap(0, 1);
    }
    order
}

/// How far apart the neighbours along each axis of a tensor lie.
pub(super) fn strides(axes: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; axes.len()];
    let mut step = 1;
    for axis in memory_order(axes.len()).into_iter().rev() {
        strides[axis] = step;
        step *= axes[axis];
    }
    strides
}

/// The lengths of the axes.
pub(super) fn axes(shape: &Shape) -> Vec<usize> {
    (0..shape.rank()).map(|axis| shape.axis(axis)).collect()
}

/// Values in a given order, such as `values` of `lengths` or `strides`.
pub(super) fn picked(values: &[usize], order: &[usize]) -> Vec<usize> {
    order.iter().map(|&axis| values[axis]).collect()
}

/// Goes through all indices of the lengths, the last one fastest: `visit(position, place)` with the steps' sum as place.
pub(super) fn for_each_place(lengths: &[usize], steps: &[usize], mut visit: impl FnMut(usize, usize)) {
    let count: usize = lengths.iter().product();
    let mut index = vec![0; lengths.len()];
    let mut place = 0;
    for position in 0..count {
        visit(position, place);
        for axis in (0..lengths.len()).rev() {
            index[axis] += 1;
            place += steps[axis];
            if index[axis] < lengths[axis] {
                break;
            }
            place -= steps[axis] * lengths[axis];
            index[axis] = 0;
        }
    }
}
