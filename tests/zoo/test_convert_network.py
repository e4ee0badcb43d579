"""Networks around I3D from made-up files in the public layouts, against their own programs."""

import json
import re

import keras
import numpy as np
import pytest
from fixtures.public_networks import (
    write_caffe2,
    write_caffe_model,
    write_haiku,
    write_state_dict,
)
from fixtures.reference_networks import (
    HAIKU,
    REFERENCES,
    STATE_DICT,
    TOLERANCE,
    clip_of,
    distance,
    distances,
    in_minus_one_to_one,
    slowfast_layer,
)

from i3d_tf.metrics.ranking import softmax
from i3d_tf.specs.baselines import BN_INCEPTION_PIXELS
from i3d_tf.specs.protocol import Protocol
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.public_networks import (
    C3D_PIXELS,
    FORMS,
    KINETICS_PIXELS,
    LRCN_PIXELS,
)
from i3d_tf.weights.resnet_names import caffe2_name, slowfast_name
from i3d_tf.weights.s3d_names import kylemin_name, mil_nce_name, mmv_name, torchvision_name
from i3d_tf.weights.store import read_manifest
from i3d_tf.zoo import build, load
from i3d_tf.zoo.convert import convert_weights

WRITERS = {STATE_DICT: write_state_dict, HAIKU: write_haiku}


def c3d_layer(endpoint):
    return endpoint.removesuffix("-1")


def bn_inception_layer(endpoint):
    return endpoint.replace("conv1_relu_7x7", "conv1_7x7_s2").replace("_relu_", "_")


def convert_and_load(source, tmp_path, **arguments):
    convert_weights(source=source, name="mine", output_dir=tmp_path, **arguments)
    return load("mine", checkpoint_dir=tmp_path)


def assert_agrees(model, clip, golden, layer_of, sample):
    """Asserts that the output and every endpoint that is a layer are the reference's."""
    found = distances(model, clip, golden, layer_of, sample)
    assert {end: value for end, value in found.items() if not value < TOLERANCE} == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in REFERENCES if REFERENCES[name].layout in WRITERS]
)
def test_converted_file_gives_the_outputs_of_its_own_program(
    name, more_golden, more_recipe, tmp_path
):
    golden, reference = more_golden(name), REFERENCES[name]
    source = WRITERS[reference.layout](tmp_path / "file", more_recipe.weights(golden))
    model = convert_and_load(source, tmp_path)
    assert model.count_params() > int(golden["trainable"]) > 0.99 * model.count_params()
    clip = clip_of(reference, more_recipe)
    assert_agrees(model, clip, golden, reference.layer_of, more_recipe.sample)


@pytest.mark.slow
def test_original_c3d_gives_the_outputs_of_caffes(more_golden, more_recipe, tmp_path):
    golden = more_golden("c3d_caffe_assembly")
    weights = more_recipe.weights(golden)
    model = convert_and_load(write_caffe_model(tmp_path / "file", weights, "five"), tmp_path)
    assert model.count_params() == int(golden["trainable"]) == 79_991_015
    clip = in_minus_one_to_one(more_recipe.clip(16, 112, 112)[..., ::-1], C3D_PIXELS)
    assert_agrees(model, clip, golden, c3d_layer, more_recipe.sample)


def lrcn_arrays(generator):
    """Arrays of the shapes of the released LRCN, of two classes."""
    shapes = {
        "conv1": (96, 3, 7, 7),
        "conv2": (384, 48, 5, 5),
        "conv3": (512, 384, 3, 3),
        "conv4": (512, 256, 3, 3),
        "conv5": (384, 256, 3, 3),
        "fc6": (4096, 384 * 6 * 6),
        "lstm1": (1024, 4096),
        "fc8-final": (2, 256),
    }
    arrays = {}
    for layer, shape in shapes.items():
        scale = (2 / np.prod(shape[1:])) ** 0.5
        arrays[f"{layer}.weight"] = generator.normal(0, scale, shape).astype(np.float32)
        arrays[f"{layer}.bias"] = generator.normal(0, 0.1, shape[0]).astype(np.float32)
    arrays["lstm1.2"] = generator.normal(0, 0.1, (1024, 256)).astype(np.float32)
    return arrays


