"""The flow of a dataset: files, computed in one visible pass and then only read, or folders."""

import contextlib
import math
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from i3d_tf.flow.compute import compute_flow
from i3d_tf.flow.compute_files import compute_flow_files
from i3d_tf.flow.engines import ALGORITHMS, choose_engine
from i3d_tf.flow.flow_file import SUFFIX, StoredFlow, open_flow_file, source_name
from i3d_tf.flow.flow_folder import FlowFolder, check_source, find_flow, open_flow
from i3d_tf.flow.quantize import quantize
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.streams import BOTH, FRAME_RATE, SHORT_SIDE
from i3d_tf.system.console import print_lines, progress_bar
from i3d_tf.system.jobs import SOURCE
from i3d_tf.system.storage import FileState, file_state
from i3d_tf.video.decode import count_frames, read_clip, read_watched
from i3d_tf.video.errors import VideoError
from i3d_tf.video.names import assign_outputs, output_path
from i3d_tf.video.probe import probe
from i3d_tf.video.transforms import resize_short_side, resized_shape

CHECK_THREADS = 8  # which wait for the disk, most of the time


class FlowStore:
    """One flow file for each video of a dataset, in a folder; or a folder of pictures.

    `compute_missing` makes missing files; `open` only reads.

    Args:
        flow_dir: Folder of the flow files.
        protocol: Frame rate, short side and direction of the flow.
        data_dir: Folder of the videos, whose structure is kept in `flow_dir`; None puts all flow
            files into `flow_dir` itself.
        engine: Engine that computes flow, see `i3d_tf.flow.engines.choose_engine`.
        rounding: How codes are rounded and unpacked, see `i3d_tf.flow.quantize`; None means to the
            nearest, and files as they were rounded.

    Attributes:
        failures: Videos whose flow could not be computed, path to reason.

    Raises:
        ValueError: `flow_dir` is None.
    """

    def __init__(
        self,
        flow_dir: os.PathLike | str | None,
        protocol: Protocol,
        data_dir: os.PathLike | str | None = None,
        engine: str = "auto",
        rounding: str | None = None,
    ):
        if flow_dir is None:
            raise ValueError("`flow_dir` must be given for flow; received None.")
        self.failures: dict[str, str] = {}
        self._checked: dict[str, tuple[FileState | None, dict]] = {}
        self._flow_dir = flow_dir
        self._data_dir = data_dir
        self._protocol = protocol
        self._engine = engine
        self._rounding = rounding

    def path(self, video: os.PathLike | str) -> Path:
        """Returns the path of a video's flow, which need not exist; see `find_flow`."""
        return find_flow(video, self._flow_dir, self._data_dir)

    def _possible_path(self, video, keeps_ending):
        if not keeps_ending:
            return self.path(video)
        return output_path(video, self._flow_dir, SUFFIX, self._data_dir, keeps_ending=True)

    def compute_missing(self, videos: Iterable[str], processes: int | None = None):
        """Computes missing flow files, prints their number, and shows a progress bar.

        A video that cannot be read is reported on stderr and kept in `failures`; the others are
        finished. Stopped and run again, it computes the files that are left.

        Args:
            videos: Paths; repeated ones are computed once.
            processes: Videos at a time, see `compute_flow_files`.

        Raises:
            ValueError: Two videos would share a flow file, a flow file is that of another video, or
                backward flow is needed and a file has none.
            OSError: A flow file cannot be written.
        """
        paths = assign_outputs(
            dict.fromkeys(videos), self._possible_path, "Rename one.", source_name
        )
        missing = [video for video, path in paths.items() if not os.path.exists(path)]
        self._check_folders(paths.values())
        self._check_sources({v: path for v, path in paths.items() if os.path.isfile(path)})
        if not missing:
            return
        engine = choose_engine(self._engine)
        kept = len(paths) - len(missing)
        print_lines(
            f"{self._flow_dir}: computing flow by {engine} for {len(missing)} videos, {kept} "
            "already there"
        )
        report = compute_flow_files(
            missing,
            self._flow_dir,
            self._data_dir,
            engine=engine,
            frame_rate=self._protocol.frame_rate,
            short_side=self._protocol.short_side,
            processes=processes,
            rounding=self._rounding or "nearest",
            direction=self._protocol.flow_direction,
        )
        self.failures |= dict(report.failed)
        print_lines(f"{self._flow_dir}: {report.computed} computed, {len(report.failed)} failed")

    def _check_folders(self, paths):
        """Checks that there is no folder of pictures where backward flow is needed."""
        if self._protocol.flow_direction == BOTH:
            for path in paths:
                if os.path.isdir(path):
                    raise ValueError(f"{path}: {self._no_backward()}.")

    def _check_sources(self, paths):
        """Checks that flow files hold what is needed, before hours are spent on others."""

        def check(item):
            video, path = item
            try:
                flow = open_flow_file(path)
            except VideoError:
                return None  # as `open` says
            try:
                self._check_direction(flow)
                self._check_source(flow, video)
            except VideoError as error:
                return error
            return None

        wrong = []
        pool = ThreadPoolExecutor(CHECK_THREADS)
        try:
            with progress_bar() as bar:
                task = bar.add_task("looking at the flow files", total=len(paths))
                for error in pool.map(check, paths.items()):
                    wrong += [] if error is None else [error]
                    bar.advance(task)
        finally:
            pool.shutdown(cancel_futures=True)  # else Ctrl-C would wait for all files
        if wrong:
            more = f" It is so of {len(wrong) - 1} more of {len(paths)}."
            count = more if len(wrong) > 1 else ""
            raise ValueError(f"{wrong[0].path}: {wrong[0].reason}.{count}")

    def open(self, video: str) -> StoredFlow:
        """Opens the flow of a video.

        Raises:
            VideoError: The file is missing, cannot be read, or was made of another video, at
                another frame rate or size, by another algorithm than the engine's, or with another
                rounding; or it has no backward flow, which is needed.
        """
        path = self.path(video)
        if not os.path.exists(path):
            raise VideoError(video, self.failures.get(video, f"its flow file {path} is missing"))
        flow = open_flow(path, self._rounding)
        if isinstance(flow, FlowFolder):
            self._check_folder(flow)
        else:
            self._check_metadata(path, flow.metadata)
            self._check_source(flow, video)
        self._check_direction(flow)
        return flow

    def _check_direction(self, flow):
        if self._protocol.flow_direction == BOTH and not flow.has_backward:
            raise VideoError(flow.path, self._no_backward())

    def _no_backward(self):
        protocol, data_dir = self._protocol, self._data_dir
        command = [
            "i3d compute_flow --direction=both --overwrite",
            *([] if data_dir is None else [f"--data_dir={data_dir}"]),
            f"--flow_dir={self._flow_dir}",
            *(["--flow_engine=dis"] if self._engine == "dis" else []),
            *([] if self._rounding is None else [f"--rounding={self._rounding}"]),
            *_unusual("frame_rate", protocol.frame_rate, FRAME_RATE),
            *_unusual("short_side", protocol.short_side, SHORT_SIDE),
        ]
        return (
            "it has forward flow alone, and bi-directional flow is needed; compute both: "
            f"{' '.join(command)}, or name another folder for the flow"
        )

    def _check_source(self, flow, video):
        """Checks once that a flow file was made of a video, while neither changes."""
        with contextlib.suppress(OSError):  # such as a video that is not on this machine
            state = file_state(video) if "://" not in video else None
            key = (state, flow.metadata[SOURCE])
            if self._checked.get(video) == key:
                return
            check_source(flow, video)
            self._checked[video] = key

    def _check_folder(self, flow):
        rate, side = self._protocol.frame_rate, self._protocol.short_side
        found = flow.metadata["frame_rate"], flow.metadata["short_side"]
        if not math.isclose(found[0], rate, rel_tol=1e-6) or found[1] != side:
            raise VideoError(
                flow.path,
                f"its flow is of {found[0]:g} frames per second and short side {found[1]}, and "
                f"{rate:g} and {side} are needed; give its rate by --folder_rate, or name another "
                "folder for the flow",
            )

    def _check_metadata(self, path, metadata):
        rate, side = self._protocol.frame_rate, self._protocol.short_side
        algorithm = ALGORITHMS[choose_engine(self._engine)]
        same_rate = math.isclose(metadata["frame_rate"], rate, rel_tol=1e-6)
        if not same_rate or (metadata["short_side"], metadata["algorithm"]) != (side, algorithm):
            raise VideoError(
                str(path),
                f"made by {metadata['algorithm']} at {metadata['frame_rate']:g} frames per second "
                f"and short side {metadata['short_side']}, not by {algorithm} at {rate:g} and "
                f"{side}; name another folder for the flow",
            )


