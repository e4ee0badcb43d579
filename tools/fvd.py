"""Computes the Fréchet video distance (FVD) between real and generated videos.

python tools/fvd.py --real=real/ --generated=generated/
python tools/fvd.py --real=real/ --save_statistics=real.npz
python tools/fvd.py --real=real.npz --generated='samples/*.mp4' --generated=more.npy --interval

Each set is videos, folders, patterns, or .npy and .npz files of clips, uint8 (N, T, H, W, 3); to
name several, repeat the flag. Every video is one clip, its first frames.
"""

import sys

from absl import app, flags

from i3d_tf.specs.streams import CROP_SIZE
from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    CHECKPOINT_HELP,
    FORMER_FLAGS,
    one_line_errors,
    quiet_tensorflow,
    refuse_arguments,
)

_REAL = flags.DEFINE_multi_string("real", [], "Reference videos, or a file of statistics.")
_GENERATED = flags.DEFINE_multi_string(
    "generated", [], "Generated videos, or a file of statistics."
)
_SAVE = flags.DEFINE_string(
    "save_statistics", None, "Write the statistics of --real to this .npz, for use as --real."
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", "rgb_imagenet", f"The RGB network: {CHECKPOINT_HELP}."
)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_FEATURES = flags.DEFINE_enum(
    "features", "logits", ("logits", "pooled"), "The network's output, or the input of its head."
)
_FRAMES = flags.DEFINE_integer("frames", 16, "Frames of a clip, at least 9.")
_FRAME_RATE = flags.DEFINE_float(
    "frame_rate", None, "Frames per second after resampling. Default: no resampling."
)
_SIZE = flags.DEFINE_integer("size", CROP_SIZE, "Pixels; frames become squares of this side.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Clips at once.")
_INTERVAL = flags.DEFINE_bool(
    "interval", False, "Add a confidence interval, by subsampling; keeps all features."
)
_CONFIDENCE = flags.DEFINE_float("confidence", 0.95, "Confidence of the interval.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the interval's subsamples.", lower_bound=0)
_JSON = flags.DEFINE_bool("json", False, "Print a JSON record.")
flags.DEFINE_alias("weights", "checkpoint", module_name=FORMER_FLAGS)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        from i3d_tf.features.fvd import FvdOptions, frechet_video_distance, print_result
        from i3d_tf.features.fvd_clips import ClipConfig

        options = FvdOptions(
            real=tuple(_REAL.value),
            generated=tuple(_GENERATED.value),
            checkpoint=_CHECKPOINT.value,
            checkpoint_dir=_CHECKPOINT_DIR.value,
            config=ClipConfig(_FRAMES.value, _FRAME_RATE.value, _SIZE.value, _FEATURES.value),
            batch_size=_BATCH_SIZE.value,
            save_statistics=_SAVE.value,
            interval=_INTERVAL.value,
            confidence=_CONFIDENCE.value,
            seed=_SEED.value,
        )
        sys.exit(1 if print_result(frechet_video_distance(options), _JSON.value) else 0)


if __name__ == "__main__":
    app.run(main)
