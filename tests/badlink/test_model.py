"""What becomes of messages, without any I/O: time is whatever the test says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.protocols.badlink import Direction, LinkConditions, LinkModel, LinkReport

DOWN, UP = Direction


def model(checked=False, **conditions) -> LinkModel:
    return LinkModel(LinkConditions(**conditions), checked=checked)


def fates(link, count=2000, direction=DOWN, data=b"message", step=0.0):
    return [link.fate(direction, data, number * step) for number in range(count)]


def test_a_perfect_link_passes_everything_at_once():
    for number, fate in enumerate(fates(model(), 50, step=0.1)):
        assert fate.deeds == ()
        assert [(a.at, a.data) for a in fate.arrivals] == [(number * 0.1, b"message")]
        assert fate.number == number


@given(st.integers(0, 2**32), st.floats(0, 0.9))
def test_the_same_seed_means_the_same_fates(seed, loss):
    one, two = (model(loss=loss, duplication=0.3, corruption=0.2, seed=seed) for _ in range(2))
    assert fates(one, 50) == fates(two, 50)


def test_other_seeds_and_the_other_direction_fare_differently():
    lost = [
        [fate.number for fate in fates(model(loss=0.2, seed=seed), 200, direction) if not fate.arrivals]
        for seed in (1, 2)
        for direction in Direction
    ]
    assert len({tuple(numbers) for numbers in lost}) == 4


def test_one_more_kind_of_fault_does_not_move_the_others():
    def lost(**more):
        return [f.number for f in fates(model(loss=0.2, seed=3, **more)) if f.deeds == ("lost",)]

    assert lost() == lost(duplication=0.5, reordering=0.5, jitter=1.0)


@pytest.mark.parametrize(
    ("condition", "deed"),
    [
        ("loss", "lost"),
        ("duplication", "duplicated"),
        ("reordering", "held back"),
        ("corruption", "corrupted"),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 1.0])
def test_shares(condition, deed, share):
    hit = [f for f in fates(model(**{condition: share})) if any(d.startswith(deed) for d in f.deeds)]
    assert abs(len(hit) / 2000 - share) < 0.03


def test_duplicates_come_twice_and_reordered_messages_after_later_ones():
    assert all(len(f.arrivals) == 2 for f in fates(model(duplication=1.0), 100))
    arrivals = [f.arrivals[0].at for f in fates(model(reordering=0.3, hold=0.5), 200, step=0.01)]
    assert arrivals != sorted(arrivals)
    assert all(number * 0.01 <= at <= number * 0.01 + 0.5 for number, at in enumerate(arrivals))


@given(st.binary(min_size=1, max_size=300), st.integers(0, 1000))
def test_corruption_flips_one_to_three_bits(data, seed):
    (arrival,) = model(corruption=1.0, seed=seed).fate(UP, data, 0.0).arrivals
    assert len(arrival.data) == len(data)
    flipped = sum((a ^ b).bit_count() for a, b in zip(arrival.data, data, strict=True))
    assert flipped <= 3
    if len(data) > 20:
        assert flipped >= 1


def test_damage_is_seen_by_the_checksum_below_except_for_the_share_that_is_not():
    assert not any(f.arrivals for f in fates(model(checked=True, corruption=1.0), 100))
    some = [f for f in fates(model(checked=True, corruption=1.0, undetected=0.25)) if f.arrivals]
    assert abs(len(some) / 2000 - 0.25) < 0.03
    assert all(f.arrivals[0].data != b"message" for f in some[:50])


def test_bandwidth_makes_messages_wait_for_each_other_but_not_for_the_other_direction():
    link = model(bandwidth=1000.0, delay=0.5)
    at = [link.fate(DOWN, bytes(100), 0.0).arrivals[0].at for _ in range(3)]
    assert at == pytest.approx([0.6, 0.7, 0.8])
    assert link.fate(UP, bytes(100), 0.0).arrivals[0].at == pytest.approx(0.6)
    assert link.fate(DOWN, bytes(100), 10.0).arrivals[0].at == pytest.approx(10.6)


def test_silence():
    link = model(silences=((1.0, 0.5), (3.0, 1.0)))
    heard = [t / 10 for t in range(50) if link.fate(DOWN, b"x", t / 10).arrivals]
    assert heard == [t / 10 for t in range(50) if not (10 <= t < 15 or 30 <= t < 40)]
    link.silence(6.0)
    assert not link.fate(UP, b"x", 5.9).arrivals
    assert link.fate(UP, b"x", 6.0).arrivals


def test_report_counts_and_tells():
    report = LinkReport()
    link = model(loss=0.5, duplication=0.5, corruption=0.2, seed=1)
    sent = [(DOWN, bytes.fromhex("4001 1234 b133")), (UP, b"?")] * 50
    for direction, data in sent:
        report.add(link.fate(direction, data, 0.25), data)
    report.note(1.5, "the device's address changed")
    assert report.count(DOWN) == report.count(UP) == 50
    lost = [p for p in report.harmed() if p.fate.deeds == ("lost",)]
    assert report.count(DOWN, "lost") + report.count(UP, "lost") == len(lost) > 30
    assert report.count(DOWN, "corrupted") > 0
    text = str(report)
    assert "CON GET /3 mid 0x1234, 6 bytes: lost" in text
    assert "1 bytes that are no CoAP message" in text
    assert "1.500 s  the device's address changed" in text
    assert text.startswith("to device: 50 messages, 300 bytes; ")
    told = report.as_json()
    assert told["summary"]["to device"]["lost"] == report.count(DOWN, "lost")
    assert len(told["entries"]) == 101
    assert told["entries"][-1] == {"at": 1.5, "event": "the device's address changed"}
