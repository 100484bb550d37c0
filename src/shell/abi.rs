//! Calls of the host that the SDK makes dearer than they are: it takes a map of headers apart, with two blocks of memory for each,
//! and puts a property's path together from its parts. And it traps where the host refuses.
//!
//! <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>
#![allow(unsafe_code)]

use core::ptr;

use proxy_wasm::types::MapType;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_remove_header_map_value(map: MapType, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
}

/// What the host calls a refusal.
type Status = u32;

/// All headers, serialized.
pub(super) fn header_map(map: MapType) -> Result<Vec<u8>, Status> {
    // SAFETY: as the ABI has it; both pointers are for the length of the call.
    given(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
}

/// Takes a header away, if it is there.
pub(super) fn remove_header(map: MapType, name: &[u8]) -> Result<(), Status> {
    // SAFETY: as the ABI has it; the host reads the name during the call.
    done(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

/// A property; the parts of its path are joined by NULs.
pub(super) fn property(path: &str) -> Result<Vec<u8>, Status> {
    // SAFETY: as the ABI has it; all pointers are for the length of the call.
    given(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Sets a property.
pub(super) fn set_property(path: &str, value: &[u8]) -> Result<(), Status> {
    // SAFETY: as the ABI has it; the host reads both during the call.
    done(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

fn done(status: Status) -> Result<(), Status> {
    if status == 0 { Ok(()) } else { Err(status) }
}

/// What the host gives in memory that it has the module allocate.
fn given(call: impl FnOnce(*mut *mut u8, *mut usize) -> Status) -> Result<Vec<u8>, Status> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    done(call(&raw mut data, &raw mut size))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the host got `data` from `proxy_on_memory_allocate(size)`, the SDK's, which leaks a boxed slice of just so many bytes;
    // all of them are written, and it is nobody else's any more.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}
