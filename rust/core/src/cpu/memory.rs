//! The memories of a plan: who owns them, and what a call sees of them.

use crate::Result;
use crate::backend::MemorySize;
use crate::tensor::{Buffer, Span};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::slice;

/// The memories of a plan.
#[derive(Default)]
pub(super) struct Buffers {
    floats: Buffer,
    integers: Vec<i32>,
    masks: Vec<u8>,
}

impl Buffers {
    /// Makes room. What the memories held may be lost.
    pub(super) fn resize(&mut self, size: MemorySize) -> Result<()> {
        self.floats.resize(size.floats)?;
        self.integers.resize(size.integers, 0);
        self.masks.resize(size.masks, 0);
        Ok(())
    }

    /// The room that there is.
    pub(super) fn size(&self) -> MemorySize {
        let Self { floats, integers, masks } = self;
        MemorySize { floats: floats.capacity(), integers: integers.capacity(), masks: masks.capacity() }
    }

    /// The flags of a mask.
    pub(super) fn mask(&self, span: Span) -> &[u8] {
        &self.masks[span.offset..span.offset + span.len]
    }

    /// The memories for one call.
    pub(super) fn view(&mut self) -> View<'_> {
        // SAFETY: the view keeps `self` borrowed, so it is the only one.
        View { memory: unsafe { self.share() }, buffers: PhantomData }
    }

    /// The memories for one of several calls that run at the same time.
    ///
    /// # Safety
    /// It is used only while the buffers stay borrowed. Where there are several, they ask for spans, not for whole regions, and none
    /// asks to write what another one asks for.
    pub(super) unsafe fn share(&mut self) -> Memory {
        let Self { floats, integers, masks } = self;
        Memory {
            floats: Region { base: floats.as_mut_ptr(), len: floats.len() },
            integers: Region { base: integers.as_mut_ptr(), len: integers.len() },
            masks: Region { base: masks.as_mut_ptr(), len: masks.len() },
        }
    }
}

/// The memories, for one call alone.
pub(super) struct View<'a> {
    memory: Memory,
    buffers: PhantomData<&'a mut Buffers>,
}

impl Deref for View<'_> {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        &self.memory
    }
}

impl DerefMut for View<'_> {
    fn deref_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }
}

/// One of the memories, which calls that run at the same time may share. As a slice, it is all of it.
pub(crate) struct Region<T> {
    base: *mut T,
    len: usize,
}

// SAFETY: a region is a `&mut [T]` but for the promise of `Buffers::share`, which holds wherever it goes.
unsafe impl<T: Send> Send for Region<T> {}

impl<T> Deref for Region<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: by the promise of `Buffers::share` the memory is there, and no one else writes it.
        unsafe { slice::from_raw_parts(self.base, self.len) }
    }
}

