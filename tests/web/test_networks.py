import pytest

from i3d_tf.web import networks
from i3d_tf.web.networks import MAX_OPEN, NetworkShelf, OfferedNetwork, offered_networks

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


def test_shelf_closes_the_network_that_was_not_used_for_longest(monkeypatch):
    monkeypatch.setattr(networks, "OpenNetwork", lambda offered, *_: [offered.name])
    names = [f"net{k}" for k in range(MAX_OPEN + 1)]
    shelf = NetworkShelf({name: OfferedNetwork(name, "rgb", {"rgb": "x"}) for name in names})
    first = [shelf.open(name) for name in names[:MAX_OPEN]]
    assert shelf.open("net0") is first[0]
    shelf.open(names[-1])
    assert shelf.open("net0") is first[0]
    assert shelf.open("net1") is not first[1]
