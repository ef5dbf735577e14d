use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;

/// Tests that set the number of threads must not overlap.
fn with_threads(threads: usize) -> MutexGuard<'static, ()> {
    static SETTING: Mutex<()> = Mutex::new(());
    let guard = SETTING.lock().unwrap_or_else(PoisonError::into_inner);
    set_num_threads(threads).unwrap();
    guard
}

fn sum(tasks: usize) -> usize {
    let total = AtomicUsize::new(0);
    for_each(tasks, |task| {
        total.fetch_add(task + 1, Ordering::Relaxed);
    });
    total.into_inner()
}

#[test]
fn every_task_runs_once() {
    for threads in [1, 2, 4] {
        let _guard = with_threads(threads);
        for tasks in [0, 1, 2, 3, 5, 100, 1000] {
            let mut runs = vec![0; tasks];
            for_each_mut(&mut runs, |_, run| *run += 1);
            assert_eq!(runs, vec![1; tasks], "{threads} threads, {tasks} tasks");
            assert_eq!(map(tasks, |task| task * task), (0..tasks).map(|task| task * task).collect::<Vec<_>>());
        }
    }
}

#[test]
fn many_small_jobs_in_a_row() {
    let _guard = with_threads(4);
    for _ in 0..2000 {
        assert_eq!(sum(7), 28);
    }
}

/// Holds the pool of this process. Tests of other modules may have it for a moment, and while they do, [`for_each`]
/// would rightly run everything on its caller.
fn wait_for_claim() -> Claim {
    loop {
        if let Some(claim) = Pool::current().claim() {
            break claim;
        }
        thread::yield_now();
    }
}

#[test]
fn workers_take_part() {
    let threads = Mutex::new(std::collections::HashSet::new());
    // Each task waits until both threads have arrived: this ends only if two threads run tasks.
    let arrived = AtomicUsize::new(0);
    let _inside = Inside::enter();
    wait_for_claim().run(1, 2, &|_| {
        threads.lock().unwrap().insert(thread::current().id());
        arrived.fetch_add(1, Ordering::SeqCst);
        while arrived.load(Ordering::SeqCst) < 2 {
            thread::yield_now();
        }
    });
    assert_eq!(threads.into_inner().unwrap().len(), 2);
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
    for threads in [1, 2, 4] {
        let _guard = with_threads(threads);
        for bad in [0, 1, 63] {
            let before = denormals::current();
            let result = catch_unwind(|| for_each(64, |task| assert!(task != bad, "task {task}")));
            let payload = result.unwrap_err();
            assert_eq!(payload.downcast_ref::<String>().unwrap(), &format!("task {bad}"));
            assert_eq!(denormals::current(), before);
            assert_eq!(sum(10), 55);
        }
    }
}

#[test]
fn nested_calls_run_inline() {
    let _guard = with_threads(4);
    let total = AtomicUsize::new(0);
    for_each(8, |_| {
        let here = thread::current().id();
        for_each(8, |_| {
            assert_eq!(thread::current().id(), here);
            total.fetch_add(1, Ordering::Relaxed);
        });
    });
    assert_eq!(total.into_inner(), 64);
}

#[test]
fn several_callers_at_once() {
    let _guard = with_threads(3);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..300 {
                    assert_eq!(sum(50), 1275);
                    // Tasks long enough that callers meet.
                    assert_eq!(map(8, |task| (0..5000).fold(task, |a, b| hint::black_box(a ^ b))).len(), 8);
                }
            });
        }
    });
}

#[test]
fn a_caller_that_finds_the_pool_taken_leaves_it_taken() {
    let _guard = with_threads(2);
    let pool = Pool::current();
    let claim = wait_for_claim();
    assert!(pool.claim().is_none());
    assert!(pool.claim().is_none());
    assert_eq!(sum(10), 55);
    drop(claim);
    wait_for_claim();
}

#[test]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn denormals_are_flushed_in_tasks_only() {
    let _guard = with_threads(2);
    let halves = |_| hint::black_box(f32::MIN_POSITIVE) * hint::black_box(0.5);
    // Comes before the register is read: the comparison itself raises the flag "denormal operand".
    assert!(halves(0) > 0.0);
    let before = denormals::current();
    for tasks in [1, 2, 64] {
        assert_eq!(map(tasks, halves), vec![0.0; tasks]);
    }
    assert_eq!(denormals::current(), before);
    assert!(halves(0) > 0.0);
}

#[test]
fn thread_counts_are_checked() {
    let _guard = with_threads(2);
    assert_eq!(num_threads().unwrap(), 2);
    for bad in [0, MAX_THREADS + 1] {
        let text = set_num_threads(bad).unwrap_err().to_string();
        assert!(text.contains("num_threads") && text.contains("1 to 1024") && text.contains(&bad.to_string()));
    }
    assert_eq!(num_threads().unwrap(), 2);
    assert_eq!(parse_threads(" 3 ").unwrap(), 3);
    for bad in ["", "0", "-1", "two", "1.5", "99999999999999999999"] {
        let text = parse_threads(bad).unwrap_err().to_string();
        assert!(text.contains("FOLIOT_NUM_THREADS") && text.contains(bad), "{text}");
    }
}

#[test]
#[cfg(unix)]
fn a_forked_child_builds_its_own_pool() {
    let _guard = with_threads(3);
    assert_eq!(sum(100), 5050);
    // SAFETY: the child calls only our code, which takes no lock of the parent's, and leaves by _exit; the alarm ends
    // it if it hangs.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: plain system calls.
        unsafe { libc::alarm(20) };
        let good = (0..20).all(|_| sum(100) == 5050);
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(i32::from(!good)) };
    }
    assert!(child > 0, "fork failed");
    let mut status = -1;
    // SAFETY: `status` is a live integer.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child hung or computed something else");
    assert_eq!(sum(100), 5050);
}
