"""A record of how the files in `version_0_1/` were made; it does not run on the present code.

It ran on version 0.1 before the rooms were renamed (git commit 4afe61e of this repository), whose
module paths it uses, as `python make_version_0_1.py FOLDER`. `expected.json` and `expected.npz`
hold what that code computed from the files. The folders with Keras files and the SavedModel, which
are mostly padding, are in ZIP archives, which `test_version_0_1.py` unpacks.
"""

import dataclasses
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np

from i3d_tf import fuse_for_inference, inflate
from i3d_tf.data.feature_file import read_features
from i3d_tf.layers import PerFrame
from i3d_tf.runs import check_videos, fvd, train, training_model, workdir
from i3d_tf.runs.checkpoints import open_checkpoint
from i3d_tf.runs.compute_flow import compute_flow_files
from i3d_tf.runs.evaluate import EvaluateOptions, evaluate
from i3d_tf.runs.export import export
from i3d_tf.runs.extract_features import extract_feature_files
from i3d_tf.runs.feature_rows import FeatureOptions, feature_rules
from i3d_tf.runs.fvd_features import ClipRules
from i3d_tf.runs.predict import Predictor
from i3d_tf.runs.report import Evaluation, write_report
from i3d_tf.runs.report_compare import compare_reports
from i3d_tf.runs.saved_predictor import SavedPredictor
from i3d_tf.specs.recipes import RECIPES
from i3d_tf.video.encode import write_video
from i3d_tf.video.flow_file import open_flow_file
from i3d_tf.weights.store import save_weights
from i3d_tf.zoo import build, load

layers = keras.layers

WIDTH = 1 / 32
NARROW = 1 / 64  # of networks in `networks.zip`
VIDEO = "videos/moving.mp4"
LABELS = ["one", "two", "three"]
SHOWN = {"short_side": 40, "crop_size": 32}  # pixels
ARCHIVES = ("checkpoints", "export", "networks", "run")
NETWORKS = {
    "convnet_lstm": {"input_shape": (3, 33, 35, 3)},
    "c3d": {"input_shape": (16, 33, 35, 3), "width_multiplier": 1 / 128},
    "two_stream": {"input_shape": {"rgb": (1, 33, 35, 3), "flow": (10, 33, 35, 2)}},
    "fused_3d": {
        "input_shape": {"rgb": (2, 33, 35, 3), "flow": (20, 33, 35, 2)},
        "width_multiplier": 1 / 128,
    },
    "two_stream_i3d": {"input_shape": {"rgb": (9, 33, 35, 3), "flow": (9, 33, 35, 2)}},
}
RECIPE = dataclasses.replace(
    RECIPES["stick_actions"],
    dataset="class_folders",
    train_frames=9,
    test_frames=9,
    frame_rate=25.0,
    short_side=40,
    crop_size=32,
    width_multiplier=WIDTH,
    batch_norm_momentum=0.9,
    batch_size=2,
    steps=5,
    learning_rates=(0.002,),
    evaluate_every=2,
)
STOPPED_AT = 4

expected, structures, arrays = {}, {}, {}


