import pytest

from i3d_tf.web.networks import NetworkShelf, offered_networks

SHIPPED = ["stick_actions_rgb+stick_actions_flow", "stick_actions_rgb", "stick_actions_flow"]


def test_networks_that_ship_are_offered():
    offered = offered_networks()
    assert list(offered) == SHIPPED
    assert [network.stream for network in offered.values()] == ["joint", "rgb", "flow"]


def test_named_networks_come_first_and_together():
    rgb, flow = "stick_actions_rgb", "stick_actions_flow"
    assert next(iter(offered_networks([flow]))) == flow
    assert next(iter(offered_networks(rgb_checkpoint=rgb))) == rgb
    found = offered_networks(rgb_checkpoint="a/run", flow_checkpoint="b/run/")
    assert next(iter(found.values())).checkpoints == {"rgb": "a/run", "flow": "b/run/"}
    assert next(iter(found)) == "run+run"  # folders of the server are not shown


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="`network` must be one of"):
        NetworkShelf(offered_networks()).open("/etc/passwd")
