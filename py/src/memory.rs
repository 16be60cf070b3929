//! Python objects as memory that the kernel reads or fills. The only unsafe memory code of this crate.
#![allow(unsafe_code, reason = "bytes and str objects that nobody else has seen yet")]

use afx_core::{buffer::StableMemory, pages::HUGE_PAGE_BYTES};
use pyo3::{buffer::PyBuffer, exceptions::PyBufferError, ffi, prelude::*, types::PyBytes, types::PyString};
use std::{
    borrow::Cow,
    ffi::{CStr, c_int},
    ptr::NonNull,
};

unsafe extern "C" {
    fn _PyBytes_Resize(object: *mut *mut ffi::PyObject, len: isize) -> c_int;
}

/// Bytes of text up to which looking at all of them first costs nothing to speak of.
const SHORT_BYTES: usize = 4096;

/// A fresh `bytes` object whose contents are still to come. Nobody else has seen it.
pub(crate) struct NewBytes(Py<PyBytes>);

impl NewBytes {
    pub(crate) fn new(py: Python<'_>, len: usize) -> PyResult<Self> {
        let len = isize::try_from(len).unwrap_or(isize::MAX);
        // SAFETY: a null source asks for an uninitialised object; a null result is an exception.
        let object = unsafe {
            Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(std::ptr::null(), len))?
        };
        // SAFETY: the call above returns exact `bytes`.
        Ok(Self(unsafe { object.cast_into_unchecked() }.unbind()))
    }

    /// The part from `start` to `end`, to be filled by the kernel or another thread. The parts handed
    /// out must not overlap, and all must be gone before [`finish`](Self::finish).
    pub(crate) fn part(&self, start: usize, end: usize) -> BytesPart {
        // SAFETY: reading the address needs no lock: the object is alive (we own a reference) and its
        // buffer never moves.
        let address = unsafe { ffi::PyBytes_AsString(self.0.as_ptr()) }.cast::<u8>();
        // SAFETY: `start` is at most the object's length, by the contract of this function.
        BytesPart { address: unsafe { NonNull::new_unchecked(address.add(start)) }, len: end - start }
    }

    /// Where the huge page that holds byte `at` ends, counted from the object's first byte.
    pub(crate) fn huge_page_end(&self, at: usize) -> usize {
        // SAFETY: as in `part`.
        let address = unsafe { ffi::PyBytes_AsString(self.0.as_ptr()) }.addr();
        (address + at + 1).next_multiple_of(HUGE_PAGE_BYTES) - address
    }

    /// Asks for a huge page at byte `from`, where one can start and fits.
    pub(crate) fn advise_huge_page(&self, from: usize) {
        // SAFETY: reading header and address of a live object that we own.
        let (address, len) = unsafe {
            let object = self.0.as_ptr();
            (ffi::PyBytes_AsString(object).addr(), usize::try_from(ffi::PyBytes_Size(object)).unwrap_or(0))
        };
        let start = address + from;
        if start.is_multiple_of(HUGE_PAGE_BYTES) && from + HUGE_PAGE_BYTES <= len {
            // SAFETY: a whole page inside the object's own allocation; the advice changes no contents. It may
            // be refused, and is only advice.
            let _ =
                unsafe { libc::madvise(start as *mut libc::c_void, HUGE_PAGE_BYTES, libc::MADV_HUGEPAGE) };
        }
    }

    /// The object with its first `len` bytes, the rest given back.
    pub(crate) fn finish(self, py: Python<'_>, len: usize) -> PyResult<Py<PyBytes>> {
        if self.0.as_bytes(py).len() == len {
            return Ok(self.0);
        }
        let mut object = self.0.into_ptr();
        // SAFETY: `object` is owned and nobody else refers to it, as resizing demands; on failure the
        // call frees it and sets `object` to null.
        unsafe {
            if _PyBytes_Resize(&raw mut object, isize::try_from(len).unwrap_or(isize::MAX)) != 0 {
                return Err(PyErr::fetch(py));
            }
            Ok(Bound::from_owned_ptr(py, object).cast_into_unchecked().unbind())
        }
    }
}

