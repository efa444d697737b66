//! An allocator for tests that counts what each thread holds.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread allocated less those that it freed, since [`CountingAllocator::most`] began.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// The largest that this was.
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator; a test asks it how much memory some work takes.
///
/// ```
/// use blindroute_ring::CountingAllocator;
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
/// # fn main() {
/// let most = CountingAllocator::most(|| drop(std::hint::black_box(vec![0_u8; 1 << 20])));
/// assert!((1 << 20..1 << 21).contains(&most));
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CountingAllocator;

impl CountingAllocator {
    /// The most bytes that this thread held at a time while `work` ran, beyond those from before. It is 0 if this is not the
    /// program's allocator.
    pub fn most(work: impl FnOnce()) -> usize {
        HELD.set(0);
        MOST.set(0);
        work();
        MOST.get().unsigned_abs()
    }

    fn count(change: isize) {
        // A thread that ends frees when its counters are gone.
        let _ = HELD.try_with(|held| {
            held.set(held.get() + change);
            MOST.try_with(|most| most.set(most.get().max(held.get())))
        });
    }
}

// SAFETY: all memory is the system allocator's, under the layouts given. The counters neither allocate nor free.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size() as isize);
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Self::count(-(layout.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size as isize - layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}
