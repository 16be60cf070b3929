//! Compressed streams, in pieces of any size, against the commands that made the formats.

use afx_core::compress::{Codec, Compression, Finish, Level, Transformer};
use proptest::prelude::*;
use std::{
    io::{self, ErrorKind, Write},
    process::{Command, Stdio},
    thread,
};

/// Lengths that repeat for ever: pieces that a stream is cut into.
type Pieces<'a> = &'a [usize];

const WHOLE: Pieces<'_> = &[64 * 1024];

fn compressor(codec: Codec) -> Transformer {
    Transformer::compressor(codec, Level::default_of(codec)).unwrap()
}

fn decompressor() -> Transformer {
    Transformer::decompressor(None).unwrap()
}

/// What becomes of `input`, given and taken in such pieces; the bytes that came before an error go with it.
fn run(
    mut transformer: Transformer,
    input: &[u8],
    given: Pieces<'_>,
    taken: Pieces<'_>,
) -> Result<Vec<u8>, (io::Error, Vec<u8>)> {
    let mut taken = taken.iter().cycle();
    let mut output = Vec::new();
    let mut given = given.iter().cycle();
    let mut left = input;
    while !left.is_empty() {
        let mut piece = left.split_at(left.len().min(*given.next().unwrap())).0;
        left = &left[piece.len()..];
        while !piece.is_empty() {
            let mut room = vec![0; *taken.next().unwrap()];
            let step = match transformer.step(piece, &mut room) {
                Ok(step) => step,
                Err(error) => return Err((error, output)),
            };
            let stopped_early = step.consumed < piece.len() && step.produced < room.len();
            piece = &piece[step.consumed..];
            output.extend_from_slice(&room[..step.produced]);
            if stopped_early {
                return Err((transformer.step(piece, &mut room).unwrap_err(), output));
            }
        }
    }
    match finish(&mut transformer, taken.copied(), &mut output) {
        Ok(()) => Ok(output),
        Err(error) => Err((error, output)),
    }
}

fn finish(
    transformer: &mut Transformer,
    mut taken: impl Iterator<Item = usize>,
    output: &mut Vec<u8>,
) -> io::Result<()> {
    loop {
        let mut room = vec![0; taken.next().unwrap()];
        let Finish { produced, done } = transformer.finish(&mut room)?;
        output.extend_from_slice(&room[..produced]);
        if done {
            let again = transformer.finish(&mut room)?;
            assert_eq!(again, Finish { produced: 0, done: true });
            return Ok(());
        }
    }
}

fn compress(codec: Codec, content: &[u8]) -> Vec<u8> {
    run(compressor(codec), content, WHOLE, WHOLE).unwrap()
}

fn decompress(compressed: &[u8]) -> Result<Vec<u8>, (io::Error, Vec<u8>)> {
    run(decompressor(), compressed, WHOLE, WHOLE)
}

/// Bytes that compress well here and badly there.
fn mixed(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut content = Vec::with_capacity(len);
    while content.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if content.len() / 5000 % 2 == 0 {
            content.extend_from_slice(&state.to_le_bytes());
        } else {
            content.extend_from_slice(b"2026-11-23 info: request ");
            content.push(b'0' + state.to_le_bytes()[0] % 10);
        }
    }
    content.truncate(len);
    content
}

/// What `program` makes of `input`, or nothing if it is not installed; fails if it does.
fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = match child {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("{program} is not installed: not compared with");
            return None;
        }
        child => child.unwrap(),
    };
    let mut stdin = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program} {arguments:?}: {}", output.status);
    Some(output.stdout)
}

#[test]
fn the_commands_read_what_we_write_and_we_read_what_they_write() {
    for codec in Codec::ALL {
        for len in [0, 1, 100, 200_000, 3_000_000] {
            let content = mixed(len);
            let ours = compress(codec, &content);
            if let Some(restored) = filter(codec.name(), &["-dc"], &ours) {
                assert!(restored == content, "{codec} of {len} bytes is not what it was");
            }
            for arguments in [&["-c"][..], &["-1", "-c"], &["-9", "-c"]] {
                if let Some(theirs) = filter(codec.name(), arguments, &content) {
                    assert!(decompress(&theirs).unwrap() == content, "{codec} {arguments:?}, {len} bytes");
                }
            }
        }
    }
}

