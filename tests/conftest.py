"""What every test needs: compiled kernels cached between runs, and repeatable examples."""

from hypothesis import settings

from wann.kernel_cache import use_kernel_cache

use_kernel_cache()  # before anything loads numba

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")
