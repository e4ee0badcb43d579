"""HDR pictures (PQ and HLG) as SDR ones, as a viewer on an SDR screen shows them.

Light is counted in units of HDR's reference white, 203 cd/m2 (Rec. ITU-R BT.2408-7), which is shown
a little below SDR's white. What is brighter is compressed by the curve of Rec. ITU-R BT.2390-11,
5.4.1, by the largest of R, G and B, which keeps hues. The result is coded for a BT.1886 screen.
"""

import av
import numpy as np
from numpy.typing import ArrayLike

PQ, HLG = 16, 18  # transfer characteristics, ITU-T H.273
WHITE = 203.0  # cd/m2
PEAK = 1000.0  # of a video that does not say
MAX_PEAK = 10_000.0
MAX_CODE = 65535
DISPLAY_GAMMA = 2.4
# Linear light of R, G and B, by the primaries in H.273's numbers, to BT.709's (ITU-R BT.2087-0; and
# by the same method from P3 with D65, SMPTE EG 432-1).
TO_BT709 = {
    9: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    12: ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}
LUMINANCE = np.array((0.2627, 0.6780, 0.0593), np.float32)  # BT.2020
CURVE_POINTS = 4096
# SMPTE ST 2084.
M1, M2 = 2610 / 16384, 2523 / 4096 * 128
C1, C2, C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def is_hdr(frame: av.VideoFrame) -> bool:
    """Returns whether a frame says that it is HDR."""
    return frame.color_trc in (PQ, HLG)


class ToneMap:
    """The conversion of one video's pictures."""

    def __init__(self, first_frame: av.VideoFrame):
        """Takes transfer, primaries and the brightest light from the first frame."""
        self._is_hlg = first_frame.color_trc == HLG
        codes = np.arange(MAX_CODE + 1) / MAX_CODE
        light = hlg_scene_light(codes) if self._is_hlg else pq_light(codes) / WHITE
        self._light = light.astype(np.float32)
        matrix = TO_BT709.get(int(first_frame.color_primaries))
        self._matrix = None if matrix is None else np.array(matrix, np.float32).T
        peak = PEAK if self._is_hlg else _brightest(first_frame)
        # By the square root, in which equal steps are about equally visible.
        self._scale = (CURVE_POINTS - 1) / np.sqrt(peak / WHITE)
        inputs = (np.arange(CURVE_POINTS) / self._scale) ** 2
        self._gain = np.ones(CURVE_POINTS, np.float32)
        self._gain[1:] = compress(inputs[1:] * WHITE, peak) / WHITE / inputs[1:]
        levels = (np.arange(CURVE_POINTS) / (CURVE_POINTS - 1)) ** (2 / DISPLAY_GAMMA)
        self._levels = np.rint(255 * levels).astype(np.uint8)

    def convert(self, picture: np.ndarray) -> np.ndarray:
        """Converts one picture.

        Args:
            picture: uint16 (H, W, 3), R, G and B as they are coded, in the full range.

        Returns:
            uint8 (H, W, 3), RGB.
        """
        light = self._light[picture]
        if self._is_hlg:
            scene = np.maximum(light @ LUMINANCE, 1e-6)
            light *= (scene**0.2 * np.float32(PEAK / WHITE))[..., np.newaxis]
        if self._matrix is not None:
            light = np.maximum(light @ self._matrix, 0)
        brightest = np.sqrt(light.max(-1)) * self._scale
        index = np.minimum(np.rint(brightest), CURVE_POINTS - 1).astype(np.intp)
        light *= self._gain[index][..., np.newaxis]
        coded = np.sqrt(np.minimum(light, 1)) * (CURVE_POINTS - 1)
        return self._levels[np.rint(coded).astype(np.intp)]


def pq_light(code: ArrayLike) -> np.ndarray:
    """Returns the light of a PQ code (SMPTE ST 2084), in cd/m2.

    Args:
        code: Within [0, 1].
    """
    power = np.asarray(code, float) ** (1 / M2)
    return MAX_PEAK * (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1)


def pq_code(light: ArrayLike) -> np.ndarray:
    """Returns the PQ code of light; see `pq_light`.

    Args:
        light: cd/m2, within [0, 10000].
    """
    power = (np.asarray(light, float) / MAX_PEAK) ** M1
    return ((C1 + C2 * power) / (1 + C3 * power)) ** M2


def hlg_scene_light(code: ArrayLike) -> np.ndarray:
    """Returns the scene's light of an HLG code (Rec. ITU-R BT.2100-2, table 5), within [0, 1].

    Args:
        code: Within [0, 1].
    """
    code, a = np.asarray(code, float), 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)


def compress(light: ArrayLike, peak: float) -> np.ndarray:
    """Returns what an SDR screen shows for light, up to its white of 203 cd/m2.

    Args:
        light: cd/m2, >= 0.
        peak: The brightest light that there is, in cd/m2.
    """
    top = pq_code(peak)
    code = np.minimum(pq_code(np.minimum(light, peak)) / top, 1)
    maximum = pq_code(WHITE) / top
    knee = 1.5 * maximum - 0.5
    above = np.clip((code - knee) / (1 - knee), 0, 1)
    curve = (
        (2 * above**3 - 3 * above**2 + 1) * knee
        + (above**3 - 2 * above**2 + above) * (1 - knee)
        + (-2 * above**3 + 3 * above**2) * maximum
    )
    return pq_light(np.where(code < knee, code, curve) * top)


def _brightest(frame):
    """Returns the brightest light that a frame's metadata names, in cd/m2."""
    for side_data in frame.side_data:
        if side_data.type.name == "CONTENT_LIGHT_LEVEL":
            brightest = float(np.frombuffer(bytes(side_data)[:4], np.uint32)[0])
            if WHITE < brightest <= MAX_PEAK:
                return brightest
    return PEAK
