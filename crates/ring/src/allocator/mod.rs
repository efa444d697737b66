//! Allocators that do something with a block when its owner frees it, or when a growing vector leaves it: one wipes it,
//! one shows it to a test. The third counts, for tests too.

mod counting;
mod watching;
mod wiping;

pub use counting::CountingAllocator;
pub use watching::WatchingAllocator;
pub use wiping::WipingAllocator;

use std::alloc::{GlobalAlloc, Layout};

/// Reallocates by moving, so that the old block is freed by `allocator` too.
///
/// # Safety
/// As for [`GlobalAlloc::realloc`] of `allocator`.
#[allow(unsafe_code)]
unsafe fn reallocate_by_moving(allocator: &impl GlobalAlloc, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    // SAFETY: the caller promises that `size` with this alignment is a layout.
    let moved = unsafe { allocator.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
    if !moved.is_null() {
        // SAFETY: both blocks are at least as long as what is copied, and distinct.
        unsafe { std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
        // SAFETY: the caller gave the block up.
        unsafe { allocator.dealloc(block, layout) };
    }
    moved
}
