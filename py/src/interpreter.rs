//! The one interpreter of a process that may have this module.
//!
//! Types, callbacks and caches of ours are made once for the process. A second interpreter would be given
//! those of the first, and keep them when that is gone. From Python 3.12 on PyO3 says so for interpreters
//! that ask; this refuses all others, on every version, before anything is made.
#![allow(unsafe_code, reason = "the entry point of the module, in front of PyO3's")]

use pyo3::{exceptions::PyImportError, ffi, prelude::*};
use std::{ffi::c_int, sync::OnceLock};

/// The steps of making the module: the check, then those of PyO3.
struct Slots(Vec<ffi::PyModuleDef_Slot>);

// SAFETY: pointers to functions and to static memory, which nobody changes.
unsafe impl Send for Slots {}
// SAFETY: as above.
unsafe impl Sync for Slots {}

/// What Python calls to import the module.
#[unsafe(export_name = "PyInit__native")]
extern "C" fn init() -> *mut ffi::PyObject {
    static SLOTS: OnceLock<Slots> = OnceLock::new();
    let object = crate::_native::_PYO3_DEF.init_multi_phase();
    let definition = object.cast::<ffi::PyModuleDef>();
    if definition.is_null() {
        return object;
    }
    // SAFETY: the definition is static memory of PyO3's, its list of slots ends with a zero, and Python
    // calls this with the interpreter attached, so nobody else looks at it now.
    unsafe {
        let slots = SLOTS.get_or_init(|| checked((*definition).m_slots));
        (*definition).m_slots = slots.0.as_ptr().cast_mut();
    }
    object
}

/// # Safety
///
/// `slots` must be null or point to slots of which the last is zero.
unsafe fn checked(slots: *const ffi::PyModuleDef_Slot) -> Slots {
    let check = ffi::PyModuleDef_Slot { slot: ffi::Py_mod_exec, value: check as *mut _ };
    let mut checked = vec![check];
    let mut next = slots;
    // SAFETY: up to the last, by the contract.
    while let Some(slot) = unsafe { next.as_ref() }.filter(|slot| slot.slot != 0) {
        checked.push(ffi::PyModuleDef_Slot { slot: slot.slot, value: slot.value });
        // SAFETY: this one is not the last.
        next = unsafe { next.add(1) };
    }
    checked.push(ffi::PyModuleDef_Slot { slot: 0, value: std::ptr::null_mut() });
    Slots(checked)
}

/// Refuses every interpreter but the first of the process.
extern "C" fn check(_: *mut ffi::PyObject) -> c_int {
    // SAFETY: Python calls this with an interpreter attached.
    let number = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    if number == 0 {
        return 0;
    }
    // SAFETY: as above.
    let py = unsafe { Python::assume_attached() };
    PyImportError::new_err("aiofile works in the main interpreter of a process only, not in others")
        .restore(py);
    -1
}
