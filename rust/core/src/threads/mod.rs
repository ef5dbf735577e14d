//! A pool of worker threads that survives `fork`.
//!
//! [`for_each`] hands task numbers to the caller and to workers through one atomic counter. Which thread runs a task is
//! left to chance, so a task must write its own output and reductions over tasks belong to the caller.
//!
//! How a job reaches the workers: the caller puts it on its own stack and opens the *gate*, one 64-bit word holding a
//! generation, an "open" bit and the number of workers inside. A worker enters by a compare-and-swap that fails once the
//! gate is closed, so a worker that wakes late never sees a finished job, and the caller waits only for those inside.
//!
//! The pool takes no lock: a child process inherits locks in whatever state they had at `fork`, and none of their owners.

mod denormals;

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// The environment variable that sets the number of threads.
pub const NUM_THREADS_VARIABLE: &str = "FOLIOT_NUM_THREADS";

/// More than any machine we know has cores; the gate counts up to 65535.
const MAX_THREADS: usize = 1024;

/// How long an idle thread spins before it parks. Waking a parked thread costs several microseconds, so spinning bridges
/// the gap between two jobs of one training step; longer would steal time from other processes on a shared machine.
const SPIN: Duration = Duration::from_micros(20);

/// 0 until the first question for the number of threads.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The pool of the process that stored it; a forked child finds its parent's and replaces it.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// Whether this thread is running a task: a nested call must not wait for the pool that it occupies.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The number of threads that [`for_each`] uses: what [`set_num_threads`] said, else `FOLIOT_NUM_THREADS`, else the
/// number of cores this process may use (affinity and the container's quota count).
///
/// # Errors
/// `FOLIOT_NUM_THREADS` is not a number from 1 to 1024.
pub fn num_threads() -> Result<usize> {
    match THREADS.load(Ordering::Relaxed) {
        0 => {
            let threads = match std::env::var_os(NUM_THREADS_VARIABLE) {
                Some(text) => parse_threads(&text.to_string_lossy())?,
                None => available_cores(),
            };
            // A concurrent set_num_threads wins.
            match THREADS.compare_exchange(0, threads, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => Ok(threads),
                Err(set) => Ok(set),
            }
        }
        threads => Ok(threads),
    }
}

/// How many threads a [`for_each`] has here: [`num_threads`], but one inside a task. A bad `FOLIOT_NUM_THREADS` has been reported
/// before work starts; the cores count then.
#[must_use]
pub fn count() -> usize {
    if INSIDE.get() { 1 } else { num_threads().unwrap_or_else(|_| available_cores()) }
}

/// Sets the number of threads, the caller's included. Results do not depend on it.
///
/// # Errors
/// `threads` is not in 1..=1024.
pub fn set_num_threads(threads: usize) -> Result<()> {
    THREADS.store(check_threads("num_threads", threads)?, Ordering::Relaxed);
    Ok(())
}

/// Runs `body(0)` ... `body(tasks - 1)`, each once, on this thread and the workers, with denormals flushed to zero, and
/// returns when all are done.
///
/// A panic in a task stops the handing out of further tasks and is raised again here once every thread has stopped.
/// Inside a task, or while another thread's call occupies the pool, the tasks run on the calling thread alone.
pub fn for_each(tasks: usize, body: impl Fn(usize) + Sync) {
    if INSIDE.get() {
        return (0..tasks).for_each(body);
    }
    let helpers = count().min(tasks).saturating_sub(1);
    // Held to the end, also when a task panics.
    let _inside = Inside::enter();
    if helpers == 0 {
        return (0..tasks).for_each(body);
    }
    let pool = Pool::current();
    match pool.claim() {
        Some(claim) => claim.run(helpers, tasks, &body),
        None => (0..tasks).for_each(body),
    }
}

/// [`for_each`] over the elements of a slice, each given to one task.
pub fn for_each_mut<T: Send>(items: &mut [T], body: impl Fn(usize, &mut T) + Sync) {
    struct Base<T>(*mut T);
    // SAFETY: only the elements behind the pointer are handed to other threads, each to one, and T is Send.
    unsafe impl<T: Send> Sync for Base<T> {}
    impl<T> Base<T> {
        fn element(&self, index: usize) -> *mut T {
            self.0.wrapping_add(index)
        }
    }
    let base = Base(items.as_mut_ptr());
    for_each(items.len(), |index| {
        // SAFETY: for_each passes each index below items.len() once, so this is the only reference to the element, and
        // `items` stays mutably borrowed until for_each returns.
        body(index, unsafe { &mut *base.element(index) });
    });
}

