import contextlib
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wann.strict_json import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_MEMORY,
    check_plain,
    first_not,
    parse_json,
    shown,
    typed,
)

WRONG = [
    (b"", "it is empty"),
    (b" \n", "it is empty"),
    (b"\xff", "must be UTF-8 text, but byte 0 is not"),
    (b'{"a": 1', "it is not JSON: Expecting ',' delimiter at line 1, column 8"),
    (b"{} {}", "it is not JSON: Extra data"),
    (b"\xef\xbb\xbf{}", "it is not JSON: Unexpected UTF-8 BOM"),
    (b'{"a": 1, "a": 2}', "the key 'a' is given twice"),
    (b"[NaN]", "numbers must be finite, but it holds NaN"),
    (b"[-Infinity]", "numbers must be finite, but it holds -Infinity"),
    (b"[1e999]", "numbers must be finite float64, but '1e999' is not"),
    (b"9" * 5000, "numbers may have 400 digits, but one has 5,000"),
    (b"0." + b"9" * 5000, "numbers must be finite float64"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"a":' * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize(("data", "message"), WRONG, ids=range(len(WRONG)))
def test_what_is_not_plain_json_is_a_value_error(data, message):
    with pytest.raises(ValueError, match=message):
        parse_json(data)


def array_of(piece, size):
    return b"[" + piece * (size // len(piece)) + b"1]"


PIECES = [b"[],", b"[[]],", b"[0],", b"{},", b'{"a":1},', b'"ab",', b"0.5,", b"1,",
          b'"\xf0\x9f\x98\x80",', b'"\\ud83d\\ude00a",']  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_what_would_take_too_much_memory_is_refused_before_parsing(piece):
    with pytest.raises(ValueError, match=r"reading it may take \d+ MB, but 90 MB are allowed"):
        parse_json(array_of(piece, MAX_BYTES))


@pytest.mark.slow
@pytest.mark.parametrize("piece", PIECES)
def test_the_largest_array_that_is_read_fits_in_memory(piece):
    for size in (1_400_000, 2_400_000, 5_200_000):
        data = array_of(piece, size)
        tracemalloc.start()
        try:
            with contextlib.suppress(ValueError):
                check_plain("value", parse_json(data))
        finally:
            used = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert used + len(data) < MAX_MEMORY


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(plain)
def test_plain_values_pass_and_come_back(value):
    check_plain("value", value)
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize("value", [{"a": float("nan")}, [float("inf")], {1, 2}, [b"x"], object()])
def test_what_json_cannot_hold_is_refused_by_name(value):
    with pytest.raises(ValueError, match="scores must be plain JSON with finite numbers"):
        check_plain("scores", value)


def test_nesting_has_a_limit():
    value = 0
    for _ in range(MAX_DEPTH):
        value = [value]
    check_plain("scores", value)
    for deeper in ([value], {"a": value}, []):
        if deeper:
            with pytest.raises(ValueError, match="scores must not be nested deeper than 16"):
                check_plain("scores", deeper)
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="scores must not be nested deeper than 16"):
        check_plain("scores", loop)


def test_a_boolean_is_no_number():
    with pytest.raises(ValueError, match="x 'a' must be a whole number, but it is True"):
        typed({"a": True}, "a", int, "x ")
    assert first_not(int, [1, 2, True]) == 2
    assert first_not(int, [1, 2]) is None


def test_a_missing_key_is_named():
    with pytest.raises(ValueError, match="'nodes' is missing"):
        typed({}, "nodes", list)


def test_values_are_shown_short_and_on_one_line():
    assert shown("a\nb" * 100_000).startswith("'a\\nb")
    assert all(len(shown(each)) <= 40 for each in ("x" * 99, 10**300, [1] * 99, {"a": "b" * 99}))
