//! Learning rates that change with the number of steps, in Keras's formulas. With `i` the initial rate, `n` the steps that
//! were made, `d` the decay's steps and `f = n / d`:
//!
//! ```text
//! exponential_decay          i r^f                              r is decay_rate; staircase takes floor(f)
//! inverse_time_decay         i / (1 + r f)
//! polynomial_decay           (i - e) (1 - min(f, 1))^p + e      e is end_learning_rate; cycle: d grows to ceil(f) d
//! piecewise_constant_decay   values[k], k the boundaries below n
//! cosine_decay               i ((1 - alpha) (1 + cos(pi min(f, 1))) / 2 + alpha)
//!                            before it, from i to warmup_target in warmup_steps, and i is warmup_target then
//! cosine_decay_restarts      i ((1 - alpha) m_mul^k (1 + cos(pi x)) / 2 + alpha), k the restarts so far, x the share of
//!                            this period, which is t_mul times as long as the one before
//! ```
//!
//! Keras computes in f32; here it is f64, so that a stair or a restart comes exactly where it should.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, check};

/// A schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the arguments are Keras's, and the equations above name them")]
pub enum Schedule {
    ExponentialDecay {
        initial_learning_rate: f64,
        decay_steps: f64,
        decay_rate: f64,
        staircase: bool,
    },
    InverseTimeDecay {
        initial_learning_rate: f64,
        decay_steps: f64,
        decay_rate: f64,
        staircase: bool,
    },
    PolynomialDecay {
        initial_learning_rate: f64,
        decay_steps: f64,
        end_learning_rate: f64,
        power: f64,
        cycle: bool,
    },
    PiecewiseConstantDecay {
        boundaries: Vec<f64>,
        values: Vec<f64>,
    },
    CosineDecay {
        initial_learning_rate: f64,
        decay_steps: f64,
        alpha: f64,
        warmup_target: Option<f64>,
        warmup_steps: f64,
    },
    CosineDecayRestarts {
        initial_learning_rate: f64,
        first_decay_steps: f64,
        t_mul: f64,
        m_mul: f64,
        alpha: f64,
    },
}

impl Schedule {
    /// Refuses numbers that give no learning rate at some step.
    ///
    /// # Errors
    /// [`Error::Value`] naming the argument.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::ExponentialDecay { initial_learning_rate, decay_steps, decay_rate, .. }
            | Self::InverseTimeDecay { initial_learning_rate, decay_steps, decay_rate, .. } => {
                check::non_negative("initial_learning_rate", *initial_learning_rate)?;
                check::positive("decay_steps", *decay_steps)?;
                check::non_negative("decay_rate", *decay_rate)
            }
            Self::PolynomialDecay { initial_learning_rate, decay_steps, end_learning_rate, power, .. } => {
                check::non_negative("initial_learning_rate", *initial_learning_rate)?;
                check::positive("decay_steps", *decay_steps)?;
                check::non_negative("end_learning_rate", *end_learning_rate)?;
                check::non_negative("power", *power)
            }
            Self::PiecewiseConstantDecay { boundaries, values } => {
                if boundaries.is_empty() || boundaries.len() + 1 != values.len() {
                    let received = format!("{} boundaries and {} values", boundaries.len(), values.len());
                    return Err(Error::value("boundaries", "at least one, and one fewer than `values`", received));
                }
                boundaries.iter().try_for_each(|boundary| check::finite("boundaries", *boundary))?;
                let mut pairs = boundaries.iter().zip(boundaries.iter().skip(1));
                if let Some((earlier, later)) = pairs.find(|(earlier, later)| earlier >= later) {
                    let received = format!("{earlier} before {later}");
                    return Err(Error::value("boundaries", "rising numbers", received));
                }
                values.iter().try_for_each(|value| check::non_negative("values", *value))
            }
            Self::CosineDecay { initial_learning_rate, decay_steps, alpha, warmup_target, warmup_steps } => {
                check::non_negative("initial_learning_rate", *initial_learning_rate)?;
                check::positive("decay_steps", *decay_steps)?;
                check::non_negative("alpha", *alpha)?;
                check::non_negative("warmup_steps", *warmup_steps)?;
                warmup_target.map_or(Ok(()), |target| check::non_negative("warmup_target", target))
            }
            Self::CosineDecayRestarts { initial_learning_rate, first_decay_steps, t_mul, m_mul, alpha } => {
                check::non_negative("initial_learning_rate", *initial_learning_rate)?;
                check::positive("first_decay_steps", *first_decay_steps)?;
                check::finite("t_mul", *t_mul)?;
                if *t_mul < 1.0 {
                    return Err(Error::value("t_mul", "a finite number >= 1", t_mul.to_string()));
                }
                check::non_negative("m_mul", *m_mul)?;
                check::non_negative("alpha", *alpha)
            }
        }
    }

    /// The learning rate when so many steps have been made.
    #[must_use]
    pub fn at(&self, steps: f64) -> f64 {
        let passed = |decay_steps: f64, staircase: bool| {
            let share = steps / decay_steps;
            if staircase { share.floor() } else { share }
        };
        match *self {
            Self::ExponentialDecay { initial_learning_rate, decay_steps, decay_rate, staircase } => {
                initial_learning_rate * decay_rate.powf(passed(decay_steps, staircase))
            }
            Self::InverseTimeDecay { initial_learning_rate, decay_steps, decay_rate, staircase } => {
                initial_learning_rate / (1.0 + decay_rate * passed(decay_steps, staircase))
            }
            Self::PolynomialDecay { initial_learning_rate, decay_steps, end_learning_rate, power, cycle } => {
                let share = if cycle {
                    let cycles = (steps / decay_steps).ceil().max(1.0);
                    steps / (decay_steps * cycles)
                } else {
                    (steps / decay_steps).min(1.0)
                };
                (initial_learning_rate - end_learning_rate) * (1.0 - share).powf(power) + end_learning_rate
            }
            Self::PiecewiseConstantDecay { ref boundaries, ref values } => {
                // Keras turns boundaries into integers.
                values[boundaries.iter().filter(|boundary| boundary.trunc() < steps).count()]
            }
            Self::CosineDecay { initial_learning_rate, decay_steps, alpha, warmup_target, warmup_steps } => {
                let (from, steps) = match warmup_target {
                    None => (initial_learning_rate, steps),
                    Some(target) if steps < warmup_steps => {
                        return initial_learning_rate + (target - initial_learning_rate) * (steps / warmup_steps);
                    }
                    Some(target) => (target, steps - warmup_steps),
                };
                from * ((1.0 - alpha) * half_wave((steps / decay_steps).min(1.0)) + alpha)
            }
            Self::CosineDecayRestarts { initial_learning_rate, first_decay_steps, t_mul, m_mul, alpha } => {
                let (restarts, share) = period(steps / first_decay_steps, t_mul);
                initial_learning_rate * ((1.0 - alpha) * m_mul.powf(restarts) * half_wave(share) + alpha)
            }
        }
    }
}