def lrcn_by_hand(arrays, images):
    """Probabilities of every frame; images (T, 3, 227, 227) are BGR minus the mean, as in Caffe."""

    def convolve(maps, layer, stride, pad, groups):
        kernel, bias = arrays[f"{layer}.weight"], arrays[f"{layer}.bias"]
        maps = np.pad(maps, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
        parts = zip(np.split(maps, groups, 1), np.split(kernel, groups), strict=True)
        outputs = []
        for inputs, filters in parts:
            windows = np.lib.stride_tricks.sliding_window_view(inputs, filters.shape[2:], (2, 3))
            windows = windows[:, :, ::stride, ::stride]
            outputs.append(np.tensordot(windows, filters, ((1, 4, 5), (1, 2, 3))))
        return np.maximum(np.concatenate(outputs, -1) + bias, 0).transpose(0, 3, 1, 2)

    def pool(maps):  # rounds up: what is beyond the end is never the largest
        padded = np.pad(maps, [(0, 0), (0, 0), (0, 1), (0, 1)], constant_values=-1)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
        return windows[:, :, ::2, ::2].max((4, 5))

    def norm(maps):
        squares = np.pad(maps**2, [(0, 0), (2, 2), (0, 0), (0, 0)])
        sums = sum(squares[:, shift : shift + maps.shape[1]] for shift in range(5))
        return maps / (1 + 1e-4 / 5 * sums) ** 0.75

    def dense(inputs, layer):
        return inputs @ arrays[f"{layer}.weight"].T + arrays[f"{layer}.bias"]

    def sigmoid(values):
        return 1 / (1 + np.exp(-values))

    maps = norm(pool(convolve(images, "conv1", 2, 0, 1)))
    maps = norm(pool(convolve(maps, "conv2", 2, 0, 2)))
    for layer, groups in (("conv3", 1), ("conv4", 2), ("conv5", 2)):
        maps = convolve(maps, layer, 1, 1, groups)
    features = np.maximum(dense(pool(maps).reshape(len(images), -1), "fc6"), 0)
    hidden = cell = np.zeros(256)
    predictions = []
    for rows in dense(features, "lstm1"):
        enter, forget, leave, new = np.split(rows + arrays["lstm1.2"] @ hidden, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(cell)
        predictions.append(softmax(dense(hidden, "fc8-final")))
    return np.array(predictions)


@pytest.mark.slow
def test_lrcn_of_caffe_gives_the_predictions_computed_by_hand(tmp_path):
    generator = np.random.default_rng(0)
    arrays = lrcn_arrays(generator)
    model = convert_and_load(write_caffe_model(tmp_path / "lrcn.caffemodel", arrays), tmp_path)
    protocol = Protocol(**read_manifest(tmp_path)["mine"]["protocol"])
    assert (protocol.frames, protocol.windows, protocol.crop_size) == (16, 20, 227)
    assert model.count_params() == sum(array.size for array in arrays.values())
    images = generator.uniform(-120, 120, (2, 227, 227, 3))  # RGB minus the mean
    expected = lrcn_by_hand(arrays, images[..., ::-1].transpose(0, 3, 1, 2))
    assert np.abs(expected[0] - expected[1]).max() > 1e-2  # frames differ
    clip = in_minus_one_to_one(images[None], LRCN_PIXELS)
    np.testing.assert_allclose(softmax(np.array(model(clip))[0]), expected.mean(0), rtol=1e-4)


@pytest.mark.slow
def test_bn_inception_gives_the_outputs_of_its_program(more_golden, more_recipe, tmp_path):
    golden = more_golden("bninception")
    source = write_state_dict(tmp_path / "file", more_recipe.weights(golden))
    model = convert_and_load(source, tmp_path)
    trainable = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert trainable == int(golden["trainable"]) == 11_295_240
    image = in_minus_one_to_one(more_recipe.image()[..., ::-1], BN_INCEPTION_PIXELS)
    assert_agrees(model, image, golden, bn_inception_layer, more_recipe.sample)


def write_tsn_caffe(path, weights):
    """Writes the weights of a BN-Inception by the names, and in the blobs, of TSN's Caffe."""
    blobs = {"weight": "weight", "bias": "bias", "running_mean": "2", "running_var": "3"}
    arrays = {}
    for name, value in weights.items():
        layer, end = name.split(".")
        place = re.sub(r"^(conv\d|inception_..)_", r"\1/", layer).replace(
            "last_linear", "fc-action"
        )
        is_norm = layer.endswith("_bn")
        arrays[f"{place}.{blobs[end]}"] = value.reshape(1, -1, 1, 1) if is_norm else value
    assert {"inception_3a/double_3x3_1_bn.3", "conv2/3x3.bias", "fc-action.bias"} <= set(arrays)
    return write_caffe_model(path, arrays)


def write_tsn_pytorch(path, weights):
    """Writes the weights of a BN-Inception by the names of tsn-pytorch."""
    named = {f"module.base_model.{name}": value for name, value in weights.items()}
    ends = ("weight", "bias")
    classifier = {
        f"module.new_fc.{e}": named.pop(f"module.base_model.last_linear.{e}") for e in ends
    }
    return write_state_dict(path, {**named, **classifier})


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_tsn_caffe, write_tsn_pytorch])
def test_tsn_gives_the_mean_of_the_outputs_of_bn_inception(
    write, more_golden, more_recipe, tmp_path
):
    golden = more_golden("bninception")
    model = convert_and_load(write(tmp_path / "file", more_recipe.weights(golden)), tmp_path)
    image = in_minus_one_to_one(more_recipe.image()[..., ::-1], BN_INCEPTION_PIXELS)
    assert_agrees(model, image[:, None], golden, bn_inception_layer, more_recipe.sample)
    others = np.random.default_rng(0).uniform(-1, 1, (1, 2, 224, 224, 3)).astype("f4")
    clip = np.concatenate([image[:, None], others], axis=1)
    of_others = [np.array(model(others[:, step : step + 1])) for step in range(2)]
    expected = (golden["logits_f64"] + of_others[0] + of_others[1]) / 3
    assert distance(np.array(model(clip)), expected) < TOLERANCE


