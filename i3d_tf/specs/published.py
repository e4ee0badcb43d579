"""The output that upstream publishes for its sample clip, with ImageNet + Kinetics weights.

Source: `out/imagenet_{rgb,flow,joint}.txt` of google-deepmind/kinetics-i3d. (The files
`out/no_imagenet_*` there are byte-identical to these, so there is no reference for the scratch
models.)
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
