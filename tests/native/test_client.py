"""The application as a program of the host: what an update needs, on files and sockets."""

from __future__ import annotations

import dataclasses
import subprocess

import pytest

from harness._errors import BuildError
from harness.firmware import NativeClient, native_client_program
from harness.mcuboot import SwapMode
from harness.protocols import (
    Delivery,
    FirmwareUpdate,
    Lwm2mServer,
    Package,
    UpdateResult,
    UpdateState,
    UpdateStatus,
    run_update,
)
from tests.app.bench import app_image, model_image

from .conftest import LAYOUT, SECONDS

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = UpdateState


def test_what_it_is(start):
    rig = start()
    assert rig.registration.endpoint == "bench-0011223344556677"
    assert [c.name() for c in rig.components] == ["app", "model"]
    assert rig.device.read("/3/0/3") == "1.0.0"
    assert rig.device.read("/3/0/11") == {0: 0}


@pytest.mark.parametrize("delivery", Delivery)
def test_update_of_both(start, delivery):
    rig = start()
    app, model = app_image("2.0.0", 60_000), model_image("2.0.0", 9000)
    packages = dict(zip(rig.components, (Package(app, "2.0.0"), Package(model, "2.0.0")), strict=True))
    run_update(rig.server, packages, delivery=delivery, deadline=SECONDS).require_installed()
    assert rig.holds(0, app)
    assert rig.holds(1, model)
    assert rig.device.read("/3/0/11") == {0: 18}  # restarted by software


def test_an_image_that_nobody_confirms_is_taken_back(start):
    rig = start(options={"BEHAVIOUR_NEVER_CONFIRMS": 1})
    new = app_image("2.0.0", 5000)
    old = app_image("1.0.0")
    component = rig.components[0]
    component.push(new, deadline=SECONDS)
    component.update()
    rig.server.wait_registration(after=rig.registration, deadline=SECONDS)
    assert rig.holds(0, new)
    rig.restart()
    assert rig.holds(0, old)
    assert component.wait_state(IDLE, deadline=SECONDS).result is UpdateResult.UPDATE_FAILED
    assert component.version() == "1.0.0"


def test_power_cuts_during_downloads(start):
    """Object 33629 forgets its pull and its push, object 5 goes on with its pull; Downloaded stays."""
    rig = start()
    model = rig.components[1]
    image = model_image("2.0.0", 9000)
    assert model.push(image, deadline=SECONDS).accepted
    rig.restart()
    assert model.status() == UpdateStatus(DOWNLOADED, UpdateResult.INITIAL)
    model.reset()
    publication = rig.server.publish(image, max_block_size=64)
    model.pull(rig.server.uri_for(publication, rig.device))
    publication.wait_served(5, deadline=SECONDS)
    rig.restart()
    status = model.wait_state(IDLE, DOWNLOADED, deadline=SECONDS)
    # It may just have been over when the power went.
    assert status in (
        UpdateStatus(IDLE, UpdateResult.INITIAL),
        UpdateStatus(DOWNLOADED, UpdateResult.INITIAL),
    )


def test_object_5_goes_on_where_it_was(start):
    rig = start()
    single = FirmwareUpdate(rig.device)
    image = app_image("2.0.0", 60_000)
    publication = rig.server.publish(image)
    publication.hold(after=20)
    single.pull(rig.server.uri_for(publication, rig.device))
    publication.wait_served(20, deadline=SECONDS)
    rig.client.stop()
    publication.release()
    before = rig.server.registration(rig.registration.endpoint)
    rig.client.start()
    rig.server.wait_registration(after=before, deadline=SECONDS)
    assert single.wait_downloaded(deadline=SECONDS).state is DOWNLOADED
    assert publication.served[0] == 1
    assert single.package_version() == "2.0.0"


def test_time_can_run_faster(start):
    """A pull that does not go on ends after five minutes of the device's time."""
    rig = start(speed=250)
    model = rig.components[1]
    publication = rig.server.publish(model_image("2.0.0"), max_block_size=64)
    publication.hold(after=3)
    model.pull(rig.server.uri_for(publication, rig.device))
    assert model.wait_downloaded(deadline=SECONDS).result is UpdateResult.CONNECTION_LOST


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "usage: client --server"),
        (["--server"], "needs a value"),
        (["--nonsense", "1"], "unknown option --nonsense"),
        (["--speed", "x"], "no number"),
        (["--speed", "99999"], "no number"),
        (["--id", "xyz"], "16 hexadecimal digits"),
        (["--server", "coap://127.0.0.1:1", "--flash", "/nowhere/x"], "cannot open the flash file"),
        (["--server", "http://127.0.0.1", "--flash", "x"], "no URI such as"),
        (["--server", "coap://localhost", "--flash", "x"], "no numeric address"),
        (["--server", "coap://[::1", "--flash", "x"], "no numeric address"),
    ],
)
def test_wrong_use_is_explained(tmp_path, arguments, said):
    result = subprocess.run(
        [native_client_program(LAYOUT), *arguments],
        capture_output=True, text=True, timeout=SECONDS, check=False,
        cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 2
    assert said in result.stderr


def test_only_one_kind_of_boot_loader_is_stood_in_for():
    other = dataclasses.replace(LAYOUT, mode=SwapMode.OVERWRITE_ONLY)
    with pytest.raises(BuildError, match="no stand-in for a boot loader"):
        native_client_program(other)


def test_ipv6(start, tmp_path):
    with Lwm2mServer(host="::1") as server:
        client = NativeClient(native_client_program(LAYOUT), server.uri, tmp_path / "flash.bin")
        with client:
            registration = server.wait_registration(deadline=SECONDS)
            assert registration.address.startswith("coap://[::1]:")
            assert server.device(registration).read("/3/0/16") == "U"
    client.stop()


def test_a_program_that_is_not_there(tmp_path):
    client = NativeClient(tmp_path / "none", "coap://127.0.0.1:1", tmp_path / "flash.bin")
    with pytest.raises(BuildError, match="does not start"):
        client.start()
    assert not client.running


def test_planted_defects_show_here_too(start):
    component = start(options={"DEFECT_reset_keeps_state": 1}).components[0]
    assert component.push(app_image("2.0.0"), deadline=SECONDS).accepted
    component.reset()
    assert component.status().state is DOWNLOADED
