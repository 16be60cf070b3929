//! One long string made of many, in steps between which the loop can turn.
//!
//! `"".join` is one call: it would hold the loop for a millisecond with every few megabytes.

use crate::{
    lock::Mutex,
    memory::{NewString, char_len, max_char},
};
use pyo3::{prelude::*, types::PyString};

/// Characters that are copied in one step: less than 1 ms, with the pages that are touched first.
const STEP_CHARS: usize = 512 * 1024;

/// Strings on their way to be one.
pub(crate) struct Joining {
    /// What is not copied yet, the next one last; each is dropped when it is.
    rest: Vec<Py<PyAny>>,
    /// Characters of the next one that are copied.
    used: usize,
    whole: NewString,
    /// Characters in `whole`.
    copied: usize,
}

impl Joining {
    pub(crate) fn new(py: Python<'_>, mut parts: Vec<Py<PyAny>>) -> PyResult<Self> {
        let (mut len, mut bound) = (0, 0x7f);
        for part in &parts {
            let part = part.bind(py).cast::<PyString>()?;
            len += char_len(part);
            bound = bound.max(max_char(part));
        }
        parts.reverse();
        Ok(Self { rest: parts, used: 0, whole: NewString::new(py, len, bound)?, copied: 0 })
    }

    /// Copies some more; whether that was the last.
    pub(crate) fn step(&mut self, py: Python<'_>) -> PyResult<bool> {
        let mut room = STEP_CHARS;
        while let Some(part) = self.rest.last() {
            let part = part.bind(py).cast::<PyString>()?;
            let left = char_len(part) - self.used;
            let count = left.min(room);
            self.whole.copy(self.copied, part, self.used, count)?;
            self.copied += count;
            self.used += count;
            room -= count;
            if count < left {
                return Ok(false);
            }
            self.rest.pop();
            self.used = 0;
        }
        Ok(true)
    }

    /// The string, after the last step.
    pub(crate) fn finish(self, py: Python<'_>) -> Bound<'_, PyString> {
        self.whole.finish().into_bound(py)
    }
}

/// As [`Joining`], for text that Python code has in a list.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Joiner(Mutex<Option<Joining>>);

#[pymethods]
impl Joiner {
    #[new]
    fn new(py: Python<'_>, parts: Vec<Py<PyAny>>) -> PyResult<Self> {
        Ok(Self(Mutex::new(Some(Joining::new(py, parts)?))))
    }

    /// Copies some more. The string when that was the last; it is given only once.
    fn step<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        let Some(mut joining) = self.0.lock().take() else { return Ok(None) };
        if joining.step(py)? {
            return Ok(Some(joining.finish(py)));
        }
        *self.0.lock() = Some(joining);
        Ok(None)
    }
}
