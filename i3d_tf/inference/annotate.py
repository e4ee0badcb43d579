"""Pictures of predictions: copies of videos with their top classes drawn, flow, class timelines."""

import hashlib
import html
import json
import os
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice, tee
from pathlib import Path

import numpy as np

from i3d_tf.flow.engines import ALGORITHMS, choose_engine
from i3d_tf.flow.stream import flow_frames
from i3d_tf.inference.prediction import VideoPrediction
from i3d_tf.specs.streams import FRAME_RATE, JOINT, TEST_FRAMES
from i3d_tf.system.files import atomic_write, check_target, open_regular, remove_abandoned
from i3d_tf.system.jobs import first_difference
from i3d_tf.video.decode import read_frames
from i3d_tf.video.encode import write_video
from i3d_tf.video.errors import VideoError
from i3d_tf.video.frame_folder import video_metadata
from i3d_tf.video.names import VIDEO_SUFFIXES, assign_outputs, output_path
from i3d_tf.video.probe import read_comment
from i3d_tf.viz.annotate import annotate_boxes, annotate_frames
from i3d_tf.viz.class_timeline import class_timeline_svg
from i3d_tf.viz.flow_wheel import colour_flow, flow_scale, wheel_legend
from i3d_tf.viz.markup import Markup

COPY_FORMAT, COPY_VERSION = "i3d_tf annotated video", 1
MAX_TITLE = 2**16  # bytes at the start of a timeline that hold its title
SCALE_STEP = 5  # frames; the scale of a clip is chosen from one in so many
MAX_DISTANCE = 0.5  # seconds from a moment with boxes, within which frames show them
LEGEND_SHARE = 4  # the side of the legend is the short side of the frames over this


def annotated_paths(videos: Sequence[str], output_video: str | os.PathLike) -> dict[str, Path]:
    """Returns the path of the annotated copy of each video.

    Args:
        videos: Paths of the videos.
        output_video: An .mp4 file where there is one video, else a folder. Copies of an earlier
            run may be there, see `write_annotated`.

    Raises:
        ValueError: The name does not fit, or two videos would share a copy.
        FileExistsError: A copy would replace its video, or a file of another kind.
    """
    target = Path(output_video)
    is_folder = target.is_dir() or target.suffix.lower() not in VIDEO_SUFFIXES
    if is_folder and target.exists() and not target.is_dir():
        raise ValueError(f"{target}: not a folder. Name a folder or a new .mp4 file.")
    if not is_folder and target.suffix.lower() != ".mp4":
        raise ValueError(f"{target}: copies are .mp4 files. Name one, or a folder.")
    if not is_folder and len(videos) > 1:
        raise ValueError(f"{target}: one file for {len(videos)} videos. Name a folder.")

    def path_of(video, keeps_ending):
        if not is_folder:
            return target
        return output_path(video, target, "_predicted.mp4", keeps_ending=keeps_ending)

    return _output_files(videos, path_of, is_annotated, _copied_video)


def timeline_paths(videos: Sequence[str], timeline_dir: str | os.PathLike) -> dict[str, Path]:
    """Returns the path of the timeline of each video.

    Args:
        videos: Paths of the videos.
        timeline_dir: The folder of the timelines.

    Raises:
        ValueError: Two videos would share a timeline.
        FileExistsError: A timeline would replace a file of another kind.
    """

    def path_of(video, keeps_ending):
        return output_path(video, timeline_dir, "_timeline.svg", keeps_ending=keeps_ending)

    return _output_files(videos, path_of, _is_timeline, _timeline_video)


def _output_files(videos, path_of, is_own, source_of):
    paths = assign_outputs(videos, path_of, "Rename one, or run them one at a time.", source_of)
    for video, path in paths.items():
        check_target(path, is_own, [video])
    for folder in {path.parent for path in paths.values()}:
        remove_abandoned(folder)
    return paths


def is_annotated(path: str | os.PathLike) -> bool:
    """Returns whether a file is a copy that `write_annotated` wrote."""
    return _copy_metadata(path) is not None


def _copy_metadata(path):
    """Returns what an annotated copy says of itself, or None if the file is another."""
    try:
        metadata = json.loads(read_comment(path) or "")
    except (VideoError, ValueError, RecursionError):
        return None
    is_own = isinstance(metadata, dict) and metadata.get("format") == COPY_FORMAT
    return metadata if is_own else None


def _copied_video(path):
    """Returns the name of the video that an annotated copy was made of, or None."""
    source = (_copy_metadata(path) or {}).get("source")
    return source.get("name") if isinstance(source, dict) else None


def _is_timeline(path):
    return _timeline_video(path) is not None


def _timeline_video(path):
    """Returns the name of the video that a timeline was made of; None of another file."""
    with open_regular(path) as file:
        start = file.read(MAX_TITLE)
    match = re.match(rb"<svg.*<title>([^<]*): from [0-9.]+ s ", start, re.DOTALL)
    return match and html.unescape(match[1].decode("utf-8", "replace"))


