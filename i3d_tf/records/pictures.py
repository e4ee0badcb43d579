"""The pictures of a record, read and decoded by TensorFlow operations alone."""

import tensorflow as tf

from i3d_tf.records import keys
from i3d_tf.video.limits import MAX_BYTES, MAX_PIXELS

READ_BYTES = 2**20  # at once, of a shard
EXACT = "INTEGER_ACCURATE"  # JPEG's inverse transform, the same on every machine
JPEG_START = b"\xff\xd8"
PNG_START, PNG_SIDES = b"\x89PNG\r\n\x1a\n", 16  # the first bytes; where width and height are
TOO_LARGE = "a picture, or all that are wanted of a record, would need too much memory"
LISTS = {"rgb": keys.ENCODED, "flow": keys.FLOW_ENCODED}


def read_pictures(
    shard: tf.Tensor, offset: tf.Tensor, streams: tuple[str, ...]
) -> dict[str, tf.Tensor]:
    """Reads a record of a shard, wherever in it, and nothing else of it.

    Args:
        shard: string, the path.
        offset: int64, bytes of the shard before the record.
        streams: Those whose pictures are wanted.

    Returns:
        string (T,) of each stream: its encoded pictures.
    """
    # The constructor of tf.data.TFRecordDataset does not take the offset.
    records = tf.raw_ops.TFRecordDatasetV2(
        filenames=tf.reshape(shard, (1,)),
        compression_type="",
        buffer_size=READ_BYTES,
        byte_offsets=tf.reshape(offset, (1,)),
    )
    spec = tf.TensorSpec((), tf.string)
    content = tf.data.experimental.from_variant(records, spec).take(1).get_single_element()
    picture = tf.io.FixedLenSequenceFeature((), tf.string)
    lists = {LISTS[stream]: picture for stream in streams}
    _, found = tf.io.parse_single_sequence_example(content, sequence_features=lists)
    return {stream: found[LISTS[stream]] for stream in streams}


def decode_pictures(pictures: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Decodes some of the pictures of a record.

    Args:
        pictures: string (N,), see `read_pictures`.
        numbers: int32 (T,), which of them.

    Returns:
        uint8 (T, H, W, 3).
    """
    most = MAX_BYTES // (3 * tf.maximum(tf.size(numbers, tf.int64), 1))

    @tf.autograph.experimental.do_not_convert  # which would put its own words before errors
    def decode(number):
        return decode_picture(pictures[number], most)

    signature = tf.TensorSpec((None, None, 3), tf.uint8)
    return tf.map_fn(decode, numbers, fn_output_signature=signature)


def decode_picture(picture: tf.Tensor, most: tf.Tensor | int = MAX_PIXELS) -> tf.Tensor:
    """Decodes a JPEG or a PNG, whose size is looked at before.

    Args:
        picture: string.
        most: Pixels that it may have.

    Returns:
        uint8 (H, W, 3).
    """
    is_small = _pixels(picture) <= tf.minimum(tf.constant(MAX_PIXELS, tf.int64), most)
    with tf.control_dependencies([tf.debugging.Assert(is_small, [TOO_LARGE])]):
        # Named after JPEG, but it knows PNG by its first bytes, too.
        return tf.io.decode_jpeg(picture, channels=3, dct_method=EXACT)


def _pixels(picture):
    """Returns how many pixels a JPEG or a PNG says that it has, before they are allocated."""
    start = tf.strings.substr(picture, 0, len(PNG_START))
    is_png = (start == PNG_START) & (tf.strings.length(picture) >= PNG_SIDES + 8)
    is_jpeg = tf.strings.substr(picture, 0, len(JPEG_START)) == JPEG_START

    def sides_of_jpeg():
        return tf.io.extract_jpeg_shape(picture)[:2]

    def sides_of_png():
        sides = tf.strings.substr(picture, PNG_SIDES, 8)
        return tf.io.decode_raw(sides, tf.int32, little_endian=False)

    # What is neither has no sides; the decoder says so.
    sides = tf.case(
        [(is_jpeg, sides_of_jpeg), (is_png, sides_of_png)],
        default=lambda: tf.zeros((2,), tf.int32),
    )
    return tf.reduce_prod(tf.cast(sides, tf.int64))
