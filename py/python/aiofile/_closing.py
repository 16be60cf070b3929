"""What is left by closing it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TypeVar

T_co = TypeVar("T_co", covariant=True)


class Closing(AbstractAsyncContextManager[T_co]):
    """A context manager that closes what it is, whatever it is left for."""

    async def aclose(self) -> None:
        """Ends it."""
        raise NotImplementedError

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
