"""Keys of SequenceExamples: MediaSequence's, those of programs near to it, and the house's own.

MediaSequence's are those of MediaPipe's util/sequence. DMVR writes the class name as
`clip/label/text`, and numbers of classes that follow the order of a Python set, which is another
one in every run: they are never read where there are names. TF Models writes numbers alone. Times
are in microseconds, boxes in shares of the frame.
"""

# Of the context.
EXAMPLE_ID = "example/id"
DATASET_NAME = "example/dataset_name"
DATA_PATH = "clip/data_path"
MEDIA_ID = "clip/media_id"
START, END = "clip/start/timestamp", "clip/end/timestamp"
LABEL_INDEX = "clip/label/index"
LABEL_STRING = "clip/label/string"
LABEL_TEXT = "clip/label/text"  # DMVR's
SEGMENT_START, SEGMENT_END = "segment/start/timestamp", "segment/end/timestamp"
SEGMENT_START_INDEX, SEGMENT_END_INDEX = "segment/start/index", "segment/end/index"
SEGMENT_LABEL_INDEX, SEGMENT_LABEL_STRING = "segment/label/index", "segment/label/string"
FLOW_PREFIX = "FORWARD_FLOW/"
FORMAT, CHANNELS = "image/format", "image/channels"
HEIGHT, WIDTH = "image/height", "image/width"
FRAME_RATE = "image/frame_rate"
SATURATION = "FORWARD_FLOW/image/saturation"
# Of the house: the frames that a video has by its header, from which views are drawn; its place
# among the videos of its dataset, from which the order follows; and how codes of flow were rounded.
FRAME_COUNT = "i3d_tf/frame_count"
POSITION = "i3d_tf/position"
FLOW_ROUNDING = "i3d_tf/flow_rounding"

# Of the feature lists.
ENCODED = "image/encoded"
TIMESTAMP = "image/timestamp"
FLOW_ENCODED = FLOW_PREFIX + ENCODED
REGION_BOX = tuple(f"region/bbox/{side}" for side in ("ymin", "xmin", "ymax", "xmax"))
REGION_TIMESTAMP = "region/timestamp"
REGION_COUNT = "region/num_regions"
REGION_IS_ANNOTATED = "region/is_annotated"
REGION_LABEL_INDEX, REGION_LABEL_STRING = "region/label/index", "region/label/string"
REGION_TRACK = "region/track/index"

MICROSECONDS = 1_000_000  # in a second