@pytest.mark.slow
def test_tsn_of_flow_reads_five_fields_minus_128(more_golden, more_recipe, tmp_path):
    weights = more_recipe.weights(more_golden("bninception"))
    weights["conv1_7x7_s2.weight"] = np.tile(weights["conv1_7x7_s2.weight"], (1, 4, 1, 1))[:, :10]
    model = convert_and_load(write_tsn_caffe(tmp_path / "file", weights), tmp_path)
    assert model.input_shape == (None, None, None, None, 2)
    row = json.loads((tmp_path / "manifest.json").read_text())["weights"]["mine"]
    assert (row["stream"], row["protocol"]["segments"]) == ("flow", 25)
    stacked = keras.Model(model.input, model.get_layer("stack_time").output)
    values = np.array(stacked(np.ones((1, 10, 32, 32, 2), "f4")))
    assert values.shape == (1, 2, 32, 32, 10)
    np.testing.assert_allclose(values, 255 - 128, rtol=1e-5)


@pytest.mark.slow
def test_tsn_of_differences_has_snippets_of_six_frames(more_golden, more_recipe, tmp_path):
    weights = more_recipe.weights(more_golden("bninception"))
    weights["conv1_7x7_s2.weight"] = np.tile(weights["conv1_7x7_s2.weight"], (1, 5, 1, 1))
    convert_and_load(write_tsn_pytorch(tmp_path / "file", weights), tmp_path)
    row = json.loads((tmp_path / "manifest.json").read_text())["weights"]["mine"]
    assert row["arguments"]["modality"] == "rgb_difference"
    assert (row["protocol"]["frames"], row["protocol"]["rgb_step"]) == (6, 1)


@pytest.mark.slow
def test_s3d_at_112_gives_the_features_of_torchvisions(more_golden, more_recipe, tmp_path):
    golden = more_golden("s3d_torchvision_112")
    source = write_state_dict(tmp_path / "file", more_recipe.weights(golden))
    model = convert_and_load(source, tmp_path)
    features = keras.Model(model.input, model.get_layer("Mixed_5c").output)
    clip = in_minus_one_to_one(more_recipe.clip(16, 112, 112), KINETICS_PIXELS)
    means = np.array(features(clip)).mean((1, 2, 3))
    assert distance(means, golden["features_mean_f64"]) < TOLERANCE
    assert np.isfinite(np.array(model(clip))).all(), "the head takes smaller frames, too"


@pytest.mark.slow
def test_mil_nces_names_give_mmvs_features(more_golden, more_recipe, tmp_path):
    name = "s3dg_mmv_space_to_depth"
    golden, clip = more_golden(name), clip_of(REFERENCES[name], more_recipe)
    weights = more_recipe.weights(golden)
    model = convert_and_load(write_haiku(tmp_path / "file", weights), tmp_path)
    # The network is the same, with a last layer of its own.
    fc = np.random.default_rng(0).normal(size=(512, 1024)).astype("float32")
    renamed = {"fc.weight": fc, "fc.bias": fc[:, 0], "text_module.fc1.weight": fc}
    for variable in model.weights:
        value = weights[mmv_name(variable.path)]
        is_norm = value.shape[:4] == (1, 1, 1, 1)
        value = value.reshape(-1) if is_norm else value
        value = value.transpose(4, 3, 0, 1, 2) if value.ndim == 5 else value.T
        renamed[mil_nce_name(variable.path)] = value
    mine = convert_and_load(write_state_dict(tmp_path / "mil_nce", renamed), tmp_path)
    expected = golden["embeddings_f64"] @ fc.T + fc[:, 0]
    assert distance(np.array(mine(clip)), expected) < TOLERANCE


