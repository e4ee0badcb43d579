"""A part of a clip with its halo: the time steps beside it that the kernel of a convolution sees.

A convolution with SAME padding takes zeros for the steps before and after its input. Within
`halo_given` the input brings these steps, so that nothing is padded in time, and the output has no
step for them: a kernel of three makes ten steps of twelve. In space the padding stays.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_HALO_GIVEN: ContextVar[bool] = ContextVar("halo_given", default=False)


@contextmanager
def halo_given() -> Iterator[None]:
    """Makes every `Conv3D` that is called within it take the halo from its input."""
    token = _HALO_GIVEN.set(True)
    try:
        yield
    finally:
        _HALO_GIVEN.reset(token)


def is_halo_given() -> bool:
    """Returns whether the caller is within `halo_given`."""
    return _HALO_GIVEN.get()
