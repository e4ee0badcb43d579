import numpy as np
import pytest

from i3d_tf.flow.quantize import FLOW_ROUNDINGS, dequantize, quantize, through_codes

ALL_CODES = np.arange(256, dtype=np.uint8)
HALF_CODE = 20 / 255  # pixels; one code spans 40 / 255


def test_quantize_maps_ends_and_middle():
    flow = np.array([-20, -10, 0, 10, 20], np.float32)
    assert quantize(flow).tolist() == [0, 64, 128, 191, 255]  # 63.75, 127.5 and 191.25 between
    assert quantize(flow, "floor").tolist() == [0, 63, 127, 191, 255]


def test_quantize_truncates_beyond_20_pixels():
    assert quantize(np.array([-1000, -20.1, 20.1, 1000], np.float32)).tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("rounding", ["nearest", "floor"])
def test_every_code_is_quantized_to_itself(rounding):
    np.testing.assert_array_equal(quantize(dequantize(ALL_CODES, rounding), rounding), ALL_CODES)


@pytest.mark.parametrize("rounding", ["nearest", "floor"])
def test_quantized_flow_is_within_half_a_code(rounding):
    flow = np.linspace(-20, 20, 100_001, dtype=np.float32)
    error = np.abs(dequantize(quantize(flow, rounding), rounding) - flow)
    assert error.max() <= HALF_CODE + 1e-5  # float32 at 20 has a step of 2e-6


def test_quantized_zero_is_as_documented():
    zero = np.zeros(1, np.float32)
    assert dequantize(quantize(zero, "floor"), "floor") == 0
    assert dequantize(quantize(zero)) == np.float32(HALF_CODE)


def test_deepmind_rounding_truncates_and_unpacks_as_if_it_had_not():
    flow = np.array([-20, 0, 0.07, 0.08, 20, 30], np.float32)
    # (v + 20) * 6.375 is 0, 127.5, 127.95, 128.01, 255
    assert quantize(flow, "deepmind").tolist() == [0, 127, 127, 128, 255, 255]
    expected = np.array([0, 127, 127, 128, 255, 255]) * 40 / 255 - 20
    np.testing.assert_allclose(through_codes(flow, "deepmind"), expected, atol=2e-6)
    assert through_codes(flow, "deepmind")[1] / 20 == pytest.approx(-0.0039, abs=5e-5)


def test_wrong_rounding_is_half_a_code_off():
    truncated = quantize(np.zeros(1, np.float32), "floor")
    assert dequantize(truncated, "nearest") / 20 == pytest.approx(-0.0039, abs=5e-5)


@pytest.mark.parametrize("rounding", FLOW_ROUNDINGS)
def test_dequantize_rises_evenly_within_20_pixels(rounding):
    flow = dequantize(ALL_CODES, rounding)
    assert flow.dtype == np.float32
    assert np.abs(flow).max() <= 20
    steps = np.diff(flow)[:-1]  # the last code of "floor" stands for 20 alone
    np.testing.assert_allclose(steps, 40 / 255, atol=1e-5)


def test_quantize_takes_any_shape_and_float():
    flow = np.zeros((2, 3, 4, 2), np.float64)
    codes = quantize(flow)
    assert (codes.shape, codes.dtype) == (flow.shape, np.uint8)
    assert dequantize(codes).shape == flow.shape
    assert quantize(flow.astype(np.float16)).tolist() == codes.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantize(np.zeros(2, np.uint8)), "`flow` must be float.* received dtype uint8"),
        (lambda: quantize(np.array([np.nan])), "`flow` must be finite"),
        (lambda: quantize(np.array([np.inf])), "`flow` must be finite"),
        (lambda: dequantize(np.zeros(2)), "`codes` must be uint8; received dtype float64"),
        (lambda: dequantize(np.array([300])), "`codes` must be uint8; received dtype int64"),
        (lambda: quantize(np.zeros(2), "up"), r"`rounding` must be one of \('nearest', 'floor', "),
        (lambda: dequantize(ALL_CODES, None), "`rounding` must be one of .* received None"),
    ],
)
def test_wrong_flow_codes_and_rounding_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("rounding", "inputs"),
    [
        ("nearest", [-1, 1 / 255, 1]),  # code 128 of zero, 2 code / 255 - 1
        ("deepmind", [-1, -1 / 255, 1]),
        ("floor", [-254 / 255, 0, 1]),
        ("video_features", [-1, 1 / 255, 257 / 255]),  # 0.5 is rounded to even, 255.5 to 256
    ],
)
def test_network_inputs_of_flow_that_went_through_codes(rounding, inputs):
    flow = np.array([-20, 0, 20], np.float32)
    found = through_codes(flow, rounding)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found / 20, inputs, atol=1e-6)
    np.testing.assert_allclose(
        through_codes(3 * flow, rounding)[[0, 2]] / 20, inputs[::2], atol=1e-6
    )
