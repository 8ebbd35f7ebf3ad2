"""The one thread in which a server's or a stand-in's event loop runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import ParamSpec, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from harness._errors import PortError

__all__ = ["LoopThread"]

P = ParamSpec("P")
T = TypeVar("T")


class LoopThread:
    """Runs coroutines for threads that know nothing of asyncio. Ends with :meth:`close`."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._portal: BlockingPortal = self._stack.enter_context(start_blocking_portal("asyncio"))
        self._closed = False

    @property
    def closed(self) -> bool:
        """True after :meth:`close`."""
        return self._closed

    def run(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a coroutine to its end and return its result.

        An interrupted wait (Ctrl-C) cancels the coroutine. Raises PortError once closed.
        """

        async def call() -> T:
            return await function(*args, **kwargs)

        try:
            future = self._portal.start_task_soon(call)
        except RuntimeError as error:
            if not self._closed:
                raise
            raise PortError("nothing can be asked any more: the server was closed") from error
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop and its thread."""
        if not self._closed:
            self._closed = True
            self._stack.close()
