"""Exports a trained network for services and other programs; the folder needs no i3d_tf.

python tools/export.py --checkpoint=rgb_imagenet --output_dir=exports/rgb
python tools/export.py --checkpoint=rgb_imagenet --flow_checkpoint=flow_imagenet --output_dir=both
python tools/export.py --checkpoint=runs/mine --format=onnx --output_dir=exports/mine
python tools/export.py --checkpoint=rgb_imagenet --format=pytorch --output_dir=exports/torch

A SavedModel has the signatures serving_default (float clip -> logits), classify (uint8 frames of
any size -> class names and probabilities), classify_encoded (the same of JPEG or PNG files, for
REST), features, labels and record. It is a program: take one only from someone you trust. The
format pytorch is a state dict of pytorch-i3d, as safetensors. ONNX and PyTorch need the extra
i3d_tf[export].
"""

from absl import app, flags, logging

from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    CHECKPOINT_HELP,
    HEAD_HELP,
    one_line_errors,
    print_lines,
    quiet_tensorflow,
    refuse_arguments,
)

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, f"The network: {CHECKPOINT_HELP}.")
_FLOW_CHECKPOINT = flags.DEFINE_string(
    "flow_checkpoint", None, "A flow network to add to the RGB one: exports the sum of both."
)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_HEAD = flags.DEFINE_string("head", None, HEAD_HELP)
_FORMAT = flags.DEFINE_enum(
    "format", "saved_model", ("saved_model", "onnx", "pytorch"), "Format of the export."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Output folder.")
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ("float32", "bfloat16"), "Precision of the network."
)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        if not _CHECKPOINT.value or not _OUTPUT_DIR.value:
            raise ValueError("--checkpoint and --output_dir must be given; see --help.")
        logging.set_verbosity(logging.WARNING)
        quiet_tensorflow()
        from i3d_tf.export.export import export

        folder = export(
            _CHECKPOINT.value,
            _OUTPUT_DIR.value,
            flow_checkpoint=_FLOW_CHECKPOINT.value,
            format=_FORMAT.value,
            precision=_PRECISION.value,
            checkpoint_dir=_CHECKPOINT_DIR.value,
            head=_HEAD.value,
        )
        print_lines(f"{folder}: exported as {_FORMAT.value}, {_PRECISION.value}")


if __name__ == "__main__":
    app.run(main)
