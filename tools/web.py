"""Shows a page in the browser, on which networks classify and compare videos.

python tools/web.py
python tools/web.py --checkpoint=runs/mine --port=8000
python tools/web.py --rgb_checkpoint=rgb_imagenet --flow_checkpoint=flow_imagenet
curl --data-binary @clip.mp4 'http://127.0.0.1:7860/api/predict?name=clip.mp4'

Only this machine can open it, unless --host says otherwise. docs/web.md has the JSON interface.
"""

from absl import app, flags

from i3d_tf.specs.streams import FLOW_ENGINES
from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    CHECKPOINT_HELP,
    one_line_errors,
    quiet_tensorflow,
    refuse_arguments,
)

_CHECKPOINT = flags.DEFINE_multi_string(
    "checkpoint", [], f"A further network to choose, whatever its stream: {CHECKPOINT_HELP}."
)
_RGB_CHECKPOINT = flags.DEFINE_string(
    "rgb_checkpoint", None, f"An RGB network, added to --flow_checkpoint: {CHECKPOINT_HELP}."
)
_FLOW_CHECKPOINT = flags.DEFINE_string(
    "flow_checkpoint", None, f"A flow network, added to --rgb_checkpoint: {CHECKPOINT_HELP}."
)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_FLOW_ENGINE = flags.DEFINE_enum(
    "flow_engine", "auto", FLOW_ENGINES, "Engine that computes optical flow."
)
_HOST = flags.DEFINE_string(
    "host",
    "127.0.0.1",
    "Address to listen at. 0.0.0.0 lets other machines use the page; there is no password.",
)
_PORT = flags.DEFINE_integer("port", 7860, "Port to listen at; 0 is any that is free.")
_MAX_MEGABYTES = flags.DEFINE_float("max_megabytes", 100, "Size of the largest video file.")
_MAX_SECONDS = flags.DEFINE_float("max_seconds", 60, "Duration of the longest video.")
_MAX_VIDEOS = flags.DEFINE_integer("max_videos", 64, "Videos of the largest set.")


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        from i3d_tf.web.serve import WebOptions, serve
        from i3d_tf.web.uploads import Limits

        serve(
            WebOptions(
                host=_HOST.value,
                port=_PORT.value,
                checkpoints=tuple(_CHECKPOINT.value),
                rgb_checkpoint=_RGB_CHECKPOINT.value,
                flow_checkpoint=_FLOW_CHECKPOINT.value,
                checkpoint_dir=_CHECKPOINT_DIR.value,
                flow_engine=_FLOW_ENGINE.value,
                limits=Limits(_MAX_MEGABYTES.value, _MAX_SECONDS.value, _MAX_VIDEOS.value),
            )
        )


if __name__ == "__main__":
    app.run(main)