def main(folder):
    target = Path(folder).resolve()
    stage = target.with_name(f"{target.name}.stage")
    stage.mkdir(parents=True)
    os.chdir(stage)  # so that no file names a folder of this machine
    make_videos()
    make_run()
    make_checkpoints()
    make_networks()
    make_features_and_flow()
    make_fvd()
    make_reports()
    make_export()
    make_quarantine()
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in expected.items()]
    Path("expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    np.savez_compressed("expected.npz", **arrays)
    pack(target)
    shutil.rmtree(stage)


def make_videos():
    texture = np.random.default_rng(0).integers(0, 256, (16, 40, 3)).astype(np.uint8)
    texture = np.kron(texture, np.ones((4, 4, 1), np.uint8))  # blocks, so that the codec keeps them
    Path("videos").mkdir()
    steps = [int(40 + 40 * np.sin(frame / 4)) for frame in range(20)]
    write_video(Path(VIDEO), (texture[8:56, step : step + 64] for step in steps))
    whole = Path(VIDEO).read_bytes()
    Path("videos/broken.mp4").write_bytes(whole[: len(whole) // 2])
    for split, count in (("train", 2), ("test", 1)):
        for name, speed in (("left", -2), ("right", 2)):
            folder = Path("data", split, name)
            folder.mkdir(parents=True)
            for number in range(count):
                start = 8 * number + 4 * (split == "test")
                frames = (
                    np.roll(texture[number : number + 48, :48], start + speed * time, axis=1)
                    for time in range(11)
                )
                write_video(folder / f"{number}.mp4", frames)


def make_run():
    compile_model, add_history = training_model.compile_model, workdir.Workdir.add_history

    def compile_eager(model, *arguments):
        compile_model(model, *arguments)
        model.run_eagerly = True

    def stop(run, row):
        add_history(run, row)
        if row["step"] == STOPPED_AT:
            raise KeyboardInterrupt

    training_model.compile_model = compile_eager
    workdir.Workdir.add_history = stop
    try:
        train.train(RECIPE, train.TrainOptions("data", "run", deterministic=True))
    except KeyboardInterrupt:
        workdir.Workdir.add_history = add_history
    shutil.rmtree("run/tensorboard")
    checkpoint = open_checkpoint("run")
    expected["run"] = {
        "class_names": checkpoint.class_names,
        "protocol": dataclasses.asdict(checkpoint.protocol),
        "sha256": checkpoint.sha256,
        "history": checkpoint.history,
    }
    structures["run"] = structure(checkpoint.model)
    keep_logits("run", checkpoint.model)
    expected["predictions"] = {"run": predicted(Predictor("rgb", {"rgb": "run"}))}
    compiled = keras.models.load_model("run/best.keras")
    expected["run"]["loss"] = compiled.loss.get_config()
    expected["run"]["optimizer"] = compiled.optimizer.get_config()

    shutil.copytree("run", "resumed")
    resumed = train.train(RECIPE, train.TrainOptions("data", "resumed", deterministic=True))
    step, path = resumed.latest()
    expected["resumed"] = {"step": step, "history": resumed.history()}
    keep_logits("resumed", keras.models.load_model(path, compile=False))
    shutil.rmtree("resumed")


def make_checkpoints():
    model = fill(
        build("inception_i3d", input_shape=(None,) * 3 + (3,), classes=3, width_multiplier=WIDTH)
    )
    row = {
        "architecture": "inception_i3d",
        "stream": "rgb",
        "classes": 3,
        "labels": LABELS,
        "width_multiplier": WIDTH,
        "protocol": {"frames": 16, **SHOWN},
    }
    save_weights(model, "tiny_rgb", "checkpoints", row)
    keep_logits("checkpoint", load("tiny_rgb", "checkpoints"))
    predictor = Predictor("rgb", {"rgb": "tiny_rgb"}, "checkpoints")
    expected["predictions"]["checkpoint"] = predicted(predictor)


def make_networks():
    Path("networks").mkdir()
    found = {
        name: build(name, **{"classes": 3, "width_multiplier": NARROW, **arguments})
        for name, arguments in NETWORKS.items()
    }
    for seed, model in enumerate(found.values()):
        fill(model, seed)
    i3d = build("inception_i3d", input_shape=(9, 33, 35, 3), classes=3, width_multiplier=NARROW)
    found["folded"] = fuse_for_inference(fill(i3d, 9))
    found["inflated"] = inflated_network()
    for name, model in found.items():
        model.save(f"networks/{name}.keras")
        structures[name] = structure(model)
        keep_logits(name, model)
    for name, arguments in NETWORKS.items():
        structures[name]["arguments"] = {
            "classes": 3,
            "width_multiplier": NARROW,
            **arguments,
        }
    Path("networks/structures.json").write_text(json.dumps(structures, indent=1) + "\n", "utf-8")


def inflated_network():
    """A 2D network of a few kilobytes with all that inflation has layers of its own for."""
    image = keras.Input((16, 16, 3))
    first = layers.Conv2D(4, 3, strides=2, padding="same", name="first")(image)
    first = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(first))
    resized = layers.Resizing(12, 12, name="resized")(first)
    depthwise = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(resized)
    branch = layers.Conv2D(4, 3, padding="same", name="branch")(depthwise)
    merged = layers.Add(name="merged")([resized, branch])
    down = layers.Conv2D(6, 3, strides=2, padding="same", name="down")(merged)
    separable = layers.SeparableConv2D(6, 3, padding="same", name="separable")(down)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(separable)
    model = keras.Model(image, layers.Dense(3, name="logits")(pooled), name="small")
    spans = {"first": (3, 1), "depthwise": (3, 1), "branch": (3, 1), "down": (3, 2)}
    return inflate(
        fill(model, 10),
        temporal=lambda spot: spans.get(spot.layer.name, (3, 1) if spot.size > 1 else (1, 1)),
        padding="valid",
        frames=21,
        rules={layers.Resizing: lambda layer: PerFrame(layer, name=layer.name)},
    )


def make_features_and_flow():
    options = FeatureOptions(
        feature_rules(window=9, stride=4), "rgb", "tiny_rgb", checkpoint_dir="checkpoints"
    )
    expected["features"] = {}
    for file_format in ("npy", "npz", "h5"):
        extract_feature_files([VIDEO], "features", options, file_format)
        features = read_features(f"features/moving.{file_format}")
        expected["features"][file_format] = features.metadata
        arrays[f"features/{file_format}"] = features.features
        arrays[f"times/{file_format}"] = features.times
    compute_flow_files([VIDEO], "flow", engine="numba", short_side=24)
    file = open_flow_file("flow/moving.flow.zip")
    expected["flow"] = file.metadata
    arrays["flow"] = file.read()


def make_fvd():
    options = {
        "weights": "tiny_rgb",
        "checkpoint_dir": "checkpoints",
        "rules": ClipRules(frames=9, size=32),
    }
    for split in ("train", "test"):
        fvd.frechet_video_distance(
            fvd.FvdOptions((f"data/{split}",), save_statistics=f"fvd_{split}.npz", **options)
        )
    result = fvd.frechet_video_distance(
        fvd.FvdOptions(("fvd_train.npz",), ("fvd_test.npz",), **options)
    )
    expected["fvd"] = {"distance": result.fvd, "protocol": result.protocol}


def make_reports():
    record = evaluate(
        EvaluateOptions("class_folders", "data", "test", "report", rgb_checkpoint="run")
    )
    assert record["videos"] == 2
    names, labels = ("run", "jump", "sit"), np.array([0, 0, 1, 1, 2, 2])
    logits = {  # what is right of the six: by the first report 2, 3, 4; by the second 0, 1, 2, 3
        "before": [[1, 2, 0], [0, 2, 1], [0, 3, 1], [1, 2, 0], [0, 1, 4], [0, 2, 1]],
        "after": [[4, 2, 0], [3, 2, 1], [0, 3, 1], [1, 2, 0], [2, 1, 0], [0, 2, 1]],
    }
    paths = tuple(f"clips/{number}.mp4" for number in range(len(labels)))
    for name, values in logits.items():
        streams = {"rgb": np.float32(values), "flow": np.float32(values) / 4}
        protocol = {"frames": 250, "frame_rate": 25.0, "flow_engine": "numba"}
        write_report(Evaluation(names, paths, labels, streams, protocol), f"report_{name}")
    for folder in ("report", "report_before", "report_after"):
        for name in ("index.html", "logits.npz"):
            Path(folder, name).unlink()
    found = compare_reports("report_before", "report_after")
    expected["comparison"] = {
        "overall": [dataclasses.astuple(change) for change in found.overall],
        "classes": [dataclasses.astuple(change) for change in found.classes],
        "gained_and_lost": [found.became_right, found.became_wrong],
        "p_value": found.chance,
    }


def make_export():
    export("run", "export")
    expected["predictions"]["export"] = predicted(SavedPredictor("export"))


def make_quarantine():
    report = check_videos.check_videos("videos", processes=1)
    expected["bad_videos"] = [[Path(path).name, reason] for path, reason in report.bad]


def structure(model):
    """What must stay as it is: names of weights and layers, classes of layers however deep."""
    return {
        "weights": [weight.path for weight in model.weights],
        "layers": [layer.name for layer in model.layers],
        "classes": sorted({type(layer).__name__ for layer in model._flatten_layers()}),
    }


def predicted(predictor):
    record = predictor.answer(VIDEO, top=3).as_json()
    del record["timing"]
    return record


def keep_logits(name, model):
    logits = np.array(model(clips_for(model)))
    assert np.isfinite(logits).all(), name
    assert np.ptp(logits) > 1e-3, name
    arrays[f"logits/{name}"] = logits


def clips_for(model):
    """Clips whose values depend on no library: whole numbers, scaled to [-1, 1)."""
    found = {}
    for tensor in model.inputs:
        sizes = tensor.shape[1:]
        shape = [size or default for size, default in zip(sizes, (9, 32, 32, 3), strict=False)]
        numbers = np.arange(np.prod(shape), dtype=np.uint64) * np.uint64(2654435761)
        values = (numbers % np.uint64(2**16)).astype(np.float32)
        found[tensor.name] = (values / np.float32(2**15) - np.float32(1)).reshape(1, *shape)
    return found if len(found) > 1 else next(iter(found.values()))


def fill(model, seed=0):
    """Gives every weight a random value, kernels of such a size that the signal stays as large."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        kind = weight.path.rsplit("/", 1)[-1]
        if kind in ("gamma", "moving_variance"):
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
        elif kind.endswith("kernel"):
            seen = weight.shape[:2] if weight.shape[-1] == 1 else weight.shape[:-1]
            weight.assign(generator.normal(0, (2 / np.prod(seen)) ** 0.5, weight.shape))
        else:
            weight.assign(generator.normal(0, 0.2, weight.shape))
    return model


def pack(target):
    target.mkdir()
    for path in sorted(Path().iterdir()):
        if path.name not in ARCHIVES:
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, target / path.name)
            continue
        with zipfile.ZipFile(
            target / f"{path.name}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9
        ) as archive:
            for file in sorted(path.rglob("*")):
                archive.write(file)


if __name__ == "__main__":
    main(sys.argv[1])
