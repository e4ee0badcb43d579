"""Trains or fine-tunes I3D, or one of the paper's baselines, on a folder of videos.

python tools/train.py --recipe=stick_actions --data_dir=stick --workdir=runs/rgb
python tools/train.py --recipe=ucf101 --data_dir=UCF --init=rgb_imagenet --transfer=full --workdir=r

Stopped at any moment, the same command goes on where it was. `--model` names a baseline.
"""

import dataclasses

from absl import app, flags

from i3d_tf.specs.recipes import I3D_MODEL, RECIPES, Recipe, for_model
from i3d_tf.system.console import one_line_errors, quiet_tensorflow

_RECIPE = flags.DEFINE_enum("recipe", "stick_actions", tuple(RECIPES), "Published schedule.")
flags.DEFINE_string("data_dir", None, "Folder of the dataset.", required=True)
flags.DEFINE_string("workdir", None, "Folder of this run.", required=True)
flags.DEFINE_string("flow_dir", None, "Where flow files are, or go. Default: <data_dir>/flow.")
flags.DEFINE_string("flow_engine", "auto", "What computes flow that is not there yet.")
flags.DEFINE_enum("transfer", "scratch", ("scratch", "fixed", "full"), "What is trained.")
flags.DEFINE_string("init", None, "Weights to begin with: a release, or a file.")
flags.DEFINE_string("checkpoint_dir", "checkpoints", "Where released weights are.")
flags.DEFINE_bool("freeze_batch_norm", False, "Keep batch norm as it is in --init.")
flags.DEFINE_integer("accumulate", 1, "Batches per update.", lower_bound=1)
flags.DEFINE_bool("class_weights", False, "Weigh classes by their inverse frequency.")
flags.DEFINE_enum(
    "precision", "float32", ("float32", "mixed_bfloat16", "mixed_float16"), "Of the arithmetic."
)
flags.DEFINE_bool("deterministic", False, "Same bits every time, a little slower.")
flags.DEFINE_integer("seed", 0, "Of weights, order, windows and crops.", lower_bound=0)
flags.DEFINE_integer("workers", None, "Clips made at once.", lower_bound=1)
flags.DEFINE_bool("profile", False, "Profile some steps for TensorBoard.")
flags.DEFINE_string("annotation", None, "Annotation file of the dataset, or their folder.")
flags.DEFINE_string("classes", None, "File of class names, one a line; default: all.")
flags.DEFINE_string("quarantine", None, "Videos to leave out, as check_videos.py writes them.")

_DEFINE = {int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool}
_FIELDS = {field.name: field for field in dataclasses.fields(Recipe)[2:]}
for _name, _field in _FIELDS.items():
    _help = "Overrides the recipe's."
    if _name in {"boundaries", "learning_rates"}:
        flags.DEFINE_list(_name, None, _help)
    else:
        _DEFINE.get(_field.type, flags.DEFINE_string)(_name, None, _help)


def _recipe():
    """The chosen recipe with every field that a flag overrides."""
    changes = {name: flags.FLAGS[name].value for name in _FIELDS}
    changes = {name: value for name, value in changes.items() if value is not None}
    for name, kind in (("boundaries", int), ("learning_rates", float)):
        try:
            changes |= {name: tuple(map(kind, changes[name]))} if name in changes else {}
        except ValueError as error:
            raise ValueError(f"--{name} must be numbers with commas between: {error}.") from error
    recipe = for_model(RECIPES[_RECIPE.value], changes.pop("model", I3D_MODEL))
    return dataclasses.replace(recipe, **changes)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        if len(argv) > 1:
            raise ValueError(f"unexpected arguments {argv[1:]}; every option is a --flag.")
        recipe = _recipe()
        quiet_tensorflow()
        from i3d_tf.training.train import TrainOptions, train

        chosen = {
            field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(TrainOptions)
        }
        chosen["flow_dir"] = chosen["flow_dir"] or f"{chosen['data_dir']}/flow"
        workdir = train(recipe, TrainOptions(**chosen))
        print(f"best: {workdir.best}\nlast: {workdir.latest()[1]}")


if __name__ == "__main__":
    app.run(main)
