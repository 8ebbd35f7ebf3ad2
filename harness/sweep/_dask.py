"""Exploring on a Dask cluster: the same work, on as many machines as it has."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from .._errors import SweepError
from ._explore import Explorer, Plan, Tally
from ._recording import Recording
from ._workers import Span

__all__ = ["DaskExecutor"]

_CONNECT_SECONDS: Final = 30
#: how often a piece of work may be lost with a worker
_LOSSES: Final = 3
#: what each thread of a worker process keeps from one piece of work to the next
_kept = threading.local()


def _explore(packed: bytes, digest: str, plan: Plan, span: Span) -> Tally:
    """One piece of work, in a worker. A machine belongs to one thread."""
    key = digest, plan
    if getattr(_kept, "key", None) != key:
        _kept.explorer, _kept.key = Explorer(Recording.unpack(packed), plan), key
    explorer: Explorer = _kept.explorer
    return explorer.explore(*span)


class DaskExecutor:
    """A cluster by the address of its scheduler, ``dask://HOST:PORT``. Its workers need this package.

    Work of a worker that dies is done again elsewhere; the scheduler sees to that. Raises `SweepError`
    if the library is not there or the scheduler does not answer.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise SweepError(
                "Dask is not installed",
                where=address,
                remedy="pip install 'mcuboot-harness[dask]', here and on the workers",
            ) from None
        where = address.removeprefix("dask://")
        try:
            self._client: Any = Client(where, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise SweepError(
                "no Dask scheduler answers",
                where=address,
                found=str(error),
                remedy="start one with `dask scheduler`, and workers with `dask worker ADDRESS`",
            ) from None

    @property
    def workers(self) -> int:
        """Threads of all worker processes that are there now; at least 1."""
        return max(1, int(sum(self._client.nthreads().values())))

    def run(self, recording: Recording, plan: Plan, spans: Iterable[Span]) -> Iterator[tuple[Span, Tally]]:
        """See `Executor`. Without any worker it waits until one comes."""
        from distributed import as_completed

        def submit(span: Span, data: Any) -> Any:
            return self._client.submit(_explore, data, recording.digest, plan, span, pure=False, retries=2)

        packed = self._client.scatter(recording.packed, broadcast=False, hash=False)
        futures = {submit(span, packed): span for span in spans}
        lost: Counter[Span] = Counter()
        completed = as_completed(list(futures), loop=self._client.loop)
        try:
            for future in completed:
                span = futures.pop(future)
                try:
                    tally = future.result()
                except Exception as error:
                    if not type(error).__module__.startswith(("distributed", "dask")):
                        raise
                    lost[span] += 1
                    if lost[span] > _LOSSES:
                        raise SweepError(
                            "the cluster gave up on a piece of work",
                            where=f"operations {span[0]} to {span[1] - 1}",
                            found=str(error),
                            remedy="look at the logs of its workers",
                        ) from None
                    # What died with a worker may be the result, or what it was to be made of.
                    packed = self._client.scatter(recording.packed, broadcast=False, hash=False)
                    again = submit(span, packed)
                    futures[again] = span
                    completed.add(again)
                    continue
                yield span, tally
        finally:
            self._client.cancel(list(futures))

    def close(self) -> None:
        """Leave the cluster; it runs on."""
        self._client.close()

    def __enter__(self) -> DaskExecutor:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
