"""Installation: alone, together, in part, and refused."""

from __future__ import annotations

import pytest

from ..protocols import Ending, ObjectLink, UpdateResult, UpdateState, UpdateStatus, run_update
from ._driver import Driver, expect, expect_in

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = UpdateState
READY = UpdateStatus(DOWNLOADED, UpdateResult.INITIAL)


def test_update(driver: Driver) -> None:
    """An update ends with result 1 and the new version, after the reboot if there is one."""
    package = driver.target.packages.good(driver.path, "3.1.4")
    if package is None:
        pytest.skip(f"there is no package for {driver.path}")
    run = run_update(driver.target.server, {driver.component: package}, deadline=driver.target.options.wait)
    assert run.ending is Ending.INSTALLED, f"{run.ending}: {run.reason}"


@pytest.mark.only_object(33629)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("1", "4.00"),
        ("0,1", "4.00"),
        ("x", "4.00"),
        ("0='{self}'", "4.00"),
        ("0='</33629/65534>'", "4.00"),
        ("0='{other},{other}'", "4.00"),
        ("0='{other}", "4.00"),
        ("0='nonsense'", "4.00"),
        ("0='{other}'", "4.05"),
    ],
)
def test_arguments_that_make_no_sense(
    driver: Driver, others: list[Driver], arguments: str, code: str
) -> None:
    """Wrong arguments of Update are refused and change nothing: 4.00, or 4.05 for what is not downloaded."""
    driver.push_good()
    if arguments.count("{other}") == 2:
        others[0].push_good()  # else it would be wrong for two reasons
    text = arguments.format(self=f"<{driver.path}>", other=f"<{others[0].path}>")
    expect(driver.execute(2, text), code)
    expect(driver.status(), READY)


@pytest.mark.only_object(33629)
def test_update_alone(driver: Driver, others: list[Driver]) -> None:
    """The argument 0 updates one component, others stay downloaded (ExplicitSinglePartitionUpdate)."""
    others[0].push_good()
    driver.push_good()
    expect_in(driver.execute(2, "0"), ("2.04", ""))
    expect(driver.settled(), UpdateStatus(IDLE, UpdateResult.SUCCESS))
    expect(others[0].status(), READY)


@pytest.mark.only_object(33629)
def test_update_of_a_list(driver: Driver, others: list[Driver]) -> None:
    """A list updates exactly the components that it names (ExplicitLinkedUpdate)."""
    others[0].push_good()
    driver.push_good()
    expect_in(driver.execute(2, f"0='<{others[0].path}>'"), ("2.04", ""))
    for part in (driver, others[0]):
        expect(part.settled(), UpdateStatus(IDLE, UpdateResult.SUCCESS))


@pytest.mark.only_object(33629)
def test_linked_instances(driver: Driver, others: list[Driver]) -> None:
    """A component downloaded before is linked where the package asks for it, and installed along."""
    other = others[0]
    package = driver.target.packages.needing(driver.path, other.path)
    if package is None or driver.target.packages.good(other.path, "2.0.0") is None:
        pytest.skip("there is no package that refers to another component")
    other.push_good()
    driver.component.push(package, deadline=driver.target.options.wait)
    linked = driver.component.linked()
    assert ObjectLink(33629, other.path.instance_id or 0) in linked


@pytest.mark.only_object(33629)
def test_conflict(driver: Driver, others: list[Driver]) -> None:
    """Update without what a package needs gives 2.04 and result 13, and names what is missing."""
    other = others[0]
    package = driver.target.packages.needing(driver.path, other.path)
    if package is None:
        pytest.skip("there is no package that refers to another component")
    assert driver.component.push(package, deadline=driver.target.options.wait).accepted
    expect(driver.execute(2), "2.04")
    expect(driver.settled(), UpdateStatus(DOWNLOADED, UpdateResult.DEPENDENCY_ERROR))
    assert ObjectLink(33629, other.path.instance_id or 0) in driver.component.conflicting()
    driver.component.reset()
    assert driver.component.linked() == driver.component.conflicting() == ()


@pytest.mark.only_object(33629)
def test_pulls_wait_for_each_other(driver: Driver, others: list[Driver]) -> None:
    """A second pull waits in Downloading, and starts when the first is cancelled (QueueParallelPull)."""
    other = others[0]
    first = driver.start_pull(hold=1)
    first.wait_served(1, deadline=driver.target.options.wait)
    second = other.start_pull()
    expect(other.status(), UpdateStatus(DOWNLOADING, UpdateResult.INITIAL))
    assert second.blocks_served == 0
    driver.component.cancel()
    expect(other.downloaded(), READY)
    expect(driver.status(), UpdateStatus(IDLE, UpdateResult.CANCELLED))
    other.reset()


@pytest.mark.only_object(33629)
def test_push_while_another_pulls(driver: Driver, others: list[Driver]) -> None:
    """A push is refused with 4.05 while any component pulls (RejectPushWhilePull)."""
    driver.start_pull(hold=1)
    other = others[0]
    assert other.target.device.push(other.path.child(0), other.good(), deadline=30).code == "4.05"
    assert other.status().state is IDLE


@pytest.mark.only_object(33629)
def test_cancel_of_a_waiting_pull(driver: Driver, others: list[Driver]) -> None:
    """A waiting pull can be cancelled, and the running one goes on (CancelWhileDownloadQueued)."""
    first = driver.start_pull(hold=1)
    other = others[0]
    other.start_pull(hold=0)
    other.component.cancel()
    expect(other.status(), UpdateStatus(IDLE, UpdateResult.CANCELLED))
    first.release()
    expect(driver.downloaded(), READY)


@pytest.mark.only_object(33629)
def test_second_uri_for_a_waiting_pull(driver: Driver, others: list[Driver]) -> None:
    """A second URI for a component whose pull waits is refused with 4.00 (HandleTooManyPulls)."""
    driver.start_pull(hold=1)
    other = others[0]
    waiting = other.start_pull(hold=0)
    answer = other.target.device.request(
        "PUT", other.path.child(1), payload=other.uri(waiting).encode(), content_format=0
    )
    expect(answer.code, "4.00")
    other.component.cancel()
