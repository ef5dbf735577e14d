//! `threads::for_each` allocates nothing once its workers exist. A test of its own process: it counts every allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use foliot_core::threads;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is System's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_call_allocates_nothing() {
    threads::set_num_threads(2).unwrap();
    let sum = AtomicUsize::new(0);
    let add = |task: usize| {
        sum.fetch_add(task, Ordering::Relaxed);
    };
    // Starts the worker and lets it set up its thread-local state; the test harness settles meanwhile.
    for _ in 0..1000 {
        threads::for_each(100, add);
    }
    // A stray allocation of the harness's own thread may fall into one window; one of ours would fall into each.
    let counts: Vec<usize> = (0..5)
        .map(|_| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            for _ in 0..1000 {
                threads::for_each(100, add);
            }
            ALLOCATIONS.load(Ordering::Relaxed) - before
        })
        .collect();
    assert_eq!(counts.iter().min(), Some(&0), "allocations per 1000 calls: {counts:?}");
}