/// A range of a [`NewBytes`], which whoever holds both keeps alive for longer.
pub(crate) struct BytesPart {
    address: NonNull<u8>,
    len: usize,
}

// SAFETY: plain memory; `NewBytes::part` demands that the parts do not overlap, so only one thread
// writes to it, and that they are gone before anybody reads the object.
unsafe impl Send for BytesPart {}
// SAFETY: as above; a shared part gives out its address only.
unsafe impl Sync for BytesPart {}
// SAFETY: the buffer of a `bytes` object never moves, and the object outlives its parts: the completion
// that owns the `NewBytes` runs after the operation that owns the part has ended.
unsafe impl StableMemory for BytesPart {
    fn address(&self) -> NonNull<u8> {
        self.address
    }
    fn capacity(&self) -> usize {
        self.len
    }
}

/// An immutable `bytes` object that the kernel reads from. It must be dropped with the interpreter
/// attached, or on a thread where PyO3 can put the release off; the driver drops it on the loop's thread.
pub(crate) struct FrozenBytes {
    address: NonNull<u8>,
    len: usize,
    _object: Py<PyBytes>,
}

impl FrozenBytes {
    pub(crate) fn new(object: &Bound<'_, PyBytes>) -> Self {
        let bytes = object.as_bytes();
        Self { address: NonNull::from_ref(bytes).cast(), len: bytes.len(), _object: object.clone().unbind() }
    }
}

// SAFETY: `bytes` never change, so any thread may read them.
unsafe impl Send for FrozenBytes {}
// SAFETY: as above.
unsafe impl Sync for FrozenBytes {}
// SAFETY: the reference keeps the object, and so its buffer, alive and in place. It is only read from:
// `Chunk` never gives write access to foreign memory.
unsafe impl StableMemory for FrozenBytes {
    fn address(&self) -> NonNull<u8> {
        self.address
    }
    fn capacity(&self) -> usize {
        self.len
    }
}

/// An immutable ASCII `str` that the kernel reads from.
pub(crate) struct FrozenString {
    address: NonNull<u8>,
    len: usize,
    _object: Py<PyString>,
}

impl FrozenString {
    /// `None` when the characters are not plain ASCII.
    pub(crate) fn ascii(string: &Bound<'_, PyString>) -> Option<Self> {
        let utf8 = string.to_str().ok()?;
        // As many bytes as characters: the bytes are the string's own, and no copy was made of them.
        (utf8.len() == char_len(string) && !utf8.is_empty()).then(|| Self {
            address: NonNull::from_ref(utf8.as_bytes()).cast(),
            len: utf8.len(),
            _object: string.clone().unbind(),
        })
    }
}

// SAFETY: a `str` never changes, so any thread may read it.
unsafe impl Send for FrozenString {}
// SAFETY: as above.
unsafe impl Sync for FrozenString {}
// SAFETY: as for `FrozenBytes`.
unsafe impl StableMemory for FrozenString {
    fn address(&self) -> NonNull<u8> {
        self.address
    }
    fn capacity(&self) -> usize {
        self.len
    }
}

/// A buffer of the caller's that the kernel reads from while the export pins it. Its owner can still
/// change the bytes meanwhile, as with `write` in a thread: what is written is then unspecified.
pub(crate) struct PinnedBuffer {
    address: NonNull<u8>,
    len: usize,
    _export: PyBuffer<u8>,
}

impl PinnedBuffer {
    pub(crate) fn new(export: PyBuffer<u8>) -> Self {
        let address = NonNull::new(export.buf_ptr().cast());
        let len = if address.is_some() { export.len_bytes() } else { 0 };
        Self { address: address.unwrap_or(NonNull::dangling()), len, _export: export }
    }

    /// The bytes, to be copied at once.
    pub(crate) fn bytes(&self, _attached: Python<'_>) -> &[u8] {
        // SAFETY: exported memory of `len` bytes; with the interpreter attached no Python code changes it
        // while the caller copies.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.len) }
    }
}

