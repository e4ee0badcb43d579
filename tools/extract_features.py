"""Extracts features of videos: one .npy, .npz or .h5 file for each, with times, for localization.

python tools/extract_features.py --output_dir=features videos/
python tools/extract_features.py --stream=joint --window=16 --stride=16 --output_dir=f videos/
python tools/extract_features.py --endpoint=Mixed_4f --pool=none --format=h5 --output_dir=f a.mp4
python tools/extract_features.py --shard=0/4 --output_dir=features videos/
python tools/extract_features.py --status --output_dir=features videos/
python tools/extract_features.py --boxes=persons.csv --output_dir=f videos/
python tools/extract_features.py --profile=thumos14 --output_dir=f videos/

Without --window the network runs over each whole video, with a row for every 8 frames. With it,
each window is a separate clip with one row. --profile fills the other flags as well-known public
feature files have it (docs/features.md). A stopped job goes on when it is run again.
"""

import sys

from absl import app, flags

from i3d_tf.specs import feature_profiles as choices
from i3d_tf.specs.streams import FLOW_ENGINES, STREAM_CHOICES
from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    CHECKPOINT_HELP,
    FED_ROUNDING_HELP,
    FORMER_FLAGS,
    LIST_HELP,
    check_file_names,
    one_line_errors,
    print_lines,
    quiet_tensorflow,
    refuse_flags_beside,
    refuse_flags_without,
)
from i3d_tf.system.flags import define_job_flags, define_video_flags

