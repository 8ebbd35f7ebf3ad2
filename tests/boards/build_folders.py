"""Build folders as Zephyr's sysbuild leaves them: the files that an import reads, in their shapes."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from harness.boards import find_board

KEY = find_board("nrf52840dk").file.parent / "keys" / "test-ed25519.pem"
SLOTS = {
    "boot": (0x00000, 0x0C000),
    "slot0": (0x0C000, 0x76000),
    "slot1": (0x82000, 0x76000),
    "storage": (0xF8000, 0x08000),
}

_TREE = """/dts-v1/;

/* node '/' defined in zephyr/dts/common/skeleton.dtsi:9 */
/ {{
	#address-cells = < 0x1 >; /* in zephyr/dts/common/skeleton.dtsi:10 */
	#size-cells = < 0x1 >;
	model = "Nordic nRF52840 DK NRF52840";
	chosen {{
		zephyr,console = &uart0;
		zephyr,flash = &flash0;
{mcumgr}	}};
	soc {{
		#address-cells = < 0x1 >;
		#size-cells = < 0x1 >;
		ranges;
		flash_controller: flash-controller@4001e000 {{
			compatible = "nordic,nrf52-flash-controller";
			reg = < 0x4001e000 0x1000 >;
			#address-cells = < 0x1 >;
			#size-cells = < 0x1 >;
			flash0: flash@{base:x} {{
				compatible = "soc-nv-flash";
				erase-block-size = < 0x1000 >;
				write-block-size = < 0x4 >;
				reg = < {base:#x} 0x100000 >;
				partitions {{
					compatible = "fixed-partitions";
					#address-cells = < 0x1 >;
					#size-cells = < 0x1 >;
{partitions}				}};
			}};
		}};
		uart0: uart@40002000 {{
			compatible = "nordic,nrf-uarte";
			reg = < 0x40002000 0x1000 >;
			current-speed = < 0x1c200 >;
			status = "okay";
		}};
		uart1: uart@40028000 {{
			compatible = "nordic,nrf-uarte";
			reg = < 0x40028000 0x1000 >;
			current-speed = < 0xf4240 >;
		}};
		qspi: qspi@40029000 {{
			#address-cells = < 0x1 >;
			#size-cells = < 0x0 >;
			reg = < 0x40029000 0x1000 >;
			mx25r64: mx25r6435f@0 {{
				compatible = "nordic,qspi-nor";
				reg = < 0x0 >;
				size = < 0x4000000 >;
				partitions {{
					compatible = "fixed-partitions";
					#address-cells = < 0x1 >;
					#size-cells = < 0x1 >;
{external}				}};
			}};
		}};
	}};
}};
"""
_PARTITION = """					{name}_partition: partition@{offset:x} {{
						label = "{name}";
						reg = < {offset:#x} {size:#x} >;
					}};
"""
_RUNNERS = """# Available runners configured by board.cmake.
runners:
- nrfutil
- jlink
- pyocd

# Default flash runner if --runner is not given.
flash-runner: nrfutil

config:
  board_dir: /zephyr/boards/nordic/nrf52840dk
  elf_file: zephyr.elf
  hex_file: zephyr.signed.hex

args:
  nrfutil:
    - --ext-mem-config-file=/zephyr/boards/nordic/nrf52840dk/support/nrf52840dk_qspi.json
  jlink:
    - --dt-flash=y
    - --device=nRF52840_xxAA
  pyocd:
    - --dt-flash=y
    - --target=nrf52840
    - --frequency=4000000
"""


def tree(
    slots: dict[str, tuple[int, int]], external: dict[str, tuple[int, int]], base: int = 0, mcumgr: str = ""
) -> str:
    """A zephyr.dts with partitions by name, in the flash and in a second one."""

    def listed(places: dict[str, tuple[int, int]]) -> str:
        return "".join(_PARTITION.format(name=n, offset=at, size=size) for n, (at, size) in places.items())

    port = f"\t\tzephyr,uart-mcumgr = {mcumgr};\n" if mcumgr else ""
    return _TREE.format(base=base, partitions=listed(slots), external=listed(external), mcumgr=port)


@dataclass
class Sysbuild:
    """A build of an application with MCUboot. Change its parts, then `write` it."""

    boot: dict[str, str] = field(
        default_factory=lambda: {
            "MCUBOOT": "y",
            "BOARD": '"nrf52840dk"',
            "BOARD_TARGET": '"nrf52840dk/nrf52840"',
            "SOC": '"nrf52840"',
            "KERNEL_BIN_NAME": '"zephyr"',
            "BOOT_IMG_HASH_ALG_SHA256_ALLOW": "y",
            "BOOT_IMG_HASH_ALG_SHA256": "y",
            "BOOT_SIGNATURE_TYPE_ED25519": "y",
            "BOOT_SIGNATURE_KEY_FILE": f'"{KEY.as_posix()}"',
            "BOOT_VALIDATE_SLOT0": "y",
            "BOOT_SWAP_USING_MOVE": "y",
            "BOOT_MAX_IMG_SECTORS_AUTO": "y",
            "BOOT_MAX_IMG_SECTORS": "128",
            "UPDATEABLE_IMAGE_NUMBER": "1",
        }
    )
    application: dict[str, str] = field(
        default_factory=lambda: {
            "BOARD": '"nrf52840dk"',
            "SOC": '"nrf52840"',
            "BOOTLOADER_MCUBOOT": "y",
            "KERNEL_BIN_NAME": '"zephyr"',
            "ROM_START_OFFSET": "0x200",
            "MCUBOOT_SIGNATURE_KEY_FILE": f'"{KEY.as_posix()}"',
            "MCUBOOT_BOOTLOADER_MODE_SWAP_USING_MOVE": "y",
            "MCUBOOT_BOOTLOADER_MODE_HAS_NO_DOWNGRADE": "y",
        }
    )
    slots: dict[str, tuple[int, int]] = field(default_factory=lambda: dict(SLOTS))
    application_slots: dict[str, tuple[int, int]] | None = None
    external: dict[str, tuple[int, int]] = field(default_factory=dict)
    base: int = 0
    mcumgr: str = ""
    boot_mcumgr: str | None = None
    """What MCUboot chooses, if not the same."""
    partitions: str | None = None
    runners: str | None = _RUNNERS
    source: str = "/mcuboot/boot/zephyr"
    package: bytes | None = None

    def write(self, folder: Path) -> Path:
        """The folder, which is made."""
        listing = f"default: app\nbuild_dir: {folder.as_posix()}\ndomains:\n"
        for name, options, slots in (
            ("app", self.application, self.application_slots or self.slots),
            ("mcuboot", self.boot, self.slots),
        ):
            zephyr = folder / name / "zephyr"
            zephyr.mkdir(parents=True)
            lines = [
                "#",
                "# Devicetree Info",
                "#",
                *(f"CONFIG_{key}={value}" for key, value in options.items()),
            ]
            (zephyr / ".config").write_text("\n".join([*lines, "# CONFIG_BOOT_ENCRYPT_IMAGE is not set", ""]))
            mcumgr = self.mcumgr if name == "app" or self.boot_mcumgr is None else self.boot_mcumgr
            (zephyr / "zephyr.dts").write_text(tree(slots, self.external, self.base, mcumgr))
            (zephyr / "zephyr.hex").write_text(":00000001FF\n")
            if self.runners is not None:
                (zephyr / "runners.yaml").write_text(self.runners)
            listing += f"  - name: {name}\n    build_dir: {(folder / name).as_posix()}\n"
            source = self.source if name == "mcuboot" else "/projects/app"
            (folder / name / "build_info.yml").write_text(
                f"cmake:\n  application:\n    configuration-dir: '{source}'\n    source-dir: '{source}'\n"
                "  board:\n    name: nrf52840dk\n    qualifiers: nrf52840\nversion: 0.1.0\n"
            )
        (folder / "domains.yaml").write_text(listing + "flash_order:\n  - mcuboot\n  - app\n")
        if self.partitions is not None:
            (folder / "partitions.yml").write_text(self.partitions)
        if self.package is not None:
            (folder / "dfu_application.zip").write_bytes(self.package)
        return folder


def package(*files: tuple[str, bytes, dict[str, object]], **top: object) -> bytes:
    """A dfu_application.zip: file name, content, and what its entry has beside the usual."""
    entries = [
        {
            "type": "application",
            "board": "nrf52840dk",
            "soc": "nrf52840",
            "load_address": 49664,
            "image_index": "0",
            "slot_index_primary": "1",
            "slot_index_secondary": "2",
            "version_MCUBOOT": "1.2.3+0",
            "size": len(data),
            "file": name,
            "modtime": 1700000000,
        }
        | more
        for name, data, more in files
    ]
    manifest = {"format-version": 1, "time": 1700000000, "files": entries, "name": "app"} | top
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data, _ in files:
            archive.writestr(name, data)
        archive.writestr("manifest.json", json.dumps(manifest, indent=4))
    return buffer.getvalue()
