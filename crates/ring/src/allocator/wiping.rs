//! An allocator that wipes small blocks when they are freed.
//!
//! Types that hold secrets wipe themselves. They cannot reach copies that libraries make: the TLS library frees a
//! copy of every record that it has decrypted, and of the private key that it was given. All of these are small, and wiping
//! them costs next to nothing, because they are still in the cache.
#![allow(unsafe_code)]

use super::reallocate_by_moving;
use std::alloc::{GlobalAlloc, Layout, System};

/// The largest block that is wiped. A TLS record has up to 16 KiB; larger blocks are our own, and wiped by their types if
/// they are secret: most of them are public values, whose wiping would cost as much as their use.
const LARGEST: usize = 64 << 10;

/// An allocator that overwrites blocks of up to 64 KiB with zeros when they are freed, or that a growing vector leaves.
///
/// ```
/// use blindroute_ring::WipingAllocator;
/// #[global_allocator]
/// static ALLOCATOR: WipingAllocator = WipingAllocator::SYSTEM;
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WipingAllocator<A = System>(A);

impl WipingAllocator {
    /// The system's allocator, with wiping.
    pub const SYSTEM: Self = Self(System);
}

impl<A> WipingAllocator<A> {
    /// Another allocator, with wiping.
    pub const fn new(inner: A) -> Self {
        Self(inner)
    }
}

// SAFETY: all memory is the inner allocator's, under the layouts given. A block is written to only
// before it is given back, and within its layout.
unsafe impl<A: GlobalAlloc> GlobalAlloc for WipingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() <= LARGEST {
            // SAFETY: the caller gives up a block of this layout, so nobody else reads or writes it.
            unsafe { block.write_bytes(0, layout.size()) };
            // SAFETY: as above, and every byte of it was just initialised. The barrier counts as a reader: without it,
            // the compiler leaves out stores to a block that is freed.
            zeroize::optimization_barrier(unsafe { std::slice::from_raw_parts(block, layout.size()) });
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { self.0.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() > LARGEST {
            // SAFETY: the caller's promises are passed on.
            return unsafe { self.0.realloc(block, layout, size) };
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { reallocate_by_moving(self, block, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::WatchingAllocator;
    use std::cell::Cell;

    thread_local! {
        /// Bytes that were not zero in the blocks that came back.
        static LEFT: Cell<usize> = const { Cell::new(0) };
    }

    fn count(block: &[u8]) {
        LEFT.set(LEFT.get() + block.iter().filter(|byte| **byte != 0).count());
    }

    #[test]
    fn small_blocks_come_back_as_zeros_and_growing_keeps_what_they_hold() {
        let allocator = WipingAllocator::new(WatchingAllocator::new(count));
        for size in [1, 7, 4096, LARGEST] {
            let layout = Layout::from_size_align(size, 8).unwrap();
            // SAFETY: the layouts are those of the blocks, and what is read was written.
            unsafe {
                let block = allocator.alloc(layout);
                block.write_bytes(7, size);
                let grown = allocator.realloc(block, layout, 2 * size);
                assert!(std::slice::from_raw_parts(grown, size).iter().all(|byte| *byte == 7));
                let shrunk = allocator.realloc(grown, Layout::from_size_align(2 * size, 8).unwrap(), 1);
                assert_eq!(shrunk.read(), 7);
                allocator.dealloc(shrunk, Layout::from_size_align(1, 8).unwrap());
            }
            if 2 * size <= LARGEST {
                assert_eq!(LEFT.get(), 0, "{size} bytes");
            }
        }
        assert!(LEFT.get() >= LARGEST, "what is larger comes back as it was");
    }
}
