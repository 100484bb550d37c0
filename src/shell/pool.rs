//! The module's allocator: small blocks that are given back wait, by their size, for the next who wants one.
//!
//! A request takes hundreds of them. Rust's own allocator for wasm takes 120 instructions to find and to give back each, in all a
//! quarter of what a small request costs; talc and rlsf, that were measured too, take no fewer. A block's size never changes: there
//! are as many of a size as were ever in use at once. What is larger is the other allocator's.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr;
use std::alloc::System;

#[global_allocator]
static POOL: Pool = Pool { free: [const { Cell::new(ptr::null_mut()) }; CLASSES] };

struct Pool {
    /// The first of the free blocks of each size.
    free: [Cell<*mut Block>; CLASSES],
}

/// A free block.
struct Block {
    next: *mut Block,
}

/// Sizes are multiples of so many bytes, which all blocks are aligned to.
const GRAIN: usize = 16;
const CLASSES: usize = 32;

// SAFETY: the module has one thread. (`wasm32-wasip1` is the target without any; the one with them is called otherwise.)
unsafe impl Sync for Pool {}

impl Pool {
    /// The free blocks for such a layout, and what it takes to get a new one; `None`: that is not for the pool.
    fn class(&self, layout: Layout) -> Option<(&Cell<*mut Block>, Layout)> {
        let class = layout.size().wrapping_sub(1) / GRAIN;
        let free = self.free.get(class).filter(|_| layout.align() <= GRAIN)?;
        Some((free, Layout::from_size_align((class + 1) * GRAIN, GRAIN).ok()?))
    }
}

// SAFETY: a block is in a list or in use, never both: it leaves its list in `alloc`, and comes into that of the same layout in
// `dealloc`, from a caller who has no use for it any more. All blocks of a list have the list's size, and the alignment `GRAIN`.
unsafe impl GlobalAlloc for Pool {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((free, whole)) = self.class(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        };
        let block = free.get();
        if block.is_null() {
            // SAFETY: it is not of no size.
            return unsafe { System.alloc(whole) };
        }
        // SAFETY: what is in a list was written by `dealloc`.
        free.set(unsafe { (*block).next });
        block.cast()
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let Some((free, _)) = self.class(layout) else {
            // SAFETY: it came from there, by the same layout.
            return unsafe { System.dealloc(memory, layout) };
        };
        let block = memory.cast::<Block>();
        // SAFETY: it is at least `GRAIN` bytes, and nobody's.
        unsafe { block.write(Block { next: free.get() }) };
        free.set(block);
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(anew) = Layout::from_size_align(size, layout.align()) else { return ptr::null_mut() };
        match (self.class(layout), self.class(anew)) {
            // SAFETY: it came from there, by the same layout.
            (None, None) => unsafe { System.realloc(memory, layout, size) },
            (Some((_, before)), Some((_, after))) if before == after => memory,
            _ => {
                // SAFETY: neither is smaller than what is copied, and they are not the same.
                unsafe {
                    let moved = self.alloc(anew);
                    if !moved.is_null() {
                        ptr::copy_nonoverlapping(memory, moved, layout.size().min(size));
                        self.dealloc(memory, layout);
                    }
                    moved
                }
            }
        }
    }
}
