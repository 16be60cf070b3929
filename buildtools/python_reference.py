"""docs/reference/python.md, from the docstrings of the module. `make docs` writes it; `--check` compares."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "reference" / "python.md"
WIDTH = 120

HEAD = """\
<!-- Written by `make docs` from the docstrings in py/python/aiofile; changes here are lost. -->

# The module aiofile

Everything here is in `aiofile`. Functions with `await` in front of them are coroutine functions; a path is
a `str`, `bytes` or `PathLike`. What differs from `io`, and why:
[decision 0009](../decisions/0009-differences-from-io.md).
"""

MODULES = """
## Modules

- `aiofile.os` and `aiofile.os.path`: functions of `os` as coroutine functions, see
  [files and directories](../guides/os.md).
- `aiofile.tempfile`: temporary files and directories, with the arguments of `tempfile`.
- `aiofile.base`, `aiofile.threadpool`, `aiofile.ospath`: names that aiofiles has, see
  [coming from aiofiles](../guides/from-aiofiles.md).
"""

STREAMS = """
## Standard streams

`stdin`, `stdout` and `stderr` are the text streams of `sys`, `stdin_bytes`, `stdout_bytes` and `stderr_bytes`
those of bytes: files with the methods below, on whatever `sys.stdin` and its like are at the time of a call.
"""


def main() -> None:
    """Writes the page, or compares it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    arguments = parser.parse_args()
    page = "".join(reference())
    if not arguments.check:
        PAGE.write_text(page)
    elif not PAGE.exists() or PAGE.read_text() != page:
        sys.exit(f"{PAGE.relative_to(REPOSITORY)} is stale: make docs writes it")


def reference() -> Iterator[str]:
    """The page, piece by piece."""
    options: Any = {
        "returns_named_value": False,
        "returns_multiple_items": False,
        "warn_unknown_params": False,
    }
    module: Any = griffe.load(
        "aiofile",
        search_paths=[REPOSITORY / "py" / "python"],
        docstring_parser="google",
        docstring_options=options,
        allow_inspection=False,
    )
    public = [_target(module[name]) for name in module.exports or [] if name in module.members]
    yield HEAD
    yield "\n## Functions\n"
    for thing in public:
        if thing.is_function:
            yield from _function(thing, "###", "aiofile.")
    yield STREAMS
    yield "\n## Classes\n"
    for thing in public:
        if thing.is_class:
            yield from _class(thing)
    yield MODULES


def _target(thing: Any) -> Any:
    return thing.final_target if thing.is_alias else thing


def _class(thing: Any) -> Iterator[str]:
    bases = [str(base).split("[")[0].rsplit(".")[-1] for base in thing.bases]
    kept = [base for base in bases if base in {"File", "BinaryFile", "TextFile"} - {thing.name}]
    yield f"\n### {thing.name}\n\n"
    yield from _text(thing)
    if kept:
        yield f"\nAlso everything that `{kept[0]}` has.\n"
    members = [member for name, member in thing.members.items() if not name.startswith("_")]
    attributes = [member for member in members if member.is_attribute and member.docstring]
    if attributes:
        yield "\n"
        for member in attributes:
            kind = f" ({member.annotation})" if member.annotation else ""
            yield _item(f"`{member.name}`{kind}", _prose(member.docstring.value))
    for member in members:
        if member.is_function and member.docstring:
            yield from _function(member, "####", f"{thing.name}.")


def _function(thing: Any, heading: str, owner: str) -> Iterator[str]:
    yield f"\n{heading} {owner}{thing.name}\n\n```python\n{_signature(thing, owner)}\n```\n\n"
    yield from _text(thing)


def _signature(thing: Any, owner: str) -> str:
    """In one line, or with a line for each parameter."""
    prefix = "await " if "async" in thing.labels else ""
    shown = prefix + owner + thing.signature().replace("(self, ", "(").replace("(self)", "()")
    shown = shown.replace("(/, ", "(").replace("(/)", "()")
    shown = re.sub(r"= (_?[A-Z][A-Z_]+)\b", lambda found: f"= {_constant(thing, found[1])}", shown)
    if len(shown) <= WIDTH:
        return shown
    name, rest = shown.split("(", 1)
    parameters, returned = rest.rsplit(") -> ", 1)
    lines = "".join(f"    {parameter},\n" for parameter in _split_outside_brackets(parameters))
    return f"{name}(\n{lines}) -> {returned}"


def _constant(thing: Any, name: str) -> str:
    """What a default that has a name stands for."""
    return "..." if name.startswith("_") else str(_target(thing.module[name]).value)


def _split_outside_brackets(parameters: str) -> list[str]:
    parts, depth = [""], 0
    for character in parameters:
        depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _text(thing: Any) -> Iterator[str]:
    if thing.docstring is None:
        return
    # A role has colons, which would end the name of a section's item.
    thing.docstring.value = _without_roles(thing.docstring.value)
    for number, section in enumerate(thing.docstring.parsed):
        yield "\n" if number else ""
        if section.kind.value == "admonition":
            yield from _titled(section.value.kind, section.title, section.value.description)
        else:
            yield from SECTIONS[section.kind.value](section.value)


def _paragraphs(value: str) -> Iterator[str]:
    blocks = [block for block in re.split(r"\n\s*\n", value) if block.strip()]
    for number, block in enumerate(blocks):
        yield "\n" if number else ""
        yield _fill(_prose(block))


def _parameters(values: Any) -> Iterator[str]:
    yield "**Parameters**\n\n"
    for value in values:
        yield _item(f"`{value.name}`", _prose(value.description))


def _attributes(values: Any) -> Iterator[str]:
    for value in values:
        kind = f" ({value.annotation})" if value.annotation else ""
        yield _item(f"`{value.name}`{kind}", _prose(value.description))


def _returns(values: Any) -> Iterator[str]:
    yield "**Returns** "
    yield from _paragraphs(" ".join(value.description for value in values))


def _raises(values: Any) -> Iterator[str]:
    yield "**Raises**\n\n"
    for value in values:
        yield _item(f"`{str(value.annotation).strip('()')}`", _prose(value.description))


def _titled(kind: str, title: str, value: str) -> Iterator[str]:
    """A section that only we have: an example, or a paragraph on a topic, whose title is a line of it."""
    if kind == "example":
        yield f"```pycon\n{value}\n```\n"
    else:
        yield from _paragraphs(f"{kind.capitalize()}: {title} {value}")


SECTIONS = {
    "text": _paragraphs,
    "parameters": _parameters,
    "attributes": _attributes,
    "returns": _returns,
    "raises": _raises,
}


def _item(name: str, description: str) -> str:
    line = f"- {name}: {description}"
    return (
        textwrap.fill(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        + "\n"
    )


def _fill(line: str, indent: str = "") -> str:
    wrapper = textwrap.TextWrapper(
        WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return wrapper.fill(line) + "\n"


def _prose(value: str) -> str:
    """Of reStructuredText, what the docstrings use of it, in Markdown."""
    return " ".join(_without_roles(value).replace("``", "`").split())


def _without_roles(value: str) -> str:
    return re.sub(r":[a-z]+:`~?([^`]*)`", r"``\1``", value)


if __name__ == "__main__":
    main()
