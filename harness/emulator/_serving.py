"""Offers a board to other processes: control connections, an entry in the registry."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from .._errors import HarnessError
from ._control import Connection
from ._dap import DapError
from ._registry import Entry, announce, withdraw

__all__ = ["ControlServer"]


class ControlServer:
    """One board, offered on the loopback interface until `close`.

    A client may call every ``_do_NAME`` method; arguments and results are CBOR values.

    ``uid`` is the probe id under which pyOCD finds it; ``board`` is a name for people, ``soc`` the model,
    ``target`` the pyOCD target type, ``serial`` pyserial URLs by line.
    """

    def __init__(self, *, uid: str, board: str, soc: str, target: str, serial: Mapping[str, str]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: set[Connection] = set()
        self.closed = threading.Event()
        self.entry = Entry(
            uid=uid,
            board=board,
            soc=soc,
            target=target,
            port=self._listener.getsockname()[1],
            token=secrets.token_hex(16),
            serial=dict(serial),
        )
        self._methods: dict[str, Callable[..., Any]] = {
            name.removeprefix("_do_"): getattr(self, name) for name in dir(self) if name.startswith("_do_")
        }
        threading.Thread(target=self._accept, name="control", daemon=True).start()
        announce(self.entry)

    def close(self) -> None:
        """End everything that this board owns."""
        if self.closed.is_set():
            return
        self.closed.set()
        withdraw(self.entry)
        self._listener.close()
        for connection in list(self._connections):
            connection.close()
        self._end()

    def _end(self) -> None:
        """End what the board consists of; called once."""
        raise NotImplementedError

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(Connection(stream),), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        self._connections.add(connection)
        trusted = False
        try:
            while (request := connection.receive()) is not None:
                number, method, arguments = request
                if not trusted and (method != "hello" or arguments != [self.entry.token]):
                    connection.send([number, None, ["refused", "wrong token", None]])
                    return
                trusted = True
                connection.send([number, *self._answer(method, arguments)])
                if method == "shutdown":
                    self.close()
        except (OSError, ValueError, HarnessError):
            pass  # the client went away or talks nonsense: its connection ends, the board runs on
        finally:
            self._connections.discard(connection)
            connection.close()

    def _answer(self, method: str, arguments: list[Any]) -> tuple[Any, list[Any] | None]:
        try:
            action = self._methods.get(method)
            if action is None:
                return None, ["unknown", f"an emulated board has no method {method!r}", None]
            return action(*arguments), None
        except DapError as fault:
            return None, ["fault", str(fault), fault.address]
        except Exception as error:  # whatever fails in one request is told to its caller
            return None, ["error", f"{method}: {error}", None]

    # what any board answers

    def _do_hello(self, _token: str) -> dict[str, Any]:
        return {name: value for name, value in asdict(self.entry).items() if name != "token"}

    def _do_shutdown(self) -> None:
        """Answered first, then carried out."""
