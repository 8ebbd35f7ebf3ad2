"""A board file from disk to checked sections."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from harness._errors import BoardError, ImageError
from harness.mcuboot import PublicKey, SigningKey

from ._checks import Fault, Sections, check, check_smp
from ._document import read_document, structure_problems
from ._model import BoardFile, Signature
from ._problems import Problem, field_name, from_validation, nearest, shown
from ._variant import Changes, apply
from ._yaml import Document

_BOOTLOADER_FORMS: Final = (".hex", ".bin", ".elf")


@dataclass(slots=True)
class Loaded:
    """Everything a board file led to; ``content`` is ``None`` if there are problems."""

    file: Path
    content: BoardFile | None = None
    public_key: PublicKey | None = None
    signing_key: SigningKey | None = None
    problems: list[Problem] = field(default_factory=list)


def load_file(
    file: Path, changes: Changes | None = None, *, firmware_ports: Collection[str] | None = None
) -> Loaded:
    """Read a board file and the keys it names, and collect everything that is wrong with it.

    ``changes`` replace fields, by path, before anything is checked. With ``firmware_ports``
    names that only other parts know are looked up, too.
    """
    loaded = Loaded(file)
    document = read_document(file, loaded.problems)
    if document is not None:
        apply(changes or {}, document)
        _fill(loaded, document, firmware_ports)
    return loaded


def _fill(loaded: Loaded, document: Document, firmware_ports: Collection[str] | None) -> None:
    file = str(loaded.file)
    problems = structure_problems(document, file)
    if not isinstance(document.value, dict):
        problems.append(
            Problem(
                file,
                1,
                "",
                "no board description",
                shown(document.value),
                "a mapping with name, soc, flash ..",
            )
        )
        loaded.problems = problems
        return
    content: BoardFile | None = None
    refused: set[Any] = set()
    try:
        content = BoardFile.model_validate(document.value)
    except ValidationError as error:
        problems += from_validation(error, document, file)
        refused = {details["loc"][0] for details in error.errors(include_url=False)}
    sections = Sections(**{name: _section(document, name, refused) for name in _ADAPTERS})
    faults = [*check(sections)]
    if content is not None:
        faults += check_smp(content)
    if firmware_ports is not None:
        from ._names import check_names

        faults += check_names(sections, firmware_ports)
    if sections.mcuboot:
        faults += _read_keys(loaded, sections.mcuboot.signature)
        faults += _check_bootloader(loaded.file.parent, sections.mcuboot.bootloader)
    problems += (
        Problem(
            file,
            document.line(fault.path),
            field_name(fault.path),
            fault.what,
            fault.found,
            fault.expected,
            fault.remedy,
            fault.note,
        )
        for fault in faults
    )
    loaded.problems = sorted(problems, key=lambda problem: problem.line)
    if all(problem.note for problem in problems):
        loaded.content = content


def _section(document: Document, name: str, refused: set[Any]) -> Any:
    """One section by itself, if it is all right."""
    info = BoardFile.model_fields[name]
    if name in refused:
        return None
    value = document.value.get(name) if isinstance(document.value, dict) else None
    if value is None:
        return info.get_default(call_default_factory=True)
    return _ADAPTERS[name].validate_python(value)


_ADAPTERS: Final[dict[str, TypeAdapter[Any]]] = {
    name: TypeAdapter(BoardFile.model_fields[name].rebuild_annotation())
    for name in (section.name for section in fields(Sections))
}


def _read_keys(loaded: Loaded, signature: Signature) -> Iterator[Fault]:
    folder = loaded.file.parent
    public_path, private_path = (
        ("mcuboot", "signature", "public_key"),
        ("mcuboot", "signature", "private_key"),
    )
    public = yield from _read_key(folder, signature.public_key, public_path, signature)
    private: SigningKey | None = None
    if signature.private_key is not None:
        if (yield from _read_key(folder, signature.private_key, private_path, signature)):
            try:
                private = SigningKey.from_pem((folder / signature.private_key).read_bytes())
            except ImageError as error:
                yield Fault(
                    private_path, error.what, error.found or "", "a private key", "name the file with it"
                )
        if public and private and private.public != public:
            yield Fault(
                private_path,
                "does not belong to the public key",
                str(private.public),
                str(public),
                "name the two halves of one key pair",
            )
    loaded.public_key, loaded.signing_key = public, private


def _read_key(
    folder: Path, name: str, path: tuple[str, ...], signature: Signature
) -> Generator[Fault, None, PublicKey | None]:
    """A generator that also returns the key, or ``None`` after having said why not."""
    try:
        key = PublicKey.from_pem((folder / name).read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        remedy = _similar(folder, name) or "paths count from the board file's folder"
        yield Fault(path, f"key cannot be read: {reason}", repr(name), "a PEM file", remedy)
        return None
    except ImageError as error:
        yield Fault(path, error.what, repr(name), f"an {signature.type} key in PEM form", error.remedy or "")
        return None
    if key.type is not signature.type:
        remedy = f"set type to {key.type}, or name another file"
        yield Fault(path, "key of another type", key.type.value, signature.type.value, remedy)
        return None
    return key


def _similar(folder: Path, name: str) -> str:
    """A hint at a file whose name is nearly the wanted one."""
    try:
        wanted = (folder / name).resolve()
        return nearest(wanted.name, [entry.name for entry in wanted.parent.iterdir()])
    except (OSError, ValueError):
        return ""


def _check_bootloader(folder: Path, name: str) -> Iterator[Fault]:
    path = ("mcuboot", "bootloader")
    if name == "reference":
        return
    suffix = Path(name).suffix.lower()
    if suffix not in _BOOTLOADER_FORMS:
        remedy = nearest(name, ["reference"]) or "name a file of one of these forms"
        yield Fault(
            path, "unknown form of boot loader", repr(name), "reference, or a .hex, .bin or .elf file", remedy
        )
        return
    try:
        there = (folder / name).is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        yield Fault(path, "no such file", repr(name), "a file beside the board file", _similar(folder, name))


def refusal(loaded: Loaded) -> BoardError:
    """One error that lists all problems."""
    count = len(loaded.problems)
    first = loaded.problems[0]
    listing = "\n".join(str(problem) for problem in loaded.problems)
    what = f"{count} problem{'s' if count > 1 else ''} in the board file\n{listing}"
    return BoardError(what, where=f"{first.file}:{first.line}")
