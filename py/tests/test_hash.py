"""aiofile.hash: every algorithm, against hashlib where it has it and against known values where not."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest

import aiofile
from support import run

if TYPE_CHECKING:
    from pathlib import Path

IN_HASHLIB = ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]

# Of b"abc": what b3sum, xxhsum -H3 and xxhsum -H2 print, and the CRC that reveng's catalogue defines.
OF_ABC = {
    "blake3": "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
    "xxh3": "78af5f94892f3950",
    "xxh128": "06b05ab6733a618578af5f94892f3950",
    "crc32c": "364b3fb7",
}

CHUNK = 256 * 1024


def crc32c(content: bytes) -> str:
    """The definition, a bit at a time."""
    rest = 0xFFFFFFFF
    for byte in content:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ (0x82F63B78 if rest & 1 else 0)
    return f"{rest ^ 0xFFFFFFFF:08x}"


@pytest.mark.parametrize("name", IN_HASHLIB)
def test_the_algorithms_of_hashlib_give_what_hashlib_gives(tmp_path: Path, name: str) -> None:
    chance = random.Random(name)
    lengths = [
        0,
        1,
        63,
        64,
        65,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        *(chance.randrange(3 * CHUNK) for _ in range(8)),
    ]

    async def main() -> None:
        for length in lengths:
            content = chance.randbytes(length)
            (tmp_path / "f").write_bytes(content)
            assert await aiofile.hash(tmp_path / "f", name) == hashlib.new(name, content).hexdigest(), length

    run(main())


def test_the_other_algorithms_give_what_their_programs_print(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")

    async def main() -> None:
        for name, digest in OF_ABC.items():
            assert await aiofile.hash(tmp_path / "f", name) == digest
            assert await aiofile.hash(tmp_path / "f", algorithm=name.upper()) == digest

    run(main())


def test_crc32c_is_its_definition_and_starts_with_the_most_significant_digits(tmp_path: Path) -> None:
    chance = random.Random(3)

    async def main() -> None:
        for length in (0, 1, 9, 255, 4097):
            content = chance.randbytes(length)
            (tmp_path / "f").write_bytes(content)
            assert await aiofile.hash(tmp_path / "f", "crc32c") == crc32c(content)

    run(main())


def test_several_algorithms_give_a_dictionary_in_their_order(tmp_path: Path) -> None:
    # Long enough that blake3 alone would be computed by several threads.
    content = random.Random(4).randbytes(20 * CHUNK + 7)
    (tmp_path / "f").write_bytes(content)

    async def main() -> None:
        names = ["sha256", "blake3", "xxh3", "md5", "sha-256"]
        digests = await aiofile.hash(tmp_path / "f", names)
        assert list(digests) == names[:4]
        assert digests["sha256"] == hashlib.sha256(content).hexdigest()
        assert digests["md5"] == hashlib.md5(content).hexdigest()
        for name in digests:
            assert await aiofile.hash(tmp_path / "f", name) == digests[name]
            assert await aiofile.hash(tmp_path / "f", (name,)) == {name: digests[name]}

    run(main())


def test_no_algorithm_and_an_unknown_one_among_several_are_refused(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="at least one algorithm"):
            await aiofile.hash(tmp_path / "missing", [])
        with pytest.raises(ValueError, match=r"xxh64.*blake3"):
            await aiofile.hash(tmp_path / "missing", ["sha256", "xxh64"])

    run(main())
