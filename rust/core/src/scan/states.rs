//! Where the states of a scan lie in memory.

use super::layout::TimeLayout;

/// Where the values of a state lie over time.
#[derive(Clone, Copy)]
pub struct States {
    /// The first step that is kept, or the only one.
    pub base: *mut f32,
    /// The state before the scan's first step, packed row order.
    pub initial: *const f32,
    /// How much of it is kept.
    pub kept: Kept,
}

/// How many steps of a state memory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Every step from this one on, in packed order.
    From(usize),
    /// The last two, taking turns.
    Two,
    /// One, which each step replaces.
    One,
}

impl Kept {
    /// The row at which a step starts.
    #[must_use]
    pub fn row(self, layout: &TimeLayout, step: usize) -> usize {
        match self {
            Self::From(first) => layout.offset(step) - layout.offset(first),
            Self::Two => (step % 2) * layout.batch(),
            Self::One => 0,
        }
    }
}

impl States {
    /// The first row of a step.
    ///
    /// # Safety
    /// The step exists.
    #[must_use]
    pub unsafe fn at(&self, layout: &TimeLayout, step: usize, units: usize) -> *mut f32 {
        // SAFETY: the caller allocated as many rows as `kept` says.
        unsafe { self.base.add(self.kept.row(layout, step) * units) }
    }

    /// The first row of the step before, in a scan that begins with step `first`.
    ///
    /// # Safety
    /// As [`States::at`].
    #[must_use]
    pub unsafe fn before(&self, layout: &TimeLayout, step: usize, first: usize, units: usize) -> *const f32 {
        // SAFETY: passed on.
        if step == first { self.initial } else { unsafe { self.at(layout, step - 1, units) } }
    }
}
