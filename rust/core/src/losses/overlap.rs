//! Losses from the overlap of targets `y` and predictions `p`, with sums over all that belongs together:
//!
//! ```text
//! dice     1 - 2 sum y p / (sum y + sum p + 1e-7)
//! tversky  1 - sum y p / (sum y p + alpha sum (1 - p) y + beta sum p (1 - y) + 1e-7)
//! ```

use super::Gradient;

/// Keras's `epsilon()`, the f32 number.
const EPSILON: f64 = 1e-7f32 as f64;

/// 1 - overlap / whole, where both are linear in the sums of `y`, of `p` and of `y p`.
#[derive(Clone, Copy)]
pub(super) struct Overlap {
    /// What the overlap takes of Σ y p.
    overlap: f64,
    /// What the whole takes of Σ y, Σ p and Σ y p.
    whole: [f64; 3],
}

/// The sums of what belongs together.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    targets: f64,
    predictions: f64,
    products: f64,
}

impl Overlap {
    pub(super) fn dice() -> Self {
        Self { overlap: 2.0, whole: [1.0, 1.0, 0.0] }
    }

    pub(super) fn tversky(alpha: f64, beta: f64) -> Self {
        Self { overlap: 1.0, whole: [alpha, beta, 1.0 - alpha - beta] }
    }

    fn whole(&self, sums: &Sums) -> f64 {
        let [targets, predictions, products] = self.whole;
        targets * sums.targets + predictions * sums.predictions + products * sums.products + EPSILON
    }

    pub(super) fn value(&self, sums: &Sums) -> f64 {
        1.0 - self.overlap * sums.products / self.whole(sums)
    }

    /// Writes the gradient of some of the predictions that belong together.
    pub(super) fn differentiate(&self, sums: &Sums, y: &[f32], grad: &mut Gradient) {
        let whole = self.whole(sums);
        let share = self.overlap * sums.products / whole;
        for (slot, &y) in grad.slots.iter_mut().zip(y) {
            let y = f64::from(y);
            let slope = self.whole[1] + self.whole[2] * y;
            *slot = (grad.factor * (share * slope - self.overlap * y) / whole) as f32;
        }
    }
}

impl Sums {
    pub(super) fn add(&mut self, y: &[f32], p: &[f32]) {
        for (&y, &p) in y.iter().zip(p) {
            let (y, p) = (f64::from(y), f64::from(p));
            self.targets += y;
            self.predictions += p;
            self.products += y * p;
        }
    }
}
