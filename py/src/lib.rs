//! The native half of the Python module `aiofile`.

#[pyo3::pymodule]
mod _native {}
