"""The pytest plugin of the conformance tests: options, fixtures and the table at the end.

It is loaded by name, not by an entry point: ``-p harness.conformance.plugin``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from typing import Any, Final

import pytest

from .._errors import HarnessError
from ._driver import Driver
from ._table import Outcome, table
from ._target import CLIENTS, Target, TargetOptions, open_target

__all__: list[str] = []

_PREFIX: Final = "--conformance-"
_TARGET: Final = pytest.StashKey[Target]()
_OUTCOMES: Final = pytest.StashKey[list[Outcome]]()
_COMPONENT: Final = "component_path"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; all start with `--conformance-`."""
    group = parser.getgroup("conformance", "conformance of LwM2M clients (mcuboot-harness)")
    options: dict[str, dict[str, Any]] = {
        "client": {"choices": CLIENTS, "default": "external", "help": "who starts the client"},
        "endpoint": {"help": "endpoint name of the client (default: whoever registers)"},
        "command": {
            "default": "",
            "help": "command that starts the client, with {uri}, {endpoint}, {folder}...",
        },
        "listen": {"default": "127.0.0.1:0", "help": "HOST:PORT at which the server awaits the client"},
        "serial": {"help": "serial port of the client, a pyserial URL (slipmux)"},
        "baud": {"type": int, "default": 115200, "help": "speed of the serial port"},
        "package": {
            "action": "append",
            "default": [],
            "help": "INSTANCE=FILE:VERSION, or anjay; may be repeated",
        },
        "wait": {"type": float, "default": 60.0, "help": "seconds given to each registration and update"},
        "slow": {"action": "store_true", "help": "also wait for the client's own time limits"},
        "fault": {"action": "append", "default": [], "help": "fault of the stand-in, to try the tests"},
        "defect": {
            "action": "append",
            "default": [],
            "help": "defect of the native client, to try the tests",
        },
    }
    for name, extra in options.items():
        group.addoption(f"{_PREFIX}{name}", dest=f"conformance_{name}", **extra)


def pytest_configure(config: pytest.Config) -> None:
    """Start everything and wait for the client: which tests there are depends on what it registers."""
    for line in (
        "slow_client: waits for time limits of the client; needs --conformance-slow",
        "only_object(number): only for components of this object",
    ):
        config.addinivalue_line("markers", line)
    if hasattr(config, "workerinput") or getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("there is one client, so these tests run in one process: -n 0")
    if config.option.collectonly or config.option.help:
        return
    try:
        config.stash[_TARGET] = open_target(_options(config))
    except HarnessError as problem:
        raise pytest.UsageError(str(problem)) from None
    config.stash[_OUTCOMES] = []
    config.add_cleanup(config.stash[_TARGET].close)


def _options(config: pytest.Config) -> TargetOptions:
    def get(name: str) -> Any:
        return config.getoption(f"conformance_{name}")

    host, _, port = str(get("listen")).rpartition(":")
    if not (host and port.isdecimal() and int(port) < 65536):
        raise pytest.UsageError(f"{_PREFIX}listen: {get('listen')!r} is not HOST:PORT")
    if (get("client") == "command") != bool(get("command")):
        raise pytest.UsageError(f"{_PREFIX}client command and {_PREFIX}command need each other")
    return TargetOptions(
        kind=get("client"),
        endpoint=get("endpoint"),
        command=get("command"),
        listen=(host.strip("[]"), int(port)),
        serial=get("serial"),
        baud=get("baud"),
        packages=tuple(get("package")),
        wait=get("wait"),
        faults=tuple(get("fault")),
        defects=tuple(get("defect")),
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for each component, each one of object 33629, or each pair of those, as it asks for."""
    if _COMPONENT not in metafunc.fixturenames:
        return
    target = metafunc.config.stash.get(_TARGET, None)
    paths = list(target.components) if target is not None else []
    only = metafunc.definition.get_closest_marker("only_object")
    if only is not None:
        paths = [path for path in paths if path.startswith(f"/{only.args[0]}/")]
    metafunc.parametrize(
        _COMPONENT, paths, indirect=True, ids=[path.strip("/").replace("/", "_") for path in paths]
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave slow tests out unless they are asked for."""
    if config.getoption("conformance_slow"):
        return
    for item in items:
        if item.get_closest_marker("slow_client"):
            item.add_marker(pytest.mark.skip(reason="waits for minutes: --conformance-slow"))


@pytest.fixture(scope="session")
def client(pytestconfig: pytest.Config) -> Target:
    """The client under test, and the server it is registered with."""
    return pytestconfig.stash[_TARGET]


@pytest.fixture
def component_path(request: pytest.FixtureRequest) -> str:
    """The path of the component that the test is for."""
    return str(request.param)


@pytest.fixture
def driver(client: Target, component_path: str) -> Iterator[Driver]:
    """The component that the test is for; all components are in Idle when it begins."""
    path = component_path
    with ExitStack() as stack:
        _reset_all(client, stack)
        yield Driver(client, client.components[path], stack)


@pytest.fixture
def others(client: Target, driver: Driver) -> list[Driver]:
    """The other components of the same object; tests that need one are skipped if there is none."""
    with ExitStack() as stack:
        paths = [p for p in client.components if p.startswith(f"/{driver.path.object_id}/")]
        found = [Driver(client, client.components[p], stack) for p in paths if p != str(driver.path)]
    if not found:
        pytest.skip("the client has no other component in this object")
    return found


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave the client in Idle."""
    target = session.config.stash.get(_TARGET, None)
    if target is not None:
        with ExitStack() as stack, suppress(HarnessError, pytest.fail.Exception):
            _reset_all(target, stack)


def _reset_all(client: Target, stack: ExitStack) -> None:
    for component in client.components.values():
        Driver(client, component, stack).reset()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the outcome for the table."""
    report = yield
    if report.when == "call" or (report.when == "setup" and not report.passed):
        item.config.stash[_OUTCOMES].append(_outcome(item, call, report))
    return report


def _outcome(item: pytest.Item, call: pytest.CallInfo[Any], report: pytest.TestReport) -> Outcome:
    function = getattr(item, "function", None)
    behaviour = (getattr(function, "__doc__", None) or item.name).strip().splitlines()[0].rstrip(".")
    callspec = getattr(item, "callspec", None)
    params = dict(callspec.params) if callspec is not None else {}
    component = str(params.pop(_COMPONENT, ""))
    case = " ".join(_name(value) for value in params.values())
    outcome = "error" if report.failed and report.when == "setup" else report.outcome
    reason = ""
    if call.excinfo is not None:
        lines = str(call.excinfo.value).strip().splitlines()
        reason = lines[0] if lines else type(call.excinfo.value).__name__
    return Outcome(behaviour, component, outcome, case, reason)


def _name(value: Any) -> str:
    return str(getattr(value, "name", value)).lower().replace("_", " ")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table."""
    outcomes = config.stash.get(_OUTCOMES, [])
    if outcomes:
        target = config.stash[_TARGET]
        terminalreporter.section(f"conformance of {target.registration.endpoint}")
        for line in table(outcomes):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def _conformance_properties(client: Target, record_testsuite_property: Any) -> None:
    """What a reader of the JUnit file needs to know of the client."""
    registration = client.registration
    record_testsuite_property("conformance.endpoint", registration.endpoint)
    record_testsuite_property("conformance.lwm2m", registration.lwm2m_version)
    for number, found in sorted(registration.objects.items()):
        record_testsuite_property(f"conformance.object.{number}", found.version or "1.0")
