"""Interpolation and the fused multiply-add for the numba engine, in LLVM's own terms.

numba vectorises no loop that reads from anywhere, and never fuses a product into a sum unless it
may everywhere. OpenCV's remap does both; these do it alike, bit for bit.
"""

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

TAPS = 4  # pixels along each axis that cubic interpolation reads
CHANNELS = 4  # numbers per pixel of the warp table: image, x derivative, y derivative, unused

_LANES = TAPS * CHANNELS


def _has_fused_multiply_add():
    try:
        features = binding.get_host_cpu_features()
    except RuntimeError:  # LLVM cannot tell on this platform
        return False
    return any(features.get(name) for name in ("fma", "neon"))  # x86-64, ARM


# OpenCV's remap fuses where the processor can, and rounds twice elsewhere.
FUSED = _has_fused_multiply_add()


@intrinsic
def multiply_add(_, a: types.Type, b: types.Type, c: types.Type) -> tuple:
    """Returns a * b + c of three float32, as OpenCV's remap rounds it."""

    def generate(context, builder, signature, arguments):
        return _multiply_add(builder, *arguments)

    return types.float32(types.float32, types.float32, types.float32), generate


@intrinsic
def interpolate(
    _,
    table: types.Type,
    offset: types.Type,
    column: types.Type,
    weights_x: types.Type,
    weights_y: types.Type,
) -> tuple:
    """Interpolates image and derivatives at a position between pixels.

    A column of four pixels with four channels each is one vector: the sum of four of them times
    `weights_x` holds the four rows, and the sum of these times `weights_y` is the result.

    Args:
        table: float32 array, flat: the warp table.
        offset: Where the upper left of the 4x4 pixels starts in it.
        column: Numbers in a column of the table.
        weights_x: Tuple of 4 float32.
        weights_y: Tuple of 4 float32.

    Returns:
        Tuple of 3 float32: image, x derivative, y derivative.
    """
    signature = types.UniTuple(types.float32, 3)(table, offset, column, weights_x, weights_y)
    return signature, _generate


def _generate(context, builder, signature, arguments):
    table, offset, column, weights_x, weights_y = arguments
    table = context.make_array(signature.args[0])(context, builder, table)
    column_type = ir.VectorType(ir.FloatType(), _LANES)
    columns = []
    for _ in range(TAPS):
        address = builder.bitcast(builder.gep(table.data, [offset]), column_type.as_pointer())
        columns.append(builder.load(address, align=4))
        offset = builder.add(offset, column)
    rows = _weighted_sum(builder, columns, weights_x)
    rows = [_pick(builder, rows, range(n, n + CHANNELS)) for n in range(0, _LANES, CHANNELS)]
    sample = _weighted_sum(builder, rows, weights_y)
    sample = [builder.extract_element(sample, _index(channel)) for channel in range(3)]
    return context.make_tuple(builder, signature.return_type, sample)


def _weighted_sum(builder, vectors, weights):
    """Returns the sum of four vectors times the four numbers of a tuple, the first one first."""
    total = None
    for tap, vector in enumerate(vectors):
        weight = _repeat(builder, builder.extract_value(weights, tap), vector.type.count)
        if total is None:
            total = builder.fmul(vector, weight)
        else:
            total = _multiply_add(builder, vector, weight, total)
    return total


def _multiply_add(builder, a, b, c):
    if not FUSED:
        return builder.fadd(builder.fmul(a, b), c)
    kind = f"v{a.type.count}f32" if isinstance(a.type, ir.VectorType) else "f32"
    signature = ir.FunctionType(a.type, [a.type] * 3)
    fused = cgutils.get_or_insert_function(builder.module, signature, f"llvm.fma.{kind}")
    return builder.call(fused, [a, b, c])


def _repeat(builder, number, lanes):
    """Returns a vector of the same number in every lane."""
    vector = ir.Constant(ir.VectorType(number.type, 1), ir.Undefined)
    return _pick(builder, builder.insert_element(vector, number, _index(0)), [0] * lanes)


def _pick(builder, vector, lanes):
    """Returns the vector of the named lanes of another vector."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def _index(number):
    return ir.Constant(ir.IntType(32), number)
