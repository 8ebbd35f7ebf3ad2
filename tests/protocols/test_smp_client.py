"""The SMP client, with what serial recovery of MCUboot 2.0 was seen to answer where Zephyr differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cbor2
import pytest

from harness import RequestError
from harness.protocols.links import Unsubscribe
from harness.protocols.smp import SmpClient
from harness.protocols.smp.lines import LineDecoder, SmpMessage

_RC_0 = bytes.fromhex("bf62726300ff")
_EINVAL = bytes.fromhex("bf62726303ff")
_ENOTSUP = bytes.fromhex("bf62726308ff")
_LIST = bytes.fromhex("bf66696d616765739fbf64736c6f74006776657273696f6e67312e322e332e34ffffff")
_OFF_100 = bytes.fromhex("bf62726300636f66661864ff")


class Loader:
    """A line with a boot loader that knows its answers by group and command."""

    name = "loader"

    def __init__(self) -> None:
        self.answers: dict[tuple[int, int], bytes | list[bytes]] = {}
        self.asked: list[dict[str, object]] = []
        self._received: Callable[[bytes], None] = lambda _: None

    def subscribe(
        self, received: Callable[[bytes], None], closed: Callable[[Exception | None], None], /
    ) -> Unsubscribe:
        self._received = received
        return lambda: None

    def send(self, frame: bytes, /) -> None:
        (event,) = LineDecoder().feed(frame)
        assert isinstance(event, SmpMessage)
        asked = event.message
        self.asked.append(cbor2.loads(asked[8:]))
        body = self.answers[asked[5], asked[7]]
        if isinstance(body, list):
            body = body.pop(0)
        self._received(bytes([asked[0] + 1, 0]) + len(body).to_bytes(2, "big") + asked[4:8] + body)


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def client(loader: Loader) -> Iterator[SmpClient]:
    with SmpClient.on_line(loader) as made:
        yield made


def test_reset_is_answered_with_rc_0(loader: Loader, client: SmpClient):
    loader.answers[0, 5] = _RC_0
    client.reset()
    loader.answers[0, 5] = _ENOTSUP
    with pytest.raises(RequestError) as caught:
        client.reset()
    assert caught.value.code == "ENOTSUP"


def test_piece_that_is_refused_has_no_offset(loader: Loader, client: SmpClient):
    loader.answers[1, 1] = _EINVAL
    with pytest.raises(RequestError) as caught:
        client.upload_piece(bytes(1000), 0, 100)
    assert caught.value.code == "EINVAL"


@pytest.mark.parametrize("before", [[], [_OFF_100]])
def test_upload_that_is_refused_is_not_taken_for_damaged(
    loader: Loader, client: SmpClient, before: list[bytes]
):
    loader.answers |= {(0, 6): _ENOTSUP, (1, 1): [*before, _EINVAL]}
    with pytest.raises(RequestError, match="an upload of 1000 bytes for image 2") as caught:
        client.upload(bytes(1000), 2)
    assert caught.value.code == "EINVAL"


def test_trial_is_told_from_a_confirmation(loader: Loader, client: SmpClient):
    loader.answers[1, 0] = _LIST
    client.test(bytes(32))
    assert loader.asked == [{"hash": bytes(32), "confirm": False}]


def test_build_number_is_a_fourth_part(loader: Loader, client: SmpClient):
    loader.answers[1, 0] = _LIST
    assert [slot.version for slot in client.images()] == ["1.2.3+4"]
