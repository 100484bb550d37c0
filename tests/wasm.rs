//! The core on wasm32, in Node (`make test-wasm`).
#![cfg(all(target_family = "wasm", target_os = "unknown"))]

use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
fn runs_on_wasm() {
    assert_eq!(size_of::<usize>(), 4);
}