// SAFETY: plain memory pinned by the export, which PyO3 releases with the interpreter attached.
unsafe impl Send for PinnedBuffer {}
// SAFETY: as above.
unsafe impl Sync for PinnedBuffer {}
// SAFETY: the export keeps the buffer alive and in place; its chunk says that it may change.
unsafe impl StableMemory for PinnedBuffer {
    fn address(&self) -> NonNull<u8> {
        self.address
    }
    fn capacity(&self) -> usize {
        self.len
    }
}

/// The bytes of a string in an encoding, borrowed where CPython holds them already.
pub(crate) fn encode<'a>(
    py: Python<'_>,
    string: &'a Bound<'_, PyString>,
    encoding: &CStr,
    errors: &CStr,
) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(utf8) = string.to_str() {
        let ascii = utf8.len() == char_len(string);
        if ascii || encoding == c"utf-8" {
            return Ok(Cow::Borrowed(utf8.as_bytes()));
        }
    }
    // SAFETY: all three outlive the call; a null result is an exception.
    let encoded = unsafe {
        let encoded = ffi::PyUnicode_AsEncodedString(string.as_ptr(), encoding.as_ptr(), errors.as_ptr());
        Bound::from_owned_ptr_or_err(py, encoded)?
    };
    Ok(Cow::Owned(encoded.cast::<PyBytes>()?.as_bytes().to_vec()))
}

/// A writable buffer of the caller's (`bytearray`, `memoryview`, an array) that the kernel fills.
///
/// The export keeps it from being resized. Its owner can still change its bytes meanwhile, as with
/// `readinto` in a thread: the contents are then unspecified, nothing else.
pub(crate) struct WritableBuffer {
    address: NonNull<u8>,
    len: usize,
    /// Boxed: whoever exported it may have kept its address.
    export: Box<ffi::Py_buffer>,
}

impl WritableBuffer {
    /// The memory of any contiguous object that is not read-only, whatever its items are: what `io` takes.
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut export = Box::new(ffi::Py_buffer::new());
        // SAFETY: the call fills `export`, or leaves nothing to be released with an exception set.
        if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut *export, ffi::PyBUF_WRITABLE) } != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        // An empty buffer may have no address.
        let address = NonNull::new(export.buf.cast()).unwrap_or(NonNull::dangling());
        let len = usize::try_from(export.len).unwrap_or(0);
        let buffer = Self { address, len, export };
        // SAFETY: a buffer that was filled above.
        if unsafe {
            ffi::PyBuffer_IsContiguous(&raw const *buffer.export, 67 /* C */)
        } == 0
        {
            return Err(PyBufferError::new_err("the buffer is not contiguous"));
        }
        Ok(buffer)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The part from `start` on, at most `len` bytes. Must be gone before this is.
    pub(crate) fn part(&self, start: usize, len: usize) -> BytesPart {
        let start = start.min(self.len);
        // SAFETY: `start` is inside the export, whose address stays put while it is held.
        BytesPart { address: unsafe { self.address.add(start) }, len: len.min(self.len - start) }
    }

    /// Copies `bytes` to the buffer from `start` on; the caller checked that they fit.
    pub(crate) fn copy_from(&self, start: usize, bytes: &[u8]) {
        assert!(start + bytes.len() <= self.len);
        // SAFETY: inside the export (asserted); `bytes` is memory of ours, so they cannot overlap.
        unsafe { self.address.as_ptr().add(start).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
    }
}

impl Drop for WritableBuffer {
    fn drop(&mut self) {
        // Without an interpreter, nobody is left to whom it could be given back.
        let _ = Python::try_attach(|_| {
            // SAFETY: attached; filled by `new`, and released once.
            unsafe { ffi::PyBuffer_Release(&raw mut *self.export) }
        });
    }
}

// SAFETY: the address is plain memory pinned by the export; the export itself is only dropped, with the
// interpreter attached.
unsafe impl Send for WritableBuffer {}
// SAFETY: as above.
unsafe impl Sync for WritableBuffer {}

