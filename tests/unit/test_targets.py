"""The table of targets: from TOML, from the environment, and what is wrong with one."""

import json
from pathlib import Path

import pytest

from lazyengine.errors import SettingsInvalid
from lazyengine.settings import load
from lazyengine.targets import Target, Targets

HOOK = {"sender": "http", "url": "https://h/"}


def test_from_a_file(tmp_path: Path) -> None:
    """One table a target; what is left out has its default."""
    file = tmp_path / "settings.toml"
    file.write_text('[targets.gpu]\nsender = "amqp"\nurl = "amqp://r/"\nqueue = "q"\nlease_seconds = 60\n')
    settings = load({"config": str(file)}, {})
    assert dict(settings.targets) == {"gpu": Target("gpu", "amqp", "amqp://r/", "q", 60)}
    assert settings.targets["gpu"].timeout_seconds == 10.0
    assert Targets({"h": {**HOOK, "sending_seconds": 0}})["h"].sending_seconds == 0


def test_from_the_environment_and_into_it() -> None:
    """As JSON, which the processes of a service are handed too."""
    targets = load({}, {"LAZYENGINE_TARGETS": json.dumps({"h": HOOK})}).targets
    assert targets == Targets({"h": HOOK})
    assert load({}, {"LAZYENGINE_TARGETS": str(targets)}).targets == targets
    assert load({}, {"LAZYENGINE_TARGETS": ""}).targets == {}
    assert hash(load({}, {})) == hash(load({}, {}))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("{", "is no JSON"),
        ("[]", "has to be a table of targets"),
        ('{"h": 1}', "'targets.h' has to be a table"),
        ('{"h": {"sender": "http"}}', "'targets.h' lacks 'url'"),
        ('{"h": {"sender": "smtp", "url": "x"}}', "'targets.h': sender has to be one of amqp, celery, http"),
        ({"h": {**HOOK, "que": "x"}}, "'targets.h' has an unknown key 'que'"),
        ({"h": {**HOOK, "queue": 1}}, "'targets.h.queue' has to be of type str"),
        ({"h": {**HOOK, "concurrency": 1.5}}, "'targets.h.concurrency' has to be of type int"),
        ({"h": {**HOOK, "concurrency": 0}}, "'targets.h.concurrency' has to be greater than 0"),
        ({"h": {**HOOK, "lease_seconds": -1}}, "'targets.h.lease_seconds' has to be greater than 0"),
        ({"h": {**HOOK, "timeout_seconds": 0}}, "'targets.h.timeout_seconds' has to be greater than 0"),
        ({"h": {**HOOK, "timeout_seconds": True}}, "'targets.h.timeout_seconds' has to be of type float"),
    ],
)
def test_what_is_wrong_is_named(given: object, reason: str) -> None:
    """With the place of it."""
    text = given if isinstance(given, str) else json.dumps(given)
    with pytest.raises(SettingsInvalid, match=reason):
        load({}, {"LAZYENGINE_TARGETS": text})
