import itertools

import pytest

from harness.protocols import (
    LEGALITY,
    OBJECTS,
    STARTS,
    TRANSITIONS,
    Operation,
    UpdateResult,
    UpdateState,
    UpdateStatus,
    components_of,
)
from harness.protocols.testing import make_image

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = UpdateState
REQUESTS = {
    Operation.PUSH: ("PUT", 0, make_image(0, "2.0.0", size=500), 42),
    Operation.RESET_BY_PACKAGE: ("PUT", 0, b"\x00", 42),
    Operation.SET_URI: ("PUT", 1, b"gopher://x", 0),
    Operation.RESET_BY_URI: ("PUT", 1, b"", 0),
    Operation.UPDATE: ("POST", 2, b"", None),
    Operation.CANCEL: ("POST", 10, b"", None),
}


def test_every_operation_has_a_rule_in_every_state():
    assert set(LEGALITY) == set(itertools.product(Operation, UpdateState))


@pytest.mark.parametrize(
    ("operation", "codes"),
    [
        (Operation.PUSH, ["2.04 4.05", "4.05", "4.00", "4.05"]),
        (Operation.RESET_BY_PACKAGE, ["2.04", "2.04", "2.04", "4.05"]),
        (Operation.SET_URI, ["2.04 4.00", "4.00", "4.00", "4.00"]),
        (Operation.RESET_BY_URI, ["2.04", "2.04", "2.04", "4.05"]),
        (Operation.UPDATE, ["4.05", "4.05", "2.04", "4.05"]),
        (Operation.CANCEL, ["4.05", "2.04", "2.04", "4.05"]),
    ],
)
def test_codes_of_the_rules(operation, codes):
    assert [" ".join(e.code for e in LEGALITY[operation, state]) for state in UpdateState] == codes


def test_refusals_change_nothing_but_the_result_of_a_bad_uri():
    changing = {
        (operation, state)
        for (operation, state), effects in LEGALITY.items()
        for effect in effects
        if effect.code != "2.04" and effect.after is not None
    }
    assert changing == {(Operation.SET_URI, IDLE)}


def test_results_of_rules_are_reachable_by_transitions():
    """After a lawful operation only what some path of transitions from the state before leads to."""
    for (_, state), effects in LEGALITY.items():
        for after in frozenset().union(*(e.after or () for e in effects)):
            direct = after.result in TRANSITIONS.get((state, after.state), ())
            one_stop = any(
                (state, via) in TRANSITIONS and after.result in TRANSITIONS.get((via, after.state), ())
                for via in UpdateState
            )
            reset = after == UpdateStatus(IDLE, UpdateResult.INITIAL)
            assert direct or one_stop or reset, (state, after)


def test_every_result_has_a_meaning_and_success_only_ends_an_update():
    assert all(result.meaning for result in UpdateResult)
    assert [pair for pair, results in TRANSITIONS.items() if UpdateResult.SUCCESS in results] == [
        (UPDATING, IDLE)
    ]
    assert set(STARTS) == set(UpdateState)


def test_status_is_readable():
    status = UpdateStatus(IDLE, UpdateResult.INTEGRITY_CHECK_FAILED)
    assert str(status) == "0/5 (idle, integrity check of the package failed)"


@pytest.mark.parametrize("state", list(UpdateState))
@pytest.mark.parametrize("operation", list(Operation))
def test_the_stand_in_keeps_the_rules(line, operation, state):
    stand_in, device = line.start(update_seconds=30)
    component = components_of(device)[0]
    flash = stand_in.components[0]
    if state in (DOWNLOADED, UPDATING):
        flash.take(make_image(0, "2.0.0"))
    flash.state = state
    before = component.status()
    method, resource, payload, content_format = REQUESTS[operation]
    answer = device.request(
        method, component.path.child(resource), payload=payload, content_format=content_format
    )
    after = component.status()
    assert any(effect.allows(answer.code, before, after) for effect in LEGALITY[operation, state]), (
        answer.code,
        str(before),
        str(after),
    )


def test_effects_tell_what_they_do_not_allow():
    (refusal,) = LEGALITY[Operation.UPDATE, IDLE]
    idle, other = UpdateStatus(IDLE, UpdateResult.INITIAL), UpdateStatus(DOWNLOADED, UpdateResult.INITIAL)
    assert refusal.allows("4.05", idle, idle)
    assert not refusal.allows("4.05", idle, other)
    assert not refusal.allows("2.04", idle, idle)


def test_definitions_match_their_objects():
    advanced, single = OBJECTS[33629], OBJECTS[5]
    assert 4 not in advanced.resources
    assert set(advanced.resources) == {*range(18)} - {4}
    assert set(single.resources) == {*range(15)} - {4}
    assert advanced.resource("Linked Instances").multiple
    assert advanced.resource("Update").operations.execute
    assert advanced.resource("Update").type is None
    with pytest.raises(KeyError, match="no resource 'x'"):
        advanced.resource("x")
    assert {o: len(d.resources) for o, d in OBJECTS.items()} == {0: 18, 1: 24, 3: 23, 4: 14, 5: 14, 33629: 17}
