"""The resources: which there are, what they take, and what may not be done."""

from __future__ import annotations

import pytest

from .._errors import RequestError
from ..protocols import OBJECTS, ContentFormat, ResourceType, Severity
from ._driver import Driver
from ._target import Target

_PYTHON = {
    ResourceType.STRING: str,
    ResourceType.INTEGER: int,
    ResourceType.UNSIGNED: int,
    ResourceType.TIME: int,
    ResourceType.BOOLEAN: bool,
}


def test_mandatory_resources(driver: Driver) -> None:
    """Every mandatory resource can be read, with a value of its type."""
    definition = OBJECTS[driver.path.object_id or 0]
    for resource in definition.resources.values():
        if not (resource.mandatory and resource.operations.read):
            continue
        value = driver.target.device.read(driver.path.child(resource.id))
        if not resource.multiple and resource.type in _PYTHON:
            assert type(value) is _PYTHON[resource.type], f"{resource.name} is {value!r}"


def test_what_cannot_be_read(driver: Driver) -> None:
    """Package, Update and Cancel cannot be read: 4.05."""
    for resource in (0, 2, 10):
        answer = driver.target.device.request("GET", driver.path.child(resource))
        assert answer.code in (("4.05", "4.04") if resource == 10 else ("4.05",)), f"resource {resource}"


def test_what_cannot_be_written(driver: Driver) -> None:
    """State and Result cannot be written: 4.05."""
    for resource in (3, 5, 9):
        answer = driver.target.device.request(
            "PUT", driver.path.child(resource), payload=b"1", content_format=ContentFormat.TEXT
        )
        assert answer.code == "4.05", f"resource {resource}"


def test_instances_are_fixed(driver: Driver) -> None:
    """Instances cannot be deleted: 4.05."""
    assert driver.target.device.request("DELETE", driver.path).code == "4.05"
    assert driver.status() is not None


def test_severity(driver: Driver) -> None:
    """Severity takes 0 to 2 and refuses the rest with 4.00."""
    before = driver.component.severity()
    if before is None:
        pytest.skip("the client has no severity (resource 11)")
    for severity in Severity:
        driver.component.set_severity(severity)
        assert driver.component.severity() is severity
    for wrong in (-1, 3):
        with pytest.raises(RequestError) as info:
            driver.target.device.write(driver.path.child(11), wrong)
        assert info.value.code == "4.00"
    driver.component.set_severity(before)


def test_maximum_defer_period(driver: Driver) -> None:
    """The maximum defer period takes seconds and refuses negative numbers with 4.00."""
    before = driver.component.max_defer_period()
    if before is None:
        pytest.skip("the client has no maximum defer period (resource 13)")
    for seconds in (30, 0):
        driver.component.set_max_defer_period(seconds)
        assert driver.component.max_defer_period() == seconds
    answer = driver.target.device.request(
        "PUT", driver.path.child(13), payload=b"-5", content_format=ContentFormat.TEXT
    )
    assert answer.code == "4.00"
    driver.component.set_max_defer_period(before)


def test_protocols_and_delivery(driver: Driver) -> None:
    """Delivery method and protocols are told, and contain coap for who pulls."""
    driver.component.delivery_method()
    protocols = driver.component.protocols()
    if protocols:
        assert any(protocol.scheme.startswith("coap") for protocol in protocols)


def test_main_version(client: Target) -> None:
    """The main component's version is that of the device, /3/0/3."""
    main = client.components.get("/33629/0")
    if main is None:
        pytest.skip("the client has no object 33629")
    assert main.name()
    assert client.device.read("/3/0/3") == main.version()


def test_links_are_empty_in_idle(driver: Driver) -> None:
    """Nothing is linked and nothing is in conflict while nothing is downloaded."""
    assert driver.component.linked() == ()
    assert driver.component.conflicting() == ()


@pytest.mark.parametrize(
    "content_format", [ContentFormat.TLV, ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON]
)
def test_formats(driver: Driver, content_format: ContentFormat) -> None:
    """A whole instance can be read in each format that was registered."""
    answer = driver.target.device.request("GET", driver.path, accept=content_format)
    if content_format not in driver.target.registration.formats and answer.code == "4.06":
        pytest.skip("the client did not register this format")
    assert (answer.code, answer.content_format) == ("2.05", content_format)


def test_discover(driver: Driver) -> None:
    """Discover lists the instance and its resources."""
    found = {link.target for link in driver.target.device.discover(driver.path)}
    assert {str(driver.path), *(str(driver.path.child(n)) for n in (0, 1, 2, 3, 5))} <= found
