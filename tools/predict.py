"""Recognises actions in videos.

python tools/predict.py video.mp4
python tools/predict.py --stream=joint --top=3 clips/ 'more/*.avi'
python tools/predict.py --json clips/ > answers.jsonl
"""

import sys

from absl import app, flags

from i3d_tf.runs.console import one_line_errors, quiet_tensorflow

_STREAM = flags.DEFINE_enum("stream", "rgb", ("rgb", "flow", "joint"), "What the network sees.")
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", "checkpoints", "Where the weights are.")
_RGB = flags.DEFINE_string("rgb_weights", "rgb_imagenet", "Name of the RGB weights there.")
_FLOW = flags.DEFINE_string("flow_weights", "flow_imagenet", "Name of the flow weights there.")
_TOP = flags.DEFINE_integer("top", 5, "Classes to show of each video.", lower_bound=1)
_JSON = flags.DEFINE_bool("json", False, "Print one JSON record a line instead of tables.")
_ENGINE = flags.DEFINE_string("engine", "auto", "Optical flow engine, for flow and joint.")
_OUTPUT_VIDEO = flags.DEFINE_string(
    "output_video", None, "Write a copy with the top classes drawn: an .mp4 file, or a folder."
)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        quiet_tensorflow()
        from i3d_tf.runs.answering import answer_videos
        from i3d_tf.runs.predict import Predictor

        weights = {"rgb": _RGB.value, "flow": _FLOW.value}
        predictor = Predictor(_STREAM.value, weights, _CHECKPOINT_DIR.value, _ENGINE.value)
        failed = answer_videos(argv[1:], predictor, _TOP.value, _JSON.value, _OUTPUT_VIDEO.value)
        sys.exit(1 if failed else 0)


if __name__ == "__main__":
    app.run(main)
