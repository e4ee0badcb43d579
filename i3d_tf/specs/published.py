"""Published numbers: the released networks' output for a clip, accuracies of other networks.

Source of the output, of ImageNet + Kinetics weights: `out/imagenet_{rgb,flow,joint}.txt` of
google-deepmind/kinetics-i3d. (The files `out/no_imagenet_*` there are byte-identical to these, so
there is no reference for the scratch models.)
"""

from typing import NamedTuple


class PublishedOutput(NamedTuple):
    """The printed output of one run.

    Attributes:
        norm: Euclidean norm of the logits.
        top: The 20 best classes: (logit, class name).
    """

    norm: float
    top: tuple[tuple[float, str], ...]


class PublishedAccuracy(NamedTuple):
    """A published accuracy of a network around I3D.

    They are of different data, initial weights and sampling, and not for comparison with each
    other. Those of the paper's five are in `i3d_tf.specs.architectures`.

    Attributes:
        dataset: The test set, as its readers call it.
        accuracy: Top-1, percent, in words.
        source: Where it stands.
    """

    dataset: str
    accuracy: str
    source: str


PUBLISHED_OUTPUT = {
    "rgb": PublishedOutput(
        87.108871,
        (
            (25.856646, "playing cricket"),
            (12.330335, "playing kickball"),
            (11.254371, "catching or throwing baseball"),
            (10.883866, "shooting goal (soccer)"),
            (10.393131, "catching or throwing softball"),
            (10.008317, "throwing discus"),
            (9.804514, "javelin throw"),
            (9.681604, "golf putting"),
            (9.49558, "jogging"),
            (9.490318, "hitting baseball"),
            (9.3243265, "triple jump"),
            (8.685253, "hurling (sport)"),
            (8.533437, "skateboarding"),
            (8.181894, "hurdling"),
            (8.133075, "playing tennis"),
            (8.048665, "breakdancing"),
            (7.969584, "hammer throw"),
            (7.9668636, "shot put"),
            (7.8151855, "long jump"),
            (7.7918606, "headbutting"),
        ),
    ),
    "flow": PublishedOutput(
        63.252754,
        (
            (15.957031, "playing cricket"),
            (12.808723, "hurling (sport)"),
            (10.527044, "playing tennis"),
            (10.0088, "playing squash or racquetball"),
            (9.425033, "hitting baseball"),
            (8.879737, "catching or throwing baseball"),
            (8.863155, "sword fighting"),
            (8.832453, "catching or throwing softball"),
            (7.6928024, "hammer throw"),
            (7.481077, "playing badminton"),
            (6.359167, "pumping fist"),
            (6.3529463, "tai chi"),
            (5.8576136, "training dog"),
            (5.744365, "catching or throwing frisbee"),
            (5.606787, "throwing ball"),
            (5.570133, "celebrating"),
            (5.5605125, "shot put"),
            (5.3386106, "playing ice hockey"),
            (5.2955847, "golf putting"),
            (5.2776113, "pole vault"),
        ),
    ),
    "joint": PublishedOutput(
        138.468658,
        (
            (41.813675, "playing cricket"),
            (21.493977, "hurling (sport)"),
            (20.134108, "catching or throwing baseball"),
            (19.225584, "catching or throwing softball"),
            (18.915352, "hitting baseball"),
            (18.660118, "playing tennis"),
            (17.377878, "playing kickball"),
            (16.627775, "playing squash or racquetball"),
            (15.996164, "shooting goal (soccer)"),
            (15.662386, "hammer throw"),
            (14.977189, "golf putting"),
            (14.671673, "throwing discus"),
            (14.61809, "javelin throw"),
            (13.917274, "pumping fist"),
            (13.527376, "shot put"),
            (13.331253, "celebrating"),
            (12.880911, "applauding"),
            (12.487497, "throwing ball"),
            (12.358461, "dodgeball"),
            (12.010079, "tap dancing"),
        ),
    ),
}

_SPORTS_1M = "Karpathy et al., CVPR 2014, as others report it"
_NG = "arXiv:1503.08909"
_VMZ = "facebookresearch/VMZ, 16 frames"
_NON_LOCAL = "facebookresearch/video-nonlocal-net, 32 frames"

# Names as in `i3d_tf.specs.further_networks`.
PUBLISHED_ACCURACIES = {
    "s3d": PublishedAccuracy("Kinetics-400", "72.2", "kylemin/S3D; torchvision's weights 68.4"),
    "s3d_g": PublishedAccuracy("Kinetics-400", "74.7; with flow 77.2", "arXiv:1712.04851"),
    "r3d_18": PublishedAccuracy("Kinetics-400", "64.7", _VMZ),
    "mc3_18": PublishedAccuracy("Kinetics-400", "65.2", _VMZ),
    "r2plus1d_18": PublishedAccuracy("Kinetics-400", "68.5", _VMZ),
    "c2d_resnet50": PublishedAccuracy("Kinetics-400", "72.0", _NON_LOCAL),
    "i3d_resnet50": PublishedAccuracy("Kinetics-400", "73.6; 5 Non-local 74.9", _NON_LOCAL),
    "pooled_frames": PublishedAccuracy("UCF-101", "88.2, 120 frames, with flow", _NG),
    "deep_lstm": PublishedAccuracy("UCF-101", "88.6, 30 frames, with flow", _NG),
    "lrcn": PublishedAccuracy("UCF-101", "71.1; with flow 82.9", "arXiv:1411.4389, first version"),
    "c3d_original": PublishedAccuracy("UCF-101", "82.3, linear SVM", "arXiv:1412.0767"),
    "two_stream_2014": PublishedAccuracy(
        "UCF-101", "73.0; flow 83.7; both 86.9, linear SVM 88.0", "arXiv:1406.2199"
    ),
    "sports_1m_single": PublishedAccuracy("Sports-1M", "59.3", _SPORTS_1M),
    "sports_1m_early": PublishedAccuracy("Sports-1M", "57.7", _SPORTS_1M),
    "sports_1m_late": PublishedAccuracy("Sports-1M", "59.3", _SPORTS_1M),
    "sports_1m_slow": PublishedAccuracy("Sports-1M", "60.9", _SPORTS_1M),
    "tsn": PublishedAccuracy(
        "Kinetics-400", "69.1; flow 62.1; both 73.9", "the authors' page, BN-Inception"
    ),
}
