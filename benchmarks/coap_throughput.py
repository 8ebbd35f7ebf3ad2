"""CoAP over UDP on this machine, block by block: the server beside libcoap's tools in the same run.

Needs ``coap-client-notls`` and ``coap-server-notls`` (Debian: libcoap3-bin) for the comparison.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from _devices import devices, image
from _measure import Figures

from harness.protocols import Lwm2mServer

SIZE = 1 << 20
REPEAT = 5
CLIENT, SERVER = "coap-client-notls", "coap-server-notls"
DEADLINE = 60.0


def _rates(
    action: Callable[[], object], check: Callable[[], bool] = lambda: True
) -> tuple[list[float], float]:
    """KiB/s of each run, and microseconds of this process's processor for a block of 1024 bytes."""
    rates, cpu = [], time.process_time()
    for _ in range(REPEAT):
        began = time.perf_counter()
        action()
        rates.append(SIZE / 1024 / (time.perf_counter() - began))
        if not check():
            raise SystemExit("the transfer is not whole")
    return rates, (time.process_time() - cpu) / REPEAT / (SIZE / 1024) * 1e6


@contextmanager
def _libcoap_server() -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([SERVER, "-A", "127.0.0.1", "-p", str(port), "-d", "10"])
    try:
        yield f"coap://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _libcoap(*arguments: str) -> None:
    subprocess.run([CLIENT, "-b", "1024", "-B", "30", *arguments], check=True, timeout=DEADLINE)


def main() -> None:
    figures = Figures(f"1 MiB over UDP in blocks of 1024 ({Path(__file__).name})")
    there = shutil.which(CLIENT) is not None and shutil.which(SERVER) is not None
    body = image("2.0.0", SIZE)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source", Path(folder) / "target"
        source.write_bytes(body)

        def whole() -> bool:
            return target.read_bytes() == body

        if there:
            with _libcoap_server() as uri:
                rates, _ = _rates(lambda: _libcoap("-m", "put", "-f", str(source), f"{uri}/x"))
                figures.show("push: libcoap to libcoap", rates, "KiB/s")
                rates, _ = _rates(lambda: _libcoap("-o", str(target), f"{uri}/x"), whole)
                figures.show("pull: libcoap from libcoap", rates, "KiB/s")
        with Lwm2mServer() as server, devices(server.address, 1) as (name,):
            device = server.device(server.wait_registration(name, deadline=DEADLINE))
            rates, cpu = _rates(
                lambda: device.push("/33629/0/0", body, deadline=DEADLINE),
                lambda: device.read("/33629/0/3") == 2,
            )
            figures.show("push: this server to a small device in Python", rates, "KiB/s")
            figures.show("  processor time of a block", [cpu], "us")
            if there:
                uri = f"{server.uri}/{'/'.join(server.publish(body).path)}"
                rates, cpu = _rates(lambda: _libcoap("-o", str(target), uri), whole)
                figures.show("pull: libcoap from this server", rates, "KiB/s")
                figures.show("  processor time of a block", [cpu], "us")
    if not there:
        print(f"  no comparison: {CLIENT} and {SERVER} are not there")


if __name__ == "__main__":
    main()
