"""The jobs behind the page: recognize a video, play it backwards, compare two sets."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from i3d_tf.features.fvd import MIN_VIDEOS, FvdOptions, FvdResult, frechet_video_distance
from i3d_tf.features.fvd_protocol import clip_config
from i3d_tf.inference.prediction import VideoPrediction
from i3d_tf.inference.test_clip import read_start
from i3d_tf.specs.inception_v1 import MIN_FRAMES
from i3d_tf.specs.stick_actions import STICK_LABELS, stick_action
from i3d_tf.specs.validation import check_integer
from i3d_tf.video.decode import count_frames, read_watched
from i3d_tf.video.errors import VideoError
from i3d_tf.web.clip_pictures import ClipMotion
from i3d_tf.web.networks import NetworkShelf, OpenNetwork
from i3d_tf.web.saliency import saliency_clip
from i3d_tf.web.uploads import Limits, check_video

TIMELINE_CLASSES = 8  # of each window
FVD_FRAMES = 16  # of a clip
FVD_BATCH = 4
MAX_TOP = 100
NO_TIMELINE = "This network has no time line: it sees clips of one length."
NO_SALIENCY = "This network has no map of what speaks for a class."


@dataclass(frozen=True)
class Recognition:
    """The prediction for a video, with what is shown beside it.

    Attributes:
        network: Name of the network.
        prediction: The prediction; its path is the name of the video without folders.
        window: Frames of a window of the time line; None where there is none.
        note: A remark, or None.
        clip: An mp4 of the frames and the flow that the network sees, or None.
        saliency: An mp4 of the parts of the first clip that speak for a class, or None.
        explained_class: That class: the best of the clip, or of the first window; or None.
    """

    network: str
    prediction: VideoPrediction
    window: int | None = None
    note: str | None = None
    clip: bytes | None = None
    saliency: bytes | None = None
    explained_class: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns plain values, without the clips."""
        values = {"network": self.network, **self.prediction.to_json()}
        return values if self.note is None else {**values, "note": self.note}


