"""The methods of files that a program gave: its own types, mocks, files of :mod:`io`.

The methods of native files take exactly what they know, for every parameter more makes them slower. Of an
object that is not ours nobody knows what its methods take.
"""

from __future__ import annotations

from typing import Any, TypeVar

from .base import AsyncBase

ClassT = TypeVar("ClassT", bound=type)

#: Coroutine methods that have arguments, or may have some.
_METHODS = (
    "flush",
    "isatty",
    "peek",
    "read",
    "read1",
    "readall",
    "readinto",
    "readinto1",
    "readline",
    "readlines",
    "seek",
    "seekable",
    "tell",
    "truncate",
    "writable",
    "write",
    "writelines",
)


def given_class(cls: ClassT) -> ClassT:
    """A class like ``cls`` whose methods call the file's own, with the arguments that they were given."""
    members: dict[str, Any] = {
        name: _method_like(getattr(cls, name)) for name in _METHODS if hasattr(cls, name)
    }
    # Its lines come from `readline`, which a class of the program's may have replaced.
    members["__anext__"] = AsyncBase.__anext__
    for name in ("__doc__", "__module__", "__qualname__"):
        members[name] = getattr(cls, name)
    made: ClassT = type(cls)(cls.__name__, (cls,), members)
    return made


def _method_like(known: Any) -> Any:
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await self._asked(known.__name__, *args, **kwargs)

    for name in ("__doc__", "__module__", "__name__", "__qualname__"):
        setattr(method, name, getattr(known, name))
    return method