#[test]
fn our_frames_have_the_checksum_that_the_command_writes() {
    let content = mixed(100_000);
    let Some(theirs) = filter("zstd", &["-c", "-3"], &content) else { return };
    let ours = compress(Codec::Zstd, &content);
    assert_eq!(ours[4] & 4, 4, "the flag for a checksum");
    assert_eq!(ours[ours.len() - 4..], theirs[theirs.len() - 4..]);
}

#[test]
fn every_level_restores_to_what_was_there() {
    let content = mixed(100_000);
    for codec in Codec::ALL {
        // Those above take hundreds of megabytes.
        for level in codec.levels().filter(|level| *level <= 19) {
            let level = Level::new(codec, level).unwrap();
            let transformer = Transformer::new(Compression::Compress { codec, level }).unwrap();
            let compressed = run(transformer, &content, WHOLE, WHOLE).unwrap();
            assert!(decompress(&compressed).unwrap() == content, "{codec} at {level:?}");
        }
    }
}

#[test]
fn a_level_of_the_other_codec_is_refused() {
    let level = Level::new(Codec::Zstd, 19).unwrap();
    let error = Transformer::compressor(Codec::Gzip, level).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "no level 19 of gzip: use one from 0 to 9");
}

#[test]
fn frames_and_members_that_follow_one_another_are_one_stream() {
    for codec in Codec::ALL {
        let parts = [mixed(70_000), Vec::new(), mixed(10), mixed(300_000)];
        let compressed: Vec<u8> = parts.iter().flat_map(|part| compress(codec, part)).collect();
        assert!(decompress(&compressed).unwrap() == parts.concat(), "{codec}");
        for pieces in [&[1][..], &[7, 1, 4096]] {
            assert!(run(decompressor(), &compressed, pieces, pieces).unwrap() == parts.concat(), "{codec}");
        }
    }
}

#[test]
fn skippable_frames_of_zstd_are_skipped_wherever_they_stand() {
    let skippable = |magic: u8, len: u8| {
        let mut frame = vec![magic, 0x2a, 0x4d, 0x18, len, 0, 0, 0];
        frame.resize(8 + usize::from(len), 0xfd);
        frame
    };
    let content = mixed(1000);
    let frame = compress(Codec::Zstd, &content);
    let stream =
        [skippable(0x50, 0), frame.clone(), skippable(0x5f, 200), frame, skippable(0x57, 9)].concat();
    for pieces in [&[1][..], &[3, 5], WHOLE] {
        let restored = run(decompressor(), &stream, pieces, pieces).unwrap();
        assert_eq!(restored, [content.clone(), content.clone()].concat());
    }
    assert_eq!(decompress(&skippable(0x50, 3)).unwrap(), b"");
}

