"""Class decorators that give a class over a blocking file its methods.

Such a class has the attributes ``_file``, ``_loop`` and ``_executor``, as :class:`aiofile.base.AsyncBase`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

__all__ = [
    "cond_delegate_to_executor",
    "delegate_to_executor",
    "proxy_method_directly",
    "proxy_property_directly",
]

ClassT = TypeVar("ClassT", bound=type)


def delegate_to_executor(*attrs: str) -> Callable[[ClassT], ClassT]:
    """Coroutine methods that run the file's methods of these names in the executor."""
    return _adds(attrs, _make_delegate_method)


def proxy_method_directly(*attrs: str) -> Callable[[ClassT], ClassT]:
    """Methods that call the file's methods of these names."""
    return _adds(attrs, _make_proxy_method)


def proxy_property_directly(*attrs: str) -> Callable[[ClassT], ClassT]:
    """Properties with the values of the file's attributes of these names."""
    return _adds(attrs, _make_proxy_property)


def cond_delegate_to_executor(*attrs: str) -> Callable[[ClassT], ClassT]:
    """Coroutine methods that use the executor only when a spooled file has been rolled over to the disk."""
    return _adds(attrs, _make_cond_delegate_method)


def _adds(names: tuple[str, ...], make: Callable[[str], Any]) -> Callable[[ClassT], ClassT]:
    def decorate(cls: ClassT) -> ClassT:
        for name in names:
            setattr(cls, name, make(name))
        return cls

    return decorate


def _make_delegate_method(attr_name: str) -> Any:
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = partial(getattr(self._file, attr_name), *args, **kwargs)
        return await self._loop.run_in_executor(self._executor, call)

    return _named(method, attr_name)


def _make_proxy_method(attr_name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._file, attr_name)(*args, **kwargs)

    return _named(method, attr_name)


def _make_proxy_property(attr_name: str) -> Any:
    def value(self: Any) -> Any:
        return getattr(self._file, attr_name)

    return property(_named(value, attr_name))


def _make_cond_delegate_method(attr_name: str) -> Any:
    in_executor = _make_delegate_method(attr_name)

    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._file._rolled:
            return await in_executor(self, *args, **kwargs)
        return getattr(self._file, attr_name)(*args, **kwargs)

    return _named(method, attr_name)


def _named(function: Any, name: str) -> Any:
    function.__name__ = name
    function.__doc__ = f"``{name}`` of the blocking file."
    return function
