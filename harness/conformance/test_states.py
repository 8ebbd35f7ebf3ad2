"""The state machine: what is legal in which state, and where it leads."""

from __future__ import annotations

import pytest

from ..protocols import LEGALITY, Operation, UpdateResult, UpdateState, UpdateStatus
from ._driver import Driver, expect

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = UpdateState


@pytest.mark.parametrize(
    ("operation", "state"), LEGALITY, ids=[f"{operation.name}-{state.name}" for operation, state in LEGALITY]
)
def test_legality(driver: Driver, operation: Operation, state: UpdateState) -> None:
    """Each operation is answered as its state demands, and leads where it should."""
    before = driver.enter(state)
    code = driver.perform(operation)
    pushed = operation is Operation.PUSH and state is not DOWNLOADING
    after = driver.downloaded() if pushed else driver.status()
    effects = LEGALITY[operation, state]
    lawful = any(effect.allows(code, before, after) for effect in effects)
    if state is UPDATING and after.state is not UPDATING:
        # It went on by itself meanwhile; then only the answer can be judged.
        lawful = any(effect.code == code for effect in effects)
    if operation is Operation.UPDATE and code == "":
        lawful = state is DOWNLOADED
    wanted = " or ".join(f"{effect.code} {_status(effect.after)}" for effect in effects)
    assert lawful, f"{operation.value} in {before}: answered {code}, then {after}; expected {wanted}"


def _status(after: frozenset[UpdateStatus] | None) -> str:
    if after is None:
        return "and no change"
    return "and " + "/".join(sorted({f"{status.state.value}:{status.result.value}" for status in after}))


def test_last_state_change(driver: Driver) -> None:
    """The time of the last state change never runs backwards, and moves with the state."""
    first = driver.component.last_state_change()
    if first is None:
        pytest.skip("the client does not tell the time of state changes (resource 12)")
    driver.push_good()
    second = driver.component.last_state_change()
    driver.component.reset()
    third = driver.component.last_state_change()
    assert second is not None
    assert third is not None
    assert first <= second <= third


def test_result_of_a_download_is_forgotten(driver: Driver) -> None:
    """A new download starts with result 0, whatever the last one came to."""
    corrupt = driver.target.packages.corrupt(driver.path)
    if corrupt is None:
        pytest.skip(f"there is no package for {driver.path}")
    driver.component.push(corrupt, deadline=driver.target.options.wait)
    driver.start_pull(hold=0)
    expect(driver.status(), UpdateStatus(DOWNLOADING, UpdateResult.INITIAL))
