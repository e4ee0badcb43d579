import numpy as np

from i3d_tf.synthetic.body import random_body
from i3d_tf.synthetic.puppet import person
from i3d_tf.synthetic.scripts import perform
from i3d_tf.synthetic.shapes import Group, Part, disc

PHASE = np.linspace(0, 1, 5)


def performance_and_body(seed):
    body = random_body(np.random.default_rng(seed), (90, 90, 90))
    return perform("hat", PHASE, body, np.random.default_rng(seed)), body


def test_person_has_six_groups():
    performance, body = performance_and_body(0)
    assert len(person(body, performance.joints)) == 6


def test_person_draws_held_things_behind_the_near_arm():
    performance, body = performance_and_body(0)
    thing = Group((Part(disc(performance.joints["hand_near"], 0.1), (1, 2, 3)),))
    assert person(body, performance.joints, (thing,))[-2] is thing


def test_person_covers_every_joint():
    performance, body = performance_and_body(1)
    groups = person(body, performance.joints)
    corners = np.concatenate([part.points for g in groups for part in g.parts], axis=1)
    for track in performance.joints.values():
        assert (corners.min(axis=1) <= track).all()
        assert (track <= corners.max(axis=1)).all()


def test_person_has_the_nose_in_front():
    performance, body = performance_and_body(2)
    head = person(body, performance.joints)[4]
    forward = head.parts[1].points[..., 0].max(axis=1) - performance.joints["head"][:, 0]
    assert (forward > body.head).all()
