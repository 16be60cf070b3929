//! What `--json` prints: one object per line, `{"KIND": {KEY: VALUE, ...}}`. The kinds and their keys
//! are in docs/reference/json.md.

use crate::output::describe;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

/// An object that is being put together; its keys come in the order in which they were added.
#[derive(Debug)]
pub(crate) struct Record {
    /// Without the braces that close it.
    text: Vec<u8>,
    is_empty: bool,
}

impl Record {
    pub(crate) fn new(kind: &str) -> Self {
        Self { text: [&b"{"[..], &json(kind), b":{"].concat(), is_empty: true }
    }

    /// The object of a failure.
    pub(crate) fn of_error(error: &afx_core::Error) -> Self {
        let record = Self::new("error").field("operation", error.operation().name());
        let record = match error.path() {
            Some(path) => record.name("path", path.as_os_str()),
            None => record.field("path", None::<&str>),
        };
        record
            .field("offset", error.offset())
            .field("errno", error.raw_os_error())
            .field("message", describe(error))
    }

    #[must_use]
    pub(crate) fn field(mut self, key: &str, value: impl Serialize) -> Self {
        if !self.is_empty {
            self.text.push(b',');
        }
        self.is_empty = false;
        self.text.extend([json(key), vec![b':'], json(value)].concat());
        self
    }

    /// A name of a file.
    #[must_use]
    pub(crate) fn name(self, key: &str, name: &OsStr) -> Self {
        self.bytes(key, name.as_bytes())
    }

    /// Bytes that are mostly text: text that shows them, and where they are not UTF-8 also what they
    /// are, under the key with `_base64` behind it.
    #[must_use]
    pub(crate) fn bytes(self, key: &str, bytes: &[u8]) -> Self {
        match str::from_utf8(bytes) {
            Ok(text) => self.field(key, text),
            Err(_) => self
                .field(key, String::from_utf8_lossy(bytes))
                .field(&format!("{key}_base64"), BASE64_STANDARD.encode(bytes)),
        }
    }

    /// The object in one line, with its newline.
    pub(crate) fn into_line(mut self) -> Vec<u8> {
        self.text.extend(b"}}\n");
        self.text
    }
}

fn json(value: impl Serialize) -> Vec<u8> {
    // Only maps whose keys are no text cannot be written, and none is.
    serde_json::to_vec(&value).unwrap_or_else(|_| b"null".to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use afx_core::{Error, Operation};
    use proptest::prelude::*;
    use serde_json::Value;
    use std::io;

    fn parsed(record: Record) -> Value {
        let line = record.into_line();
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn an_error_has_all_its_keys_whatever_is_known() {
        let error = Error::new(Operation::SetMetadata, io::Error::from_raw_os_error(28));
        let line = String::from_utf8(Record::of_error(&error).into_line()).unwrap();
        assert_eq!(
            line,
            "{\"error\":{\"operation\":\"set_metadata\",\"path\":null,\"offset\":null,\"errno\":28,\
             \"message\":\"cannot set the attributes of: No space left on device\"}}\n"
        );
        let error =
            Error::refused(Operation::Copy, io::ErrorKind::Other, "no").with_path("a\n").with_offset(7);
        let error = &parsed(Record::of_error(&error))["error"];
        assert_eq!((&error["path"], &error["offset"]), (&Value::from("a\n"), &Value::from(7)));
        assert_eq!((&error["errno"], error.get("path_base64")), (&Value::Null, None));
    }

    proptest! {
        #[test]
        fn any_name_comes_back_and_is_one_line(name: Vec<u8>) {
            let value = parsed(Record::new("x").name("path", OsStr::from_bytes(&name)));
            let back = match value["x"].get("path_base64") {
                Some(encoded) => BASE64_STANDARD.decode(encoded.as_str().unwrap()).unwrap(),
                None => value["x"]["path"].as_str().unwrap().as_bytes().to_vec(),
            };
            prop_assert_eq!(back, name);
        }
    }
}
