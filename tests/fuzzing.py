"""Damaged files for any reader, and the check that it takes them calmly."""

import time
import tracemalloc

import numpy as np

MAX_SECONDS = 1.0
MAX_MEMORY = 100_000_000  # bytes
HOSTILE_PIECES = (
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"nan", b"NaN", b"-Infinity", b"inf", b"1e999",
    b"-1", b"0", b"2", b"11", b"12", b"255", b"0.5", b"true", b"null", b'""', b"[]", b"{}", b'"x"',
    b"9" * 30, b"9" * 5000, b"[" * 3000, b'{"a":' * 3000, b"18446744073709551616", b"2147483648",
    b",", b":", b"\n", b"\r\n", b'"', b"[", b"]", b"}", b"linear", b"tanh", b"bias", b"output",
)  # fmt: skip


def mutations(originals, count, seed):
    """Yield `count` damaged copies of some of the `originals` (bytes), always the same ones."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        data = originals[rng.integers(len(originals))]
        for _ in range(rng.integers(1, 4)):
            data = _mutated(data, originals, rng)
        yield data


def _mutated(data, originals, rng):
    start, end = sorted(rng.integers(0, len(data) + 1, size=2).tolist())
    near = min(len(data), start + int(rng.integers(1, 12)))
    piece = HOSTILE_PIECES[rng.integers(len(HOSTILE_PIECES))]
    match rng.integers(9):
        case 0:  # one wrong byte
            wrong = bytes([rng.integers(256)])
            return data[:start] + wrong + data[start + 1 :]
        case 1:  # truncated
            return data[:start]
        case 2:  # a stretch is missing
            return data[:start] + data[near:]
        case 3:  # a stretch is there twice
            return data[:end] + data[start:]
        case 4:  # something inserted
            return data[:start] + piece + data[start:]
        case 5:  # a stretch replaced
            return data[:start] + piece + data[near:]
        case 6:  # a word or a number replaced
            return _with_word_replaced(data, piece, rng)
        case 7:  # a stretch from another file
            other = originals[rng.integers(len(originals))]
            return data[:start] + other[start:end] + data[end:]
        case _:  # two stretches change places
            middle = (start + end) // 2
            return data[:start] + data[middle:end] + data[start:middle] + data[end:]


def _with_word_replaced(data, piece, rng):
    separators = [place for place, byte in enumerate(data) if byte in b' ,:[]{}"\n']
    if len(separators) < 2:
        return data + piece
    index = rng.integers(len(separators) - 1)
    return data[: separators[index] + 1] + piece + data[separators[index + 1] :]


def count_refusals(read, files, path):
    """Return how many of the `files` (bytes) `read(path)` refuses, each written to `path` in turn.

    Fails when one gives anything but a result or a ValueError of one line, or takes more than
    MAX_SECONDS of processor time or MAX_MEMORY.
    """
    refused = 0
    for data in files:
        path.write_bytes(data)
        for _ in range(3):  # whatever else the machine does at that moment is not the reader's
            start = time.process_time()
            message = _refusal(read, path, data)
            seconds = time.process_time() - start
            if seconds < MAX_SECONDS:
                break
        assert seconds < MAX_SECONDS, (seconds, data[:500])
        assert "\n" not in message, (message, data[:500])
        assert len(message) < 500, (message, data[:500])
        memory = _peak_memory(read, path, data)  # a read of its own: counting takes time
        assert memory < MAX_MEMORY, (memory, data[:500])
        refused += message != ""
    return refused


def _refusal(read, path, data):
    try:
        read(path)
    except ValueError as error:
        return str(error) or "no message\n"
    except BaseException as error:
        raise AssertionError(f"{error!r} for {data[:500]!r}") from error
    return ""


def _peak_memory(read, path, data):
    tracemalloc.start()
    try:
        _refusal(read, path, data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
