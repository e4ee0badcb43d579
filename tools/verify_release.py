"""Checks converted weights against the output that DeepMind published for its sample clip.

python tools/verify_release.py --download
"""

from absl import app, flags

from i3d_tf.specs.releases import UPSTREAM_URL
from i3d_tf.specs.streams import STREAM_CHOICES
from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    one_line_errors,
    print_lines,
    quiet_tensorflow,
    refuse_arguments,
)

_STREAMS = flags.DEFINE_list("streams", list(STREAM_CHOICES), "Streams to compare.")
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_SAMPLE_DIR = flags.DEFINE_string(
    "sample_dir",
    None,
    "Folder of v_CricketShot_g04_c01_{rgb,flow}.npy. Default: upstream, in the cache.",
)
_DOWNLOAD = flags.DEFINE_bool(
    "download", False, "Download the arrays (48 and 32 MB) and verify them."
)
_BASE_URL = flags.DEFINE_string(
    "base_url", UPSTREAM_URL, "URL below which --download finds `data/`."
)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        from i3d_tf.zoo.verify_release import verify_release

        lines = verify_release(
            _STREAMS.value,
            checkpoint_dir=_CHECKPOINT_DIR.value,
            sample_dir=_SAMPLE_DIR.value,
            download=_DOWNLOAD.value,
            base_url=_BASE_URL.value,
        )
        print_lines(*lines)
        print("Norm and top 20 agree with the published output.")


if __name__ == "__main__":
    app.run(main)