/// The string of a short text, if it is plain ASCII.
pub(crate) fn decode_short_ascii<'py>(
    py: Python<'py>,
    bytes: &[u8],
) -> Option<PyResult<Bound<'py, PyString>>> {
    (bytes.len() <= SHORT_BYTES && bytes.is_ascii()).then(|| ascii_string(py, bytes))
}

/// The string of bytes that are plain ASCII.
pub(crate) fn ascii_string<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    debug_assert!(bytes.is_ascii());
    if bytes.len() < 2 {
        // CPython has these already.
        return decode_latin1(py, bytes);
    }
    let string = NewString::new(py, bytes.len(), 0x7f)?;
    // SAFETY: the new string has `bytes.len()` characters of one byte each, which nobody else has seen.
    unsafe { string.data.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    Ok(string.finish().into_bound(py))
}

/// Decodes UTF-8 with an error handler. `None` as `consumed` means: these are the last bytes.
pub(crate) fn decode_utf8<'py>(
    py: Python<'py>,
    bytes: &[u8],
    errors: &CStr,
    consumed: Option<&mut usize>,
) -> PyResult<Bound<'py, PyString>> {
    let len = isize::try_from(bytes.len()).unwrap_or(isize::MAX);
    let mut used = 0;
    let used_pointer = if consumed.is_some() { &raw mut used } else { std::ptr::null_mut() };
    // SAFETY: `bytes` and `errors` outlive the call, `used` too; a null result is an exception.
    let string = unsafe {
        let string =
            ffi::PyUnicode_DecodeUTF8Stateful(bytes.as_ptr().cast(), len, errors.as_ptr(), used_pointer);
        Bound::from_owned_ptr_or_err(py, string)?.cast_into_unchecked()
    };
    if let Some(consumed) = consumed {
        *consumed = usize::try_from(used).unwrap_or(0);
    }
    Ok(string)
}

/// Decodes ASCII with an error handler.
pub(crate) fn decode_ascii<'py>(
    py: Python<'py>,
    bytes: &[u8],
    errors: &CStr,
) -> PyResult<Bound<'py, PyString>> {
    let len = isize::try_from(bytes.len()).unwrap_or(isize::MAX);
    // SAFETY: `bytes` and `errors` outlive the call; a null result is an exception.
    unsafe {
        let string = ffi::PyUnicode_DecodeASCII(bytes.as_ptr().cast(), len, errors.as_ptr());
        Ok(Bound::from_owned_ptr_or_err(py, string)?.cast_into_unchecked())
    }
}

/// Decodes Latin-1, which never fails.
pub(crate) fn decode_latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let len = isize::try_from(bytes.len()).unwrap_or(isize::MAX);
    // SAFETY: `bytes` outlives the call; a null result is an exception.
    unsafe {
        let string = ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), len, std::ptr::null());
        Ok(Bound::from_owned_ptr_or_err(py, string)?.cast_into_unchecked())
    }
}

/// Characters of a string, without looking at them.
pub(crate) fn char_len(string: &Bound<'_, PyString>) -> usize {
    // SAFETY: a reference to a live `str`; the call reads its header.
    usize::try_from(unsafe { ffi::PyUnicode_GetLength(string.as_ptr()) }).unwrap_or(0)
}

/// The characters of a string that is plain ASCII, which are its bytes in any encoding that is written here.
pub(crate) fn ascii<'a>(string: &'a Bound<'_, PyString>) -> Option<&'a [u8]> {
    let len = char_len(string);
    // SAFETY: a live `str`, whose data is in place since its length was asked for. An ASCII one has a byte
    // for each character, and they do not change while it lives, which the borrow sees to.
    unsafe {
        (ffi::PyUnicode_IS_ASCII(string.as_ptr()) != 0)
            .then(|| std::slice::from_raw_parts(ffi::PyUnicode_DATA(string.as_ptr()).cast(), len))
    }
}

