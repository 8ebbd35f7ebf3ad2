"""How MCUboot is built, from Kconfig.

Names of options: MCUboot's ``boot/zephyr/Kconfig`` and ``mcuboot_config.h`` (2.4.0) for the boot loader,
Zephyr's ``modules/Kconfig.mcuboot`` for the application.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from harness._errors import ImageError
from harness.mcuboot import KeyType, PublicKey, SigningKey, SwapMode

from ._facts import Fact, Findings
from ._folder import Build, Domain
from ._kconfig import Config

__all__ = ["boot_settings", "image_count", "swap_mode", "written_path"]

_BOOT_MODES: Final = {
    "SINGLE_APPLICATION_SLOT": SwapMode.SINGLE,
    "BOOT_SWAP_USING_SCRATCH": SwapMode.SCRATCH,
    "BOOT_SWAP_USING_MOVE": SwapMode.MOVE,
    "BOOT_SWAP_USING_OFFSET": SwapMode.OFFSET,
    "BOOT_UPGRADE_ONLY": SwapMode.OVERWRITE_ONLY_FAST,  # mcuboot_config.h sets both
    "BOOT_DIRECT_XIP": SwapMode.DIRECT_XIP,
    "BOOT_RAM_LOAD": SwapMode.RAM_LOAD,
}
_APPLICATION_MODE: Final = "MCUBOOT_BOOTLOADER_MODE_"
_APPLICATION_MODES: Final = {
    "SINGLE_APP": SwapMode.SINGLE,
    "SWAP_SCRATCH": SwapMode.SCRATCH,
    "SWAP_USING_MOVE": SwapMode.MOVE,
    "SWAP_WITHOUT_SCRATCH": SwapMode.MOVE,
    "SWAP_USING_OFFSET": SwapMode.OFFSET,
    "OVERWRITE_ONLY": SwapMode.OVERWRITE_ONLY_FAST,
    "DIRECT_XIP": SwapMode.DIRECT_XIP,
    "DIRECT_XIP_WITH_REVERT": SwapMode.DIRECT_XIP_REVERT,
    "RAM_LOAD": SwapMode.RAM_LOAD,
    "RAM_LOAD_WITH_REVERT": SwapMode.RAM_LOAD_REVERT,
}
_REVERTS: Final = {
    SwapMode.DIRECT_XIP: ("BOOT_DIRECT_XIP_REVERT", SwapMode.DIRECT_XIP_REVERT),
    SwapMode.RAM_LOAD: ("BOOT_RAM_LOAD_REVERT", SwapMode.RAM_LOAD_REVERT),
}
#: options of the boot loader that board files cannot describe, and what to do without them
_FOREIGN: Final = {
    "SINGLE_APPLICATION_SLOT_RAM_LOAD": "a single slot loaded to RAM",
    "BOOT_FIRMWARE_LOADER": "a firmware loader in the second slot",
    "BOOT_ENCRYPT_IMAGE": "encrypted images",
    "BOOT_DECOMPRESSION": "compressed images",
    "BOOT_SIGNATURE_TYPE_PURE": "a signature of the image itself instead of its digest",
    "BOOT_SIGNATURE_TYPE_NONE": "images without signature",
    "BOOT_HW_KEY": "a key that is kept in hardware",
    "BOOT_BUILTIN_KEY": "a key that is kept in the crypto library",
}
_SIGNATURES: Final = {
    "BOOT_SIGNATURE_TYPE_ED25519": KeyType.ED25519,
    "BOOT_SIGNATURE_TYPE_ECDSA_P256": KeyType.ECDSA_P256,
    "BOOT_SIGNATURE_TYPE_RSA": KeyType.RSA_2048,
}
_RSA: Final = {2048: KeyType.RSA_2048, 3072: KeyType.RSA_3072}
_HASHES: Final = {f"BOOT_IMG_HASH_ALG_SHA{bits}": f"sha{bits}" for bits in (256, 384, 512)}


def swap_mode(build: Build, findings: Findings) -> Fact[SwapMode] | None:
    """The update strategy, as the boot loader and the application have it."""
    ours, theirs = build.mcuboot, build.default
    boot = _boot_mode(ours.config, findings) if ours else None
    application = _application_mode(theirs.config, findings) if theirs else None
    if boot and application:
        findings.differ(
            "swap mode",
            [boot, application],
            remedy="build application and boot loader with the same mode (SB_CONFIG_MCUBOOT_MODE_..)",
        )
    found = boot or application
    if found is None and not findings.problems:
        domain = ours or theirs
        findings.refuse(
            domain.config.file if domain else build.folder,
            "no update strategy is chosen",
            name="swap mode",
            expected="one of " + ", ".join(f"CONFIG_{name}" for name in _BOOT_MODES),
            remedy="name a build of MCUboot, or of an application for it (CONFIG_BOOTLOADER_MCUBOOT)",
        )
    return found


def _boot_mode(config: Config, findings: Findings) -> Fact[SwapMode] | None:
    for name, fact in config.matching(r"BOOT_SWAP_USING_\w+"):
        if name not in _BOOT_MODES:
            findings.refuse(fact, "unknown update strategy", name=f"CONFIG_{name}")
    chosen = list(config.chosen(_BOOT_MODES))
    if not chosen:
        return None
    name, fact = chosen[0]
    for other, at in chosen[1:]:
        findings.refuse(
            at, f"contradicts CONFIG_{name} in {fact.where}", name=f"CONFIG_{other}", remedy="build again"
        )
    mode = _BOOT_MODES[name]
    option, reverting = _REVERTS.get(mode, ("", mode))
    revert = config.on(option)
    return Fact(reverting, revert.file, revert.line) if revert else Fact(mode, fact.file, fact.line)


def _application_mode(config: Config, findings: Findings) -> Fact[SwapMode] | None:
    found: Fact[SwapMode] | None = None
    for name, fact in config.matching(_APPLICATION_MODE + r"\w+"):
        short = name.removeprefix(_APPLICATION_MODE)
        mode = _APPLICATION_MODES.get(short)
        if mode is None:
            # HAS_NO_DOWNGRADE says what the chosen strategy could do, and is set for most of them.
            if not short.startswith("HAS_") and not short.endswith(("_CHANGED_SINCE_BOOT", "_SUPPORTED")):
                findings.refuse(fact, "unknown update strategy", name=f"CONFIG_{name}")
        elif found is None:
            found = Fact(mode, fact.file, fact.line)
        else:
            findings.differ(f"CONFIG_{name}", [found, Fact(mode, fact.file, fact.line)], remedy="build again")
    return found


def image_count(build: Build) -> Fact[int] | None:
    """Number of images that the boot loader updates, if it says so."""
    for domain in (build.mcuboot, build.default):
        count = domain.config.number("UPDATEABLE_IMAGE_NUMBER") if domain else None
        if count:
            return count
    return None


def boot_settings(build: Build, folder: Path, findings: Findings) -> tuple[dict[str, Any], dict[str, str]]:
    """Keys of section ``mcuboot`` that Kconfig decides, and where each comes from.

    Paths are written as seen from ``folder``.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}

    def take(name: str, fact: Fact[Any] | None) -> None:
        if fact is not None:
            values[name], origins[name] = fact.value, fact.where

    boot = build.mcuboot.config if build.mcuboot else None
    if boot is not None:
        for name, fact in boot.chosen(_FOREIGN):
            findings.refuse(
                fact,
                f"{_FOREIGN[name]}: board files cannot describe that",
                name=f"CONFIG_{name}",
                remedy="build without it",
            )
        take("hash", _hash(boot))
        take("validate_primary", _flag(boot, "BOOT_VALIDATE_SLOT0"))
        take("rollback_protection", boot.on("MCUBOOT_HW_DOWNGRADE_PREVENTION"))
        take("downgrade_prevention", _downgrade(boot))
        if boot.on("BOOT_SERIAL_UART"):
            take("serial_recovery", boot.on("BOOT_SERIAL_NO_APPLICATION"))
        if not boot.on("BOOT_MAX_IMG_SECTORS_AUTO"):
            take("max_sectors", boot.number("BOOT_MAX_IMG_SECTORS"))
        hexfile = build.mcuboot.output("hex") if build.mcuboot else None
        if hexfile is not None:
            take("bootloader", Fact(written_path(hexfile, folder), hexfile, 1))
        else:
            findings.refuse(
                boot.file,
                "its program is missing",
                expected="zephyr.hex beside it",
                remedy="finish the build",
            )
    elif build.default is not None:
        findings.note(
            build.default.config.file,
            "no boot loader in this folder; the reference boot loader stands for yours",
            name="mcuboot.bootloader",
            remedy="import a sysbuild folder, or name yours: --set mcuboot.bootloader=FILE",
        )
    take("signature", _signature(build, folder, findings))
    header = build.default.config.number("ROM_START_OFFSET") if build.default else None
    if header is not None and header.value:
        take("header_size", header)
    return values, origins


