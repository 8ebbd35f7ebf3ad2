"""Images that updates are made of."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from intelhex import IntelHex

from harness import BoardError, BuildError, ImageError
from harness.boards import Board, find_board
from harness.firmware import Behaviour, Elf, bootloader_program, compile_program, firmware_layout
from harness.mcuboot import FlashView, Image, SignatureVerdict, SigningKey, Version, verify_signature
from harness.updates import ImageFactory, describe

from .._boards import BOARD, board_file
from ..boards._edit import Edited


@cache
def factory() -> ImageFactory:
    return ImageFactory(find_board(BOARD))


def _payload(data: bytes) -> bytes:
    parsed = Image.parse(data)
    assert parsed.header is not None
    return data[parsed.header.header_size :][: parsed.header.payload_size]


@pytest.mark.parametrize("component", ["app", "model"])
def test_image_is_signed_for_its_board(component: str):
    image = factory().make(component, "1.2.3+4")
    assert (image.component, image.version, str(image)) == (
        component,
        Version(1, 2, 3, 4),
        f"{component} 1.2.3+4",
    )
    parsed = Image.parse(image.data)
    assert not [finding for finding in parsed.findings if finding.severity.name == "ERROR"]
    assert parsed.version == Version(1, 2, 3, 4)
    assert verify_signature(parsed, (factory().board.public_key,)).verdict is SignatureVerdict.VALID
    assert image.digest == hashlib.sha256(image.data).hexdigest()


@pytest.mark.parametrize("kind", ["ecdsa-p256", "rsa-2048"])
def test_other_keys_need_a_bootloader_of_ones_own(tmp_path: Path, kind: str):
    key: Any = (
        rsa.generate_private_key(65537, 2048)
        if kind == "rsa-2048"
        else ec.generate_private_key(ec.SECP256R1())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "private.pem").write_bytes(private)
    (tmp_path / "public.pem").write_bytes(public)
    file = board_file(tmp_path)
    text = file.read_text(encoding="utf-8")
    keys = f"type: {kind}\n    public_key: public.pem\n    private_key: private.pem\n"
    file.write_text(re.sub(r"type: ed25519\n.*\n.*\n", keys, text), encoding="utf-8")
    board = find_board(str(file))
    with pytest.raises(BuildError, match="checks Ed25519 signatures only"):
        ImageFactory(board).bootloader()
    for component in ("app", "model"):
        image = Image.parse(ImageFactory(board).make(component, "1.2.3").data)
        assert verify_signature(image, (board.public_key,)).verdict is SignatureVerdict.VALID


def test_component_by_name_number_or_itself():
    by_name = factory().make("model", "1.0.0")
    assert factory().make(1, "1.0.0") == by_name
    assert factory().make(factory().board.component("model"), "1.0.0") == by_name


def test_unknown_component_is_refused_with_a_hint():
    with pytest.raises(BoardError, match="no component 'modell'") as refused:
        factory().make("modell", "1.0.0")
    assert "model" in str(refused.value)


def test_data_depends_on_version_or_seed():
    first = factory().make("model", "1.0.0")
    assert factory().make("model", "1.0.0") == first
    assert _payload(factory().make("model", "1.0.1").data)[32:] != _payload(first.data)[32:]
    seeded = [factory().make("model", version, seed=7) for version in ("1.0.0", "2.0.0")]
    assert len({_payload(image.data)[32:] for image in seeded}) == 1
    assert len(_payload(factory().make("model", "1.0.0", size=1234).data)) == 1234


def test_application_is_linked_for_its_slot_and_behaves_as_asked():
    good, bad = (factory().make("app", "1.0.0", behaviour=kind) for kind in (Behaviour.GOOD, Behaviour.HANGS))
    assert (good.label, bad.label) == ("app 1.0.0", "app 1.0.0 (hangs)")
    assert _payload(good.data) != _payload(bad.data)
    slot = factory().board.partition("app_primary")
    entry = int.from_bytes(_payload(good.data)[4:8], "little")
    assert slot.address < entry < slot.end


def test_signing_options_are_handed_on():
    key = SigningKey.generate(factory().board.public_key.type)
    image = Image.parse(
        factory()
        .make("model", "1.0.0", dependencies={0: Version.parse("3.0.0")}, security_counter=9, key=key)
        .data
    )
    assert [(item.image, str(item.minimum)) for item in image.dependencies] == [(0, "3.0.0")]
    assert image.security_counter == 9
    assert verify_signature(image, (factory().board.public_key,)).verdict is not SignatureVerdict.VALID
    assert verify_signature(image, (key.public,)).verdict is SignatureVerdict.VALID


def test_board_without_private_key_makes_nothing(tmp_path: Path):
    board = Edited(tmp_path).replace("    private_key: key.pem\n", "").board()
    with pytest.raises(BoardError, match="no private key"):
        ImageFactory(board).make("model", "1.0.0")


def test_build_options_reach_every_build():
    planted = ImageFactory(
        factory().board, options={"DEFECT_false_success": 1, "DEFECT_ignore_missing_confirm": 1}
    )
    assert planted.make("app", "1.0.0") != factory().make("app", "1.0.0")
    assert planted.make("model", "1.0.0") == factory().make("model", "1.0.0")
    assert planted.bootloader() != factory().bootloader()


def test_bootloader_is_the_reference_one_and_its_digest_is_known_once_it_was_built():
    fresh = ImageFactory(factory().board)
    assert fresh.bootloader_digest is None
    content = fresh.bootloader()
    area = factory().board.partition("bootloader")
    assert all(area.address <= at and at + len(data) <= area.end for at, data in content.items())
    assert fresh.bootloader_digest == factory_digest(content)
    content.clear()
    assert fresh.bootloader(), "a caller has changed the factory's own content"


def factory_digest(content: dict[int, bytes]) -> str:
    parts = [at.to_bytes(4, "little") + content[at] for at in sorted(content)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _board_with(folder: Path, name: str, content: bytes) -> Board:
    (folder / name).write_bytes(content)
    return find_board(board_file(folder, bootloader=name))


def _flat(content: dict[int, bytes]) -> Any:
    return FlashView.build(content.items()).regions


def test_bootloader_from_a_file_in_every_form(tmp_path: Path):
    elf = compile_program(bootloader_program(firmware_layout(factory().board)))
    (base, data), *_ = [(segment.address, segment.data) for segment in Elf.read(elf).segments]
    assert (
        ImageFactory(_board_with(tmp_path, "b.elf", elf.read_bytes())).bootloader() == factory().bootloader()
    )
    assert ImageFactory(_board_with(tmp_path, "b.bin", data)).bootloader() == {0: data}
    text = IntelHex()
    text.frombytes(data, base)
    text.write_hex_file(str(tmp_path / "made.hex"))
    found = ImageFactory(_board_with(tmp_path, "b.hex", (tmp_path / "made.hex").read_bytes())).bootloader()
    assert _flat(found) == _flat({base: data})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("b.hex", b"no hex"),
        ("b.hex", b":00000001FX\n"),
        ("b.hex", b"\xff\xfe"),
        ("b.elf", b"no elf"),
        ("b.elf", b""),
    ],
)
def test_bootloader_file_that_is_none_is_refused_by_name(tmp_path: Path, name: str, content: bytes):
    images = ImageFactory(_board_with(tmp_path, name, content))
    with pytest.raises(ImageError) as refused:
        images.bootloader()
    assert str(tmp_path / name) in str(refused.value)


@pytest.mark.parametrize("name", ["b.hex", "b.bin", "b.elf"])
def test_bootloader_file_that_went_away_is_refused_by_name(tmp_path: Path, name: str):
    images = ImageFactory(_board_with(tmp_path, name, b"x"))
    (tmp_path / name).unlink()
    with pytest.raises(ImageError) as refused:
        images.bootloader()
    assert str(tmp_path / name) in str(refused.value)


def test_image_is_found_in_flash_only_whole():
    image = factory().make("model", "1.0.0")
    flash = FlashView.from_bytes(b"\xff" * 16 + image.data + b"\xff", 0x1000)
    assert image.lies_at(flash, 0x1010)
    assert not image.lies_at(flash, 0x100C)
    assert not image.lies_at(FlashView.from_bytes(image.data[:-1]), 0)
    assert not image.lies_at(flash.with_bytes(0x1010 + len(image.data) - 1, b"!"), 0x1010)


def test_description_for_reports():
    image = factory().make("model", "1.0.0")
    assert describe(image) == {
        "component": "model",
        "version": "1.0.0",
        "size": str(len(image.data)),
        "sha256": image.digest,
        "findings": "",
    }
