"""Comparison of converted weights with the output that upstream published for its sample clip."""

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np

from i3d_tf.metrics.ranking import decode_predictions
from i3d_tf.models.two_stream import two_stream
from i3d_tf.specs.published import PUBLISHED_OUTPUT
from i3d_tf.specs.releases import DEFAULT_RELEASES, SAMPLE_FILES, UPSTREAM_URL
from i3d_tf.specs.streams import CHANNELS, CROP_SIZE
from i3d_tf.system.cache import cache_dir
from i3d_tf.system.files import git_blob_id
from i3d_tf.weights.assign import WeightsError
from i3d_tf.zoo.pretrained import load
from i3d_tf.zoo.releases import UPSTREAM_DIR, fetch

RELATIVE_TOLERANCE = 1e-3  # of the published norm and of each published logit
SAMPLE_FRAMES = 79


def verify_release(
    streams: Collection[str],
    checkpoint_dir: os.PathLike | str | None = None,
    sample_dir: os.PathLike | str | None = None,
    download: bool = False,
    base_url: str = UPSTREAM_URL,
) -> list[str]:
    """Compares the norm and the top 20 of every stream's logits with the published ones.

    Args:
        streams: Some of "rgb", "flow" and "joint".
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        sample_dir: Folder of the two sample arrays; None is `upstream` in the user's cache.
        download: Whether to download missing arrays.
        base_url: URL that the upstream paths are appended to.

    Returns:
        The lines of the comparison.

    Raises:
        FileNotFoundError: Weights or arrays do not exist; the message says how to get them.
        ValueError: An array is not the published file, or an output differs.
    """
    unknown = set(streams) - set(PUBLISHED_OUTPUT)
    if unknown or not streams:
        raise ValueError(
            f"`streams` must be some of {tuple(PUBLISHED_OUTPUT)}; received {streams}."
        )
    sample_dir = cache_dir() / UPSTREAM_DIR if sample_dir is None else sample_dir
    needed = [stream for stream in DEFAULT_RELEASES if stream in streams or "joint" in streams]
    clips = {stream: read_sample(stream, sample_dir, download, base_url) for stream in needed}
    models = {stream: load(DEFAULT_RELEASES[stream], checkpoint_dir) for stream in needed}
    logits = {stream: np.array(models[stream](clips[stream])) for stream in needed}
    if "joint" in streams:
        logits["joint"] = np.array(two_stream(models["rgb"], models["flow"])(clips))
    lines, differing = [], []
    for stream in streams:
        rows, agrees = compare(stream, logits[stream])
        lines += rows
        if not agrees:
            differing.append(stream)
    if differing:
        print("\n".join(lines))
        raise ValueError(
            f"The output differs from the published one for {', '.join(differing)}. Delete the "
            "weights, and they are downloaded and converted again."
        )
    return lines


def read_sample(
    stream: str,
    sample_dir: os.PathLike | str,
    download: bool,
    base_url: str = UPSTREAM_URL,
) -> np.ndarray:
    """Reads the published sample clip of one stream: float32 (1, 79, 224, 224, C) in [-1, 1].

    Args:
        stream: "rgb" or "flow".
        sample_dir: See `verify_release`.
        download: See `verify_release`.
        base_url: See `verify_release`.
    """
    file = SAMPLE_FILES[stream]
    path = Path(sample_dir) / Path(file.path).name
    if download:
        path = fetch(file, sample_dir, base_url)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such file. Add --download, or copy {file.path} of the upstream repository "
            "there."
        )
    found = git_blob_id(path)
    if found != file.blob:
        raise WeightsError(
            f"{path}: not the published file (git blob id {found}, published {file.blob})."
        )
    clip = np.load(path, allow_pickle=False)
    expected = (1, SAMPLE_FRAMES, CROP_SIZE, CROP_SIZE, CHANNELS[stream])
    if clip.shape != expected:
        raise WeightsError(f"{path}: has shape {clip.shape}, expected {expected}.")
    return clip.astype(np.float32)


def compare(stream: str, logits: np.ndarray) -> tuple[list[str], bool]:
    """Compares the logits of one stream with the published ones.

    Args:
        stream: "rgb", "flow" or "joint".
        logits: (1, 400).

    Returns:
        (lines to print, whether norm and top 20 agree within `RELATIVE_TOLERANCE`).
    """
    published = PUBLISHED_OUTPUT[stream]
    norm = float(np.linalg.norm(logits))
    agrees = _close(norm, published.norm)
    lines = [f"{stream}: norm of logits {norm:.6f}, published {published.norm:.6f}"]
    best = decode_predictions(logits, top=len(published.top))[0]
    for place, (ours, (logit, label)) in enumerate(zip(best, published.top, strict=True), start=1):
        same = ours.label == label and _close(ours.logit, logit)
        agrees = agrees and same
        mark = "" if same else "   <- differs"
        lines.append(
            f"  {place:>2}  {ours.logit:>10.6f} {ours.label:<32}{logit:>10.6f} {label}{mark}"
        )
    return lines, agrees


def _close(ours, published):
    return abs(ours - published) <= RELATIVE_TOLERANCE * abs(published)
