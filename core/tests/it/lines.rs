use crate::Tested;
use afx_core::{
    engine::Engine,
    lines::{Ending, Line, Lines, LinesOptions, Splitter},
};
use proptest::prelude::*;
use std::{io::Write, path::Path};

type Owned = (Vec<u8>, u64, Ending);

fn own(line: Line<'_>) -> Owned {
    (line.bytes.to_vec(), line.offset, line.ending)
}

/// The twin: the whole input in memory, one byte at a time.
fn naive(input: &[u8], terminator: u8, max_line_bytes: usize) -> Vec<Owned> {
    let mut lines = Vec::new();
    let mut start = 0;
    for at in 0..input.len() {
        let ending = if input[at] == terminator {
            Ending::Terminator
        } else if at - start == max_line_bytes {
            lines.push((input[start..at].to_vec(), start as u64, Ending::Overlong));
            start = at;
            continue;
        } else {
            continue;
        };
        lines.push((input[start..=at].to_vec(), start as u64, ending));
        start = at + 1;
    }
    if start < input.len() {
        lines.push((input[start..].to_vec(), start as u64, Ending::Input));
    }
    lines
}

fn split(chunks: &[&[u8]], terminator: u8, max_line_bytes: usize) -> Vec<Owned> {
    let mut splitter = Splitter::new().with_terminator(terminator).with_max_line_bytes(max_line_bytes);
    let mut lines = Vec::new();
    for mut chunk in chunks.iter().copied() {
        while let Some(line) = splitter.next_line(&mut chunk) {
            lines.push(own(line));
        }
        assert!(chunk.is_empty());
        assert!(splitter.held_len() <= max_line_bytes, "more of a line is held than the limit");
    }
    lines.extend(splitter.finish().map(own));
    assert!(splitter.finish().is_none());
    lines
}

/// A target for a fuzzer: the first bytes choose terminator, limit and chunk lengths, the rest is
/// the input.
fn fuzz_splitter(data: &[u8]) {
    let Some((&[zero, limit, chunk_len, step], input)) = data.split_first_chunk() else { return };
    let terminator = if zero % 2 == 0 { b'\n' } else { b'\0' };
    let max_line_bytes = usize::from(limit) + 1;
    let mut chunks = Vec::new();
    let (mut rest, mut len) = (input, usize::from(chunk_len));
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(rest.len().min(len + 1));
        chunks.push(chunk);
        rest = behind;
        len = (len * 3 + usize::from(step)) % 97;
    }
    let lines = split(&chunks, terminator, max_line_bytes);
    assert_eq!(lines, naive(input, terminator, max_line_bytes));
    assert_eq!(lines.concat_bytes(), input, "the lines together are the input");
}

trait ConcatBytes {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl ConcatBytes for Vec<Owned> {
    fn concat_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|(bytes, ..)| bytes.iter().copied()).collect()
    }
}

/// Bytes in which terminators are common.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\0'), Just(b'a'), any::<u8>()], 0..600)
}

proptest! {
    #[test]
    fn splitting_is_the_same_as_the_naive_twin_whatever_the_chunks(mut input in text(), head in any::<[u8; 4]>()) {
        input.splice(0..0, head);
        fuzz_splitter(&input);
    }
}

#[test]
fn the_fuzz_target_holds_on_random_bytes() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for len in 0..3000 {
        let data: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if state.trailing_zeros() >= 3 { b'\n' } else { (state >> 32).to_le_bytes()[0] }
        })
        .take(len % 700)
        .collect();
        fuzz_splitter(&data);
    }
}

#[test]
fn a_line_of_exactly_the_limit_is_whole_and_one_byte_more_is_cut() {
    assert_eq!(split(&[b"abcd\n"], b'\n', 4), [(b"abcd\n".to_vec(), 0, Ending::Terminator)]);
    let cut = [(b"abcd".to_vec(), 0, Ending::Overlong), (b"e\n".to_vec(), 4, Ending::Terminator)];
    for chunks in [vec![b"abcde\n".as_slice()], vec![b"ab", b"cd", b"e\n"], vec![b"abcd", b"e", b"\n"]] {
        assert_eq!(split(&chunks, b'\n', 4), cut);
    }
}