@pytest.mark.slow
def test_released_blobs_give_the_outputs_of_the_released_geometry(
    more_golden, more_recipe, tmp_path
):
    name = "i3d_r50_nl5_released_pools"
    golden = more_golden(name)
    weights = more_recipe.weights(golden)
    model = build("i3d_resnet50", non_local=5, geometry="released")
    blobs = {caffe2_name(v.path): weights[slowfast_name(v.path)] for v in model.weights}
    assert "nonlocal_conv4_5_bn_riv" in blobs
    source = write_caffe2(tmp_path / "file.pkl", blobs)
    with pytest.raises(WeightsError, match=r"how time shrinks\. Give --geometry=released"):
        convert_weights(source=source, name="mine", output_dir=tmp_path)
    loaded = convert_and_load(source, tmp_path, geometry="released")
    clip = clip_of(REFERENCES[name], more_recipe)
    assert_agrees(loaded, clip, golden, slowfast_layer, more_recipe.sample)


@pytest.mark.slow
def test_kylemins_names_give_torchvisions_outputs(more_golden, more_recipe, tmp_path):
    golden = more_golden("s3d_torchvision")
    weights = more_recipe.weights(golden)
    model = build("s3d")
    renamed = {kylemin_name(v.path): weights[torchvision_name(v.path)] for v in model.weights}
    assert {"base.5.branch0.0.conv.weight", "base.3.bn_t.running_var"} <= set(renamed)
    loaded = convert_and_load(write_state_dict(tmp_path / "file", renamed), tmp_path)
    logits = np.array(loaded(more_recipe.clip(16, 224, 224)))
    assert distance(logits, golden["logits_f64"]) < TOLERANCE


@pytest.mark.slow
def test_slim_checkpoint_of_s3d_g_is_read_by_its_names(write_checkpoint, tmp_path):
    form = next(form for form in FORMS if form.title == "TF-Slim's S3D-G")
    model, generator = build("s3d_g", classes=7), np.random.default_rng(0)
    values = {}
    for variable in model.weights:
        shape = tuple(variable.shape)
        is_gate = len(shape) == 2
        value = generator.uniform(0.5, 1, (1, 1, 1, *shape) if is_gate else shape)
        values[form.name(variable.path)] = value.astype("float32")
    assert "InceptionV1/Mixed_4b/Branch_3/self_gating/transformer_W/weights" in values
    loaded = convert_and_load(write_checkpoint(tmp_path / "slim", values), tmp_path)
    for variable in loaded.weights:
        expected = values[form.name(variable.path)].reshape(variable.shape)
        np.testing.assert_array_equal(np.array(variable), expected)


def tiny_values(form, model):
    """Values of the right shapes of a form in PyTorch's order, which take no memory."""
    values = {}
    for variable in model.weights:
        shape = tuple(variable.shape)
        shape = (shape[-1], shape[-2], *shape[:-2]) if len(shape) > 1 else shape
        values[form.name(variable.path)] = np.ones(shape, "float32")
    return values


@pytest.fixture(scope="module")
def r3d_values():
    form = next(form for form in FORMS if "R3D" in form.title)
    return tiny_values(form, build("r3d_18", classes=3))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc.bias": None}, "1 are missing .fc.bias"),
        ({"layer9.weight": np.ones(2, "f4")}, "1 are unknown .layer9.weight"),
        ({"stem.1.bias": np.ones(63, "f4")}, r"stem.1.bias has shape \(63,\), and the network has"),
        ({"stem.1.bias": np.ones(64, "i4")}, "stem.1.bias is int32, not float32"),
        ({"stem.1.running_var": -np.ones(64, "f4")}, "variance"),
        ({"fc.weight": np.ones((70_000, 1), "f4")}, "declares 70,000 classes"),
    ],
)
def test_file_that_does_not_fit_is_refused_in_one_line(r3d_values, change, message, tmp_path):
    values = {**r3d_values, **change}
    values = {name: value for name, value in values.items() if value is not None}
    source = write_state_dict(tmp_path / "file", values)
    with pytest.raises(WeightsError, match=message) as error:
        convert_weights(source=source, name="mine", output_dir=tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out/mine.weights.h5").exists()


@pytest.mark.slow
def test_counters_prefixes_and_pickles_of_other_things(r3d_values, tmp_path, capsys):
    values = {f"module.{name}": value for name, value in r3d_values.items()}
    values["module.stem.1.num_batches_tracked"] = np.ones(1, "f4")
    model = convert_and_load(write_state_dict(tmp_path / "file", values), tmp_path)
    assert (model.name, model.output_shape) == ("mine", (None, 3))
    assert "names of torchvision's R3D or MC3: r3d_18" in capsys.readouterr().out
    other = write_caffe2(tmp_path / "other.pkl", {"a_w": np.ones(2, "f4")})
    with pytest.raises(WeightsError, match=r"other\.pkl: a pickle"):
        convert_weights(source=other, name="other", output_dir=tmp_path)
