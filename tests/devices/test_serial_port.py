"""Serial port and console: frames apart from text, deadlines that say what came, and ends of all kinds."""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smp.packet import encode

from harness import DeadlineExceeded, PortError
from harness.devices import Console, SerialPort
from harness.protocols.slipmux import encode_coap, encode_text

MESSAGE = b"\x40\x01\x00\x01\xb1s"


class Line:
    """A TCP port that stands for a board: what is written to `peer` arrives at the opened port."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        self.port = SerialPort(self.url, baud=115200, carries=("smp",))
        self.peer, _ = self._server.accept()
        self.peer.settimeout(5)

    def close(self) -> None:
        self.port.close()
        self.peer.close()
        self._server.close()


@pytest.fixture
def line() -> Iterator[Line]:
    opened = Line()
    yield opened
    opened.close()


def test_frames_and_text_are_split_and_each_arrives_whole(line: Line) -> None:
    console = Console(line.port, framed=True)
    frames: queue.Queue[bytes] = queue.Queue()
    line.port.subscribe(frames.put, lambda _reason: None)
    line.peer.sendall(
        b"boot: plain\n" + encode_coap(MESSAGE) + encode_text("framed\n") + encode_coap(MESSAGE) + b"more\n"
    )
    console.expect("plain\nframed\nmore\n", deadline=5)
    assert [frames.get(timeout=5) for _ in range(2)] == [MESSAGE, MESSAGE]
    assert not line.port.errors


def test_smp_lines_have_their_own_side(line: Line) -> None:
    console = Console(line.port, framed=True)
    frames: queue.Queue[bytes] = queue.Queue()
    answers: queue.Queue[bytes] = queue.Queue()
    ends: queue.Queue[Exception | None] = queue.Queue()
    line.port.subscribe(frames.put, lambda _reason: None)
    line.port.smp.subscribe(answers.put, ends.put)
    message = bytes(range(200))
    first, *rest = encode(message)
    line.peer.sendall(b"some" + first + encode_coap(MESSAGE) + first + b"".join(rest) + b" text\n")
    console.expect("some text\n", deadline=5)
    assert answers.get(timeout=5) == message
    assert frames.get(timeout=5) == MESSAGE
    line.peer.sendall(first)
    line.peer.sendall(encode_text("the device was reset\n") + rest[0])
    console.expect("reset\n", deadline=5)
    line.port.settle()
    assert answers.empty()
    line.port.smp.send(first)
    assert line.peer.recv(200) == first
    line.peer.close()
    assert isinstance(ends.get(timeout=5), PortError)


def test_expect_returns_the_match_and_goes_on_behind_it(line: Line) -> None:
    console = Console(line.port, framed=False)
    line.peer.sendall(b"version 1.2.3\nversion 4.5.6\n")
    assert console.expect(r"version (\S+)", deadline=5)[1] == "1.2.3"
    assert console.expect(r"version (\S+)", deadline=5)[1] == "4.5.6"


def test_expect_says_what_it_waited_for_and_what_came(line: Line) -> None:
    console = Console(line.port, framed=False)
    line.peer.sendall(b"boot: no bootable image\n")
    console.expect("image", deadline=5)
    line.peer.sendall(b"something else\n")
    with pytest.raises(DeadlineExceeded) as caught:
        console.expect("app: ready", deadline=0.2)
    text = str(caught.value)
    assert "'app: ready' within 0.2 s" in text
    assert "something else" in text
    assert "bootable" not in text, "text before the last match is not what came instead"
    assert line.url in text


def test_expect_says_when_nothing_came(line: Line) -> None:
    with pytest.raises(DeadlineExceeded, match="no text at all"):
        Console(line.port, framed=False).expect("x", deadline=0.05)


def test_command_returns_the_answer_alone(line: Line) -> None:
    console = Console(line.port, framed=False)

    def answer() -> None:
        assert line.peer.recv(100) == b"slots\n"
        line.peer.sendall(b"app 1.0.0\nmodel 2.0.0\nok\n")

    thread = threading.Thread(target=answer)
    thread.start()
    line.peer.sendall(b"earlier ok\nok\n")
    console.expect("earlier ok\nok\n", deadline=5)
    assert console.command("slots") == "app 1.0.0\nmodel 2.0.0\n"
    thread.join()


def test_console_input_goes_out_in_a_frame_where_the_line_is_shared(line: Line) -> None:
    Console(line.port, framed=True).send("reset\n")
    assert line.peer.recv(100) == encode_text("reset\n")


def test_text_is_stamped_in_the_transcript(line: Line) -> None:
    console = Console(line.port, framed=False)
    line.peer.sendall(b"one\ntw")
    console.expect("tw", deadline=5)
    line.peer.sendall(b"o\nthree")
    console.expect("three", deadline=5)
    lines = console.transcript().splitlines()
    assert [text.split(maxsplit=1)[1] for text in lines] == ["one", "two", "three"]
    stamps = [float(text.split()[0]) for text in lines]
    assert stamps == sorted(stamps)


def test_lost_port_ends_waits_and_subscriptions_with_the_reason(line: Line) -> None:
    console = Console(line.port, framed=False)
    ends: queue.Queue[Exception | None] = queue.Queue()
    line.port.subscribe(lambda _message: None, ends.put)
    line.peer.close()
    reason = ends.get(timeout=5)
    assert isinstance(reason, PortError)
    with pytest.raises(PortError, match="vanished"):
        console.expect("never", deadline=5)
    with pytest.raises(PortError):
        line.port.send(b"x")
    late: queue.Queue[Exception | None] = queue.Queue()
    line.port.subscribe(lambda _message: None, late.put)
    assert late.get(timeout=1) is reason


def test_frame_cut_off_by_a_reset_is_given_up_after_a_moment(line: Line) -> None:
    console = Console(line.port, framed=False)
    line.peer.sendall(encode_coap(MESSAGE)[:5])
    while not line.port.errors:
        pass
    line.peer.sendall(b"boot: again\n")
    console.expect("boot: again", deadline=5)


def test_port_that_cannot_be_opened_is_told_with_a_remedy() -> None:
    with pytest.raises(PortError) as caught:
        SerialPort("/dev/no-such-port", baud=115200)
    assert "/dev/no-such-port" in str(caught.value)
    assert "to do:" in str(caught.value)


def test_closing_leaves_no_thread(line: Line) -> None:
    line.port.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("serial console")]


def test_pseudo_terminal_works_like_a_real_port() -> None:
    if not hasattr(os, "openpty"):
        pytest.skip("this system has no pseudo terminals")
    master, slave = os.openpty()
    try:
        with SerialPort(os.ttyname(slave), baud=115200) as port:
            console = Console(port, framed=False)
            os.write(master, b"hello from a pty\n")
            console.expect("from a pty", deadline=5)
            port.send(b"typed")
            assert os.read(master, 100) == b"typed"
    finally:
        os.close(master)
        os.close(slave)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8))
def test_whatever_is_on_the_line_the_port_lives_on(pieces: list[bytes]) -> None:
    opened = Line()
    try:
        console = Console(opened.port, framed=True)
        for piece in pieces:
            opened.peer.sendall(piece)
        opened.peer.sendall(b"\xc0\xc0" + encode_text("still here\n"))
        console.expect("still here", deadline=5)
    finally:
        opened.close()


def test_settle_hands_on_all_that_has_arrived(line: Line) -> None:
    got: list[bytes] = []
    line.port.listen(lambda chunk: got.append(chunk.data))
    for number in range(50):
        line.peer.sendall(b"%d\n" % number)
        line.port.settle()
        assert b"".join(got).endswith(b"%d\n" % number)


def test_settle_gives_up_on_a_reader_that_is_busy(line: Line) -> None:
    release = threading.Event()
    line.port.listen(lambda _chunk: release.wait(5))
    line.peer.sendall(b"text\n")
    try:
        with pytest.raises(DeadlineExceeded, match="silence"):
            line.port.settle(deadline=0.1)
    finally:
        release.set()


def test_settle_of_a_closed_port_returns(line: Line) -> None:
    line.port.close()
    line.port.settle()
