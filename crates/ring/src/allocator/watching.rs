//! An allocator that shows every freed block to a function, as its owner left it: for tests that look for secrets there.
#![allow(unsafe_code)]

use super::reallocate_by_moving;
use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, with a function that sees each block when it is freed, or when a growing vector leaves it.
///
/// Blocks are zero when they are handed out, so everything that is in one was written by its owner. A block that grows
/// always moves, so what growth leaves behind is seen every time. No program that ships installs this allocator.
///
/// ```
/// use blindroute_ring::WatchingAllocator;
/// fn look(block: &[u8]) {
///     assert!(block.len() < 1 << 30);
/// }
/// #[global_allocator]
/// static ALLOCATOR: WatchingAllocator = WatchingAllocator::new(look);
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WatchingAllocator {
    look: fn(&[u8]),
}

impl WatchingAllocator {
    /// An allocator that calls `look` for each freed block. `look` may allocate and free; its own blocks are shown to it as
    /// well, so it has to notice that it is called by itself. If it panics, the process ends.
    pub const fn new(look: fn(&[u8])) -> Self {
        Self { look }
    }

    /// Calls `look`. Unwinding out of an allocator is not allowed, so a panic becomes the end of the process.
    fn show(&self, block: &[u8]) {
        struct EndIfUnwinding;
        impl Drop for EndIfUnwinding {
            fn drop(&mut self) {
                // A second panic while the first unwinds aborts.
                panic!("the function that looks at freed blocks panicked");
            }
        }
        let guard = EndIfUnwinding;
        (self.look)(block);
        std::mem::forget(guard);
    }
}

// SAFETY: all memory is the system allocator's, under the layouts given. Blocks are only read, while they are still
// allocated, and every byte of them is initialised, because they were handed out as zeros.
unsafe impl GlobalAlloc for WatchingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller owns the block, of this layout.
        self.show(unsafe { std::slice::from_raw_parts(block, layout.size()) });
        // SAFETY: as above, and nothing points to the block any more.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        unsafe { reallocate_by_moving(self, block, layout, size) }
    }
}
