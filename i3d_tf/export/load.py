"""Videos to ranked actions by an exported network: the counterpart of `Predictor`."""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from i3d_tf.export.export import FORMATS, RECORD
from i3d_tf.inference.prediction import Answer, answered, stage
from i3d_tf.inference.test_clip import read_start
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.streams import JOINT
from i3d_tf.video.errors import VideoError

SAVED_MODEL = "saved_model.pb"
MAX_FRAMES = 3000  # of a video that is shown in several windows: 0.8 GB of 256 x 340
_NEEDED = ("format", "stream", "class_names", "protocol")
_NUMBERS = ("indices", "probabilities", "logits")
_REMEDY = "Make one: python tools/export.py --checkpoint=NAME --output_dir=FOLDER"


class SavedPredictor:
    """A folder that `i3d_tf.export.export.export` made, ready to answer.

    Frames are shown as `export.json` says; flow is computed by the saved graph.

    Args:
        folder: The export, a SavedModel.

    Raises:
        FileNotFoundError: The folder, or a file in it, is not there; the message names it.
        ValueError: It is an export, but not of this form, or its parts do not belong together.
    """

    def __init__(self, folder):
        folder = Path(folder)
        record = read_record(folder)
        self.stream = record["stream"]
        self.labels = tuple(record["class_names"])
        self.protocol = Protocol(**record["protocol"])
        self.engine = "graph" if self.stream in ("flow", JOINT) else None
        try:
            self._model = tf.saved_model.load(str(folder))  # the functions live as long as it does
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{folder}: cannot be loaded ({reason}). {_REMEDY}") from error
        signatures = self._model.signatures
        if not {"classify", "labels"} <= set(signatures):
            raise ValueError(
                f"{folder}: has the signatures {sorted(signatures)}, not `classify` and `labels`. "
                f"{_REMEDY}"
            )
        if _texts(signatures["labels"]()["labels"]) != self.labels:
            raise ValueError(
                f"{folder}: {RECORD} does not name the classes of the model beside it."
            )
        self._classify = signatures["classify"]

    def answer(self, path, top=5) -> Answer:
        """The best classes of one video; a video that cannot be answered says why in `error`."""
        return answered(path, self, lambda answer: self._fill(answer, path, top))

    def _fill(self, answer, path, top):
        with stage(answer, "decode"):
            frames = self._read(path)
        with stage(answer, "saved model"):
            found = self._classify(frames=tf.constant(frames))
        labels, *numbers = (found[name].numpy()[:top] for name in ("labels", *_NUMBERS))
        single = self.protocol.windows == 1
        answer.frames = min(len(frames), self.protocol.frames) if single else len(frames)
        answer.seconds = answer.frames / self.protocol.frame_rate
        if not np.isfinite(found["logits"].numpy()).all():
            raise VideoError(path, "the network's output is not finite: its weights are damaged")
        answer.top = [
            Prediction(label.decode("utf-8"), int(index), float(probability), float(logit))
            for label, index, probability, logit in zip(labels, *numbers, strict=True)
        ]

    def _read(self, path):
        """Frames for `classify`, which would resize them in the same way, but all at once."""
        if self.protocol.windows == 1:  # one frame more, so that the last flow is a real one
            return read_start(path, self.protocol, self.protocol.frames + 1)
        frames = read_start(path, self.protocol, MAX_FRAMES + 1)
        if len(frames) > MAX_FRAMES:
            raise VideoError(
                path,
                f"it has more than {MAX_FRAMES} frames, all of which `classify` would take at "
                "once, to find its windows; cut it, or use the network that was exported",
            )
        return frames


def read_record(folder) -> dict:
    """What `export.json` says of a SavedModel.

    Args:
        folder: The export.

    Raises:
        FileNotFoundError: The folder is no export; the message names what is missing.
        ValueError: It is an export of another form, or the record is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder. {_REMEDY}")
    path = folder / RECORD
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: not an export, there is no {RECORD} in it. {_REMEDY}")
    try:
        record = json.loads(path.read_text("utf-8"))
        missing = [key for key in _NEEDED if key not in record]
        Protocol(**record.get("protocol", {}))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: not the record of an export ({error}). {_REMEDY}") from error
    if missing:
        raise ValueError(f"{path}: does not say {', '.join(missing)}. {_REMEDY}")
    if record["format"] != FORMATS[0]:
        raise ValueError(
            f"{folder}: exported as {record['format']!r}; only {FORMATS[0]!r} can be used here."
        )
    if not (folder / SAVED_MODEL).is_file():
        raise FileNotFoundError(f"{folder}: incomplete, there is no {SAVED_MODEL}. {_REMEDY}")
    return record


def _texts(strings):
    return tuple(text.decode("utf-8") for text in strings.numpy())
