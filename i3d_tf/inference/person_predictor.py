"""Classification of what each person in boxes does."""

import os

import numpy as np

from i3d_tf.data.flow_store import ComputedFlowStore
from i3d_tf.data.pipeline import Failures, PipelineConfig
from i3d_tf.flow.engines import choose_engine
from i3d_tf.flow.quantize import check_rounding
from i3d_tf.inference.person_dataset import PersonBoxes
from i3d_tf.inference.person_logits import iter_person_outputs, person_function
from i3d_tf.inference.prediction import (
    VIDEO_FAILURES,
    PersonPrediction,
    StageTimer,
    VideoPrediction,
    check_finite,
    failed_prediction,
)
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.specs.recipe import PERSONS
from i3d_tf.specs.validation import check_integer
from i3d_tf.video.errors import VideoError
from i3d_tf.zoo.checkpoint import open_checkpoint


class PersonPredictor:
    """A network on persons as a classifier of those in the boxes of a file.

    A person is looked at in a clip of whole frames around the moment of its box.

    Args:
        checkpoint: See `i3d_tf.zoo.open_checkpoint`: a network that was trained on persons.
        boxes: The file of persons.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        precision: See `i3d_tf.Predictor`.
        flow_engine: Engine that computes the flow of a network that sees it.
        flow_rounding: How flow goes through 8-bit codes, as in training; None means to the nearest.

    Attributes:
        stream: "rgb" or "flow".
        settings: See `VideoPredictor`.

    Raises:
        FileNotFoundError: See `i3d_tf.zoo.open_checkpoint`.
        ValueError: The network is of another kind.
    """

    def __init__(
        self,
        checkpoint: os.PathLike | str,
        boxes: PersonBoxes,
        checkpoint_dir: os.PathLike | str | None = None,
        precision: str = "float32",
        flow_engine: str = "auto",
        flow_rounding: str | None = None,
    ):
        check_rounding(flow_rounding)
        opened = open_checkpoint(checkpoint, checkpoint_dir, sees_persons=True)
        self.stream = opened.stream
        self._flow_store, self._flow_engine = None, None
        if self.stream == "flow":
            self._flow_engine = choose_engine(flow_engine)
            self._flow_store = ComputedFlowStore(opened.protocol, self._flow_engine, flow_rounding)
        self._boxes, self._protocol = boxes, opened.protocol
        self._class_names = opened.class_names
        self._forward = person_function(fuse_for_inference(opened.model, precision))
        self.settings = {
            "weights": {self.stream: {"name": opened.name, "sha256": opened.sha256}},
            "precision": precision,
            "flow_engine": self._flow_engine,
            "flow_rounding": flow_rounding,
            **boxes.settings,
        }

    def predict(self, path: str | os.PathLike, top: int = 5) -> VideoPrediction:
        """Classifies the persons of one video; see `VideoPredictor`.

        Args:
            path: The video.
            top: Classes of each person.
        """
        check_integer("top", top, 1)
        try:
            return self._predict(path, top)
        except VIDEO_FAILURES as error:
            return failed_prediction(path, self.stream, error)

    def _predict(self, path, top):
        timer, persons = StageTimer(), []
        with timer.stage("persons"):
            config = PipelineConfig(
                examples=self._boxes.examples(path, self._protocol.frame_rate),
                streams=(self.stream,),
                protocol=self._protocol,
                batch_size=1,
                seed=0,
                flow_store=self._flow_store,
                task=PERSONS,
                classes=len(self._class_names),
            )
            failures = Failures()
            for number, logits in iter_person_outputs(self._forward, config, failures):
                if logits is None:
                    raise VideoError(str(path), next(iter(failures.reasons.values())))
                check_finite(path, logits)
                (frame,) = config.examples[number].key_frames
                for person, row in zip(frame.persons, logits, strict=True):
                    persons.append(self._person(frame.time, person, row, top))
        frames = len(config.examples)
        return VideoPrediction(
            str(path),
            self.stream,
            frames=frames * self._protocol.frames,
            seconds=frames * self._protocol.frames / self._protocol.frame_rate,
            persons=persons,
            timing=timer.seconds,
            flow_engine=self._flow_engine,
        )

    def _person(self, time, person, logits, top):
        probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
        order = np.argsort(-logits, kind="stable")[:top]
        best = [
            Prediction(self._class_names[k], int(k), float(probabilities[k]), float(logits[k]))
            for k in order
        ]
        number, score = person.number, None
        if not self._boxes.has_numbers:
            number, score = None, number
        return PersonPrediction(
            time, person.box, best, None if number is None else int(number), score
        )
