//! How the module compares bytes: by eight at a time. The C library's own `memcmp`, which Rust has them compared by, goes one by one,
//! and short names are compared throughout.
#![allow(unsafe_code)]

use core::ffi::c_int;
use core::ptr::read_unaligned;

/// # Safety
/// So many bytes can be read at both.
// SAFETY: it is what C says `memcmp` is, so whoever calls another can as well call this.
#[unsafe(no_mangle)]
#[inline(never)] // It is called from some hundred places.
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, size: usize) -> c_int {
    if size < 8 {
        // SAFETY: each is before the end.
        let differ = (0..size).map(|at| unsafe { (*one.add(at), *other.add(at)) }).find(|(one, other)| one != other);
        return differ.map_or(0, |(one, other)| c_int::from(one) - c_int::from(other));
    }
    let last = size - 8;
    let mut at = 0;
    loop {
        // SAFETY: `at` is `last` at most, after which there are eight.
        let (one, other) =
            unsafe { (read_unaligned(one.add(at).cast::<u64>()), read_unaligned(other.add(at).cast::<u64>())) };
        if one != other {
            return difference(one, other);
        }
        if at == last {
            return 0;
        }
        // The last eight may have been compared in part.
        at = last.min(at + 8);
    }
}

/// Of the first bytes that differ.
fn difference(one: u64, other: u64) -> c_int {
    let place = (one ^ other).trailing_zeros() & !7;
    let byte = |number: u64| (number >> place) as u8;
    c_int::from(byte(one)) - c_int::from(byte(other))
}