_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of the files.", required=True)
_PROFILE = flags.DEFINE_enum(
    "profile",
    None,
    tuple(choices.PROFILES),
    "Settings of public feature files; flags given beside it win. docs/features.md has a list.",
)
_STREAM = flags.DEFINE_enum(
    "stream", None, STREAM_CHOICES, "joint: RGB's features, then flow's, in one row. Default: rgb."
)
_FRAME_RATE = flags.DEFINE_string(
    "frame_rate", None, "Frames per second, or native: each frame of the file. Default: 25."
)
_SIZE = flags.DEFINE_string(
    "size",
    None,
    "Of frames, before they are cropped: 256 (short side), 226+ (short side at least), or 340x256 "
    "(width x height). Default: the network's, 256.",
)
_INTERPOLATION = flags.DEFINE_enum(
    "interpolation",
    None,
    choices.INTERPOLATIONS,
    "How frames are resized. Default: bilinear, as OpenCV.",
)
_GEOMETRY = flags.DEFINE_enum(
    "geometry",
    None,
    choices.GEOMETRIES,
    "center: crops of 224; resize: the whole frame squeezed to 224 x 224. Default: center.",
)
_CROPS = flags.DEFINE_integer(
    "crops", None, "1, the center; 5, with the corners; 10, with the mirrored ones. Default: 1."
)
_CROP_ORDER = flags.DEFINE_enum(
    "crop_order", None, choices.CROP_ORDERS, "Order of crops. Default: corners_first."
)
_MIRROR_FLOW = flags.DEFINE_enum(
    "mirror_flow",
    None,
    choices.MIRRORED_FLOWS,
    "Whether mirrored crops have horizontal flow of the other sign. Default: negate.",
)
_FLOW_ROUNDING = flags.DEFINE_enum(
    "flow_rounding", None, choices.FED_FLOW_ROUNDINGS, FED_ROUNDING_HELP
)
_VALUE_RANGE = flags.DEFINE_float(
    "value_range", None, "1: inputs within [-1, 1]; 0.5: within [-0.5, 0.5]. Default: 1."
)
_ENDPOINT = flags.DEFINE_string(
    "endpoint", None, "Which layer's output, by its name. Default: Mixed_5c."
)
_POOL = flags.DEFINE_enum(
    "pool",
    None,
    choices.POOLS,
    "head: as the network's head, 2x7x7 with stride 1, then over the time of a window; mean: all "
    "positions, and the time of a window; none. Default: head for windows of Mixed_5c, else mean.",
)
_WINDOW = flags.DEFINE_integer("window", None, "Frames of a clip for each row, at least 9.")
_STRIDE = flags.DEFINE_integer(
    "stride",
    None,
    "Frames from row to row. Without --window a multiple of the endpoint's own (8; rows are then "
    "means). Default: the endpoint's own; with --window, without overlap.",
)
_TAIL = flags.DEFINE_enum(
    "tail",
    None,
    choices.TAILS,
    "Frames behind the last whole window: dropped, or a window filled with the last frame, or "
    "with zeros. Default: drop.",
)
_SHORT = flags.DEFINE_enum(
    "short",
    None,
    choices.SHORT_VIDEOS,
    "Videos shorter than a window: counted as failed, looped, filled as by --tail, or no rows. "
    "Default: as --tail, else skip.",
)
_LOOKAHEAD = flags.DEFINE_integer(
    "lookahead", None, "Frames that must follow a window for it to count. Default: 0."
)
_KEEP_AXES = flags.DEFINE_bool(
    "keep_axes", None, "Rows of (1, 1, C) instead of (C). Default: false."
)
_FORMAT = flags.DEFINE_enum(
    "format",
    None,
    choices.FORMATS,
    "Format of the files; cmcs: .npz with `feature` (crops, rows, C). Default: npy.",
)
_CROP_LAYOUT = flags.DEFINE_enum(
    "crop_layout",
    None,
    choices.CROP_LAYOUTS,
    "Several crops: an axis behind the rows, a file each (__0, __1 ...), or their mean. "
    "Default: axis.",
)
_STREAM_LAYOUT = flags.DEFINE_enum(
    "stream_layout",
    None,
    choices.STREAM_LAYOUTS,
    "Both streams in one row, in files _rgb and _flow, or in folders RGB and Flow. "
    "Default: joined.",
)
_PREFIX = flags.DEFINE_string("prefix", None, "Start of the files' names, such as v_.")
_SUFFIX = flags.DEFINE_string("suffix", None, "End of the files' names, before the ending.")
_EXTRA_FILES = flags.DEFINE_string(
    "extra_files", None, "Further files: fps, timestamps_ms, or both with a comma."
)
_SETTINGS = (
    *(_STREAM, _FRAME_RATE, _SIZE, _INTERPOLATION, _GEOMETRY, _CROPS, _CROP_ORDER, _MIRROR_FLOW),
    *(_FLOW_ROUNDING, _VALUE_RANGE, _ENDPOINT, _POOL, _WINDOW, _STRIDE, _TAIL, _SHORT, _LOOKAHEAD),
    *(_KEEP_AXES, _FORMAT, _CROP_LAYOUT, _STREAM_LAYOUT, _PREFIX, _SUFFIX, _EXTRA_FILES),
)
_BOXES = flags.DEFINE_string(
    "boxes",
    None,
    "A row for each person, at the moments and in the boxes of this file: rows "
    "video,timestamp,x1,y1,x2,y2,action,person of any detector or annotation in AVA's form. The "
    "network is any I3D, or one of train --task=persons.",
)
_MIN_SCORE = flags.DEFINE_float(
    "min_score", None, "With --boxes: lowest score of a box, in its last column. Default: all."
)
_TIME_OFFSET = flags.DEFINE_float(
    "time_offset", 0.0, "With --boxes: seconds of the file at which the videos start, such as 900."
)
# Settings that have an effect with --boxes.
_WITH_BOXES = ("stream", "flow_rounding", "window", "format", "prefix", "suffix")
_RGB_CHECKPOINT = flags.DEFINE_string(
    "rgb_checkpoint", "rgb_imagenet", f"The RGB network: {CHECKPOINT_HELP}."
)
_FLOW_CHECKPOINT = flags.DEFINE_string(
    "flow_checkpoint", "flow_imagenet", f"The flow network: {CHECKPOINT_HELP}."
)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_FLOW_ENGINE = flags.DEFINE_enum(
    "flow_engine", "auto", FLOW_ENGINES, "Engine that computes optical flow."
)
_VIDEO = define_video_flags(flags)
_FLOW_DIR = flags.DEFINE_string("flow_dir", None, "Folder of flow files from compute_flow.py.")
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ("float32", "bfloat16"), "Precision of the networks."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Windows at once.")
_PROCESSES = flags.DEFINE_integer("processes", 1, "Videos at a time, each in its own process.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace files made with other settings.")
_LIST = flags.DEFINE_string("list", None, LIST_HELP)
_JOB = define_job_flags(flags)
flags.DEFINE_alias("rgb_weights", "rgb_checkpoint", module_name=FORMER_FLAGS)
flags.DEFINE_alias("flow_weights", "flow_checkpoint", module_name=FORMER_FLAGS)
flags.DEFINE_alias("engine", "flow_engine", module_name=FORMER_FLAGS)


