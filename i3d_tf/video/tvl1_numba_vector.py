"""The one step of the numba engine that numba does not vectorise: interpolation at any position."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

TAPS = 4  # pixels along each axis that cubic interpolation reads
CHANNELS = 4  # numbers per pixel of the warp table: image, x derivative, y derivative, unused

_LANES = TAPS * CHANNELS
_FAST = ("fast",)  # the same arithmetic as numba's fastmath


@intrinsic
def interpolate(_, table, offset, row, weights_x, weights_y):
    """Image and derivatives at a position between pixels.

    A row of four pixels with four channels each is one vector: the sum of four of them times
    `weights_y`, times `weights_x`, summed over the pixels.

    Args:
        table: float32 array, flat: the warp table.
        offset: Where the upper left of the 4x4 pixels starts in it.
        row: Numbers in a row of the table.
        weights_x: Tuple of 4 float32.
        weights_y: Tuple of 4 float32.

    Returns:
        Tuple of 3 float32: image, x derivative, y derivative.
    """
    signature = types.UniTuple(types.float32, 3)(table, offset, row, weights_x, weights_y)
    return signature, _generate


def _generate(context, builder, signature, arguments):
    table, offset, row, weights_x, weights_y = arguments
    table = context.make_array(signature.args[0])(context, builder, table)
    pixels_type = ir.VectorType(ir.FloatType(), _LANES)
    weights_y = _vector(builder, weights_y)
    total = ir.Constant(pixels_type, [0.0] * _LANES)
    for tap in range(TAPS):
        address = builder.bitcast(builder.gep(table.data, [offset]), pixels_type.as_pointer())
        pixels = builder.load(address, align=4)
        weight = _pick(builder, weights_y, [tap] * _LANES)
        total = builder.fadd(total, builder.fmul(pixels, weight, flags=_FAST), flags=_FAST)
        offset = builder.add(offset, row)
    weights_x = _pick(builder, _vector(builder, weights_x), [n // CHANNELS for n in range(_LANES)])
    total = builder.fmul(total, weights_x, flags=_FAST)
    while total.type.count > CHANNELS:
        half = total.type.count // 2
        upper = _pick(builder, total, range(half, 2 * half))
        total = builder.fadd(_pick(builder, total, range(half)), upper, flags=_FAST)
    sample = [builder.extract_element(total, _index(channel)) for channel in range(3)]
    return context.make_tuple(builder, signature.return_type, sample)


def _vector(builder, numbers):
    """A tuple of four floats as a vector."""
    vector = ir.Constant(ir.VectorType(ir.FloatType(), TAPS), ir.Undefined)
    for index in range(TAPS):
        vector = builder.insert_element(
            vector, builder.extract_value(numbers, index), _index(index)
        )
    return vector


def _pick(builder, vector, lanes):
    """The vector of the named lanes of another vector."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def _index(number):
    return ir.Constant(ir.IntType(32), number)
