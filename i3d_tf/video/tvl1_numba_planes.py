"""Ground floor of the numba engine: how its functions are compiled, and the planes images live in.

A plane is float32 (height + 2, MARGIN + width rounded up to whole MARGINs) with the image at
[1:, MARGIN:] and zeros around it. So every pixel has neighbours, and every row of the image starts
on a cache line and can be read in whole vectors.
"""

import numba
import numpy as np
from numba.core.cpu import CPUTargetOptions
from numba.core.options import TargetOptions

from i3d_tf.video.median_network import build_median_network

MARGIN = 16  # float32 in a cache line, and in the widest vector
# Loops over x count from zero and add these: numba then sees that no index is negative, and
# vectorises.
LEFT, HERE, RIGHT = MARGIN - 1, MARGIN, MARGIN + 1

# numba can tell LLVM that arrays do not overlap, and does so in its own parallel loops; this lets
# the decorator ask for it. Without, every row would start with a hundred comparisons of addresses.
CPUTargetOptions.noalias = TargetOptions.Mapping("noalias")

# What leaves every finite number as the source has it: sums in their order, no product fused into a
# sum, no division replaced. TV-L1 makes whole pixels of flow out of a last bit.
EXACT = {"nnan", "ninf", "nsz"}
OPTIONS = {"nogil": True, "fastmath": EXACT, "error_model": "numpy"}
compiled = numba.njit(forceinline=True, **OPTIONS)
compiled_row = numba.njit(
    forceinline=True, noalias=True, **OPTIONS
)  # for functions whose arrays never overlap
compiled_inline = numba.njit(forceinline=True, **OPTIONS)


@numba.njit(forceinline=True, **{**OPTIONS, "fastmath": EXACT | {"reassoc"}})
def add_in_any_order(a, b):
    """The sum of two numbers; a long chain of these may be reordered, and so is vectorised."""
    return a + b


_sort_five, _median_of_columns = build_median_network(min, max, compiled_inline)


def plane_shape(height, width):
    """Rows and columns of the plane of an image."""
    return height + 2, MARGIN + -(-width // MARGIN) * MARGIN


def plane(buffer, size):
    """The plane of an image of the given (height, width) at the start of a flat buffer."""
    rows, columns = plane_shape(*size)
    return buffer[: rows * columns].reshape(rows, columns)


def image_in(plane, size):
    """The image of the given (height, width) in a plane, as a view."""
    return plane[1 : 1 + size[0], HERE : HERE + size[1]]


@compiled
def median_filter(image, size):
    """Replaces the image in a plane by its 5x5 median; beyond the edge, the edge is repeated.

    Args:
        image: The plane.
        size: (height, width) of its image.
    """
    height, width = size[0], size[1]
    columns = np.empty((5, width + 4), np.float32)
    delayed = np.empty((2, width), np.float32)
    for y in range(height + 2):
        if y < height:
            _sort_columns(image, y, height, columns)
        if y >= 2:  # no row below needs the old row y - 2
            image[y - 1, HERE : HERE + width] = delayed[y % 2]
        if y < height:
            _median_row(columns, delayed[y % 2])


@compiled_row
def _sort_columns(image, y, height, columns):
    a, b, c = max(y - 2, 0) + 1, max(y - 1, 0) + 1, y + 1
    d, e = min(y + 1, height - 1) + 1, min(y + 2, height - 1) + 1
    width = columns.shape[1] - 4
    for x in range(width):
        ranks = _sort_five(
            image[a, x + HERE],
            image[b, x + HERE],
            image[c, x + HERE],
            image[d, x + HERE],
            image[e, x + HERE],
        )
        columns[0, x + 2] = ranks[0]
        columns[1, x + 2] = ranks[1]
        columns[2, x + 2] = ranks[2]
        columns[3, x + 2] = ranks[3]
        columns[4, x + 2] = ranks[4]
    for rank in range(5):
        columns[rank, :2] = columns[rank, 2]
        columns[rank, width + 2 :] = columns[rank, width + 1]


@compiled_row
def _median_row(columns, medians):
    for x in range(len(medians)):
        medians[x] = _median_of_columns(
            _column(columns, x),
            _column(columns, x + 1),
            _column(columns, x + 2),
            _column(columns, x + 3),
            _column(columns, x + 4),
        )


@compiled_inline
def _column(columns, x):
    return columns[0, x], columns[1, x], columns[2, x], columns[3, x], columns[4, x]