#[test]
fn a_stream_without_terminators_takes_no_more_memory_than_the_limit() {
    let mut splitter = Splitter::new().with_max_line_bytes(1000);
    let mut pieces = 0;
    for _ in 0..1000 {
        let mut chunk: &[u8] = &[b'x'; 777];
        while let Some(line) = splitter.next_line(&mut chunk) {
            assert_eq!((line.bytes.len(), line.ending), (1000, Ending::Overlong));
            pieces += 1;
        }
        assert!(splitter.held_len() <= 1000);
    }
    assert_eq!(pieces, 776);
    assert_eq!(splitter.finish().unwrap().bytes.len(), 1000);
}

async fn collect(path: &Path, options: LinesOptions) -> Vec<Owned> {
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    let file = Tested::open(name, rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).await.unwrap();
    let mut lines = Lines::<Tested>::new(file, path, &options).unwrap();
    let mut found = Vec::new();
    while let Some(line) = lines.next().await.unwrap() {
        found.push(own(line));
    }
    found
}

#[test]
fn the_lines_of_a_file_are_those_of_its_bytes_whatever_the_chunk_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut input = Vec::new();
    for number in 0..5000_usize {
        input.extend(std::iter::repeat_n(b'a' + u8::try_from(number % 26).unwrap(), number * 7 % 300));
        input.push(b'\n');
    }
    input.extend(b"no terminator");
    std::fs::write(&path, &input).unwrap();
    for (chunk_bytes, offset) in [(1 << 18, 0), (4096, 0), (1000, 12345), (37, 700_000)] {
        let options = LinesOptions { chunk_bytes, offset, max_line_bytes: 250, ..LinesOptions::default() };
        let lines = Tested::run(collect(&path, options)).unwrap();
        let start = usize::try_from(offset).unwrap();
        let expected: Vec<Owned> = naive(&input[start..], b'\n', 250)
            .into_iter()
            .map(|(bytes, at, ending)| (bytes, at + offset, ending))
            .collect();
        assert!(lines == expected, "chunks of {chunk_bytes} from {offset}");
    }
}

#[test]
fn the_end_of_a_file_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut writer = std::fs::File::create(&path).unwrap();
    Tested::run(async {
        let file = Tested::adopt(std::fs::File::open(&path).unwrap().into()).unwrap();
        let mut lines = Lines::<Tested>::new(file, &path, &LinesOptions::default()).unwrap();
        assert_eq!(lines.next().await.unwrap(), None);
        writer.write_all(b"one\ntw").unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap().bytes, b"one\n");
        assert_eq!(lines.next().await.unwrap().map(own), Some((b"tw".to_vec(), 4, Ending::Input)));
        assert_eq!(lines.next().await.unwrap(), None);
        writer.write_all(b"o\n").unwrap();
        assert_eq!(lines.next().await.unwrap().map(own), Some((b"o\n".to_vec(), 6, Ending::Terminator)));
    })
    .unwrap();
}

#[test]
fn an_end_of_file_that_was_read_ahead_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut writer = std::fs::File::create(&path).unwrap();
    writer.write_all(b"one\ntw").unwrap();
    Tested::run(async {
        let file = Tested::adopt(std::fs::File::open(&path).unwrap().into()).unwrap();
        let mut lines = Lines::<Tested>::new(file, &path, &LinesOptions::default()).unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap().bytes, b"one\n");
        writer.write_all(b"o\n").unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap().bytes, b"two\n");
    })
    .unwrap();
}

#[test]
fn lines_of_a_pipe_come_as_they_are_written_and_a_cancelled_wait_loses_none() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    Tested::run(async {
        let file = Tested::adopt(reader.into()).unwrap();
        let mut lines = Lines::<Tested>::new(file, Path::new("pipe"), &LinesOptions::default()).unwrap();
        writer.write_all(b"one\n").unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap().bytes, b"one\n");
        {
            let mut waiting = std::pin::pin!(lines.next());
            std::future::poll_fn(|context| {
                assert!(waiting.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
        }
        writer.write_all(b"two\n").unwrap();
        drop(writer);
        assert_eq!(lines.next().await.unwrap().unwrap().bytes, b"two\n");
        assert_eq!(lines.next().await.unwrap(), None);
    })
    .unwrap();
}

#[test]
fn an_error_names_the_file_and_the_offset() {
    Tested::run(async {
        let file = Tested::adopt(std::fs::File::open("/proc/self/mem").unwrap().into()).unwrap();
        let path = Path::new("/proc/self/mem");
        let mut lines = Lines::<Tested>::new(file, path, &LinesOptions::default()).unwrap();
        // Nothing is mapped at address 0.
        let error = lines.next().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        assert_eq!((error.path(), error.offset()), (Some(path), Some(0)));
    })
    .unwrap();
}
