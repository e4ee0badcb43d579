"""Classification of videos by an exported network."""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from i3d_tf.export.metadata import (
    METADATA_FILE,
    REMEDY,
    SAVED_MODEL_FILE,
    read_saved_model_metadata,
)
from i3d_tf.inference.prediction import (
    VIDEO_FAILURES,
    StageTimer,
    VideoPrediction,
    check_finite,
    failed_prediction,
)
from i3d_tf.inference.test_clip import read_start
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.specs.streams import streams_of
from i3d_tf.system.errors import short_reason
from i3d_tf.system.files import sha256
from i3d_tf.video.errors import VideoError

MAX_FRAMES = 3000  # of a video with several windows: 0.8 GB of 256 x 340


class SavedPredictor:
    """A folder that `i3d_tf.export.export.export` made, as a classifier of videos.

    Frames are read as `export.json` says; flow is computed by the saved graph.

    Args:
        saved_model: The export, a SavedModel.

    Attributes:
        stream: "rgb", "flow" or "joint".
        flow_engine: "graph", or None without flow.
        class_names: In the order of the logits.
        protocol: Number and size of the windows.
        settings: See `VideoPredictor`.

    Raises:
        FileNotFoundError: The folder, or a file in it, does not exist; the message names it.
        ValueError: It is an export of another format, or its parts do not belong together.
    """

    def __init__(self, saved_model: str | os.PathLike):
        folder = Path(saved_model)
        metadata = read_saved_model_metadata(folder)
        self.stream, self.class_names = metadata.stream, metadata.class_names
        self.protocol = metadata.protocol
        self.flow_engine = "graph" if "flow" in streams_of(self.stream) else None
        try:
            self._model = tf.saved_model.load(str(folder))  # the functions live as long as it does
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = short_reason(error)
            raise ValueError(f"{folder}: cannot be loaded ({reason}). {REMEDY}") from error
        signatures = self._model.signatures
        if not {"classify", "labels"} <= set(signatures):
            raise ValueError(
                f"{folder}: has the signatures {sorted(signatures)}, not `classify` and `labels`. "
                f"{REMEDY}"
            )
        if _strings(signatures["labels"]()["labels"]) != self.class_names:
            raise ValueError(
                f"{folder}: {METADATA_FILE} does not name the classes of the model beside it."
            )
        self._classify = signatures["classify"]
        digest = sha256(folder / SAVED_MODEL_FILE)
        self.settings = {"saved_model": {"name": folder.name, "sha256": digest}}

    def predict(self, path: str | os.PathLike, top: int = 5) -> VideoPrediction:
        """Classifies one video; see `VideoPredictor`."""
        try:
            return self._predict(path, top)
        except VIDEO_FAILURES as error:
            return failed_prediction(path, self.stream, error)

    def _predict(self, path, top):
        timer = StageTimer()
        with timer.stage("decode"):
            frames = self._read(path)
        with timer.stage("saved model"):
            outputs = self._classify(frames=tf.constant(frames))
        check_finite(path, outputs["logits"].numpy())
        is_start = self.protocol.is_start
        num_frames = min(len(frames), self.protocol.frames) if is_start else len(frames)
        return VideoPrediction(
            str(path),
            self.stream,
            frames=num_frames,
            seconds=num_frames / self.protocol.frame_rate,
            top=_predictions(outputs)[:top],
            timing=timer.seconds,
            flow_engine=self.flow_engine,
        )

    def _read(self, path) -> np.ndarray:
        """Reads the frames for `classify`, resized: it would do the same, but to all at once."""
        if self.protocol.is_start:  # one frame more, so that the last flow is a real one
            return read_start(path, self.protocol, self.protocol.frames + 1)
        frames = read_start(path, self.protocol, MAX_FRAMES + 1)
        if len(frames) > MAX_FRAMES:
            raise VideoError(
                path,
                f"it has more than {MAX_FRAMES} frames, all of which `classify` would take at "
                "once, to find its windows; cut it, or use the network that was exported",
            )
        return frames


def _predictions(outputs):
    """Returns the classes that `classify` returned, best first."""
    columns = (outputs[name].numpy() for name in ("indices", "probabilities", "logits"))
    return [
        Prediction(label, int(index), float(probability), float(logit))
        for label, index, probability, logit in zip(
            _strings(outputs["labels"]), *columns, strict=True
        )
    ]


def _strings(tensor):
    return tuple(text.decode("utf-8") for text in tensor.numpy())
