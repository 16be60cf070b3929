//! An awaitable that has its value already, for the one await that programs do a million times.
//!
//! `async for` calls `__anext__` and awaits what it returns. A coroutine that ends at once costs more
//! than the line it brings, so a buffered line comes in an object whose slots only hand it over. The
//! slots are set by hand: `am_send` (Python 3.10 and 3.11 call it) cannot be written with PyO3, and a
//! `StopIteration` raised through it costs as much as the coroutine.
#![allow(unsafe_code, reason = "type slots that PyO3 cannot express")]

#[cfg(Py_3_12)]
use pyo3::sync::PyOnceLock;
use pyo3::{
    exceptions::{PyRuntimeError, PyStopIteration},
    ffi,
    prelude::*,
    types::PyType,
};
use std::sync::atomic::{AtomicPtr, Ordering};

/// A value that only has to be awaited.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Ready {
    /// An owned reference, or null once it was handed over.
    value: AtomicPtr<ffi::PyObject>,
}

impl Ready {
    pub(crate) fn new(py: Python<'_>, value: Py<PyAny>) -> PyResult<Py<Self>> {
        Py::new(py, Self { value: AtomicPtr::new(value.into_ptr()) })
    }

    /// Gives `this` a value again, if nobody but the caller knows of it any more.
    pub(crate) fn reuse(this: &Py<Self>, value: Py<PyAny>) -> Result<(), Py<PyAny>> {
        let Self { value: place } = this.get();
        if references(this.as_ptr()) > 1 || !place.load(Ordering::Relaxed).is_null() {
            return Err(value);
        }
        place.store(value.into_ptr(), Ordering::Relaxed);
        Ok(())
    }

    fn take<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let value = self.value.swap(std::ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the place owned the reference, and whoever swaps it out owns it now.
        unsafe { Bound::from_owned_ptr_or_opt(py, value) }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        let value = std::mem::replace(self.value.get_mut(), std::ptr::null_mut());
        if !value.is_null() {
            // SAFETY: an owned reference; objects of Python classes are freed with the interpreter attached.
            unsafe { ffi::Py_DECREF(value) }
        }
    }
}

#[pymethods]
impl Ready {
    fn __await__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    // Makes it an iterator, which `await` demands; `install` replaces the slot.
    fn __next__<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.take(py)
    }

    // The methods of a coroutine, for tasks that are made of one.

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(match self.take(py) {
            Some(value) => PyStopIteration::new_err((value.unbind(),)),
            None => reused(),
        })
    }

    #[pyo3(signature = (kind, value = None, _traceback = None))]
    fn throw(
        &self,
        py: Python<'_>,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        drop(self.take(py));
        Err(PyErr::from_value(value.unwrap_or(kind)))
    }

    fn close(&self, py: Python<'_>) {
        drop(self.take(py));
    }
}

fn reused() -> PyErr {
    PyRuntimeError::new_err("cannot reuse an awaitable that was already awaited")
}

/// References to a live object.
fn references(object: *mut ffi::PyObject) -> isize {
    // SAFETY: callers hold a reference, so the object is alive; its count is only read.
    unsafe { ffi::Py_REFCNT(object) }
}

/// Sets the slots of [`Ready`]. Called once, before there is any object of it.
pub(crate) fn install(class: &Bound<'_, PyType>) {
    // SAFETY: a heap type that PyO3 has just made, with the interpreter attached; such types carry
    // their own `tp_as_async`, and nobody has used the class yet.
    unsafe {
        let class = class.as_type_ptr();
        (*class).tp_iternext = Some(next);
        (*(*class).tp_as_async).am_await = Some(itself);
        (*(*class).tp_as_async).am_send = Some(send);
    }
}

unsafe extern "C" fn itself(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: called by the interpreter with a live object, to which it gets a new reference.
    unsafe { ffi::Py_NewRef(this) }
}

/// `am_send`: the value, as the result of the awaiting.
unsafe extern "C" fn send(
    this: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    // SAFETY: called by the interpreter, attached, with an object of this class.
    match unsafe { value_of(this) } {
        Some(value) => {
            // SAFETY: `result` is the interpreter's to fill; it takes the reference over.
            unsafe { *result = value.into_ptr() };
            ffi::PySendResult::PYGEN_RETURN
        }
        None => ffi::PySendResult::PYGEN_ERROR,
    }
}

/// `tp_iternext`: the value as a `StopIteration`. Python 3.12 and newer call it, and take the value out
/// at once, so the same exception serves again and again: making one costs as much as reading a line.
unsafe extern "C" fn next(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: called by the interpreter, attached, with an object of this class.
    if let Some(value) = unsafe { value_of(this) } {
        raise_stop_iteration(&value);
    }
    std::ptr::null_mut()
}

#[cfg(Py_3_12)]
fn raise_stop_iteration(value: &Bound<'_, PyAny>) {
    static LAST: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let last = LAST.get_or_try_init(py, || PyResult::Ok(py.get_type::<PyStopIteration>().call0()?.unbind()));
    match last {
        // Nobody kept the last one: it serves again.
        Ok(last) if references(last.as_ptr()) == 1 => {
            match last.setattr(py, pyo3::intern!(py, "value"), value) {
                // SAFETY: attached; the call takes over the reference made here.
                Ok(()) => unsafe { ffi::PyErr_SetRaisedException(last.clone_ref(py).into_ptr()) },
                Err(error) => error.restore(py),
            }
        }
        Ok(_) => PyStopIteration::new_err((value.clone().unbind(),)).restore(py),
        Err(error) => error.restore(py),
    }
}

#[cfg(not(Py_3_12))]
fn raise_stop_iteration(value: &Bound<'_, PyAny>) {
    PyStopIteration::new_err((value.clone().unbind(),)).restore(value.py());
}

/// Takes the value out; with none left, the error is set.
///
/// # Safety
///
/// The interpreter must be attached and `this` an object of [`Ready`].
unsafe fn value_of<'py>(this: *mut ffi::PyObject) -> Option<Bound<'py, PyAny>> {
    // SAFETY: attached, by the contract.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: an object of this class, by the contract.
    let this = unsafe { Borrowed::from_ptr(py, this).cast_unchecked::<Ready>() };
    let value = this.get().take(py);
    if value.is_none() {
        reused().restore(py);
    }
    value
}
