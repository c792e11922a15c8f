"""YAML texts with something wrong in them, by the thousand: compiled or refused with typed errors, nothing else."""

import random
import time

import yaml

from lazyengine.compilers.document import read
from lazyengine.compilers.workflow import compile_definition, declarations_of
from lazyengine.errors import DefinitionInvalid, InputInvalid, WorkflowNotFound

SECONDS = 9
SEEDS = [
    """version: '2.0'
name: book
tags: [x]
workflows:
  version: '2.0'
  w:
    description: about
    tags: [y, z]
    input: [x, {y: null}]
    tasks: {a: {on-success: b}, b: }
""",
    """version: '2.0'
w:
  type: direct
  input: [x, {y: [1, 2.5, null]}]
  output: {z: "text", when: 2026-01-02}
  task-defaults: {on-error: [h, 'fail(msg="no way")']}
  tasks:
    a:
      action: std.echo output="hi there"
      on-success: [b, c]
      on-complete: noop
    b: {join: one, on-success: d}
    c: &c
      action: mail.send to="x"
      input: {text: |
        many
        lines
      }
      on-success: [d]
    d: {join: all, target: gpu}
    h: {on-error: fail}
    e: {<<: *c, target: x}
""",
    """version: '2.0'
name: book
actions:
  act: {base: 'book.deep y=1', base-input: {x: <% $.x %>}, input: [x, {z: 1}], output: <% $ %>}
  deep: {base: std.echo output="<% $.x %>"}
workflows:
  w:
    task-defaults: {retry: {count: 3, delay: 1}, safe-rerun: true, on-skip: noop}
    tasks:
      r: {on-success: [a, j], wait-before: 3}
      a: {action: act x=1, on-error: [a, {j: <% $.x %>}], retry: count=3 delay=1 break-on=<% $.y %>}
      b: {workflow: "<% $.w %> p=1", with-items: ['i in <% $.l %>', 'k in [1, 2]'], concurrency: 2}
      j: {join: all, input: <% $.i %>, target: "{{ _.t }}", on-success: ['fail(msg=<% task().result %>)', a]}
  v: {type: reverse, task-defaults: {requires: c, timeout: 9}, tasks: {a: {requires: [b, c]}, b: , c: {}}}
""",
    "{version: 2.0, v: {tasks: {a: &x {on-success: b}, b: {join: 1}, c: *x}}, w: {tasks: {'1': ~, ? k : !!str 5}}}",
    "%YAML 1.1\n--- # a remark\nw:\n  tasks:\n    a: !!map {input: {f: .inf, h: 0x1F, s: 1:30, o: 0o7, b: yes}}\n...\n",
]
PIECES = (
    *(
        "[",
        "]",
        "{",
        "}",
        ": ",
        "- ",
        "? ",
        ", ",
        "&x ",
        "*x",
        "!!str ",
        "!!int ",
        "!!bool ",
        "!!float ",
        "!!set ",
        "! ",
    ),
    *(
        "<<: *c",
        "<<: ",
        "|\n",
        ">-\n",
        "\n",
        "\n  ",
        "\n    ",
        "\t",
        "#",
        "%",
        "'",
        '"',
        "\\",
        "~",
        "@",
        "`",
        "--- ",
        "...",
    ),
    *(
        "\0",
        "\ud800",
        "\ufeff",
        "\x85",
        "\u2028",
        "\x07",
        "😀",
        "1e400",
        ".nan",
        "-.inf",
        "9" * 5000,
        "0x" + "F" * 2000,
    ),
    *(
        "1" + ":1" * 600,
        "join: all",
        "requires: a",
        "type: reverse",
        "with-items: i in [1]",
        "retry: count=1 delay=2",
        "workflow: w",
        "timeout: 9",
        "on-success: a",
        "on-error: [fail, h]",
        "null",
        "true",
        "2026-01-02",
        "=",
        "[" * 80,
    ),
    *(
        "a: ",
        "tasks: ",
        "w: ",
        "<% $.x %>",
        "{{ y }}",
        'fail(msg="',
        "std.echo output=",
        "std.echo output=NaN",
        "(" * 40,
    ),
)


def mutated(source: random.Random, text: str) -> str:
    for _ in range(source.randint(1, 6)):
        start = source.randrange(len(text) + 1)
        end = min(len(text), start + int(source.expovariate(0.2)))
        piece = source.choice([source.choice(PIECES), text[start:end] * 2, chr(source.randrange(0x300)), ""])
        text = text[:start] + piece + text[end:]
    return text


def test_mutated_texts():
    """Deterministic order; as many as fit into the time."""
    source = random.Random(20260102)
    until = time.monotonic() + SECONDS
    compiled = refused = 0
    while time.monotonic() < until:
        text = mutated(source, source.choice(SEEDS))
        try:
            told = declarations_of(text, "", 1000)
            graph, nodes = compile_definition(text, source.choice([None, "w", "book.w", "book.v"]), "", 1000, "a")
        except (DefinitionInvalid, InputInvalid, WorkflowNotFound) as error:
            assert len(str(error)) < 6000  # noqa: PT017
            refused += 1
        else:
            assert len(nodes) == graph.size
            assert graph.workflow in [one.name for one in told]
            compiled += 1
    assert compiled > 20
    assert refused > 20


def test_what_is_read_is_what_pyyaml_reads():
    """Wherever both read a text, they read the same, but for dates, which stay strings here."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":value"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    source = random.Random(7)
    same = 0
    until = time.monotonic() + 4
    while time.monotonic() < until:
        text = mutated(source, source.choice(SEEDS))
        try:
            mine = read(text)
        except DefinitionInvalid:
            continue
        try:
            theirs = yaml.load(text, Loader)
        except Exception:
            continue
        assert repr(mine) == repr(theirs), text
        same += 1
    assert same > 20
