"""An expression reaches nothing but what it is given."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from lazyengine.compilers.expressions import EvaluationError
from lazyengine.compilers.expressions.process import _environment

ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ '' | attr('__class__') }}",
    "{{ _.__class__.__mro__ }}",
    "{{ [].__class__.__base__.__subclasses__() }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ '{0.__class__.__mro__}'.format_map({'0': 1}) }}",
    "{{ ('%s' % [].append).__globals__ }}",
    "{{ lipsum.__globals__ }}",
    "{{ lipsum['__globals__']['os'].environ }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ task.func.__globals__ }}",
    "{{ env.__call__.__globals__ }}",
    "{{ (_.items | list).__iter__.__self__.__class__ }}",
    "{% include '/etc/passwd' %}{{ 1 }}",
    "{% import 'os' as os %}{{ os }}",
    "{{ open('/etc/passwd') }}",
    "{{ [1] | map(attribute='__class__') | list }}",
    "{{ [1] | map('attr', '__class__') | list }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "<% ''.class %>",
    "<% call(open, ['/etc/passwd'], {}) %>",
    "<% call('__import__', ['os'], {}) %>",
    "<% open('/etc/passwd') %>",
    "<% eval('1') %>",
    "<% import(os) %>",
    "<% getattr($, keys) %>",
    "<% '{0.__class__}'.format(1) %>",
]


@pytest.mark.parametrize("escape", ESCAPES)
def test_an_escape_is_an_error(escape: str, error_of: Callable[..., EvaluationError]) -> None:
    assert error_of(escape).reason == "failed"


def test_the_process_can_open_nothing() -> None:
    """Whoever finds a way out of the sandboxes finds a process without files, sockets and secrets."""
    program = """if True:
        import os, socket
        from lazyengine.compilers.expressions import child
        child._warm_up()
        child._limit(64 * 1024 * 1024)
        for attempt in (lambda: open("/etc/hostname"), socket.socket, os.pipe, lambda: os.listdir("/")):
            try:
                attempt()
            except OSError as error:
                print(error.errno)
        try:
            bytearray(1 << 30)
        except MemoryError:
            print("memory")
    """
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["24", "24", "24", "24", "memory"]


def test_the_process_is_given_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZYENGINE_AUTH_TOKENS", "me:secret")
    monkeypatch.setenv("LAZYENGINE_DATABASE_URL", "postgresql://me:secret@host/db")
    assert "secret" not in str(_environment())
    assert os.environ["LAZYENGINE_AUTH_TOKENS"] not in _environment().values()