def write_annotated(prediction: VideoPrediction, path: Path) -> None:
    """Writes a copy of a video, at 25 frames per second, with its top classes drawn.

    It shows what the networks see: frames, flow, or for two streams frames beside flow. Of persons
    in boxes, frames show those of the nearest moment, up to half a second away. A copy of
    the same video with the same classes that is there already is kept: a stopped job goes on.

    Args:
        prediction: The prediction for the video.
        path: The .mp4 file to write; folders above it are made.

    Raises:
        VideoError: The video cannot be read, or the copy cannot be written.
        OSError: The folder cannot be made, or a copy is there that shows something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [f"{p.label}  {p.probability:.1%}" for p in prediction.top]
    algorithm = None if prediction.flow_engine is None else ALGORITHMS[prediction.flow_engine]
    metadata = {
        "format": COPY_FORMAT,
        "version": COPY_VERSION,
        "source": video_metadata(prediction.path),
        "stream": prediction.stream,
        "flow": algorithm,
        "classes": shown,
    }
    if prediction.persons:  # too many to be written out
        text = json.dumps([person.to_json() for person in prediction.persons])
        metadata["persons"] = hashlib.sha256(text.encode()).hexdigest()
    if os.path.lexists(path):
        found = _copy_metadata(path) or {"format": "another"}
        if difference := first_difference(found, metadata):
            raise FileExistsError(
                f"{path}: it exists and shows something else: {difference}. Name another place, or "
                "remove it."
            )
        return
    if prediction.persons:
        frames = _frames_with_persons(prediction)
        write_video(path, frames, FRAME_RATE, json.dumps(metadata))
        return
    lines = list(zip(shown, (p.probability for p in prediction.top), strict=True))
    if prediction.flow_engine is None:
        frames = read_frames(prediction.path, short_side=None)
    else:
        frames = flow_pictures(
            prediction.path, prediction.flow_engine, beside=prediction.stream == JOINT
        )
    write_video(path, annotate_frames(frames, lines), FRAME_RATE, json.dumps(metadata))


def _frames_with_persons(prediction):
    """Yields the frames of a video, each with the persons of the moment that is nearest to it."""
    by_time: dict[float, list] = {}
    for person in prediction.persons:
        lines = [(f"{k.label}  {k.probability:.0%}", k.probability) for k in person.top]
        by_time.setdefault(person.time, []).append((person.box, lines))
    times = np.array(sorted(by_time))
    for index, frame in enumerate(read_frames(prediction.path, short_side=None)):
        distances = np.abs(times - index / FRAME_RATE)
        nearest = int(distances.argmin())
        is_near = distances[nearest] <= MAX_DISTANCE
        yield annotate_boxes(frame, by_time[times[nearest]]) if is_near else frame


def flow_pictures(
    video: str | os.PathLike, flow_engine: str = "auto", beside: bool = False
) -> Iterator[np.ndarray]:
    """Computes the flow of a whole video and paints it, in the memory of the network's clip.

    The length of flow that gets the full colour is chosen from the frames that the network sees.

    Args:
        video: Path of the video.
        flow_engine: See `compute_flow`.
        beside: Whether the frames themselves are shown, to the left of their flow.

    Yields:
        uint8 RGB, (256, W, 3) or with W and 256 exchanged, or twice as wide: one a frame, at 25
        frames per second.

    Raises:
        VideoError: The video cannot be read.
    """
    engine = choose_engine(flow_engine)
    frames, copies = tee(read_frames(video))
    flow = flow_frames(copies, engine)
    first = list(islice(flow, TEST_FRAMES))
    scale = flow_scale(np.stack(first[::SCALE_STEP]))
    legend = wheel_legend(min(first[0].shape[:2]) // LEGEND_SHARE, scale, ALGORITHMS[engine])
    height, width, _ = legend.shape
    for frame, vectors in zip(frames, chain(first, flow), strict=True):
        picture = colour_flow(vectors, scale)
        picture[-height:, -width:] = legend
        yield np.hstack([frame, picture]) if beside else picture


def timeline_svg(prediction: VideoPrediction) -> Markup:
    """Draws the class probabilities of every window of a video over time.

    Args:
        prediction: The prediction for the video, with a timeline; classes that are not among the
            best of a window count as 0 there.
    """
    timeline = prediction.timeline
    names = list(dict.fromkeys(p.label for window in timeline for p in window.top))
    tops = [{p.label: p.probability for p in window.top} for window in timeline]
    probabilities = [[top.get(name, 0.0) for name in names] for top in tops]
    times = [(window.start, window.end) for window in timeline]
    title = Path(prediction.path).name
    return class_timeline_svg(np.array(times), np.array(probabilities), names, title)


def write_timeline(prediction: VideoPrediction, path: Path) -> None:
    """Writes the picture of `timeline_svg`.

    Args:
        prediction: See `timeline_svg`.
        path: The file to write; folders above it are made.

    Raises:
        OSError: It cannot be written.
    """
    svg = timeline_svg(prediction)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_text(f"{svg}\n", "utf-8")
