"""Packages on their way: pushed and pulled, whole and damaged."""

from __future__ import annotations

import base64

import pytest

from ..protocols import BLOCK_SIZES, ContentFormat, DeliveryMethod, UpdateResult, UpdateState, UpdateStatus
from ._driver import Driver, expect, expect_in

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = UpdateState
READY = UpdateStatus(DOWNLOADED, UpdateResult.INITIAL)


def _needs(driver: Driver, *methods: DeliveryMethod) -> None:
    method = driver.component.delivery_method()
    if method not in (DeliveryMethod.BOTH, *methods):
        pytest.skip(f"the client only knows to {method.name.lower()}")


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_push(driver: Driver, block_size: int) -> None:
    """A package pushed in blocks of any size is downloaded, with result 0."""
    _needs(driver, DeliveryMethod.PUSH)
    outcome = driver.component.push(driver.good(), block_size=block_size, deadline=driver.target.options.wait)
    expect((outcome.code, outcome.status), ("2.04", READY))


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_pull(driver: Driver, block_size: int) -> None:
    """A package pulled in blocks of any size is downloaded, with result 0, and fetched once."""
    _needs(driver, DeliveryMethod.PULL)
    publication = driver.start_pull(block_size=block_size)
    expect(driver.downloaded(), READY)
    assert set(publication.served.values()) == {1}


@pytest.mark.parametrize("delivery", ["push", "pull"])
def test_corrupt_package(driver: Driver, delivery: str) -> None:
    """A damaged package ends in Idle with result 5, after a code of success."""
    corrupt = driver.target.packages.corrupt(driver.path)
    if corrupt is None:
        pytest.skip(f"there is no package for {driver.path}")
    _deliver(driver, corrupt, delivery)
    expect(driver.downloaded(), UpdateStatus(IDLE, UpdateResult.INTEGRITY_CHECK_FAILED))


@pytest.mark.parametrize("delivery", ["push", "pull"])
def test_foreign_package(driver: Driver, delivery: str) -> None:
    """What is no package at all ends in Idle with result 6, after a code of success."""
    _deliver(driver, b"this is no package of any kind. " * 100, delivery)
    expect(driver.downloaded(), UpdateStatus(IDLE, UpdateResult.UNSUPPORTED_PACKAGE))


def _deliver(driver: Driver, package: bytes, delivery: str) -> None:
    if delivery == "push":
        _needs(driver, DeliveryMethod.PUSH)
        outcome = driver.component.push(package, deadline=driver.target.options.wait)
        assert outcome.code == "2.04"
    else:
        _needs(driver, DeliveryMethod.PULL)
        driver.component.pull(driver.uri(driver.publish(package)))


def test_package_in_base64(driver: Driver) -> None:
    """A package may come as text in base64 (GoodBase64)."""
    _needs(driver, DeliveryMethod.PUSH)
    text = base64.b64encode(driver.good())
    transfer = driver.target.device.push(
        driver.path.child(0), text, content_format=ContentFormat.TEXT, deadline=driver.target.options.wait
    )
    if transfer.code == "4.15":
        pytest.skip("the client takes packages as opaque only")
    assert transfer.code == "2.04"
    expect(driver.downloaded(), READY)


def test_text_that_is_no_base64(driver: Driver) -> None:
    """Text that is no base64 is refused with 4.00, and leaves Idle (BadBase64)."""
    answer = driver.target.device.request(
        "PUT", driver.path.child(0), payload=b"\x01\x02!", content_format=ContentFormat.TEXT
    )
    expect_in(answer.code, ("4.00", "4.15"))
    assert driver.downloaded().state is IDLE


def test_uri_of_nothing(driver: Driver) -> None:
    """A URI that the server answers with 4.04 ends in Idle with result 7."""
    _needs(driver, DeliveryMethod.PULL)
    driver.component.pull(driver.uri(driver.publish(b"x")) + "-none")
    expect(driver.downloaded(), UpdateStatus(IDLE, UpdateResult.INVALID_URI))


