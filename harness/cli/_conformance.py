"""`harness conformance`: the tests for any LwM2M client."""

from __future__ import annotations

import subprocess
import sys

import click


@click.command("conformance", context_settings={"ignore_unknown_options": True})
@click.option("--endpoint", metavar="NAME", help="Endpoint name of the client (default: whoever registers).")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Where the server awaits the client (default: 127.0.0.1 and a free port).",
)
@click.option("--serial", metavar="URL", help="Serial port of the client (slipmux), a pyserial URL.")
@click.option("--baud", type=int, help="Speed of the serial port (115200).")
@click.option(
    "--command",
    "start",
    metavar="TEXT",
    help="Command that starts the client; {uri} and {endpoint} are filled in.",
)
@click.option("--stand-in", is_flag=True, help="Try the tests on the stand-in.")
@click.option("--native", is_flag=True, help="Try them on the reference application, built for this machine.")
@click.option(
    "--package",
    "packages",
    multiple=True,
    metavar="INSTANCE=FILE:VERSION",
    help="A package the client takes, with the version that shows then; may be repeated. anjay: make them.",
)
@click.option("--wait", type=float, metavar="SECONDS", help="Time for each registration and update (60).")
@click.option("--slow", is_flag=True, help="Also wait for the client's own time limits (minutes).")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    endpoint: str | None,
    listen: str | None,
    serial: str | None,
    baud: int | None,
    start: str | None,
    stand_in: bool,
    native: bool,
    packages: tuple[str, ...],
    wait: float | None,
    slow: bool,
    pytest_arguments: tuple[str, ...],
) -> None:
    """Test a client's firmware update objects (5 and 33629) against their definitions.

    The client is started by you and configured with the printed URI, or by --command. Further
    arguments go to pytest, for example --junit-xml FILE or -k legality.

    Exit code 0: everything held; 1: something did not; 2: wrong use, or the client did not come.
    """
    if stand_in + native + bool(start) > 1:
        raise click.UsageError("--stand-in, --native and --command exclude each other")
    kind = "stand-in" if stand_in else "native" if native else "command" if start else "external"
    values = {
        "endpoint": endpoint,
        "listen": listen,
        "serial": serial,
        "baud": baud,
        "command": start,
        "wait": wait,
    }
    options = [f"--conformance-client={kind}"]
    options += [f"--conformance-{name}={value}" for name, value in values.items() if value is not None]
    options += [f"--conformance-package={package}" for package in packages]
    options += ["--conformance-slow"] if slow else []
    arguments = [
        *("-p", "harness.conformance.plugin", "--pyargs", "harness.conformance"),
        # What the folder sets for its own tests, such as -n auto, is not for these.
        *("-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", "--tb=no", "-rN"),
        *options,
        *pytest_arguments,
    ]
    result = subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False)
    raise click.exceptions.Exit(min(result.returncode, 2))
