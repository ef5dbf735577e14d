//! Zoneout (Krueger et al. 2016, "Zoneout: regularizing RNNs by randomly preserving hidden activations", arXiv 1606.01305),
//! for every cell: each element of a state keeps its value of the step before with some probability.
//!
//! ```text
//! h = s ∘ h̃ + (1 - s) ∘ h₋       dh̃ = s ∘ dh       dh₋ += (1 - s) ∘ dh
//! ```
//! `h̃` is what the cell makes of its states; `s` is 0 or 1 in training, drawn for every element and step, and its mean, 1 -
//! rate, otherwise. c likewise, with a rate of its own; h̃ comes from c̃, as in the paper.

use super::States;
use super::layout::TimeLayout;
use crate::random;
use std::ptr;

/// Which random numbers the states draw, apart from those of dropout: h, then c.
const STREAMS: [u32; 2] = [2, 3];

/// Zoneout of one state.
#[derive(Clone, Copy)]
pub struct Zone {
    /// The probability of keeping the old value.
    pub rate: f32,
    /// What the cell makes, for the backward pass; the place of the state itself without one.
    pub made: States,
    /// s of the scan's steps in packed order; null where it is its mean.
    pub shares: *mut f32,
}

/// Zoneout of the states that have it, h and c.
#[derive(Clone, Copy)]
pub struct Zoneout {
    /// h, c
    pub zones: [Option<Zone>; 2],
    /// The seed of the layer.
    pub seed: u64,
    /// The training step.
    pub step: u32,
}

/// The rows of a step of which a task takes care.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) layout: &'a TimeLayout,
    pub(super) step: usize,
    /// The scan's first step.
    pub(super) first: usize,
    pub(super) rows: (usize, usize),
    pub(super) units: usize,
}

impl Part<'_> {
    /// The elements in an array of the step's rows.
    fn elements(&self) -> std::ops::Range<usize> {
        self.rows.0 * self.units..self.rows.1 * self.units
    }
}

impl Zone {
    /// s of a step's first row; null where it is the mean.
    ///
    /// # Safety
    /// The step exists.
    unsafe fn shares_at(&self, part: Part<'_>) -> *mut f32 {
        if self.shares.is_null() {
            return ptr::null_mut();
        }
        let row = part.layout.offset(part.step) - part.layout.offset(part.first);
        // SAFETY: whoever made the zone allocated `units` shares for each element of the scan's steps in packed order.
        unsafe { self.shares.add(row * part.units) }
    }

    /// s of an element of the step.
    ///
    /// # Safety
    /// `shares` comes from [`Zone::shares_at`], and the element belongs to the step.
    #[inline(always)]
    unsafe fn share(&self, shares: *const f32, element: usize) -> f32 {
        // SAFETY: by the caller's promise.
        if shares.is_null() { 1.0 - self.rate } else { unsafe { *shares.add(element) } }
    }
}

impl Zoneout {
    /// Draws the shares of a step's rows and brings what the cell made together with the states before. The numbers depend
    /// on the time step and the row's place in the batch.
    ///
    /// # Safety
    /// The states and shares are valid for the layout, the cell has made the rows of the step, and nobody else works on them.
    pub(super) unsafe fn blend(&self, part: Part<'_>, states: [States; 2]) {
        let Part { layout, step, first: start, rows, units } = part;
        for (index, (zone, state)) in self.zones.into_iter().zip(states).enumerate() {
            let Some(zone) = zone else { continue };
            // SAFETY: by the caller's promise.
            unsafe {
                let shares = zone.shares_at(part);
                for row in rows.0..rows.1 {
                    if shares.is_null() {
                        break;
                    }
                    let (origin, time) = layout.origin(row, step);
                    let first = ((time * layout.batch() + origin) * units) as u64;
                    let drawn = std::slice::from_raw_parts_mut(shares.add(row * units), units);
                    random::fill_keep(drawn, first, self.seed, self.step, STREAMS[index], zone.rate);
                }
                let (before, made) = (state.before(layout, step, start, units), zone.made.at(layout, step, units));
                let after = state.at(layout, step, units);
                for element in part.elements() {
                    let share = zone.share(shares, element);
                    *after.add(element) = share * *made.add(element) + (1.0 - share) * *before.add(element);
                }
            }
        }
    }

    /// Leaves in the carries the gradients of what the cell made, and in `kept` those of the states before.
    ///
    /// # Safety
    /// All arrays are valid for the step's rows.
    pub(super) unsafe fn split(&self, part: Part<'_>, carries: [*mut f32; 2], kept: [*mut f32; 2]) {
        for ((zone, carry), kept) in self.zones.into_iter().zip(carries).zip(kept) {
            let Some(zone) = zone else { continue };
            // SAFETY: by the caller's promise.
            unsafe {
                let shares = zone.shares_at(part);
                for element in part.elements() {
                    let (share, gradient) = (zone.share(shares, element), *carry.add(element));
                    *carry.add(element) = share * gradient;
                    *kept.add(element) = (1.0 - share) * gradient;
                }
            }
        }
    }

    /// Adds to the carries, which the cell has replaced, what [`Zoneout::split`] set apart.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn join(&self, part: Part<'_>, carries: [*mut f32; 2], kept: [*mut f32; 2]) {
        for ((zone, carry), kept) in self.zones.iter().zip(carries).zip(kept) {
            for element in part.elements().filter(|_| zone.is_some()) {
                // SAFETY: by the caller's promise.
                unsafe { *carry.add(element) += *kept.add(element) };
            }
        }
    }
}
