"""Update packages of the nRF Connect SDK as images to test with."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import ImageError
from harness.boards import find_board
from harness.mcuboot import sign
from harness.updates import ImageFactory

from ..boards.build_folders import package


def test_images_of_a_package_belong_to_components(tmp_path: Path) -> None:
    board = find_board("nrf52840dk")
    data = sign(b"weights" * 9, board.signing_options("model", version="3.1.0+4"))
    file = tmp_path / "dfu_application.zip"
    file.write_bytes(package(("model.bin", data, {"image_index": "1"})))
    (image,) = ImageFactory(board).packaged(file)
    assert (image.component, str(image.version), image.data) == ("model", "3.1.0+4", data)


@pytest.mark.parametrize(
    ("index", "data", "found"), [("5", None, "image 5"), ("0", b"x" * 40, "no image header")]
)
def test_image_of_no_component_is_refused(tmp_path: Path, index: str, data: bytes | None, found: str) -> None:
    board = find_board("nrf52840dk")
    content = data or sign(b"x", board.signing_options("app", version="1.0.0"))
    file = tmp_path / "dfu_application.zip"
    file.write_bytes(package(("some.bin", content, {"image_index": index})))
    with pytest.raises(ImageError) as caught:
        ImageFactory(board).packaged(file)
    assert caught.value.found == found
