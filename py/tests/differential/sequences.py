"""Which files are opened, how, and what is done to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from hypothesis import strategies as st

from .case import Action, Case, Way
from .pipes import Reading, Writing
from .player import MARKED

Strategy = st.SearchStrategy

MODES = ["r", "r+", "w", "w+", "a", "a+", "x", "x+"]
NEWLINES = [None, "", "\n", "\r", "\r\n"]
HANDLERS = [
    "strict",
    "strict",
    "ignore",
    "replace",
    "surrogateescape",
    "backslashreplace",
    "xmlcharrefreplace",
    "namereplace",
    "surrogatepass",
]

#: Encodings that the native file decodes, each with characters that it has besides those of ASCII.
NATIVE: dict[str, Sequence[str]] = {
    "utf-8": "é€😀\x85\u2028\ufeff",
    "ascii": "\x0b\x1c",
    "latin-1": "éÿ\x85",
}

#: Encodings that go through Python's codecs.
CODECS: dict[str, Sequence[str]] = {
    "utf-16": "é中𝄞\u2028",
    "utf-16-le": "é中𝄞\ufeff",
    "utf-16-be": "é中𝄞",
    "utf-32": "é中𝄞",
    "utf-32-be": "é中𝄞",
    "utf-8-sig": "é中𝄞\ufeff\x85",
    "cp1252": "é€ÿ",
    "koi8-r": "Жд",
    "cp037": "é\x85",
    "shift_jis": "日ｱ本",
    "euc_jisx0213": ("日", "か゚", "か"),
    "gb18030": "é中𝄞",
    "big5": "中文",
    "iso2022_jp": "日本",
    "iso2022_kr": "한국",
    "hz": "中文",
    "utf-7": "é中𝄞+",
}

SIZES = [-1, None, 0, 1, 2, 3, 7, 100, 4095, 4096, 8191, 8192, 8193, 70_000, 300_000]

#: What is read before anything else starts: bytes up to where buffers, chunks and slices end.
BORDERS = [0, 0, 0, 0, 0, 0, 4095, 8190, 8191, 16_383, 65_535, 131_071]
#: For unbuffered files, whose lines ``io`` reads byte by byte.
NEAR_BORDERS = [*[0] * 30, *BORDERS, *[4095, 8190, 8191] * 4]
#: Actions that are one call of a file of bytes, so that two tasks can make one each.
SINGLE = {"read", "readline", "readlines", "readinto", "write", "writelines", "truncate", "seek"}
SHORT_BORDERS = [0, 0, 4095, 8190, 8191]
TIMES = [1, 1, 1, 1, 1, 700, 20_000]

BYTES = [b"a", b"bcd", b"\n", b"\r", b"\r\n", b"\x00", b"\xff"]

#: Bytes that are no text in one encoding or another.
BROKEN = [
    *[b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\x80", b"\xf0\x9f\x98", b"\xc0\xaf", b"\x81"],
    *[b"\x81\x30\x81", b"\x1b$", b"\x1b(", b"\x0e", b"~{", b"+", b"\xff\xfe", b"\x00\xd8", b"\x00"],
]

#: Codecs whose decoder corrupts memory when an error handler that can only encode is called by it
#: (CPython 3.10 to 3.13: a text file of io may then crash, or read without end).
FRAGILE = {"shift_jis", "euc_jisx0213", "gb18030", "big5", "iso2022_jp", "iso2022_kr", "hz"}
ENCODES_ONLY = {"xmlcharrefreplace", "namereplace"}

#: Text that some encodings do not have.
FOREIGN = ["\udc80", "\ud800", "Ω", "中"]


def tuples(name: str, *parts: Any) -> Strategy[Any]:
    """Actions of one name; a part that is a list says which values there are."""
    choices = [st.sampled_from(part) if isinstance(part, list) else part for part in parts]
    return st.tuples(st.just(name), *choices)


def repeated(
    unit: Strategy[Any], fill: Any, borders: Sequence[int] = BORDERS, times: Sequence[int] = TIMES
) -> Strategy[Any]:
    """What is drawn, some times over, behind so many of ``fill`` that it lies across a border."""
    return st.builds(
        lambda border, data, times: fill * border + data * times,
        st.sampled_from(borders),
        unit,
        st.sampled_from(times),
    )


PIECES_OF_BYTES = st.lists(st.sampled_from(BYTES), max_size=8).map(b"".join)
BLOBS = repeated(PIECES_OF_BYTES, b"x")
SMALL_BLOBS = repeated(PIECES_OF_BYTES, b"x", NEAR_BORDERS)

READS = [
    tuples("read", SIZES),
    tuples("readline", SIZES),
    tuples("readlines", [-1, None, 0, 1, 10, 5000]),
]
PLACES = [tuples("tell"), tuples("flush"), tuples("iterate", [1, 2, 3, 2000])]

BINARY_READS = [*READS, tuples("readinto", [0, 1, 10, 5000, 200_000]), tuples("peek")]
BINARY_SEEKS = tuples(
    "seek", [-3, -1, 0, 1, 2, 5, 17, 1000, 4096, 8192, 9000, 65_536, 140_000, 1 << 63], [0, 1, 2, 7]
)
BINARY_TRUNCATES = tuples("truncate", [None, -1, 0, 1, 10, 5000, 100_000])


def with_cancels(actions: list[Strategy[Any]]) -> Strategy[Any]:
    """Actions that are cancelled after some turns of the loop, and asked for again if they really were."""
    return st.tuples(st.just("cancel"), st.integers(1, 4), st.one_of(*actions))


def binary_actions(blobs: Strategy[bytes]) -> Strategy[list[Action]]:
    return st.lists(
        st.one_of(
            *BINARY_READS,
            *PLACES,
            tuples("read1", [-1, 0, 1, 10, 9000]),
            tuples("write", blobs, ["bytes", "bytearray", "memoryview", "array"]),
            tuples("write", st.just("text"), ["bytes"]),
            tuples("writelines", st.lists(blobs, max_size=3)),
            tuples("writelines", st.just([b"a", "b", b"c"])),
            BINARY_TRUNCATES,
            BINARY_SEEKS,
            tuples("append", blobs),
            tuples("cancelled_write", st.integers(1, 3), blobs),
            tuples("cancelled_writelines", st.integers(1, 3), st.lists(blobs, max_size=3)),
            with_cancels([*BINARY_READS, BINARY_SEEKS, tuples("flush"), BINARY_TRUNCATES]),
        ),
        max_size=14,
    )


def binary_cases(bufferings: list[int], blobs: Strategy[bytes]) -> Strategy[Case]:
    return st.tuples(
        st.sampled_from(MODES).map(lambda mode: mode + "b"),
        st.fixed_dictionaries({"buffering": st.sampled_from(bufferings)}),
        st.one_of(blobs, st.none()),
        binary_actions(blobs),
        st.booleans(),
        st.sampled_from([None, 1, 2]),
    ).map(lambda parts: Case(*parts))


class Text:
    """What there is to be read and written in one encoding; made once for each."""

    def __init__(self, encoding: str, characters: Sequence[str]) -> None:
        pieces = [*"ab \n\r", "\r\n", "xyz", *characters]
        self.strings = repeated(st.lists(st.sampled_from(pieces), max_size=8).map("".join), "x")
        joined = st.lists(st.sampled_from(pieces), max_size=8).map("".join)
        self.short = st.one_of(joined, repeated(joined, "x", SHORT_BORDERS, [1, 1, 300]))
        units = st.lists(st.sampled_from(pieces), max_size=8).map(lambda text: "".join(text).encode(encoding))
        good = repeated(st.sampled_from(pieces).map(lambda text: text.encode(encoding)), "x".encode(encoding))
        self.blobs = st.one_of(repeated(units, "x".encode(encoding)), good)
        parts = st.one_of(units, st.sampled_from(BROKEN))
        broken = st.lists(parts, min_size=1, max_size=4).map(b"".join)
        self.broken = st.one_of(self.blobs, repeated(broken, "x".encode(encoding)))
        self.actions = self._actions(self.blobs)
        self.broken_actions = self._actions(self.broken)

    def _actions(self, blobs: Strategy[bytes]) -> Strategy[list[Action]]:
        seeks = tuples("seek", [-1, 0, 0, 1], [0, 0, 1, 2, 7])
        cookies = tuples("seek_cookie", st.integers(0, 5), st.booleans())
        truncates = tuples("truncate", [None, -1, 0, 1, 10, 5000])
        writes = st.one_of(self.strings, self.strings, st.sampled_from(FOREIGN))
        return st.lists(
            st.one_of(
                *READS,
                *PLACES,
                tuples("write", writes, ["str"]),
                tuples("write", st.just(b"bytes"), ["str"]),
                tuples("writelines", st.lists(writes, max_size=3)),
                truncates,
                seeks,
                cookies,
                cookies,
                tuples("append", blobs),
                tuples("cancelled_write", st.integers(1, 6), self.strings),
                tuples("cancelled_writelines", st.integers(1, 6), st.lists(writes, max_size=3)),
                with_cancels([*READS, seeks, cookies, tuples("flush"), truncates]),
            ),
            max_size=14,
        )


TEXTS = {encoding: Text(encoding, characters) for encoding, characters in {**NATIVE, **CODECS}.items()}


@st.composite
def text_cases(draw: st.DrawFn, encodings: list[str]) -> Case:
    encoding = draw(st.sampled_from(encodings))
    text = TEXTS[encoding]
    is_broken = draw(st.booleans())
    options = {
        "buffering": draw(st.sampled_from([-1, -1, 1, 2, 16, 100, 4097, 8192, 200_000])),
        "encoding": encoding,
        "errors": draw(st.sampled_from(HANDLERS)),
        "newline": draw(st.sampled_from(NEWLINES)),
    }
    modes = MODES
    if encoding in FRAGILE and options["errors"] in ENCODES_ONLY:
        modes = ["w", "a", "x"]
    elif encoding.startswith("iso2022"):
        # Theirs cannot go to a plain offset and both read and write there without a crash.
        modes = ["r", "w", "a", "x"]
    return Case(
        draw(st.sampled_from(modes)),
        options,
        draw(st.one_of(text.broken if is_broken else text.blobs, st.none())),
        draw(text.broken_actions if is_broken else text.actions),
        draw(st.booleans()),
        draw(st.sampled_from([None, 1, 2])),
    )


OFFSETS = [0, 1, 5, 4096, 9000, 140_000]

#: How files are opened besides by their names.
WAYS = st.one_of(
    st.just(Way()),
    st.just(Way(has_opener=True)),
    st.just(Way(has_executor=True)),
    st.just(Way(has_loop=True)),
    st.sampled_from([0, 100_000]).map(lambda count: Way(write_behind=count, direct=True)),
    st.sampled_from([1, 5000, 100_000, 1 << 20]).map(lambda count: Way(write_behind=count)),
    st.sampled_from([5000, 100_000]).map(lambda count: Way(write_behind=count)),
    st.tuples(st.just(True), st.booleans(), st.booleans(), st.sampled_from(OFFSETS)).map(lambda of: Way(*of)),
)

CHANGES = [
    *[("errors", errors) for errors in ("strict", "ignore", "replace", "surrogateescape")],
    *[("newline", newline) for newline in NEWLINES],
    *[("encoding", encoding) for encoding in ("utf-8", "latin-1", "cp1252", "utf-16-le")],
    *[(name, value) for name in ("line_buffering", "write_through") for value in (True, False, None)],
]


@st.composite
def other_ways(draw: st.DrawFn, cases: Strategy[Case]) -> Case:
    """Files opened otherwise, or becoming blocking ones between two actions."""
    case = draw(cases)
    touches = [("touch", name) for name in ("raw" if case.is_binary else "buffer", "detach")]
    becomes: list[Strategy[Any]] = [st.none()]
    if case.options["buffering"]:
        becomes.append(st.sampled_from(touches))
    if not case.is_binary:
        changes = st.lists(
            st.sampled_from(CHANGES), min_size=1, max_size=2, unique_by=lambda change: change[0]
        )
        becomes += [tuples("reconfigure", changes.map(tuple))] * 3
    actions = list(case.actions)
    for action in draw(st.lists(st.one_of(becomes), max_size=2)):
        if action is not None:
            actions.insert(draw(st.integers(0, len(actions))), action)
    return case._replace(actions=actions, way=draw(WAYS))


#: Encodings that `io` reads and writes from anywhere, without a crash and without looking for a mark.
SAFE = [*NATIVE, *(name for name in CODECS if name not in FRAGILE and name not in MARKED)]

SMALL_PIECES = st.one_of(PIECES_OF_BYTES, repeated(PIECES_OF_BYTES, b"x", SHORT_BORDERS, [1, 1, 300]))
PIPE_BUFFERS = st.sampled_from([-1, -1, 2, 16, 100, 4097, 8192])

PIPE_READS = [
    tuples("read", [-1, None, 0, 1, 2, 3, 7, 100, 4096, 8193, 30_000]),
    tuples("readline", [-1, 0, 1, 3, 100, 9000]),
    tuples("readlines", [-1, 1, 10, 5000]),
]
PIPE_BINARY_READS = [
    *PIPE_READS,
    tuples("readinto", [0, 1, 10, 5000, 30_000]),
    tuples("read1", [1, 10, 9000]),
    tuples("readinto1", [1, 10, 9000]),
    tuples("peek", [1]),
]


def with_some_cancels(reads: list[Strategy[Any]]) -> Strategy[list[Action]]:
    lines = tuples("iterate", [1, 2, 3, 2000])
    return st.lists(st.one_of(*reads, lines, with_cancels([*reads, tuples("iterate", [1])])), max_size=10)


def pipe_bytes(buffering: Strategy[int]) -> Strategy[Reading]:
    return st.builds(
        Reading,
        st.fixed_dictionaries({"mode": st.just("rb"), "buffering": buffering}),
        st.lists(SMALL_PIECES.filter(len), max_size=8),
        with_some_cancels(PIPE_BINARY_READS),
        st.booleans(),
    )


def text_options(draw: st.DrawFn, mode: str, encoding: str) -> dict[str, Any]:
    return {
        "mode": mode,
        "buffering": draw(PIPE_BUFFERS),
        "encoding": encoding,
        "errors": draw(st.sampled_from(["replace", "ignore", "strict"])),
        "newline": draw(st.sampled_from(NEWLINES)),
    }


@st.composite
def pipe_texts(draw: st.DrawFn) -> Reading:
    encoding = draw(st.sampled_from(SAFE))
    text = TEXTS[encoding].short
    whole = draw(text).encode(encoding)
    # Cut anywhere: within a character, too.
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    feeds = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    return Reading(
        text_options(draw, "r", encoding),
        [piece for piece in feeds if piece],
        draw(with_some_cancels(PIPE_READS)),
        draw(st.booleans()),
    )


def written_to_pipes(writes: Strategy[Any]) -> Strategy[list[Action]]:
    return st.lists(
        st.one_of(
            tuples("write", writes),
            tuples("write", writes),
            tuples("writelines", st.lists(writes, max_size=3)),
            tuples("flush"),
            tuples("hang_up"),
        ),
        max_size=8,
    )


@st.composite
def written_pipes(draw: st.DrawFn) -> Writing:
    if draw(st.booleans()):
        options = {"mode": "wb", "buffering": draw(st.sampled_from([-1, 0, 2, 100, 8192]))}
        return Writing(options, draw(written_to_pipes(SMALL_PIECES)))
    encoding = draw(st.sampled_from(SAFE))
    options = text_options(draw, "w", encoding) | {"errors": "strict"}
    return Writing(options, draw(written_to_pipes(TEXTS[encoding].short)))


def by_two(case: Case) -> Case:
    """The case with neighbouring calls made by two tasks at once."""
    actions: list[Action] = []
    for action in case.actions:
        if actions and actions[-1][0] in SINGLE and action[0] in SINGLE:
            action = ("both", actions.pop(), action)  # noqa: PLW2901
        actions.append(action)
    return case._replace(actions=actions)


AnyCase: TypeAlias = "Case | Reading | Writing"

#: Every kind of file that sequences are played on.
KINDS: dict[str, Strategy[Any]] = {
    "bytes": binary_cases([-1, -1, 2, 7, 16, 100, 4097, 8192, 200_000], BLOBS),
    "unbuffered": binary_cases([0], SMALL_BLOBS),
    "text": text_cases(list(NATIVE)),
    "codecs": text_cases(list(CODECS)),
    "bytes otherwise": other_ways(binary_cases([-1, 0, 2, 16, 4097, 200_000], SMALL_BLOBS)),
    "text otherwise": other_ways(text_cases(SAFE)),
    "two tasks": binary_cases([-1, 0, 2, 100, 4097, 200_000], SMALL_BLOBS).map(by_two),
    "pipes": st.one_of(pipe_bytes(PIPE_BUFFERS), pipe_bytes(st.just(0)), pipe_texts(), written_pipes()),
}
