import asyncio
import gc
import importlib
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import harness.protocols
from harness.protocols import FrameLink, Lwm2mServer, components_of, confirm_update
from harness.protocols import Path as ResourcePath
from harness.protocols.testing import StandIn, link_pair, make_image

PACKAGE = Path(harness.protocols.__file__).parent


def test_every_exported_name_is_there_and_documented():
    for name in harness.protocols.__all__:
        value = getattr(harness.protocols, name)
        if callable(value) and not isinstance(value, type(ResourcePath | None)):
            assert value.__doc__, name
    assert sorted(harness.protocols.__all__) == sorted(harness.protocols._MODULE_OF)
    assert set(harness.protocols.__all__) <= set(dir(harness.protocols))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = harness.protocols.nothing


def test_modules_export_what_they_say():
    for file in PACKAGE.rglob("*.py"):
        parts = file.relative_to(PACKAGE.parent.parent).with_suffix("").parts
        module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
        assert all(hasattr(module, name) for name in module.__all__), file


def test_importing_the_package_and_its_tables_loads_no_aiocoap():
    code = (
        "import sys, harness.protocols, harness.protocols.slipmux, harness.protocols.links\n"
        "from harness.protocols import LEGALITY, OBJECTS, FrameLink, FirmwareUpdate, Path, confirm_update\n"
        "sys.exit('aiocoap' in sys.modules or 'anyio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_lines_in_memory_are_frame_links():
    assert all(isinstance(end, FrameLink) for end in link_pair())


def everything_once(until) -> None:
    """Use all that holds threads, sockets or tasks, and leave some of it in bad shape."""
    end, other_end = link_pair()
    with Lwm2mServer(lifetime_margin=0.1) as server:
        server.attach(end)
        with StandIn("line", link=other_end) as line, StandIn("udp", server=server.uri) as udp:
            for endpoint in ("line", "udp"):
                first = server.wait_registration(endpoint, deadline=5)
                device = server.device(endpoint)
                observation = device.observe("/3/0/13")
                observation.next(5)
                main = components_of(device)[0]
                publication = server.publish(make_image(0, "2.0.0"))
                main.pull(server.uri_for(publication, device))
                main.wait_downloaded(deadline=5)
                main.update()
                confirm_update(server, {main: "2.0.0"}, after=first, deadline=5).require_ok()
            server.device("udp").observe("/3/0/13")
            line.faults.hang.add("/3/0/0")
            hung = threading.Thread(target=read_in_vain, args=(server,))
            hung.start()
            end.print(b"garbage \xc0\xa9\x01\xc0 and text")
            udp.power_off()
            until(lambda: ("GET", "/3/0/0") in line.requests)
            server.close()
            hung.join()


def read_in_vain(server: Lwm2mServer) -> None:
    with pytest.raises(Exception, match="closed"):
        server.device("line").read("/3/0/0", deadline=30)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208


def test_nothing_is_left_behind(caplog, until):
    everything_once(until)
    gc.collect()
    threads, files = set(threading.enumerate()), open_files()
    with caplog.at_level(logging.INFO):
        everything_once(until)
    gc.collect()
    assert set(threading.enumerate()) <= threads
    assert open_files() == files
    assert [o for o in gc.get_objects() if isinstance(o, asyncio.Task) and not o.done()] == []
    loud = [r for r in caplog.records if r.levelno >= logging.WARNING or "mismatch" in r.message]
    assert [r.message for r in loud] == []
