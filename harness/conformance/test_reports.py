"""Notifications, restarts and noise."""

from __future__ import annotations

import itertools

import pytest

from .._errors import DeadlineExceeded
from ..protocols import TRANSITIONS, UpdateResult, UpdateState, UpdateStatus
from ._driver import Driver, expect

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = UpdateState
READY = UpdateStatus(DOWNLOADED, UpdateResult.INITIAL)


def test_notifications(driver: Driver) -> None:
    """An observed state is notified when it changes, by legal steps, the last one being where it is."""
    with driver.target.device.observe(driver.path.child(3)) as observation:
        seen = [observation.next(10)]
        driver.push_good()
        driver.component.reset()
        while seen[-1] != IDLE or len(seen) == 1:
            seen.append(observation.next(driver.target.options.wait))
    states = [UpdateState(value) for value in seen]
    for before, after in itertools.pairwise(states):
        # A value in between may have been missed, but none that leads nowhere.
        assert before is not after
        assert (before, after) in TRANSITIONS or after is IDLE


def test_observations_end_with_a_restart(driver: Driver) -> None:
    """After a restart nothing is notified that was observed before."""
    _restartable(driver)
    observation = driver.target.device.observe(driver.path.child(3))
    observation.next(10)
    driver.target.power_cycle()
    driver.push_good()
    assert observation.ended is not None
    with driver.target.device.observe(driver.path.child(3)) as new:
        new.next(10)
        with pytest.raises(DeadlineExceeded):
            new.next(0.5)


def _restartable(driver: Driver) -> None:
    if driver.target.restart is None:
        pytest.skip("nobody can restart this client")


def test_downloaded_survives_a_restart(driver: Driver) -> None:
    """A downloaded package is still there after a restart (RestartWithDownloaded)."""
    _restartable(driver)
    driver.push_good()
    driver.target.power_cycle()
    expect(driver.status(), READY)


@pytest.mark.only_object(33629)
def test_pull_ends_with_a_restart(driver: Driver) -> None:
    """Object 33629 drops a pull at a restart: Idle with result 0."""
    _restartable(driver)
    publication = driver.start_pull(hold=2)
    publication.wait_served(2, deadline=driver.target.options.wait)
    driver.target.power_cycle()
    expect(driver.status(), UpdateStatus(IDLE, UpdateResult.INITIAL))


@pytest.mark.only_object(5)
def test_pull_goes_on_after_a_restart(driver: Driver) -> None:
    """Object 5 goes on with a pull after a restart, and fetches only the rest (RestartWithDownloading)."""
    _restartable(driver)
    package = driver.good()
    blocks = -(-len(package) // 256)
    publication = driver.publish(package, hold=blocks // 2, block_size=256)
    driver.component.pull(driver.uri(publication))
    publication.wait_served(blocks // 2, deadline=driver.target.options.wait)
    driver.target.power_cycle()
    publication.release()
    expect(driver.downloaded(), READY)
    again = publication.blocks_served - blocks // 2
    if again >= blocks:
        pytest.fail(f"all of the {blocks} blocks were fetched again")


@pytest.mark.only_object(5)
def test_pull_of_a_changed_file_starts_again(driver: Driver) -> None:
    """A pull that goes on meets another ETag and starts again (RestartWithDownloadingETagChange)."""
    _restartable(driver)
    package, other = driver.good(), driver.good()
    if package == other:
        pytest.skip("packages of all versions are the same")
    publication = driver.publish(package, hold=4, block_size=256)
    driver.component.pull(driver.uri(publication))
    publication.wait_served(4, deadline=driver.target.options.wait)
    driver.target.power_cycle()
    publication.replace(other)
    publication.release()
    expect(driver.downloaded(), READY)
    assert publication.served[0] >= 2


def test_push_ends_with_a_restart(driver: Driver) -> None:
    """A push is dropped at a restart: Idle with result 0, and a new one succeeds."""
    _restartable(driver)
    package = driver.good()
    code = driver.target.device.push_block(
        driver.path.child(0), package[:512], number=0, more=True, block_size=512
    ).code
    assert code == "2.31"
    driver.target.power_cycle()
    expect(driver.status(), UpdateStatus(IDLE, UpdateResult.INITIAL))
    driver.push_good()


def test_settings_survive_a_restart(driver: Driver) -> None:
    """Severity and maximum defer period survive a restart (SeverityPersistence, DeadlinePersistence)."""
    _restartable(driver)
    severity, period = driver.component.severity(), driver.component.max_defer_period()
    if severity is None or period is None:
        pytest.skip("the client has neither severity nor defer period")
    driver.target.device.write(driver.path.child(11), 2)
    driver.component.set_max_defer_period(77)
    driver.target.power_cycle()
    assert driver.component.severity() == 2
    assert driver.component.max_defer_period() == 77
    driver.component.set_severity(severity)
    driver.component.set_max_defer_period(period)


@pytest.mark.parametrize(
    "noise",
    [
        "",
        "00",
        "ff" * 40,
        "40010001ff",
        "4f010001",
        "40010001d1",
        "8001 0001",
        "40e1 0001",
        "4000 0001",
        "6045 0001",
    ],
)
def test_noise(driver: Driver, noise: str) -> None:
    """Messages that are none change nothing, and the next request is answered."""
    before = driver.status()
    driver.target.device.send_raw(bytes.fromhex(noise))
    expect(driver.status(), before)
