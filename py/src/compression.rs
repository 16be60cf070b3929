//! Compressed bytes made and restored for a file of Python's, on whatever thread calls.

use crate::{lock::Mutex, memory::NewBytes};
use afx_core::{
    buffer::Slot,
    compress::{self, Codec, Compression},
};
use pyo3::{
    exceptions::{PyEOFError, PyMemoryError, PyOSError, PyValueError},
    prelude::*,
    types::{PyBytes, PyBytesMethods, PyList},
};
use std::{io, mem};

/// A stream of `afx_core::compress`. The interpreter is free while it works.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Transformer(Mutex<Stream>);

struct Stream {
    transformer: compress::Transformer,
    /// Where it puts what it makes, before there is an object of that length.
    room: Vec<u8>,
}

impl Transformer {
    fn of(transformer: io::Result<compress::Transformer>) -> PyResult<Self> {
        let transformer = transformer.map_err(|error| exception(&error))?;
        Ok(Self(Mutex::new(Stream { transformer, room: Vec::new() })))
    }

    /// Runs one call of the stream with this much room; it says how much of that it filled.
    fn run<'py, T: Send>(
        &self,
        py: Python<'py>,
        room_bytes: usize,
        call: impl Send + FnOnce(&mut compress::Transformer, &mut [u8]) -> io::Result<(T, usize)>,
    ) -> PyResult<(T, Bound<'py, PyBytes>)> {
        let (called, room) = py.detach(|| {
            let mut stream = self.0.lock();
            let mut room = mem::take(&mut stream.room);
            room.resize(room_bytes, 0);
            (call(&mut stream.transformer, &mut room), room)
        });
        let made =
            called.map(|(value, produced)| (value, PyBytes::new(py, room.get(..produced).unwrap_or(&[]))));
        self.0.lock().room = room;
        made.map_err(|error| exception(&error))
    }
}

#[pymethods]
impl Transformer {
    /// One that compresses; `how` is a codec, with or without a level, as in `zst:19`.
    #[staticmethod]
    fn compressor(how: &str) -> PyResult<Self> {
        Self::of(how.parse().and_then(|compression: Compression| compress::Transformer::new(compression)))
    }

    /// One that restores.
    #[staticmethod]
    fn decompressor(codec: &str) -> PyResult<Self> {
        Self::of(codec.parse().and_then(|codec: Codec| compress::Transformer::decompressor(Some(codec))))
    }

    /// Takes what it can of `data` from byte `start` on. Returns how much that was, and at most `room` bytes
    /// that came of it.
    fn step<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyBytes>,
        start: usize,
        room: usize,
    ) -> PyResult<(usize, Bound<'py, PyBytes>)> {
        let input = data.as_bytes().get(start..).unwrap_or_default();
        self.run(py, room, |transformer, output| {
            let step = transformer.step(input, output)?;
            Ok((step.consumed, step.produced))
        })
    }

    /// Makes what was taken so far readable. Returns whether that was all, and at most `room` bytes of it.
    fn flush<'py>(&self, py: Python<'py>, room: usize) -> PyResult<(bool, Bound<'py, PyBytes>)> {
        self.run(py, room, |transformer, output| {
            let flushed = transformer.flush(output)?;
            Ok((flushed.done, flushed.produced))
        })
    }

    /// Ends the stream. Returns as `flush`.
    fn finish<'py>(&self, py: Python<'py>, room: usize) -> PyResult<(bool, Bound<'py, PyBytes>)> {
        self.run(py, room, |transformer, output| {
            let finish = transformer.finish(output)?;
            Ok((finish.done, finish.produced))
        })
    }
}

/// The suffix of the codec that a name tells, whose data starts with `magic`; None where nothing tells.
#[pyfunction]
pub(crate) fn codec_of_magic(magic: &[u8]) -> Option<&'static str> {
    Codec::of_magic(magic).map(Codec::suffix)
}

/// The suffix of the codec of this name, which may have a level.
#[pyfunction]
pub(crate) fn codec_of_name(name: &str) -> PyResult<&'static str> {
    let compression: io::Result<Compression> = name.parse();
    match compression.map_err(|error| exception(&error))? {
        Compression::Compress { codec, .. } => Ok(codec.suffix()),
        Compression::Decompress(_) => Err(PyValueError::new_err("not a codec")),
    }
}

/// Many pieces as one object. `b"".join` would hold the interpreter while it copies.
#[pyfunction]
pub(crate) fn joined_bytes(py: Python<'_>, pieces: &Bound<'_, PyList>) -> PyResult<Py<PyBytes>> {
    let pieces: Vec<Bound<'_, PyBytes>> =
        pieces.iter().map(|piece| Ok(piece.cast_into::<PyBytes>()?)).collect::<PyResult<_>>()?;
    let parts: Vec<&[u8]> = pieces.iter().map(PyBytesMethods::as_bytes).collect();
    let len = parts.iter().map(|part| part.len()).sum();
    let whole = NewBytes::new(py, len)?;
    let mut slot = Slot::from_memory(Box::new(whole.part(0, len)));
    py.detach(move || {
        for part in parts {
            slot.extend_from_slice(part);
        }
    });
    whole.finish(py, len)
}

/// What Python's own `gzip` would raise, but for the class of broken data, which knows the file's name.
fn exception(error: &io::Error) -> PyErr {
    let reason = error.to_string();
    match error.kind() {
        io::ErrorKind::UnexpectedEof => PyEOFError::new_err(reason),
        io::ErrorKind::InvalidInput => PyValueError::new_err(reason),
        io::ErrorKind::OutOfMemory => PyMemoryError::new_err(()),
        _ => PyOSError::new_err((libc::EBADMSG, reason)),
    }
}
