//! Activations over whole rows: softmax, its logarithm and sparsemax, with their gradients.

use foliot_simd::isa::Isa;
use foliot_simd::math;

/// One row of softmax or of its logarithm; the maximum is taken off first, so that nothing overflows.
#[inline(always)]
pub(super) fn softmax_row<I: Isa>(isa: I, logarithm: bool, x: &[f32], y: &mut [f32]) {
    y.copy_from_slice(x);
    if logarithm {
        let (max, sum) = exponentials(isa, y);
        let log = sum.ln() as f32;
        y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - max) - log);
    } else {
        softmax_in_place(isa, y);
    }
}

/// Overwrites a row with its exponentials after its maximum is taken off; returns the maximum and the sum.
#[inline(always)]
fn exponentials<I: Isa>(isa: I, row: &mut [f32]) -> (f32, f64) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0_f64;
    for part in row.chunks_mut(I::LANES) {
        // SAFETY: a part has at most LANES values.
        unsafe {
            let shifted = isa.sub(isa.load_partial(part.as_ptr(), part.len()), isa.splat(max));
            isa.store_partial(part.as_mut_ptr(), math::exp(isa, shifted), part.len());
        }
        sum += part.iter().map(|value| f64::from(*value)).sum::<f64>();
    }
    (max, sum)
}

/// Softmax of a row, in its place.
#[inline(always)]
pub(crate) fn softmax_in_place<I: Isa>(isa: I, row: &mut [f32]) {
    let (_, sum) = exponentials(isa, row);
    let scale = (1.0 / sum) as f32;
    for value in row {
        *value *= scale;
    }
}

/// From the gradient of a row of softmax to that of what it was made of, in its place: `y·(dy - Σ dy·y)`.
pub(crate) fn softmax_gradient_in_place(y: &[f32], dy: &mut [f32]) {
    let sum: f64 = dy.iter().zip(y).map(|(dy, y)| f64::from(*dy) * f64::from(*y)).sum();
    for (dy, y) in dy.iter_mut().zip(y) {
        *dy = (f64::from(*y) * (f64::from(*dy) - sum)) as f32;
    }
}

/// max(x - τ, 0), of what is left after the maximum is taken off, as by softmax: next to numbers beyond 2⁵³ the 1 of the
/// sum would be lost, and infinity makes the whole row NaN. What lies below a τ for more values than remain lies below the
/// last one, too, so that τ rises until all that it was made of lie above it (Michelot 1986): at most as many rounds as there
/// are values, and no sorting.
pub(super) fn sparsemax_row(x: &[f32], y: &mut [f32]) {
    let max = f64::from(x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let shifted = |x: &f32| f64::from(*x) - max;
    let mut tau = f64::NEG_INFINITY;
    let mut left = usize::MAX;
    loop {
        let above = || x.iter().map(shifted).filter(|x| *x > tau);
        let count = above().count();
        if count == left || count == 0 {
            break;
        }
        left = count;
        tau = (above().sum::<f64>() - 1.0) / count as f64;
    }
    // NaN lies above nothing, and makes the whole row one.
    let poisoned = x.iter().any(|x| shifted(x).is_nan());
    for (y, x) in y.iter_mut().zip(x) {
        *y = if poisoned { f32::NAN } else { (shifted(x) - tau).max(0.0) as f32 };
    }
}

/// dy less its mean over the values that are not 0, and 0 elsewhere, in the place of dy.
pub(super) fn sparsemax_row_gradient(y: &[f32], gradient: &mut [f32]) {
    let support = || y.iter().zip(&*gradient).filter(|(y, _)| **y != 0.0);
    let mean = support().map(|(_, dy)| f64::from(*dy)).sum::<f64>() / support().count().max(1) as f64;
    for (dy, y) in gradient.iter_mut().zip(y) {
        *dy = if *y == 0.0 { 0.0 } else { (f64::from(*dy) - mean) as f32 };
    }
}

/// dx = y·(dy - Σ dy·y) for softmax, dy - exp(y)·Σ dy for its logarithm, in the place of dy.
pub(super) fn softmax_row_gradient(logarithm: bool, y: &[f32], gradient: &mut [f32]) {
    if logarithm {
        let sum: f64 = gradient.iter().map(|dy| f64::from(*dy)).sum();
        for (dy, y) in gradient.iter_mut().zip(y) {
            *dy = (f64::from(*dy) - f64::from(*y).exp() * sum) as f32;
        }
    } else {
        softmax_gradient_in_place(y, gradient);
    }
}