@pytest.mark.parametrize("uri", ["gopher://127.0.0.1/x", "unsupported://127.0.0.1/x"])
def test_scheme_that_nobody_supports(driver: Driver, uri: str) -> None:
    """A URI of an unknown scheme is refused with 4.00, and leaves result 9 (UnsupportedUri)."""
    answer = driver.target.device.request(
        "PUT", driver.path.child(1), payload=uri.encode(), content_format=ContentFormat.TEXT
    )
    expect(answer.code, "4.00")
    expect(driver.status(), UpdateStatus(IDLE, UpdateResult.UNSUPPORTED_PROTOCOL))


@pytest.mark.parametrize("uri", ["coap://", "coap://[::1/x"])
def test_uri_that_is_none(driver: Driver, uri: str) -> None:
    """What is no URI is refused, or ends with result 7 (InvalidUri)."""
    answer = driver.target.device.request(
        "PUT", driver.path.child(1), payload=uri.encode(), content_format=ContentFormat.TEXT
    )
    expect_in(answer.code, ("4.00", "2.04"))
    status = driver.downloaded()
    assert status.state is IDLE
    if answer.code == "2.04":
        assert status.result is UpdateResult.INVALID_URI


def test_uri_shows(driver: Driver) -> None:
    """The URI can be read while a pull runs, and is empty after a reset."""
    publication = driver.start_pull(hold=0)
    assert driver.target.device.read(driver.path.child(1)) == driver.uri(publication)
    driver.component.reset(by_uri=True)
    assert driver.target.device.read(driver.path.child(1)) == ""


def test_image_stays_when_another_is_offered(driver: Driver) -> None:
    """A downloaded package is not replaced by another push or URI (ReplacingPkg, ReplacingPkgUri)."""
    driver.push_good()
    version = driver.component.package_version()
    refused = driver.component.push(driver.good(), deadline=driver.target.options.wait)
    expect((refused.code, refused.status), ("4.00", READY))
    assert driver.component.package_version() == version


def test_blocks_out_of_order(driver: Driver) -> None:
    """A block that is not the next one is refused with 4.08 or 5.03, and the transfer goes on."""
    _needs(driver, DeliveryMethod.PUSH)
    package, size = driver.good(), 512
    count = -(-len(package) // size)
    for number in range(count):
        if number == 2:
            early = _block(driver, package, number + 1, size)
            expect_in(early, ("4.08", "5.03"))
        code = _block(driver, package, number, size)
        expect(code, "2.31" if number + 1 < count else "2.04")
    expect(driver.downloaded(), READY)


def test_push_in_the_middle(driver: Driver) -> None:
    """A block without the ones before it is refused with 4.08, and nothing changes."""
    _needs(driver, DeliveryMethod.PUSH)
    expect(_block(driver, driver.good(), 3, 512), "4.08")
    assert driver.status().state is IDLE


def _block(driver: Driver, package: bytes, number: int, size: int) -> str:
    more = (number + 1) * size < len(package)
    chunk = package[number * size : (number + 1) * size]
    return driver.target.device.push_block(
        driver.path.child(0), chunk, number=number, more=more, block_size=size
    ).code


def test_package_name_and_version(driver: Driver) -> None:
    """Name and version of a package show once it is downloaded, and not before."""
    assert driver.component.package_version() in (None, "")
    driver.push_good()
    if driver.component.package_version() is None:
        pytest.skip("the client does not tell the version of packages (resource 7)")
    driver.component.reset()
    assert driver.component.package_version() in (None, "")


@pytest.mark.slow_client
def test_server_is_away(driver: Driver) -> None:
    """A pull from where nobody answers ends in Idle with result 4 (OfflineUri)."""
    _needs(driver, DeliveryMethod.PULL)
    driver.start_pull(hold=1)
    status = driver.component.wait_downloaded(deadline=400)
    expect(status, UpdateStatus(IDLE, UpdateResult.CONNECTION_LOST))


@pytest.mark.slow_client
def test_abandoned_push(driver: Driver) -> None:
    """A push that does not go on ends in Idle with result 4."""
    assert _block(driver, driver.good(), 0, 512) == "2.31"
    # Until it gives up, a client may answer 5.03 to everything.
    status = driver.persist(lambda _: driver.component.wait_state(IDLE, deadline=400), seconds=400)
    expect(status, UpdateStatus(IDLE, UpdateResult.CONNECTION_LOST))
