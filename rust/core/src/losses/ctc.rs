//! Connectionist temporal classification (Graves, Fernández, Gomez and Schmidhuber, ICML 2006): minus the logarithm of the
//! probability that a sequence of logits gives the labels, with blanks between them and repetitions taken away.
//!
//! The recursion is Keras's: `phi[n]` is the logarithm of the probability to have emitted n labels and then a blank, `emit[n]`
//! of having emitted label n last. Logarithms of 0 are -1e5, which what cannot be shows as a loss of that size; class 0 is the
//! blank, and a row has as many labels as numbers other than 0. With `⊕` for ln(exp + exp), `a` the log-probability of the
//! blank, `l[n]` that of label n and `r[n]` whether label n + 1 is the same again:
//!
//! ```text
//! phi1[n + 1] = phi[n + 1] ⊕ (emit[n] - 1e5 r[n])
//! emit'[n]    = (phi1[n] ⊕ emit[n]) + l[n]
//! phi'[n + 1] = (phi1[n + 1] + a) ⊕ (emit[n] + a - 1e5 (1 - r[n]))
//! loss        = -(phi[N] ⊕ emit[N - 1])                                          after the last step
//! ```

use crate::{Error, Result};

const LOG_ZERO: f64 = -1e5;

/// ln(exp a + exp b), and the share of the first.
fn log_add(a: f64, b: f64) -> (f64, f64) {
    let sum = a.max(b) + (-(a - b).abs()).exp().ln_1p();
    (sum, (a - sum).exp())
}

/// The labels of a row: as many as it has numbers other than 0, and whether each is followed by itself.
pub(super) struct Labels {
    classes: Vec<usize>,
    repeats: Vec<f64>,
}

impl Labels {
    /// # Errors
    /// A label is no class.
    pub(super) fn new(row: usize, targets: impl Fn(usize) -> f64, len: usize, classes: usize) -> Result<Self> {
        let count = (0..len).filter(|&position| targets(position) != 0.0).count();
        let class = |position: usize| {
            let index = targets(position);
            if index.fract() == 0.0 && (0.0..classes as f64).contains(&index) {
                return Ok(index as usize);
            }
            let expected = format!("labels in [0, {classes}), of which 0 is the blank and stands at the end only");
            Err(Error::value("y_true", expected, format!("{index} in row {row}")))
        };
        let repeats = |position: usize| position + 1 < len && targets(position) == targets(position + 1);
        Ok(Self {
            classes: (0..count).map(class).collect::<Result<_>>()?,
            repeats: (0..count).map(|position| f64::from(u8::from(repeats(position)))).collect(),
        })
    }
}

/// The log-probabilities of a step: softmax of its logits, in f64.
fn log_softmax(logits: &[f32], log: &mut [f64]) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&z| (f64::from(z) - f64::from(max)).exp()).sum();
    let shift = f64::from(max) + sum.ln();
    log.iter_mut().zip(logits).for_each(|(log, &z)| *log = f64::from(z) - shift);
}

/// Takes the gradient of the logits of a step.
pub(super) type Write<'a> = &'a mut dyn FnMut(usize, &[f64]);

/// The loss of one sample. `logits(step)` are those of a step; with `write`, `write(step, gradient)` is called for each step
/// with the gradient of its logits.
pub(super) fn sample<'a>(
    labels: &Labels,
    steps: usize,
    classes: usize,
    logits: impl Fn(usize) -> &'a [f32],
    write: Option<Write<'_>>,
) -> f64 {
    let count = labels.classes.len();
    let mut log = vec![0.0; steps * classes];
    for (step, log) in log.chunks_exact_mut(classes).enumerate() {
        log_softmax(logits(step), log);
    }
    // phi and emit before each step and after the last.
    let width = 2 * count + 1;
    let mut states = vec![LOG_ZERO; (steps + 1) * width];
    states[0] = 0.0;
    let mut entered = vec![0.0; count + 1];
    for step in 0..steps {
        let (before, after) = states[step * width..][..2 * width].split_at_mut(width);
        let (log, (phi, emit)) = (&log[step * classes..][..classes], before.split_at(count + 1));
        let (next_phi, next_emit) = after.split_at_mut(count + 1);
        enter(labels, phi, emit, &mut entered);
        next_phi[0] = entered[0] + log[0];
        for n in 0..count {
            next_emit[n] = log_add(entered[n], emit[n]).0 + log[labels.classes[n]];
            let repeated = emit[n] + log[0] + LOG_ZERO * (1.0 - labels.repeats[n]);
            next_phi[n + 1] = log_add(entered[n + 1] + log[0], repeated).0;
        }
    }
    let last = &states[steps * width..];
    let ended = if count == 0 { (last[0], 1.0) } else { log_add(last[count], last[width - 1]) };
    let Some(write) = write else { return -ended.0 };

    let mut slopes = vec![0.0; width];
    slopes[count] = -ended.1;
    if count > 0 {
        slopes[width - 1] = ended.1 - 1.0;
    }
    let (mut earlier, mut d_log) = (vec![0.0; width], vec![0.0; classes]);
    for step in (0..steps).rev() {
        let (phi, emit) = states[step * width..][..width].split_at(count + 1);
        let log = &log[step * classes..][..classes];
        enter(labels, phi, emit, &mut entered);
        d_log.fill(0.0);
        earlier.fill(0.0);
        let (d_phi, d_emit) = slopes.split_at_mut(count + 1);
        let (d_phi_before, d_emit_before) = earlier.split_at_mut(count + 1);
        for n in 0..count {
            let repeated = emit[n] + log[0] + LOG_ZERO * (1.0 - labels.repeats[n]);
            let (_, share) = log_add(entered[n + 1] + log[0], repeated);
            let rest = d_phi[n + 1] * (1.0 - share);
            d_emit_before[n] += rest;
            d_log[0] += rest;
            d_phi[n + 1] *= share;
        }
        // From here on the slopes of phi are those of what was entered.
        d_log[0] += d_phi.iter().sum::<f64>();
        for n in 0..count {
            let (_, share) = log_add(entered[n], emit[n]);
            d_log[labels.classes[n]] += d_emit[n];
            d_phi[n] += d_emit[n] * share;
            d_emit_before[n] += d_emit[n] * (1.0 - share);
        }
        d_phi_before[0] = d_phi[0];
        for n in 0..count {
            let (_, share) = log_add(phi[n + 1], emit[n] + LOG_ZERO * labels.repeats[n]);
            d_phi_before[n + 1] = d_phi[n + 1] * share;
            d_emit_before[n] += d_phi[n + 1] * (1.0 - share);
        }
        let total: f64 = d_log.iter().sum();
        d_log.iter_mut().zip(log).for_each(|(slope, log)| *slope -= log.exp() * total);
        write(step, &d_log);
        std::mem::swap(&mut slopes, &mut earlier);
    }
    -ended.0
}

/// phi1, what is before a step where a label may have ended without a blank.
fn enter(labels: &Labels, phi: &[f64], emit: &[f64], entered: &mut [f64]) {
    entered[0] = phi[0];
    for (n, repeat) in labels.repeats.iter().enumerate() {
        entered[n + 1] = log_add(phi[n + 1], emit[n] + LOG_ZERO * repeat).0;
    }
}
