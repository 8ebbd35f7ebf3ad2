from __future__ import annotations

import ast
from pathlib import Path

import harness.mcuboot


def test_everything_public_is_listed_and_documented() -> None:
    names = harness.mcuboot.__all__
    assert sorted(names) == sorted(set(names))
    for name in names:
        value = getattr(harness.mcuboot, name)
        if callable(value):
            assert value.__doc__, name


def test_the_package_does_no_input_or_output() -> None:
    for path in Path(harness.mcuboot.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names]
                module = getattr(node, "module", None) or ""
                assert not {"os", "pathlib", "tempfile", "subprocess", "pytest"} & {
                    *names,
                    module.split(".")[0],
                }, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("open", "print"), path


def test_files_stay_readable() -> None:
    for path in Path(harness.mcuboot.__file__).parent.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 450, path
