import keras
import pytest

from i3d_tf.models.backbone import apply_backbone
from i3d_tf.models.cnn_m import cnn_m_2048


def test_backbone_gives_fc7_or_maps():
    images = keras.Input((48, 48, 5))
    assert apply_backbone("cnn_m_2048", images, 1 / 64).shape == (None, 32)
    assert apply_backbone("cnn_m_2048", images, 1 / 64, pooling=None).shape == (None, 1, 1, 8)
    with pytest.raises(ValueError, match="`images` must have one height and width"):
        cnn_m_2048(keras.Input((None, None, 3)))