/// A bound of the code points in a string, as CPython chooses the width of its characters by it.
pub(crate) fn max_char(string: &Bound<'_, PyString>) -> u32 {
    // SAFETY: a reference to a live `str`; the calls read its header.
    let (ascii, kind) =
        unsafe { (ffi::PyUnicode_IS_ASCII(string.as_ptr()), ffi::PyUnicode_KIND(string.as_ptr())) };
    match kind {
        _ if ascii != 0 => 0x7f,
        ffi::PyUnicode_1BYTE_KIND => 0xff,
        ffi::PyUnicode_2BYTE_KIND => 0xffff,
        _ => 0x0010_ffff,
    }
}

/// A fresh `str` of `len` characters up to `max_char`, whose contents are still to come.
pub(crate) struct NewString {
    object: Py<PyString>,
    data: NonNull<u8>,
    bytes: usize,
    width: usize,
}

impl NewString {
    pub(crate) fn new(py: Python<'_>, len: usize, max_char: u32) -> PyResult<Self> {
        let chars = isize::try_from(len).unwrap_or(isize::MAX);
        // SAFETY: a null result is an exception; otherwise a new string that only we refer to, so its
        // data may be written to until it is shown to anybody.
        unsafe {
            let object = Bound::from_owned_ptr_or_err(py, ffi::PyUnicode_New(chars, max_char))?;
            let data = ffi::PyUnicode_DATA(object.as_ptr()).cast::<u8>();
            let width = match max_char {
                0..=0xff => 1,
                0x100..=0xffff => 2,
                _ => 4,
            };
            let object = object.cast_into_unchecked().unbind();
            let data = NonNull::new(data).unwrap_or(NonNull::dangling());
            Ok(Self { object, data, bytes: len * width, width })
        }
    }

    /// Bytes of one character: 1, 2 or 4.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The characters' memory, for another thread to fill. Must be gone before
    /// [`finish`](Self::finish).
    pub(crate) fn part(&self) -> StringPart {
        StringPart { data: self.data, bytes: self.bytes }
    }

    /// Copies `count` characters of `source`, from its character `from` on, to those from `at` on.
    pub(crate) fn copy(
        &mut self,
        at: usize,
        source: &Bound<'_, PyString>,
        from: usize,
        count: usize,
    ) -> PyResult<()> {
        let size = |count: usize| isize::try_from(count).unwrap_or(isize::MAX);
        // SAFETY: both are live, and nobody else has seen the new one; the call checks all bounds.
        let copied = unsafe {
            ffi::PyUnicode_CopyCharacters(
                self.object.as_ptr(),
                size(at),
                source.as_ptr(),
                size(from),
                size(count),
            )
        };
        if copied < 0 { Err(PyErr::fetch(source.py())) } else { Ok(()) }
    }

    pub(crate) fn finish(self) -> Py<PyString> {
        self.object
    }
}

/// The memory of a [`NewString`], zeroed when it is first looked at.
pub(crate) struct StringPart {
    data: NonNull<u8>,
    bytes: usize,
}

// SAFETY: plain memory of an object that nobody else has seen; see `NewString::part`.
unsafe impl Send for StringPart {}

// SAFETY: as for its parts: until it is finished, the object is memory that nobody else has seen.
unsafe impl Send for NewString {}

impl StringPart {
    /// The memory as one-, two- or four-byte characters, uninitialised.
    pub(crate) fn units<T: Unit>(&mut self) -> &mut [std::mem::MaybeUninit<T>] {
        let len = self.bytes / size_of::<T>();
        // SAFETY: CPython aligns character data for its width, the memory is `bytes` long, and `&mut self`
        // is the only access to it.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr().cast(), len) }
    }
}

/// The integers that CPython stores characters in.
pub(crate) trait Unit: Copy + 'static {
    fn of(character: char) -> Self;
}

impl Unit for u8 {
    fn of(character: char) -> Self {
        u8::try_from(u32::from(character)).unwrap_or(b'?')
    }
}

impl Unit for u16 {
    fn of(character: char) -> Self {
        u16::try_from(u32::from(character)).unwrap_or(0xfffd)
    }
}

impl Unit for u32 {
    fn of(character: char) -> Self {
        u32::from(character)
    }
}