/// The results of `body(0)` ... `body(tasks - 1)`, in this order.
pub fn map<T: Send>(tasks: usize, body: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let mut results: Vec<Option<T>> = (0..tasks).map(|_| None).collect();
    for_each_mut(&mut results, |index, result| *result = Some(body(index)));
    results.into_iter().flatten().collect()
}

fn available_cores() -> usize {
    // An error means that the platform cannot tell; one thread is always right.
    thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS)
}

fn parse_threads(text: &str) -> Result<usize> {
    match text.trim().parse() {
        Ok(threads) => check_threads(NUM_THREADS_VARIABLE, threads),
        Err(_) => Err(thread_count_error(NUM_THREADS_VARIABLE, &format!("{text:?}"))),
    }
}

fn check_threads(argument: &str, threads: usize) -> Result<usize> {
    if (1..=MAX_THREADS).contains(&threads) {
        Ok(threads)
    } else {
        Err(thread_count_error(argument, &threads.to_string()))
    }
}

fn thread_count_error(argument: &str, received: &str) -> Error {
    Error::value(argument, format!("a number of threads from 1 to {MAX_THREADS}"), received)
}

/// While it lives, this thread is inside a task and flushes denormals.
struct Inside {
    control: denormals::Control,
}

impl Inside {
    fn enter() -> Self {
        INSIDE.set(true);
        Self { control: denormals::flush() }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        denormals::restore(self.control);
        INSIDE.set(false);
    }
}

/// One call of [`for_each`], on the caller's stack.
struct Job<'a> {
    body: &'a (dyn Fn(usize) + Sync),
    tasks: usize,
    next: AtomicUsize,
    panicked: AtomicBool,
    payload: UnsafeCell<Option<Box<dyn Any + Send>>>,
    caller: Thread,
}

impl Job<'_> {
    /// Runs tasks until none is left.
    fn work(&self) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let task = self.next.fetch_add(1, Ordering::Relaxed);
                if task >= self.tasks {
                    break;
                }
                (self.body)(task);
            }
        }));
        if let Err(payload) = result {
            // Hands out no further task: additions by others only move the counter further past the end.
            self.next.store(self.tasks, Ordering::Relaxed);
            if !self.panicked.swap(true, Ordering::Relaxed) {
                // SAFETY: the swap lets exactly one thread in, and the caller reads the cell only after all have left.
                unsafe { *self.payload.get() = Some(payload) };
            }
        }
    }
}

/// Bits of the gate: how many workers are inside, whether more may enter, and the number of the job above them.
const COUNT: u64 = 0xFFFF;
const OPEN: u64 = 0x1_0000;
const GENERATION: u64 = 0x2_0000;

struct Pool {
    process: u32,
    /// Whether a caller occupies the pool.
    claimed: AtomicBool,
    gate: AtomicU64,
    /// Only workers below this number take part in the job.
    helpers: AtomicUsize,
    /// The job of the open gate; its true lifetime ends when the caller has seen the gate closed and empty.
    job: AtomicPtr<Job<'static>>,
    /// Handles for waking; touched by the claiming thread only.
    workers: UnsafeCell<Vec<Thread>>,
}

// SAFETY: all fields are atomic but `workers`, which only the holder of the claim touches.
unsafe impl Sync for Pool {}

/// The right to run a job on the pool; given back when dropped.
struct Claim {
    pool: &'static Pool,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.pool.claimed.store(false, Ordering::Release);
    }
}