/// From 1 to 0 as `share` goes from 0 to 1.
fn half_wave(share: f64) -> f64 {
    0.5 * (1.0 + (PI * share).cos())
}

/// How many periods have ended, and how much of this one has passed, when the first one is 1 long and each is `ratio` times
/// as long as the one before.
fn period(passed: f64, ratio: f64) -> (f64, f64) {
    if ratio == 1.0 {
        return (passed.floor(), passed.fract());
    }
    let start = |periods: f64| (ratio.powf(periods) - 1.0) / (ratio - 1.0);
    let mut ended = (1.0 + passed * (ratio - 1.0)).log(ratio).floor();
    // The logarithm may be rounded across a whole number.
    if start(ended + 1.0) <= passed {
        ended += 1.0;
    } else if start(ended) > passed {
        ended -= 1.0;
    }
    (ended, (passed - start(ended)) / ratio.powf(ended))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_come_on_the_step() {
        // Periods of 10, 30, 90 steps: the logarithms of 4 and 13 to the base of 3 are where rounding could miss.
        let schedule = Schedule::CosineDecayRestarts {
            initial_learning_rate: 1.0,
            first_decay_steps: 10.0,
            t_mul: 3.0,
            m_mul: 0.5,
            alpha: 0.0,
        };
        for (step, restarts) in [(0.0, 0), (10.0, 1), (40.0, 2), (130.0, 3), (400.0, 4)] {
            assert_eq!(schedule.at(step), 0.5f64.powi(restarts), "{step}");
            assert!(step == 0.0 || schedule.at(step - 1.0) < 0.03);
        }
    }

    #[test]
    fn stairs_and_boundaries_are_where_they_are() {
        let stairs = Schedule::ExponentialDecay {
            initial_learning_rate: 1.0,
            decay_steps: 3.0,
            decay_rate: 0.5,
            staircase: true,
        };
        assert_eq!([0.0, 2.0, 3.0, 6.0].map(|step| stairs.at(step)), [1.0, 1.0, 0.5, 0.25]);
        let pieces = Schedule::PiecewiseConstantDecay { boundaries: vec![2.0, 4.0], values: vec![1.0, 0.5, 0.25] };
        assert_eq!([0.0, 2.0, 3.0, 4.0, 5.0].map(|step| pieces.at(step)), [1.0, 1.0, 0.5, 0.5, 0.25]);
    }
}
