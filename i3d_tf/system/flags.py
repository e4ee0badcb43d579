"""Flags that several tools have, each with its default and its help text.

Every function takes the module `absl.flags` from the tool, since the package does not import it.
It returns absl's FlagHolders, and --help lists the flags as those of the tool.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    CHECKPOINT_HELP,
    SHARD_HELP,
    STATUS_HELP,
    STATUS_JSON_HELP,
    refuse_flags_beside,
)


class VideoFlags(NamedTuple):
    """Flags of how videos are read, see `i3d_tf.video.frame_folder.set_reading`."""

    folder_rate: Any
    damaged: Any
    deinterlace: Any
    pixel_aspect: Any

    def values(self) -> dict[str, Any]:
        """Returns the values by the names of the flags."""
        return {flag.name: flag.value for flag in self}


class FlowFlags(NamedTuple):
    """Flags of stored flow, and of its computation where it is missing."""

    flow_dir: Any
    flow_engine: Any
    flow_rounding: Any


class NetworkFlags(NamedTuple):
    """Flags of one network of any stream, or of one of each stream, whose logits are added."""

    checkpoint: Any
    rgb_checkpoint: Any
    flow_checkpoint: Any
    checkpoint_dir: Any

    def by_stream(self) -> dict[str, str | None]:
        """Returns the networks that were named for a stream.

        Raises:
            ValueError: One network of any stream was named, too.
        """
        if self.checkpoint.value is not None:
            refuse_flags_beside(self.checkpoint, (self.rgb_checkpoint, self.flow_checkpoint))
        return {"rgb": self.rgb_checkpoint.value, "flow": self.flow_checkpoint.value}


class JobFlags(NamedTuple):
    """Flags of jobs that several machines share."""

    shard: Any
    status: Any
    json: Any

    def check(self) -> None:
        """Checks that a record is asked for together with what it records.

        Raises:
            ValueError: It is not.
        """
        if self.json.value and not self.status.value:
            raise ValueError("--json needs --status, which it prints as a record.")


def define_video_flags(flags: ModuleType) -> VideoFlags:
    """Defines the flags of how videos are read."""
    flags.disclaim_key_flags()
    return VideoFlags(
        define_folder_rate(flags),
        flags.DEFINE_enum(
            "damaged",
            None,
            ("refuse", "conceal"),
            "Damaged videos: refused, or shown as far as they decode, with a count. Default: "
            "refuse.",
        ),
        flags.DEFINE_bool("deinterlace", None, "Deinterlace interlaced videos."),
        flags.DEFINE_bool("pixel_aspect", None, "Stretch pixels that are not square to squares."),
    )


def define_folder_rate(flags: ModuleType) -> Any:
    """Defines the flag of the frame rate of folders of pictures."""
    flags.disclaim_key_flags()
    return flags.DEFINE_float(
        "folder_rate", None, "Frames per second of folders of pictures. Default: 25."
    )


def define_flow_flags(
    flags: ModuleType,
    engines: Sequence[str],
    roundings: Sequence[str],
    folder_help: str = "Folder of flow files, read or written. Default: <data_dir>/flow.",
) -> FlowFlags:
    """Defines the flags of stored flow.

    Args:
        flags: `absl.flags`.
        engines: Choices of the engine, of which "auto" is the default.
        roundings: Choices of the rounding.
        folder_help: Help text of the folder.
    """
    flags.disclaim_key_flags()
    return FlowFlags(
        flags.DEFINE_string("flow_dir", None, folder_help),
        flags.DEFINE_enum("flow_engine", "auto", engines, "Engine that computes missing flow."),
        flags.DEFINE_enum(
            "flow_rounding",
            None,
            roundings,
            "Rounding of flow files; deepmind is what the releases were trained on. Default: "
            "nearest.",
        ),
    )


def define_protocol_flags(flags: ModuleType, crop_sets: Sequence[str]) -> tuple[Any, ...]:
    """Defines the flags of a test protocol's fields.

    Values that are not given stay as the networks have them.

    Args:
        flags: `absl.flags`.
        crop_sets: Choices of the places of crops.
    """
    flags.disclaim_key_flags()
    return (
        flags.DEFINE_integer("frames", None, "Frames of a clip."),
        flags.DEFINE_float("frame_rate", None, "Frames per second after resampling."),
        flags.DEFINE_integer("short_side", None, "Pixels, after resizing."),
        flags.DEFINE_integer("crop_size", None, "Pixels, side of the square input."),
        flags.DEFINE_integer("windows", None, "Clips of a video, spread evenly in time."),
        flags.DEFINE_integer("segments", None, "Snippets of a clip, of --frames each."),
        flags.DEFINE_integer("crops", None, "Crops of a clip."),
        flags.DEFINE_enum(
            "crop_set",
            None,
            crop_sets,
            "Places of the crops: spread along the longer side; or the corners and the center (5), "
            "and their mirror images (10).",
        ),
        flags.DEFINE_integer("rgb_step", None, "RGB gets one of so many frames of a clip."),
    )


def define_network_flags(flags: ModuleType) -> NetworkFlags:
    """Defines the flags of networks whose logits are added."""
    flags.disclaim_key_flags()
    return NetworkFlags(
        flags.DEFINE_string(
            "checkpoint", None, f"One network, whatever its stream: {CHECKPOINT_HELP}."
        ),
        flags.DEFINE_string("rgb_checkpoint", None, f"The RGB network: {CHECKPOINT_HELP}."),
        flags.DEFINE_string(
            "flow_checkpoint", None, "The flow network; logits of two networks are added."
        ),
        flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP),
    )


def define_job_flags(flags: ModuleType) -> JobFlags:
    """Defines the flags of jobs that several machines share."""
    flags.disclaim_key_flags()
    return JobFlags(
        flags.DEFINE_string("shard", None, SHARD_HELP),
        flags.DEFINE_bool("status", False, STATUS_HELP),
        flags.DEFINE_bool("json", False, STATUS_JSON_HELP),
    )


def define_annotation(flags: ModuleType) -> Any:
    """Defines the flag of a dataset's annotation."""
    flags.disclaim_key_flags()
    return flags.DEFINE_string(
        "annotation", None, "Annotation file of the dataset, or the folder of its files."
    )


def define_quarantine(flags: ModuleType) -> Any:
    """Defines the flag of the videos that are left out."""
    flags.disclaim_key_flags()
    return flags.DEFINE_string(
        "quarantine", None, "List of videos to leave out, from tools/check_videos.py."
    )


def define_input_processes(flags: ModuleType) -> Any:
    """Defines the flag of the processes that decode clips."""
    flags.disclaim_key_flags()
    return flags.DEFINE_integer(
        "input_processes",
        None,
        "Processes that decode the videos; such as one per processor, for a GPU that waits for its "
        "input. Default: none, but threads of this process.",
        lower_bound=1,
    )
