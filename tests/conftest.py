"""What every test needs: compiled kernels cached between runs, and repeatable examples."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import jaxtyping
import pytest
from hypothesis import settings

from wann.kernel_cache import use_kernel_cache

use_kernel_cache()  # before anything loads numba
# A suite in the background may have Ctrl+C switched off, and what it starts would have it too.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@contextmanager
def _unchecked() -> Iterator[None]:
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def unchecked():
    """Return a context in which annotations are not checked: the function itself is to answer."""
    return _unchecked


@pytest.fixture(autouse=True)
def _raises_is_unchecked(monkeypatch):
    """Let wrong arguments inside `pytest.raises` reach the function that refuses them."""
    real = pytest.raises

    @contextmanager
    def raises(*arguments, **options):
        with _unchecked(), real(*arguments, **options) as caught:
            yield caught

    monkeypatch.setattr(pytest, "raises", raises)
