//! Muon (Jordan et al., 2024): of a matrix the momentum is made nearly orthogonal. With gradient `g`, learning rate `a` and a
//! matrix of r rows and c columns:
//!
//! ```text
//! m <- momentum m + g
//! x <- g + momentum m with nesterov, else m;  x <- x / (norm(x) + 1e-7), turned so that it is not higher than wide
//! x <- (A x + (B s + C s s) x), s = x xT                                          ns_steps times
//! w <- w - w weight_decay a - a sqrt(max(r, c)) rms_rate x
//! ```
//!
//! Everything but matrices, and the matrices that are left out, goes by Adam with a learning rate `a adam_lr_ratio` and
//! `w adam_weight_decay a` taken off first.

use serde::{Deserialize, Serialize};

use super::adam::Adam;
use super::formula::{Formula, Slot, SlotShape, sum_in_order};
use super::sweep::Sweep;
use crate::cpu::{Parts, for_each_rows};
use crate::{Result, check};
use foliot_simd::Level;
use foliot_simd::gemm::{Init, MatrixMut, MatrixRef, Operand, gemm};

/// Keeps the norm away from zero.
const NORM_EPSILON: f32 = 1e-7;

/// Keras's `Muon`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Muon {
    /// How much of Adam's running mean of gradients is kept, in `[0, 1)`.
    pub adam_beta_1: f64,
    /// How much of Adam's running mean of squares is kept, in `[0, 1)`.
    pub adam_beta_2: f64,
    /// What Adam takes off its weights.
    pub adam_weight_decay: Option<f64>,
    /// Adam's learning rate, in parts of Muon's.
    pub adam_lr_ratio: f64,
    /// Keeps Adam's denominator away from zero.
    pub epsilon: f64,
    /// The coefficients of an iteration: of x, of s x and of s s x.
    pub coefficients: [f64; 3],
    /// How much of the sum of gradients is kept.
    pub momentum: f64,
    /// How many iterations there are.
    pub ns_steps: u32,
    /// Whether the gradient counts once more.
    pub nesterov: bool,
    /// The root mean square of an update, in parts of the learning rate.
    pub rms_rate: Option<f64>,
}

impl Formula for Muon {
    fn validate(&self) -> Result<()> {
        check::below_one("adam_beta_1", self.adam_beta_1)?;
        check::below_one("adam_beta_2", self.adam_beta_2)?;
        self.adam_weight_decay.map_or(Ok(()), |decay| check::non_negative("adam_weight_decay", decay))?;
        check::non_negative("adam_lr_ratio", self.adam_lr_ratio)?;
        check::non_negative("epsilon", self.epsilon)?;
        for (argument, value) in ["muon_a", "muon_b", "muon_c"].iter().zip(self.coefficients) {
            check::finite(argument, value)?;
        }
        check::fraction("momentum", self.momentum)?;
        self.rms_rate.map_or(Ok(()), |rate| check::non_negative("rms_rate", rate))
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zeros("momentum"), Slot { shape: SlotShape::UnlessMatrix, ..Slot::zeros("velocity") }]
    }

    fn needs_whole(&self) -> bool {
        true
    }

    fn update(&self, iteration: u64, sweep: Sweep) {
        // Only what goes by Adam has a velocity.
        let adam = sweep.slots.get(1).is_some_and(|velocity| velocity.len() == sweep.weight.len());
        let decay = if adam { self.adam_weight_decay.map(|decay| decay as f32) } else { sweep.weight_decay };
        if let Some(decay) = decay.filter(|_| sweep.decays) {
            for w in sweep.weight.iter_mut() {
                *w -= *w * decay * sweep.learning_rate;
            }
        }
        if adam {
            let rule =
                Adam { beta_1: self.adam_beta_1, beta_2: self.adam_beta_2, epsilon: self.epsilon, amsgrad: false };
            let learning_rate = sweep.learning_rate * self.adam_lr_ratio as f32;
            return rule.update(iteration, Sweep { learning_rate, weight_decay: None, ..sweep });
        }
        let Sweep { level, learning_rate, weight, gradient, slots, shape, .. } = sweep;
        let (&[rows, columns], [sums, ..]) = (shape, slots) else { return };
        let momentum = self.momentum as f32;
        let mut direction = vec![0.0; weight.len()];
        for ((m, &g), x) in sums.iter_mut().zip(gradient).zip(&mut direction) {
            *m += g + *m * (momentum - 1.0);
            *x = if self.nesterov { g + momentum * *m } else { *m };
        }
        let update = self.orthogonal(level, direction, rows, columns);
        let scale = self.rms_rate.map_or(1.0, |rate| (rows.max(columns) as f64).sqrt() * rate) as f32;
        for (w, x) in weight.iter_mut().zip(update) {
            *w -= learning_rate * x * scale;
        }
    }
}

impl Muon {
    /// The iterations of Newton and Schulz on a matrix.
    fn orthogonal(&self, level: Level, x: Vec<f32>, rows: usize, columns: usize) -> Vec<f32> {
        if rows > columns {
            let turned = self.orthogonal(level, transposed(&x, rows, columns), columns, rows);
            return transposed(&turned, columns, rows);
        }
        let mut x = x;
        let norm = sum_in_order(x.iter().map(|&x| f64::from(x) * f64::from(x))).sqrt() as f32;
        for value in &mut x {
            *value /= norm + NORM_EPSILON;
        }
        let [a, b, c] = self.coefficients.map(|coefficient| coefficient as f32);
        let (mut s, mut squares) = (vec![0.0; rows * rows], vec![0.0; rows * rows]);
        let mut next = vec![0.0; x.len()];
        for _ in 0..self.ns_steps {
            multiply(level, [rows, rows, columns], &x, MatrixRef::new(&x, 1, columns), &mut s);
            multiply(level, [rows, rows, rows], &s, MatrixRef::new(&s, rows, 1), &mut squares);
            for (s, square) in s.iter_mut().zip(&squares) {
                *s = b * *s + c * square;
            }
            multiply(level, [rows, columns, rows], &s, MatrixRef::new(&x, columns, 1), &mut next);
            for (x, next) in x.iter_mut().zip(&next) {
                *x = a * *x + next;
            }
        }
        x
    }
}

fn transposed(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|place| x[place % rows * columns + place / rows]).collect()
}

/// `c = a b` of `m x k` and `k x n`, in blocks of rows that the threads share.
fn multiply(level: Level, [m, n, k]: [usize; 3], a: &[f32], b: MatrixRef<'_>, c: &mut [f32]) {
    const ROWS: usize = 48;
    assert!(a.len() >= m * k && c.len() >= m * n);
    let c = Parts(c.as_mut_ptr());
    for_each_rows(m, ROWS, |first, count| {
        // SAFETY: tasks have disjoint rows, which lie inside by the check above.
        let c = unsafe { c.part(first * n, count * n) };
        let a = MatrixRef::new(&a[first * k..], k, 1);
        gemm(level, count, n, k, a, Operand::Matrix(b), Init::Zero, MatrixMut::new(c, n));
    });
}