impl<T> DerefMut for Region<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`; no one else has a view.
        unsafe { slice::from_raw_parts_mut(self.base, self.len) }
    }
}

impl<T> Region<T> {
    /// Panics unless a span lies inside.
    fn check(&self, span: Span) {
        let end = span.offset.checked_add(span.len);
        assert!(end.is_some_and(|end| end <= self.len), "the plan's span {span:?} of a memory of {}", self.len);
    }

    fn span(&self, span: Span) -> &[T] {
        self.check(span);
        // SAFETY: the span lies inside; by the promise of `Buffers::share` no one else writes it.
        unsafe { slice::from_raw_parts(self.base.add(span.offset), span.len) }
    }

    fn span_mut(&mut self, span: Span) -> &mut [T] {
        self.check(span);
        // SAFETY: as for `span`, and no one else reads it.
        unsafe { slice::from_raw_parts_mut(self.base.add(span.offset), span.len) }
    }

    /// Spans to read, which may overlap, beside disjoint ones to write.
    ///
    /// The plan places what is alive at one time apart and a call reads its spans from there, whatever a user passes: shapes,
    /// options and arrays are checked before there is a plan. So what cannot be split here is a fault of ours, and no more than a
    /// wrong answer is to come of it.
    ///
    /// # Panics
    /// When a span to write overlaps another one, or one lies outside.
    fn split<const R: usize, const W: usize>(
        &mut self,
        reads: [Span; R],
        writes: [Span; W],
    ) -> ([&[T]; R], [&mut [T]; W]) {
        let apart =
            |a: Span, b: Span| a.len == 0 || b.len == 0 || a.offset + a.len <= b.offset || b.offset + b.len <= a.offset;
        for (position, span) in writes.iter().enumerate() {
            self.check(*span);
            let others = reads.iter().chain(&writes[..position]);
            assert!(others.into_iter().all(|other| apart(*span, *other)), "the plan's spans {reads:?} and {writes:?}");
        }
        for span in &reads {
            self.check(*span);
        }
        // SAFETY: the spans lie inside and what is written overlaps nothing: both checked above. By the promise of
        // `Buffers::share`, nothing of it is written by anyone else.
        unsafe {
            (
                reads.map(|span| slice::from_raw_parts(self.base.add(span.offset), span.len)),
                writes.map(|span| slice::from_raw_parts_mut(self.base.add(span.offset), span.len)),
            )
        }
    }
}

/// What a call sees of the memories of a plan.
pub(crate) struct Memory {
    pub(super) floats: Region<f32>,
    pub(super) integers: Region<i32>,
    pub(super) masks: Region<u8>,
}

impl Memory {
    pub(crate) fn floats(&self, span: Span) -> &[f32] {
        self.floats.span(span)
    }

    pub(crate) fn integers(&self, span: Span) -> &[i32] {
        self.integers.span(span)
    }

    pub(crate) fn mask(&self, span: Span) -> &[u8] {
        self.masks.span(span)
    }

    /// Where a span starts, for the kernels.
    pub(crate) fn pointer(&mut self, span: Span) -> *mut f32 {
        self.floats.check(span);
        // SAFETY: the span lies inside the region.
        unsafe { self.floats.base.add(span.offset) }
    }

    pub(crate) fn floats_mut(&mut self, span: Span) -> &mut [f32] {
        self.floats.span_mut(span)
    }

    pub(crate) fn mask_mut(&mut self, span: Span) -> &mut [u8] {
        self.masks.span_mut(span)
    }

    pub(super) fn integers_mut(&mut self, span: Span) -> &mut [i32] {
        self.integers.span_mut(span)
    }

    /// Token ids beside disjoint spans of floats.
    pub(crate) fn integers_and_many<const N: usize>(
        &mut self,
        ids: Span,
        spans: [Span; N],
    ) -> (&[i32], [&mut [f32]; N]) {
        (self.integers.span(ids), disjoint(&mut self.floats, spans))
    }

    /// All flags, and floats to read, in spans that may overlap, beside disjoint ones to write.
    ///
    /// # Panics
    /// When a span to write overlaps another one, or one lies outside: a fault of the plan.
    pub(crate) fn flags_and_floats<const R: usize, const W: usize>(
        &mut self,
        reads: [Span; R],
        writes: [Span; W],
    ) -> (&[u8], [&[f32]; R], [&mut [f32]; W]) {
        let (reads, writes) = self.floats.split(reads, writes);
        (&self.masks, reads, writes)
    }

    /// Floats to read, in spans that may overlap and that calls at the same time may read too, beside disjoint ones to write.
    ///
    /// # Panics
    /// As [`Memory::flags_and_floats`].
    pub(crate) fn split<const R: usize, const W: usize>(
        &mut self,
        reads: [Span; R],
        writes: [Span; W],
    ) -> ([&[f32]; R], [&mut [f32]; W]) {
        self.floats.split(reads, writes)
    }

    /// Disjoint spans at once, none of which a call at the same time uses.
    ///
    /// # Panics
    /// When spans overlap or lie outside: a fault of the plan.
    pub(crate) fn many<const N: usize>(&mut self, spans: [Span; N]) -> [&mut [f32]; N] {
        disjoint(&mut self.floats, spans)
    }
}

/// Disjoint spans at once.
///
/// # Panics
/// When spans overlap or lie outside: a fault of the plan.
pub(super) fn disjoint<const N: usize>(floats: &mut Region<f32>, spans: [Span; N]) -> [&mut [f32]; N] {
    floats.split([], spans).1
}