class JoinedFlowStore:
    """The flow of several datasets.

    Args:
        stores: Path of each video to the store of its dataset.
    """

    def __init__(self, stores: Mapping[str, FlowStore]):
        self._stores = stores

    def open(self, video: str) -> StoredFlow:
        """Opens the flow of a video; see `FlowStore.open`."""
        return self._stores[video].open(video)


class ComputedFlowStore:
    """The flow of videos, computed in memory whenever it is read; the same as that of flow files.

    Args:
        protocol: Frame rate and short side of the flow.
        engine: See `FlowStore`.
        rounding: How its codes are rounded and unpacked; None means to the nearest.
    """

    def __init__(self, protocol: Protocol, engine: str = "auto", rounding: str | None = None):
        self._protocol, self._rounding = protocol, rounding or "nearest"
        self._engine = choose_engine(engine)

    def open(self, video: str) -> StoredFlow:
        """Returns the flow of a video, of which nothing is computed yet.

        Raises:
            VideoError: The video cannot be read.
        """
        return _ComputedFlow(video, self._protocol, self._engine, self._rounding)


class _ComputedFlow(StoredFlow):
    def __init__(self, path, protocol, engine, rounding):
        info = probe(path)
        self.path, self.rounding, self.metadata = os.fspath(path), rounding, {}
        self.height, self.width = resized_shape(info.height, info.width, protocol.short_side)
        self.frames = count_frames(path, protocol.frame_rate)
        self._protocol, self._engine = protocol, engine

    def _read_codes(self, start, stop, is_backward):
        rate, short_side = self._protocol.frame_rate, self._protocol.short_side
        last = start == self.frames - 1 and start > 0  # its flow is that of the frame before
        first = start - last
        frames = read_watched(
            self.path,
            lambda: read_clip(
                self.path,
                rate,
                first / rate,
                (stop + 1) / rate,
                change=lambda frame: resize_short_side(frame[np.newaxis], short_side)[0],
            ),
        )
        wanted = stop - first
        next_frame = frames[wanted] if len(frames) > wanted else None
        flow = compute_flow(frames[:wanted], self._engine, next_frame=next_frame)
        return quantize(flow, self.rounding)[int(last) :]


def _unusual(name, value, default):
    return [] if value == default else [f"--{name}={value:g}"]
