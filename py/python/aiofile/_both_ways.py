"""A method whose answer may be awaited or taken as it is."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, overload


class Answer(Coroutine[Any, Any, bool]):
    """True or False, at once or when it is awaited."""

    __slots__ = ("_value",)

    def __init__(self, value: bool) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return self._value

    def __eq__(self, other: object) -> bool:
        return bool(self._value == (other._value if isinstance(other, Answer) else other))

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return repr(self._value)

    def __await__(self) -> Generator[Any, Any, bool]:
        return self._value
        yield

    def send(self, _value: Any, /) -> Any:
        """Ends at once, as a coroutine that waits for nothing."""
        raise StopIteration(self._value)

    def throw(self, kind: Any, value: Any = None, traceback: Any = None, /) -> Any:
        """Raises the exception, as a coroutine that was not begun."""
        raise kind if value is None else value

    def close(self) -> None:
        """Does nothing: there is nothing to wait for."""


class AskedAnswer(Answer):
    """What a blocking file answers: when this is taken as it is, or in the executor when it is awaited."""

    __slots__ = ("_coroutine", "_file")

    def __init__(self, file: Any) -> None:
        self._file = file
        self._coroutine: Coroutine[Any, Any, bool] | None = None

    @property
    def _value(self) -> bool:  # type: ignore[override]
        return bool(self._file._stack.readable())

    def __await__(self) -> Generator[Any, Any, bool]:
        return self._asked().__await__()  # type: ignore[no-any-return]

    def _asked(self) -> Any:
        return self._file._asked("readable")

    def _begun(self) -> Coroutine[Any, Any, bool]:
        if self._coroutine is None:
            self._coroutine = self._asked()
        return self._coroutine

    def send(self, value: Any, /) -> Any:
        """Goes on with asking."""
        return self._begun().send(value)

    def throw(self, kind: Any, value: Any = None, traceback: Any = None, /) -> Any:
        """Goes on with asking, where that raises the exception."""
        return self._begun().throw(kind if value is None else value)

    def close(self) -> None:
        """Ends asking."""
        if self._coroutine is not None:
            self._coroutine.close()


class BothWays:
    """A coroutine method that waits for nothing, so that its answer is there when it is called.

    It still looks like a coroutine function to :mod:`inspect`, which asks for the attributes of one.
    """

    def __init__(self, function: Callable[..., Coroutine[Any, Any, bool]]) -> None:
        functools.update_wrapper(self, function)
        for name in ("__code__", "__defaults__", "__kwdefaults__"):
            setattr(self, name, getattr(function, name))
        self._function = function

    def __call__(self, *arguments: Any) -> Answer:
        if arguments and getattr(arguments[0], "_stack", None) is not None:
            return AskedAnswer(arguments[0])
        coroutine = self._function(*arguments)
        try:
            coroutine.send(None)
        except StopIteration as done:
            return Answer(done.value)
        raise RuntimeError("a method that answers at once waited")

    @overload
    def __get__(self, instance: None, owner: type) -> BothWays: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Callable[[], Answer]: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        return self if instance is None else types.MethodType(self, instance)


def answered_both_ways(function: Callable[..., Coroutine[Any, Any, bool]]) -> BothWays:
    """Makes a method of this kind out of a coroutine method that waits for nothing."""
    return BothWays(function)
