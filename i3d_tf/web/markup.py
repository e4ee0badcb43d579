"""Results as parts of the page; names of files and classes are text in it, whatever they hold."""

from collections.abc import Sequence
from importlib.resources import files

from i3d_tf.inference.annotate import timeline_svg
from i3d_tf.inference.prediction import VideoPrediction
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.specs.streams import JOINT
from i3d_tf.system.console import printable
from i3d_tf.viz.markup import Markup, element
from i3d_tf.viz.thumbnails import data_uri
from i3d_tf.web.jobs import Recognition, Reversal, SetComparison

STYLE = "page.css"
FLOW_LEGEND = (
    "Left: the frames that the network sees. Right: their motion; the hue is the direction, as on "
    "the wheel, and a full colour is as long as the number below it, in pixels per frame."
)


def style() -> str:
    """Returns the style sheet of the results."""
    return files(__package__).joinpath(STYLE).read_text("utf-8")


def error_markup(message: str) -> Markup:
    """Returns a message about what could not be done, in one line."""
    line = " ".join(printable(message.replace("\n", " ")).split())
    return element("p", line, class_="i3d-error", role="alert")


def recognition_markup(result: Recognition) -> Markup:
    """Returns the bars, the time line and the clip of a recognized video."""
    prediction = result.prediction
    return _result(
        _title(prediction, result.network),
        _bars(prediction.top),
        result.note and element("p", result.note, class_="i3d-note"),
        result.window and _timeline(prediction, result.window),
        result.clip and _clip(result.clip, FLOW_LEGEND),
        result.saliency and _clip(result.saliency, _saliency_legend(result)),
    )


def reversal_markup(result: Reversal) -> Markup:
    """Returns the predictions of a clip and of the same clip backwards, side by side."""
    sides = (
        ("forwards", result.forwards, result.forwards_clip),
        ("backwards", result.backwards, result.backwards_clip),
    )
    return _result(
        _title(result.forwards, result.network),
        element("p", _verdict(result), class_="i3d-verdict"),
        element(
            "div",
            [
                element(
                    "section",
                    element("h4", f"Played {direction}"),
                    _bars(prediction.top),
                    clip and _clip(clip),
                )
                for direction, prediction, clip in sides
            ],
            class_="i3d-sides",
        ),
        result.forwards_clip and element("p", FLOW_LEGEND, class_="i3d-note"),
        _changes(result.probabilities),
        result.motion and _motion(result.motion),
    )


def comparison_markup(result: SetComparison) -> Markup:
    """Returns the distance of two sets, the numbers of videos, and those that were left out."""
    found = result.result
    protocol = found.protocol
    lines = (
        f"{found.real} videos in the first set, {found.generated} in the second",
        f"clips of {protocol['frames']} frames, {protocol['frame_rate']:.4g} per second; "
        f"{protocol['resize']}",
        f"{found.features} features of {result.network}: its {protocol['features']}",
    )
    failures = [element("li", f"{printable(n)}: {why}") for n, why in result.failures.items()]
    return _result(
        element("p", f"FVD {found.fvd:.4g}", class_="i3d-number"),
        element(
            "p",
            "Equal sets have 0, sets that are farther apart have more. Compare numbers only where "
            "network, clips and number of videos are the same.",
            class_="i3d-note",
        ),
        element("ul", [element("li", line) for line in lines]),
        found.warning and element("p", found.warning, class_="i3d-note"),
        failures and [element("p", f"{len(failures)} left out:"), element("ul", failures)],
    )


def _result(*children):
    return element("div", *children, class_="i3d-result")


def _title(prediction: VideoPrediction, network: str):
    seen = f"{prediction.frames} frames, {prediction.seconds:.2f} s"
    return [
        element("h3", printable(prediction.path)),
        element("p", f"{network}; {prediction.stream}; {seen}", class_="i3d-note"),
    ]


def _bars(top: Sequence[Prediction]):
    return element(
        "table",
        element("caption", "Probability of each class"),
        [
            element(
                "tr",
                element("th", p.label, scope="row"),
                element("td", element("div", style=f"width:{p.probability:.2%}"), class_="i3d-bar"),
                element("td", _percent(p.probability), class_="i3d-value"),
            )
            for p in top
        ],
        class_="i3d-bars",
    )


def _percent(probability: float) -> str:
    return "< 0.1%" if probability < 0.0005 else f"{probability:.1%}"


def _points(change: float) -> str:
    return "0" if abs(change) < 0.0005 else f"{100 * change:+.1f}"


def _timeline(prediction: VideoPrediction, window: int):
    seconds = prediction.timeline[0].end - prediction.timeline[0].start
    text = (
        f"Time line: a window is {window} frames ({seconds:.2f} s); the darker a class, the more "
        "probable it is there. The bars above are of the whole video."
    )
    return element("figure", timeline_svg(prediction), element("figcaption", text))


def _saliency_legend(result: Recognition):
    text = "Grad-CAM of the first clip: the brighter a part of it, the more it speaks for "
    sides = " Left: by the RGB network. Right: by the flow network."
    return f"{text}{result.explained_class}.{sides if result.prediction.stream == JOINT else ''}"


def _clip(clip: bytes, caption: str | None = None):
    video = element(
        "video",
        src=data_uri(clip, "video/mp4"),
        controls=True,
        loop=True,
        muted=True,
        autoplay=True,
        playsinline=True,
    )
    return element("figure", video, caption and element("figcaption", caption))


def _motion(picture: bytes):
    text = "Where it moves: the brighter a part of the middle frame, the longer the flow there."
    image = element("img", src=data_uri(picture), alt="The middle frame of the clip.")
    return element("figure", image, element("figcaption", text))


def _verdict(result: Reversal):
    forwards, backwards = result.forwards.top[0].label, result.backwards.top[0].label
    if result.reversal is not None and backwards == result.reversal:
        return f"{forwards} becomes its reversal, {backwards}: the direction of motion is seen."
    if forwards == backwards:
        return f"{forwards} both ways: what the network goes by looks the same backwards."
    expected = f", and not {result.reversal}" if result.reversal is not None else ""
    return f"{forwards} becomes {backwards}{expected}."


def _changes(probabilities: dict[str, tuple[float, float]]):
    order = sorted(probabilities.items(), key=lambda pair: -abs(pair[1][1] - pair[1][0]))
    header = element(
        "tr", [element("th", n) for n in ("class", "forwards", "backwards", "change in points")]
    )
    rows = [
        element(
            "tr",
            element("th", name, scope="row"),
            [element("td", _percent(value), class_="i3d-value") for value in (before, after)],
            element("td", _points(after - before), class_="i3d-value"),
        )
        for name, (before, after) in order
    ]
    return element("table", header, rows, class_="i3d-changes")