def _flag(config: Config, name: str) -> Fact[Any]:
    return config.options.get(name) or Fact(False, config.file, 1)


def _hash(config: Config) -> Fact[str] | None:
    return next((Fact(_HASHES[name], at.file, at.line) for name, at in config.chosen(_HASHES)), None)


def _downgrade(config: Config) -> Fact[str] | None:
    counter = config.on("MCUBOOT_DOWNGRADE_PREVENTION_SECURITY_COUNTER")
    version = config.on("MCUBOOT_DOWNGRADE_PREVENTION")
    if counter:
        return Fact("security_counter", counter.file, counter.line)
    return Fact("version", version.file, version.line) if version else None


def _signature(build: Build, folder: Path, findings: Findings) -> Fact[dict[str, str]] | None:
    """Type and keys. The key file that MCUboot compiles in is, as a rule, the private one."""
    declared = _key_type(build.mcuboot.config, findings) if build.mcuboot else None
    named = [
        (domain, fact)
        for domain, option in (
            (build.mcuboot, "BOOT_SIGNATURE_KEY_FILE"),
            (build.default, "MCUBOOT_SIGNATURE_KEY_FILE"),
        )
        if domain is not None and (fact := domain.config.text(option)) is not None
    ]
    keys = []
    for domain, fact in named:
        file = _key_file(build, domain, fact.value)
        key = _read_key(file, fact, findings)
        if key is not None:
            keys.append((file, fact, key))
    if not named and not findings.problems:
        where = build.mcuboot or build.default
        findings.refuse(
            where.config.file if where else build.folder,
            "no key file is named",
            name="signature",
            expected="CONFIG_BOOT_SIGNATURE_KEY_FILE",
            remedy="name it: --set mcuboot.signature.public_key=FILE",
        )
    if not keys:
        return None
    findings.differ(
        "key",
        [Fact(key, fact.file, fact.line) for _, fact, key in keys],
        remedy="sign with the key that MCUboot is built with",
    )
    file, fact, key = keys[0]
    if declared and declared.value is not key.type:
        findings.refuse(
            fact,
            f"key of another type than {declared.where} says",
            name="key",
            found=str(key.type),
            expected=str(declared.value),
        )
    path = written_path(file, folder)
    content = {"type": str(key.type), "public_key": path}
    private = next((other for other, _, _ in keys if _is_private(other)), None)
    if private is not None:
        content["private_key"] = written_path(private, folder)
    return Fact(content, fact.file, fact.line)


