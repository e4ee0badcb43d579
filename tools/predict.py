"""Recognises actions in videos.

python tools/predict.py video.mp4
python tools/predict.py --stream=joint --top=3 clips/ 'more/*.avi'
python tools/predict.py --json clips/ > answers.jsonl
python tools/predict.py --window=64 --timeline_dir=timelines long.mp4
python tools/predict.py --saved_model=exports/rgb video.mp4
"""

import sys

from absl import app, flags

from i3d_tf.system.console import one_line_errors, quiet_tensorflow, refuse_flags_beside

_STREAM = flags.DEFINE_enum("stream", "rgb", ("rgb", "flow", "joint"), "What the network sees.")
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", "checkpoints", "Where the weights are.")
_RGB = flags.DEFINE_string("rgb_weights", "rgb_imagenet", "Name of the RGB weights there.")
_FLOW = flags.DEFINE_string("flow_weights", "flow_imagenet", "Name of the flow weights there.")
_JOINT = flags.DEFINE_string(
    "joint_weights", None, "Name of one network that sees both streams, instead of these two."
)
_SAVED_MODEL = flags.DEFINE_string(
    "saved_model", None, "An exported folder (see tools/export.py), instead of weights."
)
_TOP = flags.DEFINE_integer("top", 5, "Classes to show of each video.", lower_bound=1)
_JSON = flags.DEFINE_bool("json", False, "Print one JSON record a line instead of tables.")
_ENGINE = flags.DEFINE_string("engine", "auto", "Optical flow engine, for flow and joint.")
_PRECISION = flags.DEFINE_enum("precision", "float32", ("float32", "bfloat16"), "Arithmetic.")
_WINDOW = flags.DEFINE_integer(
    "window", None, "Frames: answer the whole video, and every window of it.", lower_bound=1
)
_TIMELINE_DIR = flags.DEFINE_string(
    "timeline_dir", None, "With --window: where a picture of what was seen when goes."
)
_OUTPUT_VIDEO = flags.DEFINE_string(
    "output_video", None, "Write a copy with the top classes drawn: an .mp4 file, or a folder."
)

_OF_WEIGHTS = (_STREAM, _RGB, _FLOW, _JOINT, _ENGINE, _PRECISION, _WINDOW)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        if _TIMELINE_DIR.value is not None and _WINDOW.value is None:
            raise ValueError("--timeline_dir needs --window, the frames of a window.")
        quiet_tensorflow()
        from i3d_tf.export.load import SavedPredictor
        from i3d_tf.inference.command_output import answer_videos
        from i3d_tf.inference.predictor import Predictor
        from i3d_tf.inference.sliding_window import WindowPredictor

        if _SAVED_MODEL.value is not None:
            refuse_flags_beside(_SAVED_MODEL, _OF_WEIGHTS)
            predictor = SavedPredictor(_SAVED_MODEL.value)
        else:
            stream, weights = _STREAM.value, {"rgb": _RGB.value, "flow": _FLOW.value}
            if _JOINT.value is not None:
                refuse_flags_beside(_JOINT, (_STREAM, _RGB, _FLOW))
                stream, weights = "joint", {"joint": _JOINT.value}
            chosen = stream, weights, _CHECKPOINT_DIR.value, _ENGINE.value, _PRECISION.value
            if _WINDOW.value is None:
                predictor = Predictor(*chosen)
            else:
                predictor = WindowPredictor(*chosen, _WINDOW.value)
        failed = answer_videos(
            argv[1:],
            predictor,
            _TOP.value,
            _JSON.value,
            _OUTPUT_VIDEO.value,
            _TIMELINE_DIR.value,
        )
        sys.exit(1 if failed else 0)


if __name__ == "__main__":
    app.run(main)
