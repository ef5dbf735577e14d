//! Where the elements of tensors lie.

use foliot_core::tensor::Shape;

/// The axes of a tensor of the given rank in the order in which memory has them.
pub(super) fn memory_order(rank: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rank).collect();
    if rank >= 3 {
        order.swap(0, 1);
    }
    order
}

/// How many blocks a tensor has in memory along an axis, and how long one is for each unit of the axis.
pub(super) fn blocks(lengths: &[usize], axis: usize) -> [usize; 2] {
    let order = memory_order(lengths.len());
    let place = order.iter().position(|&other| other == axis).unwrap_or(0);
    let product = |axes: &[usize]| axes.iter().map(|&axis| lengths[axis]).product();
    [product(&order[..place]), product(&order[place + 1..])]
}

/// The lengths of the axes.
pub(super) fn axes(shape: &Shape) -> Vec<usize> {
    (0..shape.rank()).map(|axis| shape.axis(axis)).collect()
}

/// How far apart in memory the neighbours along each axis of a tensor lie.
pub(super) fn strides(lengths: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; lengths.len()];
    let mut step = 1;
    for axis in memory_order(lengths.len()).into_iter().rev() {
        strides[axis] = step;
        step *= lengths[axis];
    }
    strides
}

/// For each element of a tensor with the given axes, in the order of memory, the sum of its indices times `steps`.
pub(super) fn places(lengths: &[usize], steps: &[usize]) -> Vec<u32> {
    let mut places = vec![0];
    for axis in memory_order(lengths.len()) {
        let along = |place: u32| (0..lengths[axis]).map(move |index| place + (index * steps[axis]) as u32);
        places = places.into_iter().flat_map(along).collect();
    }
    places
}

/// For each element of the output, in the order of memory, the place of the input's element that is repeated there: an input
/// with fewer axes has axes of 1 after its batch axis, and axes of 1 are repeated.
pub(super) fn repeated(output: &[usize], input: &[usize]) -> Vec<u32> {
    let added = output.len() - input.len();
    let mut steps = strides(input);
    for (step, &length) in steps.iter_mut().zip(input).skip(1) {
        if length == 1 {
            *step = 0;
        }
    }
    steps.splice(1..1, std::iter::repeat_n(0, added));
    places(output, &steps)
}

#[cfg(test)]
mod tests {
    use super::{places, repeated, strides};

    #[test]
    fn time_comes_first_from_three_axes_on() {
        assert_eq!(strides(&[2, 3]), [3, 1]);
        assert_eq!(strides(&[2, 3, 4]), [4, 8, 1]);
        assert_eq!(places(&[2, 2], &[1, 10]), [0, 10, 1, 11]);
        assert_eq!(places(&[2, 2, 1], &[1, 10, 0]), [0, 1, 10, 11]);
    }

    #[test]
    fn an_axis_of_one_is_repeated() {
        assert_eq!(repeated(&[2, 2], &[2, 1]), [0, 0, 1, 1]);
        assert_eq!(repeated(&[1, 2, 2], &[1, 2]), [0, 1, 0, 1]);
        assert_eq!(repeated(&[2, 2, 1], &[2, 1, 1]), [0, 1, 0, 1]);
    }
}
