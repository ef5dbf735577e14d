//! The one loop that all optimizers share: vectors of the weight, its gradient and its slots, through a rule.

use foliot_simd::{Isa, Kernel, Level, dispatch};

/// The most slots that a rule has.
pub(super) const MAX_SLOTS: usize = 3;

/// An update of one vector.
pub(super) trait Step {
    /// How many slots are read and written.
    const SLOTS: usize;

    /// The new weights; the slots are changed in place.
    fn step<I: Isa>(&self, isa: I, weight: I::F32, gradient: I::F32, slots: &mut [I::F32; MAX_SLOTS]) -> I::F32;
}

/// What is to be updated.
pub(super) struct Sweep<'a, 'b> {
    pub(super) level: Level,
    pub(super) learning_rate: f32,
    pub(super) weight_decay: Option<f32>,
    /// Whether it may decay at all.
    pub(super) decays: bool,
    pub(super) weight: &'a mut [f32],
    pub(super) gradient: &'a [f32],
    pub(super) slots: &'a mut [&'b mut [f32]],
    /// The whole weight's.
    pub(super) shape: &'a [usize],
}

impl Sweep<'_, '_> {
    pub(super) fn run<S: Step>(self, step: &S) {
        assert_eq!(self.gradient.len(), self.weight.len());
        assert_eq!(self.slots.len(), S::SLOTS);
        let mut slots = [std::ptr::null_mut(); MAX_SLOTS];
        for (pointer, slot) in slots.iter_mut().zip(self.slots) {
            assert_eq!(slot.len(), self.weight.len());
            *pointer = slot.as_mut_ptr();
        }
        let Self { level, weight, gradient, learning_rate, .. } = self;
        if let Some(weight_decay) = self.weight_decay {
            dispatch(level, Loop::<S, true> { step, weight, gradient, slots, weight_decay, learning_rate });
        } else {
            let weight_decay = 0.0;
            dispatch(level, Loop::<S, false> { step, weight, gradient, slots, weight_decay, learning_rate });
        }
    }
}

/// The first `S::SLOTS` pointers are valid for as many values as the weight has, and nothing else refers to them.
struct Loop<'a, S, const DECAY: bool> {
    step: &'a S,
    weight: &'a mut [f32],
    gradient: &'a [f32],
    slots: [*mut f32; MAX_SLOTS],
    weight_decay: f32,
    learning_rate: f32,
}

impl<S: Step, const DECAY: bool> Kernel for Loop<'_, S, DECAY> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let count = self.weight.len();
        let whole = count - count % I::LANES;
        for first in (0..whole).step_by(I::LANES) {
            // SAFETY: `first + LANES <= count`.
            unsafe { self.vector::<I, true>(isa, first, I::LANES) };
        }
        if whole < count {
            // SAFETY: `whole` plus the number of the rest is `count`, and the rest is less than `LANES`.
            unsafe { self.vector::<I, false>(isa, whole, count - whole) };
        }
    }
}

impl<S: Step, const DECAY: bool> Loop<'_, S, DECAY> {
    /// Updates the `n` elements from `first` on.
    ///
    /// # Safety
    /// `first + n` is at most the number of weights; `n` is `LANES` if `FULL`, else at most that.
    #[inline(always)]
    unsafe fn vector<I: Isa, const FULL: bool>(&self, isa: I, first: usize, n: usize) {
        let weight = self.weight.as_ptr().cast_mut();
        // SAFETY: the caller keeps `first..first + n` within the weights, which are as many as the gradients and as each
        // of the first `SLOTS` slots (asserted by `Sweep::run`). `self.weight` is an exclusive borrow.
        unsafe {
            let mut w = read::<I, FULL>(isa, weight.add(first), n);
            let g = read::<I, FULL>(isa, self.gradient.as_ptr().add(first), n);
            let mut slots = [isa.zero(); MAX_SLOTS];
            for (slot, pointer) in slots.iter_mut().zip(self.slots).take(S::SLOTS) {
                *slot = read::<I, FULL>(isa, pointer.add(first), n);
            }
            if DECAY {
                let decayed = isa.mul(w, isa.splat(self.weight_decay));
                w = isa.neg_mul_add(decayed, isa.splat(self.learning_rate), w);
            }
            w = self.step.step(isa, w, g, &mut slots);
            write::<I, FULL>(isa, weight.add(first), w, n);
            for (slot, pointer) in slots.into_iter().zip(self.slots).take(S::SLOTS) {
                write::<I, FULL>(isa, pointer.add(first), slot, n);
            }
        }
    }
}

/// # Safety
/// `source` is valid for reading `n` values; `n` is `LANES` if `FULL`, else at most that.
#[inline(always)]
unsafe fn read<I: Isa, const FULL: bool>(isa: I, source: *const f32, n: usize) -> I::F32 {
    // SAFETY: passed on to the caller.
    unsafe { if FULL { isa.load(source) } else { isa.load_partial(source, n) } }
}

/// # Safety
/// `target` is valid for writing `n` values; `n` is `LANES` if `FULL`, else at most that.
#[inline(always)]
unsafe fn write<I: Isa, const FULL: bool>(isa: I, target: *mut f32, x: I::F32, n: usize) {
    // SAFETY: passed on to the caller.
    unsafe { if FULL { isa.store(target, x) } else { isa.store_partial(target, x, n) } }
}
