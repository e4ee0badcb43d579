"""2D networks as the part of a video network that sees single images."""

from collections.abc import Callable

from keras import KerasTensor

from i3d_tf.models.applications import application_names, apply_application
from i3d_tf.models.bn_inception import bn_inception
from i3d_tf.models.cnn_m import cnn_m_2048, cnn_m_2048_maps
from i3d_tf.models.inception import inception_v1
from i3d_tf.specs.validation import check_choice


def _inception_v1(images, width_multiplier, pooling):
    return inception_v1(
        include_top=False, input_tensor=images, pooling=pooling, width_multiplier=width_multiplier
    ).output


def _bn_inception(images, width_multiplier, pooling):
    return bn_inception(
        include_top=False, input_tensor=images, pooling=pooling, width_multiplier=width_multiplier
    ).output


def _cnn_m_2048(images, width_multiplier, pooling):
    apply = cnn_m_2048_maps if pooling is None else cnn_m_2048
    return apply(images, width_multiplier)


BACKBONES: dict[str, Callable[[KerasTensor, float, str | None], KerasTensor]] = {
    "inception_v1": _inception_v1,
    "bn_inception": _bn_inception,
    "cnn_m_2048": _cnn_m_2048,
}


ALIASES = {"resnet50": "ResNet50"}


def has_preprocessing(name: str) -> bool:
    """Returns whether a 2D network computes the pixel values that it was trained with."""
    return ALIASES.get(name, name) in application_names()


def apply_backbone(
    name: str, images: KerasTensor, width_multiplier: float = 1.0, pooling: str | None = "avg"
) -> KerasTensor:
    """Applies an untrained 2D network to images, up to its average pool.

    Args:
        name: One of `BACKBONES` or `ALIASES`; or of `keras.applications`, such as "ResNet50", with
            its own preprocessing, see `i3d_tf.models.applications`.
        images: Symbolic (N, H, W, C) in [-1, 1], such as `FoldTime` makes of clips; any C.
        width_multiplier: Scale of the number of filters of every layer.
        pooling: "avg", or None for the last maps as they are before the average pool.

    Returns:
        Features, (N, filters of the last layer), or maps, (N, H', W', filters). Those of cnn_m_2048
        are `fc7` instead of a mean, and its H and W are known.

    Raises:
        ValueError: There is no such network, or its width is fixed.
    """
    check_choice("backbone", name, (*BACKBONES, *ALIASES, *application_names()))
    if name in BACKBONES:
        return BACKBONES[name](images, width_multiplier, pooling)
    name = ALIASES.get(name, name)
    if width_multiplier != 1.0:
        raise ValueError(
            f"`width_multiplier` must be 1 for the backbone {name}; received {width_multiplier}."
        )
    return apply_application(name, images, pooling)
