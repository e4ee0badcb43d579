"""Finds the clips that units of a network want to see, from slow to fast.

python tools/visualize_units.py --checkpoint=rgb_scratch --endpoint=Mixed_4f --channels=0,7,12 \
    --output_dir=units
python tools/visualize_units.py --checkpoint=stick_actions_flow --endpoint=Logits \
    --channels=open_door,push_crate --output_dir=units
"""

from absl import app, flags

from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    CHECKPOINT_HELP,
    one_line_errors,
    parse_numbers,
    print_lines,
    quiet_tensorflow,
)

_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, f"A network of one stream: {CHECKPOINT_HELP}.", required=True
)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "Folder of the videos, of a picture of all and of numbers (units.png, units.json).",
    required=True,
)
_ENDPOINT = flags.DEFINE_string(
    "endpoint", "Mixed_4f", "Layer of the units; Logits for the classes."
)
_CHANNELS = flags.DEFINE_list(
    "channels", ["0", "1", "2", "3"], "Units: indices, or names of classes at Logits."
)
_FRAMES = flags.DEFINE_integer(
    "frames", None, "Frames of a clip; the network's if not given, at most 24.", lower_bound=1
)
_SIZE = flags.DEFINE_integer(
    "size", None, "Pixels, side of a frame; the network's if not given, at most 112.", lower_bound=1
)
_STEPS = flags.DEFINE_integer("steps", 200, "Steps of gradient ascent.", lower_bound=1)
_SPACE_WEIGHT = flags.DEFINE_float("space_weight", 4.0, "Weight of smoothness in space.")
_TIME_WEIGHTS = flags.DEFINE_list(
    "time_weights", ["10", "1", "0"], "Weights of smoothness in time, a clip for each."
)
_JITTER = flags.DEFINE_integer("jitter", 4, "Pixels of the random shift of a step.", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the noise to start from.", lower_bound=0)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        if len(argv) > 1:
            raise ValueError(f"unexpected arguments {argv[1:]}. Name units by --channels.")
        time_weights = parse_numbers("time_weights", _TIME_WEIGHTS.value)
        quiet_tensorflow()
        from i3d_tf.explain.preferred_clips import ClipOptions
        from i3d_tf.explain.visualize_units import UnitOptions, visualize_units

        search = ClipOptions(
            _STEPS.value, _SPACE_WEIGHT.value, time_weights or (), _JITTER.value, _SEED.value
        )
        options = UnitOptions(
            _CHECKPOINT.value,
            _OUTPUT_DIR.value,
            _ENDPOINT.value,
            _CHANNELS.value,
            _CHECKPOINT_DIR.value,
            _FRAMES.value,
            _SIZE.value,
            search,
        )
        print_lines(*visualize_units(options))


if __name__ == "__main__":
    app.run(main)