def _key_type(config: Config, findings: Findings) -> Fact[KeyType] | None:
    for name, fact in config.matching(r"BOOT_SIGNATURE_TYPE_\w+"):
        if name not in (*_SIGNATURES, *_FOREIGN, "BOOT_SIGNATURE_TYPE_PURE_ALLOW"):
            findings.refuse(fact, "unknown kind of signature", name=f"CONFIG_{name}")
    for name, fact in config.chosen(_SIGNATURES):
        length = config.number("BOOT_SIGNATURE_TYPE_RSA_LEN") if name.endswith("RSA") else None
        kind = _RSA.get(length.value) if length else _SIGNATURES[name]
        if kind is None and length is not None:
            findings.refuse(
                length, "unknown length of RSA keys", found=str(length.value), expected="2048 or 3072"
            )
            return None
        assert kind is not None
        return Fact(kind, fact.file, fact.line)
    return None


def _key_file(build: Build, domain: Domain, name: str) -> Path:
    """Where MCUboot's CMakeLists.txt looks: as named, beside the configuration, in MCUboot's top folder."""
    boot = build.mcuboot or domain
    top = boot.source.parent.parent if boot.source else None
    folders = [folder for folder in (domain.configuration, domain.source, top) if folder is not None]
    places = [Path(name)] if Path(name).is_absolute() else [folder / name for folder in folders]
    return next((place for place in places if _is_file(place)), places[0] if places else Path(name))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _read_key(file: Path, fact: Fact[str], findings: Findings) -> PublicKey | None:
    remedy = "name another: --set mcuboot.signature.public_key=FILE"
    try:
        return PublicKey.from_pem(file.read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        findings.refuse(fact, f"key cannot be read: {reason}", name="key", found=str(file), remedy=remedy)
    except ImageError as error:
        findings.refuse(fact, error.what, name="key", found=str(file), remedy=error.remedy or remedy)
    return None


def _is_private(file: Path) -> bool:
    try:
        SigningKey.from_pem(file.read_bytes())
    except (OSError, ImageError):
        return False
    return True


def written_path(file: Path, folder: Path) -> str:
    """A path as a board file in ``folder`` names it: relative if it is below."""
    file, folder = file.absolute(), folder.absolute()
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.as_posix()
