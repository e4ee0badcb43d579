"""Features of persons in boxes: a row for each person, of the layer below the network's head."""

import dataclasses
import os
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from i3d_tf.data.feature_file import VideoFeatures
from i3d_tf.data.flow_store import ComputedFlowStore
from i3d_tf.data.pipeline import Failures, PipelineConfig
from i3d_tf.features.extractor import RANGES, Extraction, PathLike
from i3d_tf.flow.engines import choose_engine
from i3d_tf.flow.quantize import check_rounding
from i3d_tf.inference.person_dataset import PersonBoxes
from i3d_tf.inference.person_logits import iter_person_outputs, person_function
from i3d_tf.inference.video_source import flow_origin
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.models.person_i3d import PERSON_FEATURES
from i3d_tf.specs.inception_v1 import MIN_FRAMES
from i3d_tf.specs.recipe import PERSONS
from i3d_tf.specs.streams import STREAMS
from i3d_tf.specs.validation import check_choice, check_integer
from i3d_tf.specs.version import __version__
from i3d_tf.video.decode import concealed_frames
from i3d_tf.video.errors import VideoError
from i3d_tf.video.frame_folder import video_metadata
from i3d_tf.zoo.person_network import open_person_features

MAX_WINDOW = 4096  # frames


@dataclass(frozen=True)
class PersonFeatureOptions:
    """Options of the features of persons.

    Attributes:
        boxes: File of persons, see `i3d_tf.inference.person_dataset.PersonBoxes`.
        checkpoint: A network of the stream: one of `train --task=persons`, or any I3D.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        window: Frames of the clip around a person's moment; None takes those that the network was
            trained with.
        min_score: Lowest score of a person; None takes all.
        time_offset: Seconds of the file at which the videos start.
        precision: "float32" or "bfloat16", see `i3d_tf.fuse_for_inference`.
        stream: "rgb" or "flow".
        flow_engine: Engine that computes flow.
        flow_rounding: How flow goes through 8-bit codes; None means to the nearest.
    """

    boxes: str
    checkpoint: str = "rgb_imagenet"
    checkpoint_dir: os.PathLike | str | None = None
    window: int | None = None
    min_score: float | None = None
    time_offset: float = 0.0
    precision: str = "float32"
    stream: str = "rgb"
    flow_engine: str = "auto"
    flow_rounding: str | None = None

    def __post_init__(self):
        check_choice("stream", self.stream, STREAMS)
        check_rounding(self.flow_rounding)


class PersonFeatureExtractor:
    """A network on persons in boxes, from videos to features; as `FeatureExtractor`.

    Args:
        options: PersonFeatureOptions.

    Raises:
        FileNotFoundError: Weights do not exist.
        ValueError: The network is of another kind, or the file of persons has another form.
    """

    def __init__(self, options: PersonFeatureOptions):
        self._options = options
        self._boxes = PersonBoxes(options.boxes, options.min_score, options.time_offset)
        opened = open_person_features(options.checkpoint, options.checkpoint_dir)
        if opened.stream != options.stream:
            raise ValueError(
                f"{options.checkpoint}: is for {opened.stream}, not for {options.stream}. Name a "
                f"network for {options.stream}."
            )
        self._protocol = opened.protocol
        if options.window is not None:
            window = check_integer("window", options.window, MIN_FRAMES, MAX_WINDOW)
            self._protocol = dataclasses.replace(opened.protocol, frames=window)
        self._flow_store, self._flow_engine = None, "auto"
        if options.stream == "flow":
            self._flow_engine = choose_engine(options.flow_engine)
            self._flow_store = ComputedFlowStore(
                self._protocol, self._flow_engine, options.flow_rounding
            )
        self._weights = {options.stream: {"name": opened.name, "sha256": opened.sha256}}
        folded = fuse_for_inference(opened.model, options.precision)
        endpoint = folded.get_layer(PERSON_FEATURES).output
        self._forward = person_function(keras.Model(folded.input, endpoint))

    def metadata(self, video: PathLike, flow_file: PathLike | None = None) -> dict[str, Any]:
        """Returns the metadata of a video's features, as far as known before it is read.

        Args:
            video: Path.
            flow_file: None.
        """
        protocol, stream = self._protocol, self._options.stream
        preprocessing: dict[str, Any] = {
            "frame_rate": protocol.frame_rate,
            "short_side": protocol.short_side,
            "crop": "none: whole frames",
            "range": {stream: RANGES[stream]},
        }
        if stream == "flow":
            rounding = self._options.flow_rounding or "nearest"
            preprocessing["flow"] = flow_origin(self._flow_engine, None, rounding)
        return {
            "stream": stream,
            "endpoint": PERSON_FEATURES,
            "pool": "space_time",
            "window": protocol.frames,
            "stride": None,
            "receptive_field": protocol.frames,
            "frame_rate": protocol.frame_rate,
            "weights": self._weights,
            "precision": self._options.precision,
            "preprocessing": preprocessing,
            **self._boxes.settings,
            "source": video_metadata(video),
        }

    def extract(self, video: PathLike, flow_file: PathLike | None = None) -> VideoFeatures:
        """Returns the features of the persons of one video, by time.

        Args:
            video: Path; its name says which of the boxes are its own.
            flow_file: None.

        Raises:
            VideoError: The video cannot be read, or has no boxes.
        """
        rate, options = self._protocol.frame_rate, self._options
        config = PipelineConfig(
            examples=self._boxes.examples(video, rate),
            streams=(options.stream,),
            protocol=self._protocol,
            batch_size=1,
            seed=0,
            flow_store=self._flow_store,
            task=PERSONS,
        )
        failures, rows, times = Failures(), [], []
        for number, outputs in iter_person_outputs(self._forward, config, failures):
            if outputs is None:
                raise VideoError(str(video), next(iter(failures.reasons.values())))
            (frame,) = config.examples[number].key_frames
            rows.append(outputs)
            start = frame.time - self._protocol.frames // 2 / rate
            end = start + self._protocol.frames / rate
            times += [(start, frame.time, end)] * len(outputs)
        features = np.concatenate(rows).astype(np.float32)
        if not np.isfinite(features).all():
            raise VideoError(
                str(video), "the network's output is not finite: its weights are damaged"
            )
        num_frames = config.count(config.examples[0])
        limits = np.clip(np.array(times, np.float64), 0, num_frames / rate)
        persons = [person for each in config.examples for person in each.key_frames[0].persons]
        metadata = self.metadata(video) | {
            "channels": {options.stream: [0, features.shape[-1]]},
            "frames": num_frames,
            "row_boxes": [list(person.box) for person in persons],
            **self._numbers(persons),
            "project_version": __version__,
        }
        if concealed := concealed_frames(video):
            metadata["concealed_frames"] = concealed
        return VideoFeatures(features, limits, metadata)

    def _numbers(self, persons):
        """Returns what the last column of the file says of each row, if anything."""
        numbers = [person.number for person in persons]
        if all(number is None for number in numbers):
            return {}
        if not self._boxes.has_numbers:
            return {"row_scores": numbers}
        return {"row_persons": [None if each is None else int(each) for each in numbers]}

    def extract_videos(
        self, videos: Iterable[tuple[PathLike, PathLike | None]]
    ) -> Generator[Extraction, None, None]:
        """Yields the result of each video, in order; see `FeatureExtractor.extract_videos`.

        Args:
            videos: (video, None) each.
        """
        for video, _ in videos:
            try:
                yield self.extract(video)
            except (VideoError, MemoryError) as error:
                yield error
