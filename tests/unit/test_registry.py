"""Where the flows of a service come from: entry points and settings, and nothing else."""

import sys
from importlib import metadata

import pytest

from lazyengine import registry
from lazyengine.errors import SettingsInvalid
from lazyengine.registry import registered_factories, registered_flows
from lazyengine.settings import Settings, load


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package with an entry point, and a module that counts how often it is imported and its factory called."""
    info = tmp_path / "shop-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[lazyengine.flows]\nshop.order = shop_flows:order\nshop.other = gone:one\n")
    (tmp_path / "shop_flows.py").write_text("calls = []\ndef order():\n    calls.append(1)\n    return 'a flow'\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("shop_flows", None)


def test_entry_points_and_settings(installed):
    """They are imported and called when they are needed, and a setting goes before an entry point."""
    factories = registered_factories(Settings(flows="mine=shop_flows:order, shop.other=shop_flows:order"))
    assert {"shop.order", "shop.other", "mine"} <= factories.keys()
    assert "shop_flows" not in sys.modules
    assert [factories[name]() for name in ("shop.order", "shop.other", "mine")] == ["a flow"] * 3
    assert sys.modules["shop_flows"].calls == [1, 1, 1]


def test_the_setting_is_read_as_others_are():
    assert load({}, {"LAZYENGINE_FLOWS": "a=b:c"}).flows == "a=b:c"


@pytest.mark.parametrize("flows", ["a", "a=b", "a=:c", "=b:c", "a b=c:d", "a=b:c,a=b:d", "std.a=b:c", "<%a%>=b:c"])
def test_what_does_not_make_sense(flows):
    with pytest.raises(SettingsInvalid, match="flows has to hold"):
        registered_factories(Settings(flows=flows))


def test_a_name_of_an_entry_point_that_cannot_be(monkeypatch):
    points = [metadata.EntryPoint("std.a", "b:c", "lazyengine.flows")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    with pytest.raises(SettingsInvalid, match=r"cannot have the name 'std\.a'"):
        registered_factories(Settings())


def test_without_taskflow(monkeypatch):
    """Nothing is missed until there are flows."""
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    assert registered_flows(Settings()) is None
    with pytest.raises(SettingsInvalid, match=r"the flows 'a' need TaskFlow: install lazyengine\[taskflow\]"):
        registered_flows(Settings(flows="a=b:c"))


def test_with_taskflow():
    flows = registered_flows(Settings(flows="a=b:c"))
    assert flows is not None
    assert "a" in flows