impl Pool {
    /// The pool of this process, made at the first call and again in a forked child: threads do not survive `fork`, so
    /// the parent's pool would never answer. The old one stays allocated, since its state cannot be trusted.
    fn current() -> &'static Self {
        let process = std::process::id();
        let mut found = POOL.load(Ordering::Acquire);
        loop {
            // SAFETY: POOL holds null or a pointer from Box::into_raw below that is never freed once stored.
            if let Some(pool) = unsafe { found.as_ref() }
                && pool.process == process
            {
                return pool;
            }
            let made = Box::into_raw(Box::new(Self {
                process,
                claimed: AtomicBool::new(false),
                gate: AtomicU64::new(0),
                helpers: AtomicUsize::new(0),
                job: AtomicPtr::new(ptr::null_mut()),
                workers: UnsafeCell::new(Vec::new()),
            }));
            match POOL.compare_exchange(found, made, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: just made, and never freed from here on.
                Ok(_) => return unsafe { &*made },
                Err(other) => {
                    // SAFETY: `made` was not stored, so nobody else has it.
                    drop(unsafe { Box::from_raw(made) });
                    found = other;
                }
            }
        }
    }

    fn claim(&'static self) -> Option<Claim> {
        // Not then_some: it would make the claim first, and dropping that one frees the pool under its holder.
        (!self.claimed.swap(true, Ordering::Acquire)).then(|| Claim { pool: self })
    }

    /// A worker's life: wait for a job, take part, leave.
    fn serve(&self, index: usize) {
        let _inside = Inside::enter();
        let mut seen = 0;
        loop {
            seen = self.enter(index, seen);
            // SAFETY: `enter` counted this worker in while the gate was open; the caller keeps the job alive until the
            // count is back at zero.
            let job = unsafe { &*self.job.load(Ordering::Relaxed) };
            job.work();
            // The job may be gone as soon as the count drops.
            let caller = job.caller.clone();
            if self.gate.fetch_sub(1, Ordering::AcqRel) & (COUNT | OPEN) == 1 {
                caller.unpark();
            }
        }
    }

    /// Waits for a job after the generation `seen` and enters it; returns its generation.
    fn enter(&self, index: usize, seen: u64) -> u64 {
        let mut wait = Wait::new();
        loop {
            let gate = self.gate.load(Ordering::Acquire);
            let generation = gate / GENERATION;
            if gate & OPEN != 0 && generation != seen && index < self.helpers.load(Ordering::Relaxed) {
                if self.gate.compare_exchange_weak(gate, gate + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    return generation;
                }
            } else {
                wait.pause();
            }
        }
    }
}

impl Claim {
    fn run(self, helpers: usize, tasks: usize, body: &(dyn Fn(usize) + Sync)) {
        let pool = self.pool;
        // SAFETY: this thread holds the claim.
        let workers = unsafe { &mut *pool.workers.get() };
        while workers.len() < helpers {
            let index = workers.len();
            match thread::Builder::new().name(format!("foliot-{index}")).spawn(move || pool.serve(index)) {
                Ok(handle) => workers.push(handle.thread().clone()),
                // The system allows no more threads; those that exist do the work.
                Err(_) => break,
            }
        }
        let helpers = helpers.min(workers.len());

        let job = Job {
            body,
            tasks,
            next: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            payload: UnsafeCell::new(None),
            caller: thread::current(),
        };
        pool.job.store(ptr::from_ref(&job).cast::<Job<'static>>().cast_mut(), Ordering::Relaxed);
        pool.helpers.store(helpers, Ordering::Relaxed);
        let generation = pool.gate.load(Ordering::Relaxed) / GENERATION + 1;
        // Publishes the job; the gate was closed and empty, so no count is lost.
        pool.gate.store((generation * GENERATION) | OPEN, Ordering::Release);
        for worker in &workers[..helpers] {
            worker.unpark();
        }
        job.work();
        pool.gate.fetch_and(!OPEN, Ordering::AcqRel);
        let mut wait = Wait::new();
        while pool.gate.load(Ordering::Acquire) & COUNT != 0 {
            wait.pause();
        }
        drop(self);
        if let Some(payload) = job.payload.into_inner() {
            resume_unwind(payload);
        }
    }
}

/// Spins for a while, then parks. Whoever changes the awaited state afterwards calls `unpark`, whose token makes the next
/// `park` return at once, so no wake-up is lost.
struct Wait {
    since: Instant,
}

impl Wait {
    fn new() -> Self {
        Self { since: Instant::now() }
    }

    fn pause(&mut self) {
        if self.since.elapsed() < SPIN {
            // A few pauses between two looks at the clock.
            for _ in 0..8 {
                hint::spin_loop();
            }
        } else {
            thread::park();
        }
    }
}

#[cfg(test)]
mod tests;
