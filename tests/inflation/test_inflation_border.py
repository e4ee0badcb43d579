import keras
import pytest

from i3d_tf.inflation.build import Border, border

layers = keras.layers


def test_border_is_counted():
    """A convolution of extent 3 reaches one step further each; a stride of 2 halves that."""
    image = keras.Input((8, 8, 1))
    stem = layers.Conv2D(1, 7, 2, padding="same")(image)  # windows -2...4, 0...6, 2...8, ...
    assert border(keras.Model(image, stem)) == [Border(1, 2)]
    deeper = layers.Conv2D(1, 3, padding="same")(layers.Conv2D(1, 1)(stem))
    assert border(keras.Model(image, [deeper, stem])) == [Border(2, 3), Border(1, 2)]
    pooled = layers.MaxPooling2D(3, 1, padding="same")(image)
    assert border(keras.Model(image, pooled)) == [Border(0, 0)]
    assert border(keras.Model(image, pooled), padding="valid") == [Border(1, 1)]
    larger = layers.UpSampling2D(2)(stem)
    assert border(keras.Model(image, larger)) == [Border(2, 4)]
    with pytest.raises(ValueError, match="'same'"):
        border(keras.Model(image, stem), padding="same")
