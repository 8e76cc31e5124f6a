"""Tests of wann.tasks.faults: a foreign error as one readable line."""

import pytest

from wann.tasks.faults import MAX_ERROR_TEXT, describe


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no such\n  state\t7"), "ValueError: no such state 7"),
        (KeyError("speed"), "KeyError: 'speed'"),
        (RuntimeError(), "RuntimeError"),
        (OSError(" \n "), "OSError"),
    ],
)
def test_an_error_is_its_type_and_its_text_on_one_line(error, line):
    assert describe(error) == line


def test_a_long_text_is_cut_and_says_so():
    line = describe(RuntimeError("x" * 10_000))
    assert line == f"RuntimeError: {'x' * MAX_ERROR_TEXT}..."
