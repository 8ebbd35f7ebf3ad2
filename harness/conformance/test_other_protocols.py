"""Pulls over HTTP and over CoAP in TCP, for clients that say that they know them."""

from __future__ import annotations

import pytest

from ..protocols import HttpFaults, Publication, PullProtocol, UpdateResult, UpdateState, UpdateStatus
from ._driver import Driver, expect, expect_in

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = UpdateState
READY = UpdateStatus(DOWNLOADED, UpdateResult.INITIAL)


def _uri(
    driver: Driver, protocol: PullProtocol, package: bytes, faults: HttpFaults | None = None
) -> tuple[Publication, str]:
    if protocol not in driver.component.protocols():
        pytest.skip(f"the client does not know {protocol.scheme} (resource 8)")
    publication = driver.publish(package)
    publication.http = faults or HttpFaults()
    base = driver.target.serve(protocol.scheme)
    return publication, f"{base}/{'/'.join(publication.path)}"


@pytest.mark.parametrize("protocol", [PullProtocol.HTTP, PullProtocol.COAP_TCP])
def test_pull_over_another_protocol(driver: Driver, protocol: PullProtocol) -> None:
    """A package can be pulled over HTTP and over CoAP in TCP (UriTest)."""
    _, uri = _uri(driver, protocol, driver.good())
    driver.component.pull(uri)
    expect(driver.downloaded(), READY)


@pytest.mark.parametrize("etag", ["strong", "weak", "none"])
def test_pull_over_http_that_is_cut_off(driver: Driver, etag: str) -> None:
    """A pull over HTTP that is cut off goes on with Range and If-Match, begins again, or gives result 4."""
    package = driver.good()
    publication, uri = _uri(
        driver, PullProtocol.HTTP, package, HttpFaults(cut_after=len(package) * 2 // 3, etag=etag)
    )
    driver.component.pull(uri)
    publication.wait_served(1, deadline=driver.target.options.wait)
    if etag != "strong":
        publication.http = HttpFaults(etag=etag)
    status = driver.downloaded()
    expect_in(status, (READY, UpdateStatus(IDLE, UpdateResult.CONNECTION_LOST)))
    for request in publication.http_requests[1:]:
        # A weak tag says nothing about bytes.
        if request.range is not None:
            assert etag == "strong"
            assert request.if_match is not None


def test_file_that_changes_during_a_pull_over_http(driver: Driver) -> None:
    """A pull over HTTP whose file changes begins again after 412, or ends with result 4 (RestartAfter412)."""
    package, other = driver.good(), driver.good()
    if package == other:
        pytest.skip("packages of all versions are the same")
    publication, uri = _uri(driver, PullProtocol.HTTP, package, HttpFaults(cut_after=len(package) // 2))
    driver.component.pull(uri)
    publication.wait_served(1, deadline=driver.target.options.wait)
    publication.replace(other)
    publication.http = HttpFaults()
    expect_in(driver.downloaded(), (READY, UpdateStatus(IDLE, UpdateResult.CONNECTION_LOST)))


@pytest.mark.parametrize(
    ("status", "result"), [(404, UpdateResult.INVALID_URI), (503, UpdateResult.CONNECTION_LOST)]
)
def test_errors_of_an_http_server(driver: Driver, status: int, result: UpdateResult) -> None:
    """An HTTP server's 404 ends with result 7, its 503 with result 4."""
    _, uri = _uri(driver, PullProtocol.HTTP, driver.good(), HttpFaults(status=status))
    driver.component.pull(uri)
    expect(driver.downloaded(), UpdateStatus(IDLE, result))


def test_https_that_nobody_trusts(driver: Driver) -> None:
    """A pull from an HTTPS server that is not trusted gives result 4 or 9 (Unconfigured-, InvalidHttps)."""
    _, uri = _uri(driver, PullProtocol.HTTPS, driver.good())
    answer = driver.target.device.request("PUT", driver.path.child(1), payload=uri.encode(), content_format=0)
    status = driver.downloaded()
    expect_in(answer.code, ("2.04", "4.00"))
    expect(status.state, IDLE)
    expect_in(status.result, (UpdateResult.CONNECTION_LOST, UpdateResult.UNSUPPORTED_PROTOCOL))