#[test]
fn zeros_between_and_behind_gzip_members_are_padding() {
    let content = mixed(1000);
    let member = compress(Codec::Gzip, &content);
    let padded = [&member[..], &[0; 500], &member, &[0; 10]].concat();
    for pieces in [&[1][..], WHOLE] {
        assert_eq!(
            run(decompressor(), &padded, pieces, pieces).unwrap(),
            [content.clone(), content.clone()].concat()
        );
    }
    let (error, _) = decompress(&[&[0], &member[..]].concat()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[test]
fn truncated_input_fails_at_every_length_and_gives_no_wrong_byte() {
    for codec in Codec::ALL {
        let content = mixed(12_000);
        let compressed = compress(codec, &content);
        for len in 0..compressed.len() {
            let (error, before) = decompress(&compressed[..len]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{codec} cut at {len}: {error}");
            assert!(content.starts_with(&before));
        }
        // Of the second of two, the first is given.
        let two = [&compressed[..], &compressed[..compressed.len() - 1]].concat();
        let (error, before) = decompress(&two).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(before.starts_with(&content));
    }
}

#[test]
fn garbage_behind_the_end_fails_after_all_content_was_given() {
    for codec in Codec::ALL {
        let content = mixed(5000);
        let whole = compress(codec, &content);
        for garbage in [&b"garbage"[..], b"x", &[0xff; 100]] {
            let (error, before) = decompress(&[&whole[..], garbage].concat()).unwrap_err();
            assert!(before == content, "{codec}");
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{codec}: {error}");
        }
    }
}

#[test]
fn what_is_in_no_known_format_is_refused_in_words() {
    let words = |codec: Option<Codec>, input: &[u8]| {
        let transformer = Transformer::decompressor(codec).unwrap();
        let (error, before) = run(transformer, input, WHOLE, WHOLE).unwrap_err();
        assert!(before.is_empty());
        (error.kind(), error.to_string())
    };
    for (codec, input, expected) in [
        (None, &b"plain text"[..], "neither in zstd nor in gzip format"),
        (None, b"(plain text", "neither in zstd nor in gzip format"),
        (None, b"PK\x03\x04 zip", "neither in zstd nor in gzip format"),
        (None, b"\x1fplain text", "neither in zstd nor in gzip format"),
        (Some(Codec::Zstd), b"plain text", "not in zstd format"),
        (Some(Codec::Gzip), b"plain text", "not in gzip format"),
        (Some(Codec::Gzip), b"\x1f\x8b\x07 of another method", "broken gzip data"),
    ] {
        let (kind, message) = words(codec, input);
        assert_eq!(kind, ErrorKind::InvalidData);
        assert!(message.contains(expected), "{message}");
    }
    for codec in [None, Some(Codec::Zstd), Some(Codec::Gzip)] {
        let (kind, message) = words(codec, b"");
        assert_eq!(kind, ErrorKind::UnexpectedEof);
        assert!(message.starts_with("no data where "), "{message}");
    }
}

#[test]
fn a_frame_that_asks_for_too_much_memory_is_refused() {
    // One raw block of one byte, behind a window of two to the power of 10 plus the upper five bits.
    let frame = |log: u8| [&[0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3, 9, 0, 0][..], b"x"].concat();
    assert_eq!(decompress(&frame(27)).unwrap(), b"x");
    let (error, _) = decompress(&frame(28)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(error.to_string(), "the zstd frame needs a window of more than 128 MiB");
}

#[test]
fn a_failed_stream_keeps_failing_with_the_same_error() {
    let mut compressed = compress(Codec::Gzip, &mixed(1000));
    let len = compressed.len();
    compressed[len - 5] ^= 1;
    let mut transformer = decompressor();
    let mut room = [0; 4096];
    let step = transformer.step(&compressed, &mut room);
    let first = step.err().or_else(|| transformer.finish(&mut room).err()).unwrap();
    for _ in 0..3 {
        let again = transformer.step(b"more", &mut room).unwrap_err();
        assert_eq!((again.kind(), again.to_string()), (first.kind(), first.to_string()));
        assert_eq!(transformer.flush(&mut room).unwrap_err().to_string(), first.to_string());
        assert_eq!(transformer.finish(&mut room).unwrap_err().to_string(), first.to_string());
    }
}

#[test]
fn input_after_the_end_is_refused() {
    for codec in Codec::ALL {
        let mut transformer = compressor(codec);
        let mut output = Vec::new();
        finish(&mut transformer, [1].into_iter().cycle(), &mut output).unwrap();
        assert_eq!(decompress(&output).unwrap(), b"");
        assert_eq!(transformer.step(b"more", &mut [0; 9]).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

/// Takes all of `input`, then flushes, each into rooms of `room` bytes.
fn push(transformer: &mut Transformer, input: &[u8], room: usize, output: &mut Vec<u8>) {
    let mut left = input;
    let mut room = vec![0; room];
    while !left.is_empty() {
        let step = transformer.step(left, &mut room).unwrap();
        left = &left[step.consumed..];
        output.extend_from_slice(&room[..step.produced]);
    }
    for calls in 1.. {
        let flushed = transformer.flush(&mut room).unwrap();
        output.extend_from_slice(&room[..flushed.produced]);
        if flushed.done {
            break;
        }
        assert!(calls < 100_000, "the flush does not end");
    }
}

#[test]
fn what_was_flushed_can_be_read_before_the_end() {
    for codec in Codec::ALL {
        // Around the size that the mark of a flush just fits in, too.
        for room in (1..80).chain([1000, 100_000]) {
            let (mut compressing, mut restoring) = (compressor(codec), decompressor());
            let (mut content, mut compressed, mut restored) = (Vec::new(), Vec::new(), Vec::new());
            for line in ["first\n", "second\n", "a third, which is longer\n"] {
                content.extend_from_slice(line.as_bytes());
                let before = compressed.len();
                push(&mut compressing, line.as_bytes(), room, &mut compressed);
                push(&mut restoring, &compressed[before..], room, &mut restored);
                assert!(restored == content, "{codec} by {room}: {:?}", String::from_utf8_lossy(&restored));
                let len = compressed.len();
                push(&mut compressing, b"", room, &mut compressed);
                assert_eq!(compressed.len(), len, "a flush of nothing costs nothing");
            }
            finish(&mut compressing, [room].into_iter().cycle(), &mut compressed).unwrap();
            assert_eq!(decompress(&compressed).unwrap(), content);
        }
    }
}

#[test]
fn no_bit_can_be_flipped_to_give_wrong_bytes() {
    for codec in Codec::ALL {
        for content in [mixed(300), mixed(6_000), vec![b'a'; 40_000]] {
            let compressed = compress(codec, &content);
            let mut found = 0;
            for bit in 0..compressed.len() * 8 {
                let mut flipped = compressed.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                match decompress(&flipped) {
                    Ok(restored) => {
                        assert!(restored == content, "{codec}: bit {bit} of {}", compressed.len());
                    }
                    Err(_) => found += 1,
                }
            }
            // The time in gzip's header, zstd's size of the window and codes that are not used do not matter.
            assert!(found > compressed.len() * 4, "{found} of {}", compressed.len() * 8);
        }
    }
}

#[test]
fn an_empty_room_takes_and_gives_nothing_and_breaks_nothing() {
    for codec in Codec::ALL {
        let content = mixed(10_000);
        let compressed = compress(codec, &content);
        let mut transformer = decompressor();
        for _ in 0..100 {
            assert_eq!(transformer.step(&compressed, &mut []).unwrap().consumed, 0);
            assert_eq!(transformer.step(&[], &mut [0; 10]).unwrap().produced, 0);
        }
        assert!(run(transformer, &compressed, WHOLE, WHOLE).unwrap() == content);
    }
}

#[test]
fn a_transformer_may_go_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Transformer>();
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1_usize..4, 1_usize..100, 1_usize..20_000], 1..8)
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let run = (any::<u8>(), 1_usize..3000).prop_map(|(byte, len)| vec![byte; len]);
    let noise = prop::collection::vec(any::<u8>(), 0..3000);
    let text = (0_usize..40_000).prop_map(mixed);
    prop::collection::vec(prop_oneof![run, noise, text], 0..4).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_any_size_give_the_content_back(
        is_zstd: bool, content in content(), cuts in prop::array::uniform4(pieces()),
    ) {
        let codec = if is_zstd { Codec::Zstd } else { Codec::Gzip };
        let [given, taken, given_back, taken_back] = &cuts;
        let compressed = run(compressor(codec), &content, given, taken).unwrap();
        let restored = run(decompressor(), &compressed, given_back, taken_back).unwrap();
        prop_assert!(restored == content);
    }

    #[test]
    fn broken_streams_fail_or_give_the_content(
        is_zstd: bool, content in content(), at: prop::sample::Index, mask in 1_u8.., cut in pieces(),
    ) {
        let codec = if is_zstd { Codec::Zstd } else { Codec::Gzip };
        let mut compressed = compress(codec, &content);
        let at = at.index(compressed.len());
        compressed[at] ^= mask;
        if let Ok(restored) = run(decompressor(), &compressed, &cut, &cut) {
            prop_assert!(restored == content, "byte {} of {}", at, compressed.len());
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_but_never_break_us(
        start in prop::sample::select(vec![&[][..], &[0x1f, 0x8b, 8, 0], &[0x28, 0xb5, 0x2f, 0xfd]]),
        noise in prop::collection::vec(any::<u8>(), 0..500), cut in pieces(),
    ) {
        let input = [start, &noise].concat();
        let whole = decompress(&input).map_err(|(error, _)| error.kind());
        let cut = run(decompressor(), &input, &cut, &[100]).map_err(|(error, _)| error.kind());
        prop_assert_eq!(whole, cut);
    }
}
