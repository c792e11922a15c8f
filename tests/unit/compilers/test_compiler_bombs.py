"""Texts made to kill the process: read in another one, under limits of time and memory."""

import subprocess
import sys

PROGRAM = """
import resource
import sys

resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from lazyengine.compilers.document import read
from lazyengine.errors import DefinitionInvalid

N = 100_000
LAUGHS = "a0: &a0 [x]\\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\\n" for n in range(1, 40))
MERGES = "a0: &a0 {k: x}\\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\\n" for n in range(1, 40)
)
for text in (
    "a: " + "[" * N,
    "a: " + "[" * N + "]" * N,
    "{a: " * N,
    "- " * N,
    "? " * N,
    "a:\\n  " + "- " * N,
    "a:\\n  " + "? " * N,
    "".join(" " * level + "a:\\n" for level in range(2_000)),
    "a: " + "!!seq [" * N,
    "a: " + "&x [" * N,
    LAUGHS,
    MERGES,
):
    try:
        read(text)
    except DefinitionInvalid as error:
        print(error.faults[0].message)
"""


def test_every_bomb_is_refused_in_bounded_time_and_memory():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    messages = done.stdout.splitlines()
    assert len(messages) == 12
    refusals = ("nested deeper than 64", "a key is a list", "exceeded maximum nesting depth")  # the last is libyaml's
    assert all(any(words in message for words in refusals) for message in messages[:10])
    assert all("at most 1000000 values" in message for message in messages[10:])