def main(argv, runner=None):
    """Reads the flags and makes one call; tools/beam.py gives a runner of the job."""
    with one_line_errors():
        from i3d_tf.features.extract_features import extract_feature_files, feature_status
        from i3d_tf.features.file_layout import settings_layout
        from i3d_tf.features.options import settings_options
        from i3d_tf.system.shards import parse_shard
        from i3d_tf.video.frame_folder import set_reading

        shard = parse_shard(_JOB.shard.value)
        _JOB.check()
        given = {flag.name: flag.value for flag in _SETTINGS}
        settings, use = choices.resolve_settings(_PROFILE.value, given)
        if _JOB.status.value:
            layout = settings_layout(settings)
            status = feature_status(argv[1:], _OUTPUT_DIR.value, layout, _LIST.value, shard)
            print_lines(*status.lines(_JOB.json.value))
            sys.exit(0 if status.is_done else 1)
        set_reading(**_VIDEO.values())
        if _BOXES.value is not None:
            options = _person_options()
        else:
            refuse_flags_without(_BOXES, (_MIN_SCORE, _TIME_OFFSET))
            options = settings_options(
                settings,
                use,
                rgb_checkpoint=_RGB_CHECKPOINT.value,
                flow_checkpoint=_FLOW_CHECKPOINT.value,
                checkpoint_dir=_CHECKPOINT_DIR.value,
                flow_engine=_FLOW_ENGINE.value,
                precision=_PRECISION.value,
                batch_size=_BATCH_SIZE.value,
            )
        layout = settings_layout(settings)
        if use is not None:
            print_lines(*choices.profile_lines(settings, use))
        quiet_tensorflow()
        report = extract_feature_files(
            argv[1:],
            _OUTPUT_DIR.value,
            options,
            flow_dir=_FLOW_DIR.value,
            processes=_PROCESSES.value,
            overwrite=_OVERWRITE.value,
            list_file=_LIST.value,
            shard=shard,
            layout=layout,
            runner=runner,
        )
        print_lines(report.line())
        sys.exit(1 if report.failed else 0)


def _person_options():
    """Returns the options of features of persons in boxes."""
    from i3d_tf.features.person_extractor import PersonFeatureOptions

    others = [flag for flag in _SETTINGS if flag.name not in _WITH_BOXES]
    refuse_flags_beside(_BOXES, (_PROFILE, *others, _FLOW_DIR, _BATCH_SIZE))
    stream = _STREAM.value or "rgb"
    return PersonFeatureOptions(
        _BOXES.value,
        (_FLOW_CHECKPOINT if stream == "flow" else _RGB_CHECKPOINT).value,
        _CHECKPOINT_DIR.value,
        _WINDOW.value,
        _MIN_SCORE.value,
        _TIME_OFFSET.value,
        _PRECISION.value,
        stream,
        _FLOW_ENGINE.value,
        _FLOW_ROUNDING.value,
    )


if __name__ == "__main__":
    app.run(main, flags_parser=lambda argv: app.parse_flags_with_usage(check_file_names(argv)))