@dataclass(frozen=True)
class Reversal:
    """The predictions for a clip and for the same clip played backwards.

    Attributes:
        network: Name of the network.
        forwards: The prediction for the clip.
        backwards: The prediction for its frames in reverse order, with their own flow.
        probabilities: Class to its probability forwards and backwards, for the best of either.
        reversal: The class that the best class becomes when it is played backwards, where the class
            has one that is known, or None.
        forwards_clip: An mp4 of the frames and their flow, or None.
        backwards_clip: The same backwards.
        motion: A JPEG of a frame, brighter where the clip moves more, or None.
    """

    network: str
    forwards: VideoPrediction
    backwards: VideoPrediction
    probabilities: dict[str, tuple[float, float]]
    reversal: str | None = None
    forwards_clip: bytes | None = None
    backwards_clip: bytes | None = None
    motion: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns plain values, without the clips."""
        return {
            "network": self.network,
            "path": self.forwards.path,
            "forwards": _without_path(self.forwards),
            "backwards": _without_path(self.backwards),
            "reversal": self.reversal,
        }


def _without_path(prediction):
    return {name: value for name, value in prediction.to_json().items() if name != "path"}


@dataclass(frozen=True)
class SetComparison:
    """The Fréchet video distance of two sets.

    Attributes:
        network: Name of the network.
        result: The distance, the numbers of videos, and the protocol.
        failures: Name of each video that was left out to the reason.
    """

    network: str
    result: FvdResult
    failures: dict[str, str] = field(default_factory=dict)


class Jobs:
    """The jobs, one at a time.

    Args:
        shelf: The networks.
        limits: Limits of the videos.
    """

    def __init__(self, shelf: NetworkShelf, limits: Limits):
        self.shelf, self.limits = shelf, limits

    def recognize(
        self,
        path: Path,
        network: str,
        top: int = 5,
        with_clip: bool = False,
        with_saliency: bool = False,
    ) -> Recognition:
        """Classifies a video; one of two windows or more gets a time line, too.

        Args:
            path: The video.
            network: Name of the network.
            top: Classes to return.
            with_clip: Whether to draw the clip that the network sees.
            with_saliency: Whether to draw what speaks for the best class in the first clip.

        Raises:
            VideoError: The video is refused or cannot be read.
            ValueError: An argument is not allowed, or the network cannot be opened.
        """
        check_integer("top", top, 1, MAX_TOP)
        check_video(path, self.limits)
        opened = self.shelf.open(network)
        rate = opened.clips.networks.protocol.frame_rate
        is_long = read_watched(path, lambda: count_frames(path, rate)) >= 2 * opened.window
        windows = opened.windows if is_long else None
        if windows is None:
            prediction = opened.clips.predict(path, top)
        else:
            prediction = windows.predict(path, max(top, TIMELINE_CLASSES))
            prediction = replace(prediction, top=prediction.top[:top])
        if prediction.error is not None:
            raise VideoError(path.name, prediction.error)
        prediction = replace(prediction, path=path.name)  # without the folder of the server
        clip = _draw_start(path, opened) if with_clip else None
        notes = [NO_TIMELINE] if is_long and windows is None else []
        saliency = explained = None
        if with_saliency and opened.explainer is not None:
            best = (prediction.timeline[0] if prediction.timeline else prediction).top[0]
            protocol, explained = opened.clips.networks.protocol, best.label
            saliency = saliency_clip(path, opened.explainer, best.index, protocol)
        elif with_saliency:
            notes.append(NO_SALIENCY)
        window = None if windows is None else windows.window
        return Recognition(
            network, prediction, window, " ".join(notes) or None, clip, saliency, explained
        )

    def play_backwards(
        self, path: Path, network: str, top: int = 5, with_clips: bool = False
    ) -> Reversal:
        """Classifies the first clip of a video as it is, and with its frames in reverse order.

        Args:
            path: The video.
            network: Name of the network.
            top: Classes to return of each.
            with_clips: Whether to draw both clips with their flow.

        Raises:
            VideoError: See `recognize`.
            ValueError: See `recognize`.
        """
        check_integer("top", top, 1, MAX_TOP)
        check_video(path, self.limits)
        opened = self.shelf.open(network)
        protocol = opened.clips.networks.protocol
        frames = read_start(path, protocol, protocol.frames * protocol.segments)
        reversed_frames = frames[::-1].copy()
        forwards, backwards = (_classify(opened, part) for part in (frames, reversed_frames))
        before, after = (
            {p.label: p.probability for p in each.top} for each in (forwards, backwards)
        )
        label = forwards.top[0].label
        forwards, backwards = (
            replace(each, path=path.name, top=each.top[:top]) for each in (forwards, backwards)
        )
        shown = dict.fromkeys(p.label for p in (*forwards.top, *backwards.top))
        return Reversal(
            network,
            forwards,
            backwards,
            probabilities={name: (before[name], after[name]) for name in shown},
            reversal=stick_action(label).reversal if label in STICK_LABELS else None,
            **_draw_both(opened, frames, reversed_frames) if with_clips else {},
        )

    def compare_sets(
        self, first: Sequence[Path], second: Sequence[Path], network: str
    ) -> SetComparison:
        """Computes the Fréchet video distance of two sets of videos.

        Args:
            first: The videos of one set.
            second: Those of the other.
            network: Name of an RGB network.

        Raises:
            ValueError: A set has too few videos that can be read, or too many; or see `recognize`.
        """
        failures: dict[str, str] = {}
        protocol = self.shelf.open(network).clips.networks.protocol
        readable = [self._readable(paths, failures) for paths in (first, second)]
        for title, given, paths in zip(("first", "second"), (first, second), readable, strict=True):
            if len(paths) < MIN_VIDEOS:
                reasons = "".join(f" {name}: {failures[name]}." for name in _names(given, failures))
                raise ValueError(
                    f"the {title} set has {len(paths)} videos that can be read; at least "
                    f"{MIN_VIDEOS} are needed.{reasons}"
                )
        result = frechet_video_distance(
            FvdOptions(
                real=tuple(map(str, readable[0])),
                generated=tuple(map(str, readable[1])),
                checkpoint=self.shelf.offered[network].checkpoints["rgb"],
                checkpoint_dir=self.shelf.checkpoint_dir,
                config=self._fvd_config(readable, protocol),
                batch_size=FVD_BATCH,
            )
        )
        failures |= {Path(each["path"]).name: each["error"] for each in result.failures}
        return SetComparison(network, result, failures)

    def _readable(self, paths, failures):
        """Returns the videos that can be read; the reasons of the others go to a dictionary."""
        limit = self.limits.max_videos
        if len(paths) > limit:
            raise ValueError(
                f"a set has {len(paths)} videos; at most {limit} are taken. Start the page with a "
                "larger --max_videos, or use i3d fvd."
            )
        found = []
        for path in paths:
            try:
                check_video(path, self.limits)
                found.append(path)
            except VideoError as error:
                failures[path.name] = error.reason
        return found

    def _fvd_config(self, sets, protocol):
        """Returns the original protocol with the network's size and rate, and clips of 16 frames.

        Where a video is shorter, all clips are as long as the shortest that is long enough.
        """
        rate = protocol.frame_rate
        frames = FVD_FRAMES
        for path in (path for paths in sets for path in paths):
            found = read_watched(
                path, lambda path=path: count_frames(path, rate, end=FVD_FRAMES / rate)
            )
            if found >= MIN_FRAMES:
                frames = min(frames, found)
        return clip_config("original", frames=frames, size=protocol.crop_size, frame_rate=rate)


def _names(paths, failures):
    return [path.name for path in paths if path.name in failures]


def _classify(opened: OpenNetwork, frames: np.ndarray) -> VideoPrediction:
    """Returns the prediction for frames at the protocol's rate, with all classes."""
    networks = opened.clips.networks
    found = opened.clips.predict(frames, len(networks.class_names), networks.protocol.frame_rate)
    return cast(VideoPrediction, found)


def _draw_start(path: Path, opened: OpenNetwork) -> bytes:
    protocol = opened.clips.networks.protocol
    frames = read_start(path, protocol, protocol.frames)
    return ClipMotion(frames, protocol, opened.clips.flow_engine).frames_beside_flow()


def _draw_both(opened: OpenNetwork, *orders: np.ndarray) -> dict[str, bytes]:
    """Returns the pictures of a `Reversal`."""
    protocol, engine = opened.clips.networks.protocol, opened.clips.flow_engine
    forwards, backwards = (ClipMotion(frames, protocol, engine) for frames in orders)
    return {
        "forwards_clip": forwards.frames_beside_flow(),
        "backwards_clip": backwards.frames_beside_flow(),
        "motion": forwards.where_it_moves(),
    }
