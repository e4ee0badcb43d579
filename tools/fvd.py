"""Computes the Fréchet video distance (FVD) between real and generated videos, or the kernel one.

python tools/fvd.py --real=real/ --generated=generated/
python tools/fvd.py --real=real/ --generated=generated/ --protocol=styleganv
python tools/fvd.py --real=real/ --save_statistics=real.npz
python tools/fvd.py --real=real.npz --generated='samples/*.mp4' --generated=more.npy --interval
python tools/fvd.py --real=real/ --generated=generated/ --kvd --json
python tools/fvd.py --self_check

Each set is videos, folders of numbered .jpg or .png frames, folders of either, patterns, or .npy
and .npz files of clips (--axes, --value_range); to name several, repeat the flag. The protocol says
which frames of a video are its clip, and how they are resized; flags override parts of it.
docs/fvd.md compares the protocols.
"""

import json
import sys

from absl import app, flags

from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    CHECKPOINT_HELP,
    FORMER_FLAGS,
    one_line_errors,
    print_lines,
    quiet_tensorflow,
    refuse_arguments,
    refuse_flags_beside,
)
from i3d_tf.system.flags import define_video_flags

_REAL = flags.DEFINE_multi_string("real", [], "Reference videos, or a file of statistics.")
_GENERATED = flags.DEFINE_multi_string(
    "generated", [], "Generated videos, or a file of statistics."
)
_SAVE = flags.DEFINE_string(
    "save_statistics", None, "Write the statistics of --real to this .npz, for use as --real."
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", "rgb_scratch", f"The RGB network: {CHECKPOINT_HELP}."
)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_PROTOCOL = flags.DEFINE_enum(
    "protocol",
    "original",
    ("original", "styleganv", "videogpt", "version_0_1"),
    "Frames, resize, features and covariance; the other flags override parts of it.",
)
_FEATURES = flags.DEFINE_enum(
    "features", None, ("logits", "pooled"), "The network's output, or the input of its head."
)
_FRAMES = flags.DEFINE_integer(
    "frames", None, "Frames of a clip, at least 9. Default: all (styleganv: 16)."
)
_FRAME_RATE = flags.DEFINE_float(
    "frame_rate", None, "Frames per second after resampling. Default: no resampling."
)
_VIDEO = define_video_flags(flags)
_FRAME_STEP = flags.DEFINE_integer("frame_step", None, "Take every n-th frame. Default: 1.")
_CLIPS = flags.DEFINE_enum(
    "clips", None, ("first", "random", "sliding"), "Frames of a video that make its clips."
)
_CLIPS_PER_VIDEO = flags.DEFINE_integer(
    "clips_per_video", None, "Clips of each video. Default: 1; sliding: as many as there are."
)
_SIZE = flags.DEFINE_integer("size", None, "Pixels; side of the square frames. Default: 224.")
_RESIZE = flags.DEFINE_enum(
    "resize",
    None,
    ("tensorflow1", "half_pixel", "short_side", "opencv"),
    "Resizing by TensorFlow 1's pixel centers, by today's, with the aspect kept, or rounded.",
)
_COVARIANCE = flags.DEFINE_enum(
    "covariance", None, ("unbiased", "biased"), "Divided by N - 1, or by N."
)
_AXES = flags.DEFINE_enum(
    "axes", "NTHWC", ("NTHWC", "NCTHW", "NTCHW"), "Axes of .npy and .npz clips; C is 1 or 3."
)
_VALUE_RANGE = flags.DEFINE_enum(
    "value_range", None, ("0..1", "-1..1", "0..255"), "Range of float .npy and .npz clips."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Clips at once.")
_KVD = flags.DEFINE_bool(
    "kvd", False, "Add the kernel distance (KVD); keeps all features, takes no statistics."
)
_INTERVAL = flags.DEFINE_bool(
    "interval", False, "Add a confidence interval, by subsampling; keeps all features."
)
_CONFIDENCE = flags.DEFINE_float("confidence", 0.95, "Confidence of the interval.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of random clips and of the interval.", lower_bound=0)
_JSON = flags.DEFINE_bool("json", False, "Print a JSON record.")
_SELF_CHECK = flags.DEFINE_flag(
    flags.Flag(
        flags.EnumParser(("true", "false", "quick")),
        flags.ArgumentSerializer(),
        "self_check",
        "false",
        "Print check values beside published ones; =quick leaves out those that take minutes.",
        boolean=True,
    )
)
flags.DEFINE_alias("weights", "checkpoint", module_name=FORMER_FLAGS)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        if _SELF_CHECK.value != "false":
            sys.exit(_print_check_values(_SELF_CHECK.value == "quick"))
        from i3d_tf.features.fvd import FvdOptions, frechet_video_distance, print_result
        from i3d_tf.features.fvd_protocol import clip_config
        from i3d_tf.features.npy_clips import ArrayLayout
        from i3d_tf.video.frame_folder import set_reading

        set_reading(**_VIDEO.values())
        config = clip_config(
            _PROTOCOL.value,
            frames=_FRAMES.value,
            frame_rate=_FRAME_RATE.value,
            size=_SIZE.value,
            features=_FEATURES.value,
            resize=_RESIZE.value,
            clips=_CLIPS.value,
            frame_step=_FRAME_STEP.value,
            clips_per_video=_CLIPS_PER_VIDEO.value,
            covariance=_COVARIANCE.value,
        )
        options = FvdOptions(
            real=tuple(_REAL.value),
            generated=tuple(_GENERATED.value),
            checkpoint=_CHECKPOINT.value,
            checkpoint_dir=_CHECKPOINT_DIR.value,
            config=config,
            layout=ArrayLayout(_AXES.value, _VALUE_RANGE.value),
            batch_size=_BATCH_SIZE.value,
            save_statistics=_SAVE.value,
            kvd=_KVD.value,
            interval=_INTERVAL.value,
            confidence=_CONFIDENCE.value,
            seed=_SEED.value,
        )
        sys.exit(1 if print_result(frechet_video_distance(options), _JSON.value) else 0)


def _print_check_values(quick):
    """Prints the check values one by one; returns 1 if one is off."""
    from i3d_tf.features.fvd_self_check import HEADER, check_values

    refuse_flags_beside(_SELF_CHECK, (_REAL, _GENERATED, _SAVE, _CHECKPOINT, _PROTOCOL))
    if not _JSON.value:
        print_lines(HEADER)
    values = []
    for value in check_values(quick, _CHECKPOINT_DIR.value):
        values.append(value)
        print_lines(json.dumps(value.as_json()) if _JSON.value else value.line())
    return 0 if all(value.is_met for value in values) else 1


if __name__ == "__main__":
    app.run(main)
