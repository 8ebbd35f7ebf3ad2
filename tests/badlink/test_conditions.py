import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.protocols.badlink import LinkConditions

shares = st.floats(0, 1).map(lambda share: round(share, 6))
times = st.floats(0, 1000).map(lambda time: float(f"{time:.6g}"))


@given(
    st.builds(
        LinkConditions,
        loss=shares,
        duplication=shares,
        reordering=shares,
        corruption=shares,
        undetected=shares,
        delay=times,
        jitter=times,
        hold=times,
        bandwidth=st.none() | st.integers(1, 10**8).map(float),
        silences=st.lists(st.tuples(times, times), max_size=3).map(tuple),
        moves=st.lists(times, max_size=3).map(tuple),
        seed=st.integers(0, 10**18 - 1),
    )
)
def test_text_form_holds_everything(conditions):
    text = str(conditions)
    if "e-" not in text:  # tiny numbers have no text form that options take
        assert LinkConditions.parse(text) == conditions


def test_units():
    conditions = LinkConditions.parse(
        "loss=20%, corruption=0.01, delay=5ms, jitter=200us, bandwidth=115200baud,"
        "silence=2s+500ms,silence=9+1,move=3s,seed=7"
    )
    assert conditions == LinkConditions(
        loss=0.2, corruption=0.01, delay=0.005, jitter=0.0002, bandwidth=11520.0,
        silences=((2.0, 0.5), (9.0, 1.0)), moves=(3.0,), seed=7,
    )  # fmt: skip
    assert LinkConditions.parse("bandwidth=10kB/s").bandwidth == 10_000
    assert LinkConditions.parse("") == LinkConditions()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("loss", "'loss' is not NAME=VALUE"),
        ("loss=", "loss='' is not of the form 20% or 0.2"),
        ("loss=120%", "loss is a share from 0 to 1"),
        ("loss=-1", "not of the form"),
        ("loss=nan", "not of the form"),
        ("loss=1%,loss=2%", "loss is given twice"),
        ("lost=1%", "'lost' is nothing that a link does; known are bandwidth, corruption, delay"),
        ("silences=1", "'silences' is nothing"),
        ("delay=5min", "delay='5min' is not of the form 5ms or 2s"),
        ("bandwidth=0", "more than 0"),
        ("silence=2s", "not START+LENGTH"),
        ("silence=2s+x", "silence='x'"),
        ("seed=x", "no whole number"),
    ],
)
def test_what_makes_no_sense_is_named(text, said):
    with pytest.raises(ValueError, match=r".") as info:
        LinkConditions.parse(text)
    assert said in str(info.value)


@given(st.text(max_size=40))
def test_arbitrary_text_is_understood_or_refused(text):
    try:
        LinkConditions.parse(text)
    except ValueError as problem:
        assert str(problem)  # noqa: PT017


@pytest.mark.parametrize(
    "wrong", [{"delay": float("inf")}, {"moves": (-1.0,)}, {"silences": ((0.0, float("nan")),)}]
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="is a time"):
        LinkConditions(**wrong)
