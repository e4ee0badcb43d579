"""What the tests of the report share."""

import numpy as np
import pytest


@pytest.fixture
def six_clips():
    """Function: changes -> an Evaluation of six clips of three classes, two streams.

    RGB takes a jump for a run and both sits for a jump; flow is right but for the first sit. In
    their sum flow outweighs RGB, so that the first sit, clip 4, is the only one wrong.
    """
    from i3d_tf.runs.report import Evaluation

    def answer(best, logit):
        logits = np.zeros((6, 3), np.float32)
        logits[np.arange(6), best] = logit
        return logits

    def build(**changes):
        parts = {
            "class_names": ("run", "jump", "sit"),
            "paths": tuple(f"data/clip_{k}.mp4" for k in range(6)),
            "labels": np.array([0, 0, 1, 1, 2, 2]),
            "logits": {
                "flow": answer([0, 0, 1, 1, 1, 2], 4.0),
                "rgb": answer([0, 0, 1, 0, 1, 1], 2.0),
            },
            "protocol": {"frames": 250, "frame_rate": 25.0, "crops": 1, "flow_engine": "numba"},
        }
        return Evaluation(**{**parts, **changes})

    return build
