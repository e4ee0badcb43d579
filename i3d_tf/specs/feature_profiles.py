"""Settings of feature extraction, and the profiles: those of well-known public feature files.

Every field is a flag of `tools/extract_features.py`. docs/features.md says for each profile whose
files it repeats, what of it is known for sure, and what is a choice.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from i3d_tf.specs.streams import FLOW_ROUNDINGS
from i3d_tf.specs.validation import check_choice

NATIVE = "native"  # frame rate: every frame of the file, once
POOLS = ("head", "mean", "none", "space", "space_time")
FED_FLOW_ROUNDINGS = (*FLOW_ROUNDINGS, "video_features")
INTERPOLATIONS = ("bilinear", "pillow_bilinear", "pillow_lanczos")
GEOMETRIES = ("center", "resize")
CROPS = (1, 5, 10)
CROP_ORDERS = ("corners_first", "center_first")
MIRRORED_FLOWS = ("negate", "keep")
VALUE_RANGES = (1.0, 0.5)
TAILS = ("drop", "repeat", "pad")
SHORT_VIDEOS = ("skip", "loop", "repeat", "pad", "empty")
FORMATS = ("npy", "npz", "h5", "cmcs")
CROP_LAYOUTS = ("axis", "files", "mean")
STREAM_LAYOUTS = ("joined", "files", "folders")
EXTRA_FILES = ("fps", "timestamps_ms")


@dataclass(frozen=True)
class FeatureSettings:
    """Settings of features, from the video to the names of the files; the defaults are our own.

    Attributes:
        stream: "rgb", "flow" or "joint".
        frame_rate: Frames per second after resampling; "native" takes each frame of the file once;
            None is the network's own, 25.
        size: Size of frames before they are cropped: "256" is the short side, "340x256" width and
            height, "226+" a short side of at least 226, to which smaller frames are enlarged; None
            is the network's own short side, 256.
        interpolation: "bilinear" as OpenCV; "pillow_bilinear" and "pillow_lanczos" as Pillow, with
            antialiasing, and the long side rounded down.
        geometry: "center" cuts crops; "resize" squeezes the whole frame to the network's square, by
            Pillow's Lanczos.
        crops: 1, the center; 5, with the corners; 10, with those of the mirrored frame.
        crop_order: "corners_first": top left, top right, center, bottom left, bottom right, which
            is the order of CMCS; "center_first": center, top left, top right, bottom left, bottom
            right. The five mirrored ones follow in the same order.
        mirror_flow: Whether the horizontal component changes its sign in a mirrored crop, as it
            does in a mirror ("negate"), or stays ("keep").
        flow_rounding: See `i3d_tf.flow.quantize`; None gives flow as it is.
        value_range: The inputs of the networks are within [-value_range, value_range].
        endpoint: Name of a layer.
        pool: See `i3d_tf.features.options.feature_config`.
        window: Frames of the clip that a row is computed of; None feeds the video whole.
        stride: Frames from one row to the next; None is the window, or the endpoint's own.
        tail: The frames behind the last whole window: "drop" leaves them out, "repeat" and "pad"
            fill a window with the last frame, or with zeros.
        short: A video shorter than a window: "skip" counts it as failed, "loop" starts it anew,
            "repeat" and "pad" as in `tail`, "empty" gives no rows. None follows `tail`.
        lookahead: Frames behind a window without which it does not count as whole.
        keep_axes: Whether rows keep the axes that were averaged, (1, 1, C) each.
        format: "npy", "npz", "h5", or "cmcs", an .npz with `feature` (crops, rows, channels).
        crop_layout: Of several crops: an axis after the rows, a file each, or their mean.
        stream_layout: "joined" puts RGB's channels before those of flow; "files" gives each stream
            a file, `_rgb` and `_flow`; "folders" puts these into `RGB` and `Flow`.
        prefix: Start of the names; a name that starts so is left as it is.
        suffix: End of the names.
        extra_files: Names of further files, joined by commas: "fps", "timestamps_ms".
    """

    stream: str = "rgb"
    frame_rate: str | None = None
    size: str | None = None
    interpolation: str = "bilinear"
    geometry: str = "center"
    crops: int = 1
    crop_order: str = "corners_first"
    mirror_flow: str = "negate"
    flow_rounding: str | None = None
    value_range: float = 1.0
    endpoint: str = "Mixed_5c"
    pool: str | None = None
    window: int | None = None
    stride: int | None = None
    tail: str = "drop"
    short: str | None = None
    lookahead: int = 0
    keep_axes: bool = False
    format: str = "npy"
    crop_layout: str = "axis"
    stream_layout: str = "joined"
    prefix: str = ""
    suffix: str = ""
    extra_files: str = ""


_CMCS = FeatureSettings(
    stream="joint",
    frame_rate=NATIVE,
    size="340x256",
    mirror_flow="keep",
    flow_rounding="nearest",
    pool="head",
    window=16,
    stride=4,
)

PROFILES: dict[str, FeatureSettings] = {
    "thumos14": _CMCS,
    "activitynet": replace(_CMCS, frame_rate="25", stride=16, prefix="v_"),
    "video_features": FeatureSettings(
        stream="joint",
        frame_rate=NATIVE,
        size="256",
        interpolation="pillow_bilinear",
        flow_rounding="video_features",
        pool="head",
        window=64,
        stride=64,
        short="empty",
        lookahead=1,
        stream_layout="files",
        extra_files="fps,timestamps_ms",
    ),
    "charades": FeatureSettings(
        frame_rate="24",
        size="226+",
        flow_rounding="nearest",
        pool="head",
        keep_axes=True,
    ),
    "ucf_crime": FeatureSettings(
        frame_rate=NATIVE,
        size="340x256",
        interpolation="pillow_lanczos",
        crops=10,
        mirror_flow="keep",
        flow_rounding="nearest",
        pool="head",
        window=16,
        stride=16,
        tail="repeat",
        crop_layout="files",
    ),
    "xd_violence": FeatureSettings(
        stream="joint",
        frame_rate="24",
        size="340x256",
        crops=5,
        crop_order="center_first",
        mirror_flow="keep",
        flow_rounding="nearest",
        pool="head",
        window=16,
        stride=16,
        lookahead=1,
        crop_layout="files",
        stream_layout="folders",
    ),
    "bsl1k": FeatureSettings(
        frame_rate="25",
        size="256x256",
        value_range=0.5,
        pool="head",
        window=16,
        stride=8,
        short="pad",
    ),
}


@dataclass(frozen=True)
class ProfileUse:
    """A profile, and the settings that were given beside it and win over its own.

    Attributes:
        name: A name in `PROFILES`.
        overridden: Names of these settings.
    """

    name: str
    overridden: tuple[str, ...] = ()


def resolve_settings(
    profile: str | None, given: Mapping[str, Any]
) -> tuple[FeatureSettings, ProfileUse | None]:
    """Returns the settings of a profile, or the defaults, with those that were given.

    Args:
        profile: A name in `PROFILES`, or None.
        given: Settings by name; None means that a setting was not given.

    Raises:
        ValueError: There is no such profile.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if profile is None:
        return replace(FeatureSettings(), **given), None
    check_choice("profile", profile, PROFILES)
    settings = PROFILES[profile]
    changed = {name: value for name, value in given.items() if getattr(settings, name) != value}
    return replace(settings, **changed), ProfileUse(profile, tuple(sorted(changed)))


def profile_lines(settings: FeatureSettings, use: ProfileUse) -> list[str]:
    """Returns lines for a terminal: the flags that a profile stands for, and what overrides them.

    Args:
        settings: As resolved.
        use: As resolved.
    """
    lines = [f"--profile={use.name}: {' '.join(changed_flags(PROFILES[use.name]))}"]
    for name in use.overridden:
        before, now = getattr(PROFILES[use.name], name), getattr(settings, name)
        lines.append(f"overridden: --{name}={_text(now)} (profile: {_text(before)})")
    return lines


def changed_flags(settings: FeatureSettings) -> list[str]:
    """Returns the flags whose values are not the defaults, as on a command line."""
    default = FeatureSettings()
    return [
        f"--{field.name}={_text(getattr(settings, field.name))}"
        for field in fields(settings)
        if getattr(settings, field.name) != getattr(default, field.name)
    ]


def profile_metadata(settings: FeatureSettings, use: ProfileUse) -> dict[str, Any]:
    """Returns a profile and its settings as plain values for metadata."""
    return {"name": use.name, "overridden": list(use.overridden), "flags": asdict(settings)}


def _text(value):
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
