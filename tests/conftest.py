"""Fixtures that every room's tests share."""

import gc
import shutil
import signal
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import I3D
from i3d_tf.specs.releases import RELEASES, released_name
from i3d_tf.specs.streams import CHANNELS

pytest_plugins = [
    "fixtures.datasets",
    "fixtures.i3d_jax",
    "fixtures.jobs",
    "fixtures.mutations",
    "fixtures.networks",
    "fixtures.ports",
    "fixtures.public_networks",
    "fixtures.replicas",
    "fixtures.tools",
    "fixtures.videos",
]

REPOSITORY_ROOT = Path(__file__).resolve().parent.parent


def pytest_configure():
    """Lets Ctrl-C reach the tests' children where a shell runs the tests in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """Keeps the imported modules and the tests from being searched for garbage, again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def empty_cache(tmp_path_factory):
    """The user's cache is an empty folder, and nothing is downloaded; child processes see it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I3D_TF_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("I3D_TF_OFFLINE", "1")
        yield


@pytest.fixture(scope="session")
def shared_dir():
    """The folder beside the repository with reference data and real clips, or a skip."""
    path = REPOSITORY_ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"needs the reference data in {path}, which is not part of the project")
    return path


@pytest.fixture(scope="session")
def exact_remap():
    """A skip where OpenCV's remap, and TV-L1 with it, rounds positions to 1/32 of a pixel."""
    if int(cv2.__version__.partition(".")[0]) < 5:
        pytest.skip(f"OpenCV {cv2.__version__} rounds positions of remap; version 5 does not")


@pytest.fixture(scope="session")
def repository_root():
    """The folder with `tools/`."""
    return REPOSITORY_ROOT


@pytest.fixture(scope="session")
def released_shapes():
    """Function: (release name, rows) -> names and shapes as released, irregularities included."""

    def shapes(name, rows=I3D):
        release = RELEASES[name]
        named = {}
        for path, shape in variable_shapes(rows, CHANNELS[release.stream], release.classes).items():
            five_axes = name == "rgb_scratch_kin600" and "/batch_norm/" in path
            named[release.prefix + released_name(path)] = (1,) * 4 * five_axes + shape
        if name == "rgb_scratch_kin600":
            trained = {key: shape for key, shape in named.items() if "moving_" not in key}
            named |= {f"{key}/Momentum": shape for key, shape in trained.items()}
        return named

    return shapes


@pytest.fixture(scope="session")
def values_for():
    """Function: names and shapes -> random float32 values, the same for a name at every call."""

    def values(shapes):
        arrays = {}
        for name, shape in shapes.items():
            generator = np.random.default_rng(zlib.crc32(name.encode()))
            if name.endswith("moving_variance"):
                array = generator.uniform(0.5, 1.5, shape)
            else:
                spread = (2 / np.prod(shape[:-1])) ** 0.5 if name.endswith("/w") else 0.1
                array = spread * generator.standard_normal(shape)
            arrays[name] = array.astype(np.float32)
        return arrays

    return values


@pytest.fixture(scope="session")
def write_checkpoint():
    """Function: (folder, values by name) -> the folder, now with a TF1 checkpoint of one shard."""
    import tensorflow as tf

    def write(folder, values):
        folder.mkdir(parents=True, exist_ok=True)
        tf.raw_ops.SaveV2(
            prefix=str(folder / "model.ckpt"),
            tensor_names=list(values),
            shape_and_slices=[""] * len(values),
            tensors=list(values.values()),
        )
        return folder

    return write


@pytest.fixture(scope="session")
def released_checkpoint(released_shapes, values_for, write_checkpoint, tmp_path_factory):
    """A folder with a whole checkpoint in the form of `rgb_imagenet`, with random values."""
    folder = tmp_path_factory.mktemp("upstream")
    yield write_checkpoint(folder, values_for(released_shapes("rgb_imagenet")))
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def write_grey_video():
    """Function: (path, grey levels, one a frame) -> the path, now a video of plain grey frames."""
    from i3d_tf.video.encode import write_video

    def write(path, levels, size=(48, 64)):
        frames = (np.full((*size, 3), level, np.uint8) for level in levels)
        write_video(path, frames)
        return path

    return write


@pytest.fixture(scope="session")
def write_bad_videos(write_grey_video):
    """Function: folder -> what is said of each file in it; none of them can be answered."""
    import av

    def write(folder):
        (folder / "empty.mp4").touch()
        (folder / "text.mp4").write_text("This is not a video.\n" * 99)
        whole = write_grey_video(folder / "truncated.mp4", range(0, 200, 10)).read_bytes()
        (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
        write_grey_video(folder / "one_frame.mp4", [99])
        with av.open(str(folder / "sound.mp4"), "w") as output:
            stream = output.add_stream("aac", rate=16000)
            for index in range(20):
                silence = np.zeros((1, 1024), np.float32)
                frame = av.AudioFrame.from_ndarray(silence, "fltp", "mono")
                frame.sample_rate, frame.pts = 16000, index * 1024
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return {
            "empty.mp4": "it is empty (0 bytes)",
            "one_frame.mp4": "it has 1 frames at 25 per second; at least 9 are needed",
            "sound.mp4": "it has no video stream (audio only)",
            "text.mp4": "it is not a video that FFmpeg can read",
            "truncated.mp4": "it is cut short or damaged",
        }

    return write


@pytest.fixture(scope="session")
def write_v1_checkpoint():
    """Function: (path, values by name) -> the path, now a TF1 checkpoint of a single file."""
    import tensorflow as tf

    def write(path, values):
        path.parent.mkdir(parents=True, exist_ok=True)
        tf.raw_ops.Save(filename=str(path), tensor_names=list(values), data=list(values.values()))
        return path

    return write
