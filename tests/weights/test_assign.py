import keras
import ml_dtypes
import numpy as np
import pytest

from i3d_tf.weights.assign import WeightsError, assign_weights, check_values, read_weights

NEW = {
    "first/kernel": np.full((2, 3), 5.0),
    "first/bias": np.arange(3.0),
    "last/kernel": np.ones((3, 1)),
}


@pytest.fixture
def model():
    """Three variables, all zero: first/kernel (2, 3), first/bias (3,), last/kernel (3, 1)."""
    clip = keras.Input((2,))
    hidden = keras.layers.Dense(3, kernel_initializer="zeros", name="first")(clip)
    outputs = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="last")(hidden)
    return keras.Model(clip, outputs, name="small")


def values(model):
    return {path: array.tolist() for path, array in read_weights(model).items()}


ALL_ZERO = {"first/kernel": [[0.0] * 3] * 2, "first/bias": [0.0] * 3, "last/kernel": [[0.0]] * 3}


def test_assign_weights_assigns_by_path(model):
    assert assign_weights(model, NEW) == 3
    assert values(model) == {name: array.tolist() for name, array in NEW.items()}


def test_read_weights_returns_copies(model):
    before = read_weights(model)
    assign_weights(model, NEW)
    assert not before["first/kernel"].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"last/kernel": None}, r"1 variables have no source \(last/kernel\)"),
        ({"extra": np.ones(1)}, r"1 arrays have no variable \(extra\)"),
        (
            {"first/kernel": np.ones((3, 2))},
            r"1 shapes differ \(first/kernel: source \(3, 2\), model \(2, 3\)\)",
        ),
        # Keras would broadcast, or fail half-way:
        ({"last/kernel": np.ones((1, 1))}, "1 shapes differ"),
        ({"last/kernel": np.full((3, 1), "1")}, r"1 arrays are not numbers \(last/kernel\)"),
        ({"last/kernel": np.ones((3, 1), complex)}, "1 arrays are not numbers"),
        ({"first/bias": np.array([0, np.nan, 0])}, "first/bias has values that are not finite"),
    ],
)
def test_assign_weights_assigns_all_or_nothing(model, change, message):
    arrays = {name: array for name, array in (NEW | change).items() if array is not None}
    with pytest.raises(WeightsError, match=f"Nothing was assigned to 'small': .*{message}"):
        assign_weights(model, arrays)
    assert values(model) == ALL_ZERO


def test_error_names_all_kinds_of_problems_and_few_of_each(model):
    arrays = {f"extra_{index}": np.ones(1) for index in range(9)} | {"first/bias": np.ones(4)}
    with pytest.raises(WeightsError) as error:
        assign_weights(model, arrays)
    message = str(error.value)
    assert "2 variables have no source (first/kernel, last/kernel)" in message
    assert "9 arrays have no variable (extra_0, extra_1, extra_2, ...)" in message
    assert "1 shapes differ (first/bias" in message


def test_assign_weights_ignores_declared_names_only(model):
    arrays = {
        "first/kernel": NEW["first/kernel"],
        "first/bias": NEW["first/bias"],
        "old/kernel": NEW["first/bias"],
    }
    assert assign_weights(model, arrays, ["old/*"], ["last/*"]) == 2
    assert values(model)["first/bias"] == [0, 1, 2]
    assert values(model)["last/kernel"] == ALL_ZERO["last/kernel"]
    for source, target in ([], ["last/*"]), (["old/*"], []), (["*/bias", "old/*"], ["last/*"]):
        with pytest.raises(WeightsError):
            assign_weights(model, arrays, source, target)


def test_patterns_may_come_from_an_iterator(model):
    arrays = {"first/kernel": NEW["first/kernel"]}
    patterns = ["*/bias", "last/*"]
    assert assign_weights(model, arrays, ignore_target=iter(patterns)) == 1


@pytest.mark.parametrize("argument", ["ignore_source", "ignore_target"])
def test_string_is_not_a_list_of_patterns(model, argument):
    # Its letters would be the patterns, and "*" is one of them: everything would be ignored.
    with pytest.raises(
        ValueError, match=f"`{argument}` must be a list of patterns; received 'last/"
    ):
        assign_weights(model, NEW, **{argument: "last/*"})


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.float16, ml_dtypes.bfloat16])
def test_assign_weights_takes_any_precision(model, dtype):
    assign_weights(model, {name: array.astype(dtype) for name, array in NEW.items()})
    assert values(model)["first/bias"] == [0, 1, 2]


def test_variables_of_the_same_path_are_refused():
    clip = keras.Input((2,))
    twins = [keras.Sequential([keras.layers.Dense(1, name="twin")], name=name) for name in "ab"]
    model = keras.Model(clip, [twin(clip) for twin in twins], name="twins")
    for twin in twins:
        kernel = twin.layers[0].kernel
        setattr(kernel, "_path" if hasattr(kernel, "_path") else "path", "twin/kernel")
    with pytest.raises(WeightsError, match=r"variables of the same path: twin/kernel"):
        assign_weights(model, {})


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("kernel", np.nan, "values that are not finite numbers"),
        ("kernel", -np.inf, "values that are not finite numbers"),
        ("kernel", ml_dtypes.bfloat16(np.inf), "values that are not finite numbers"),
        ("kernel", 1j, "values that are not real numbers"),
        ("moving_variance", -0.5, "variances below zero"),
        ("variance", -0.5, "variances below zero"),
    ],
)
def test_check_values_names_source_and_array(name, value, problem):
    arrays = {"first/kernel": np.ones(2), f"last/{name}": np.array([1, value])}
    if isinstance(value, ml_dtypes.bfloat16):
        arrays[f"last/{name}"] = np.array([1, value], ml_dtypes.bfloat16)
    with pytest.raises(WeightsError) as error:
        check_values("a.keras", arrays.items())
    expected = f"a.keras: last/{name} has {problem}. Convert or train these weights again."
    assert str(error.value) == expected


@pytest.mark.parametrize("value", [np.float32(3e38), np.float16(-1), 7, True])
def test_check_values_accepts_every_real_number(value):
    check_values("a.keras", [("kernel", np.array([value])), ("moving_variance", np.zeros(1))])
