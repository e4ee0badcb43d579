"""Converts released weights to Keras weights: DeepMind's I3D, or 2D networks, which it can inflate.

python tools/convert.py --release=rgb_imagenet --download
python tools/convert.py --release=rgb_imagenet --source=kinetics-i3d/data/checkpoints/rgb_imagenet
python tools/convert.py --release=slim_inception_v1 --source=inception_v1.ckpt [--inflate]
python tools/convert.py --keras_application=ResNet50 --inflate [--source=resnet50.weights.h5]
"""

from pathlib import Path

from absl import app, flags

from i3d_tf.specs import slim
from i3d_tf.specs.releases import RELEASES, UPSTREAM_URL
from i3d_tf.system.console import one_line_errors, quiet_tensorflow, refuse_arguments

_RELEASE = flags.DEFINE_enum("release", None, (*RELEASES, slim.NAME), "Which checkpoint.")
_APPLICATION = flags.DEFINE_string(
    "keras_application", None, "A network of keras.applications; ImageNet's weights or --source."
)
_SOURCE = flags.DEFINE_string("source", None, "Folder with model.ckpt.*, their prefix, or a file.")
_DOWNLOAD = flags.DEFINE_bool("download", False, "Fetch the files (51 to 103 MB) and verify them.")
_INFLATE = flags.DEFINE_bool("inflate", False, "Write the 3D network that a 2D one is inflated to.")
_BASE_URL = flags.DEFINE_string("base_url", UPSTREAM_URL, "Where --download finds `data/`.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "checkpoints", "Where the weights go.")
flags.mark_flags_as_mutual_exclusive(["release", "keras_application"], required=True)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        _check_flags()
        quiet_tensorflow()
        for path in _convert():
            print(path)


def _check_flags():
    if _APPLICATION.value is not None:
        if not _INFLATE.value or _DOWNLOAD.value:
            raise ValueError(
                "--keras_application goes with --inflate and, unless Keras shall download the "
                "weights, with --source=FILE."
            )
    elif _RELEASE.value == slim.NAME:
        if _SOURCE.value is None or _DOWNLOAD.value:
            raise ValueError(f"unpack {slim.ARCHIVE_URL} and give its file with --source=FILE.")
    elif _INFLATE.value:
        raise ValueError(f"--inflate is for 2D networks; {_RELEASE.value} is inflated already.")
    elif _DOWNLOAD.value == (_SOURCE.value is not None):
        raise ValueError("give either --source=DIR_OR_PREFIX or --download.")


def _convert():
    from i3d_tf.zoo import convert, convert_2d

    source, output_dir = _SOURCE.value, _OUTPUT_DIR.value
    if _APPLICATION.value is not None:
        return [convert_2d.inflate_application(_APPLICATION.value, source, output_dir)]
    if _RELEASE.value == slim.NAME:
        if _INFLATE.value:
            return convert_2d.inflate_slim(source, output_dir)
        return [convert_2d.convert_slim(source, output_dir)]
    if _DOWNLOAD.value:
        directory = Path(output_dir) / "upstream" / _RELEASE.value
        source = convert.download_release(_RELEASE.value, directory, _BASE_URL.value)
    return [convert.convert(_RELEASE.value, source, output_dir)]


if __name__ == "__main__":
    app.run(main)
