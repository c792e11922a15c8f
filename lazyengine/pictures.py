"""Pictures of a compiled graph: which task leads where, and how each stands; as DOT (Graphviz) and as Mermaid.

`picture` takes nodes and the newest run of each; `dot` and `mermaid` write what it gives.  What people named never
stands outside of a quoted label: in a text the nodes are n0, n1, … and the ends that commands make e0, e1, …
Gates of flows are points.
A state is a colour and a word, and a clause is a kind of line and a word, so a picture without colours says the same.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lazyengine.core.graph import Command, Edge, Guard, Kind, Node, On
from lazyengine.core.state import Items, TaskState
from lazyengine.records import RunSummary

MAX_TASKS = 1000
"""A graph of more tasks is in no picture: nobody could read it, and Graphviz would draw it for minutes."""

MAX_EDGES = 10_000

GUARD_LENGTH = 1000
"""Characters of a guard that a picture knows."""

LABEL_LENGTH = 40
"""Characters of a guard, an action or a workflow in a label; names of tasks are never cut."""

COLOURS = {
    TaskState.PENDING: ("#f6f6f6", "#8c8c8c"),
    TaskState.DELAYED: ("#fff1c2", "#a37400"),
    TaskState.RUNNING: ("#d3e6ff", "#1f5fbf"),
    TaskState.DECIDING: ("#d3e6ff", "#1f5fbf"),
    TaskState.ASKING: ("#d3e6ff", "#1f5fbf"),
    TaskState.SUCCESS: ("#d5f2da", "#2b7a3d"),
    TaskState.FAILURE: ("#ffd9d6", "#b3261e"),
    TaskState.CANCELLED: ("#e7dff5", "#6a4fa3"),
    TaskState.SKIPPED: ("#e3eef0", "#4f7780"),
    TaskState.IGNORE: ("#e3eef0", "#4f7780"),
    TaskState.REVERTING: ("#ffe3c7", "#b45309"),
    TaskState.REVERTED: ("#f3e6d8", "#8a5a2b"),
    TaskState.REVERT_FAILURE: ("#ffd9d6", "#b3261e"),
}
"""Of the inside and of the line; all insides are light enough for dark text."""

TEXT_COLOUR = "#1b1b1b"


@dataclass(frozen=True, slots=True)
class PicturedNode:
    """A task, with its newest run.

    :param join: how many of the tasks that lead here it waits for; None runs it for each
    :param indegree: how many different tasks lead here
    :param has_items: it is a with-items task; `items` counts them once the run has begun
    """

    name: str
    join: int | None
    indegree: int
    state: TaskState
    iteration: int
    action: str | None
    workflow: str | None
    has_items: bool
    items: Items | None
    kind: Kind = Kind.TASK


@dataclass(frozen=True, slots=True)
class PicturedEdge:
    """An entry of a clause: it leads from a task to another one, or to a command."""

    source: str
    target: str | None
    on: On
    guard: str | None
    command: Command | None


@dataclass(frozen=True, slots=True)
class Picture:
    """A graph and how it stands; nodes and edges in the order of the definition, names of nodes are unique."""

    nodes: tuple[PicturedNode, ...]
    edges: tuple[PicturedEdge, ...]


def picture(nodes: Iterable[Node], runs: Mapping[int, RunSummary] | None = None) -> Picture:
    """Put together a picture of a whole graph.

    :param runs: by the id of a node, its newest run; a node without one is PENDING
    """
    nodes = list(nodes)
    names = {node.id: node.name for node in nodes}
    known = runs or {}
    return Picture(
        tuple(_node(node, known.get(node.id, RunSummary())) for node in nodes),
        tuple(_edge(node.name, edge, names) for node in nodes for edge in node.edges),
    )


def _node(node: Node, run: RunSummary) -> PicturedNode:
    action = run.action or node.action
    return PicturedNode(
        name=node.name,
        join=node.join,
        indegree=node.indegree,
        state=run.state,
        iteration=run.iteration,
        action=None if node.workflow or action == "std.async_noop" else action,
        workflow=(run.action or node.workflow) if node.workflow else None,
        has_items=bool(node.items),
        items=run.items,
        kind=node.kind,
    )


def _edge(source: str, edge: Edge, names: Mapping[int, str]) -> PicturedEdge:
    guard = None if edge.guard is None else _cut(_words(edge.guard), GUARD_LENGTH)
    if isinstance(edge.to, Command):
        return PicturedEdge(source, None, edge.on, guard, edge.to)
    return PicturedEdge(source, names[edge.to], edge.on, guard, None)


def _words(guard: Guard) -> str:
    return guard if isinstance(guard, str) else str(guard).lower()


# -- what is written where --------------------------------------------------------------------------------------------


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _short(text: str) -> str:
    return _cut(" ".join(text.split()), LABEL_LENGTH)


def _lines_of(node: PicturedNode) -> Iterator[str]:
    yield node.name
    yield node.state if node.iteration == 1 else f"{node.state}, iteration {node.iteration}"
    if node.workflow is not None:
        yield f"workflow {_short(node.workflow)}"
    if node.action is not None:
        yield _short(node.action)
    if node.items is not None:
        failed = f", {node.items.failed} failed" if node.items.failed else ""
        yield f"{node.items.done} of {node.items.total} items done{failed}"
    elif node.has_items:
        yield "with items"
    if node.join is not None:
        yield "join all" if node.join == node.indegree else f"join {node.join} of {node.indegree}"


def _lines_at(edge: PicturedEdge) -> Iterator[str]:
    yield edge.on
    if edge.guard is not None:
        yield _short(edge.guard)


@dataclass(frozen=True, slots=True)
class _Ends:
    """The names that nodes have in a text, and those of the ends: one for each command of a task."""

    nodes: dict[str, str]
    commands: dict[tuple[str, Command], str]

    @classmethod
    def of(cls, shown: Picture) -> "_Ends":
        commands = dict.fromkeys((edge.source, edge.command) for edge in shown.edges if edge.command is not None)
        return cls(
            {node.name: f"n{number}" for number, node in enumerate(shown.nodes)},
            {end: f"e{number}" for number, end in enumerate(commands)},
        )

    def target(self, edge: PicturedEdge) -> str:
        if edge.command is not None:
            return self.commands[edge.source, edge.command]
        assert edge.target is not None
        return self.nodes[edge.target]


_unprintable = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What may end a line, what UTF-8 cannot hold, and what the SVG that is drawn from a text may not hold."""


def _printable(text: str) -> str:
    return _unprintable.sub("\ufffd", text)


# -- DOT --------------------------------------------------------------------------------------------------------------

DOT_LINES = {On.SUCCESS: "solid", On.ERROR: "dashed", On.COMPLETE: "bold", On.SKIP: "dotted"}
DOT_HEAD = f"""\
digraph {{
  graph [charset="UTF-8", rankdir="TB"];
  node [shape="box", style="filled,rounded", margin="0.2,0.1", fontname="Helvetica", fontcolor="{TEXT_COLOUR}"];
  edge [fontname="Helvetica", fontsize="10", fontcolor="{TEXT_COLOUR}", color="#555555"];
"""


def dot(shown: Picture) -> str:
    """Write a picture in the DOT language.

    Source: https://graphviz.org/doc/info/lang.html and attrs.html (escString: `\\N` and its like, and entities).
    """
    ends = _Ends.of(shown)
    lines = []
    for node in shown.nodes:
        if node.kind is Kind.GATE:
            lines.append(f'  {ends.nodes[node.name]} [label="", shape="point"];')
            continue
        inside, line = COLOURS[node.state]
        double = ', peripheries="2"' if node.workflow is not None else ""
        label = _dot_label(_lines_of(node))
        lines.append(f'  {ends.nodes[node.name]} [label={label}, fillcolor="{inside}", color="{line}"{double}];')
    for (_, command), end in ends.commands.items():
        lines.append(f'  {end} [label="{command}", shape="ellipse", style="solid", fontsize="10", margin="0.03"];')
    for edge in shown.edges:
        way = f"{ends.nodes[edge.source]} -> {ends.target(edge)}"
        lines.append(f'  {way} [label={_dot_label(_lines_at(edge))}, style="{DOT_LINES[edge.on]}"];')
    return DOT_HEAD + "".join(f"{line}\n" for line in lines) + "}\n"


_DOT_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "&": "&amp;"})


def _dot_label(lines: Iterable[str]) -> str:
    return '"' + "\\n".join(_printable(line).translate(_DOT_ESCAPES) for line in lines) + '"'


# -- Mermaid ----------------------------------------------------------------------------------------------------------

MERMAID_ARROWS = {On.SUCCESS: "-->", On.ERROR: "-.->", On.COMPLETE: "==>", On.SKIP: "-.->"}


def mermaid(shown: Picture) -> str:
    """Write a picture as a Mermaid flowchart.

    Source: https://mermaid.js.org/syntax/flowchart.html; what a label may not hold as it is, is a number (`#35;`).
    """
    ends = _Ends.of(shown)
    lines = ["flowchart TB"]
    for node in shown.nodes:
        if node.kind is Kind.GATE:
            lines.append(f'  {ends.nodes[node.name]}((" ")):::command')
            continue
        opening, closing = ("[[", "]]") if node.workflow is not None else ("(", ")")
        label = _mermaid_label(_lines_of(node))
        lines.append(f"  {ends.nodes[node.name]}{opening}{label}{closing}:::{node.state.lower()}")
    for (_, command), end in ends.commands.items():
        lines.append(f'  {end}(["{command}"]):::command')
    for edge in shown.edges:
        arrow = f"{MERMAID_ARROWS[edge.on]}|{_mermaid_label(_lines_at(edge))}|"
        lines.append(f"  {ends.nodes[edge.source]} {arrow} {ends.target(edge)}")
    for state in sorted({node.state for node in shown.nodes if node.kind is not Kind.GATE}):
        inside, line = COLOURS[state]
        lines.append(f"  classDef {state.lower()} fill:{inside},stroke:{line},color:{TEXT_COLOUR}")
    if ends.commands or any(node.kind is Kind.GATE for node in shown.nodes):
        lines.append(f"  classDef command fill:#ffffff,stroke:#555555,color:{TEXT_COLOUR},font-size:11px")
    return "".join(f"{line}\n" for line in lines)


_mermaid_special = re.compile(
    r"(?<![0-9A-Za-z])[-_]|[-_](?![0-9A-Za-z])"  # inside of a word they mean nothing
    r"|[!-,./:-@[-^`{-~]"
)

_mermaid_magic = re.compile(r"\\(?=n)|\$(?=\$)|:(?=fa-)|ﬂ(?=°)|¶(?=ß)")
"""What Mermaid finds in a label even behind numbers: a line break, a formula, an icon, its own marks for numbers."""

_WORD_JOINER = "\u2060"


def _mermaid_label(lines: Iterable[str]) -> str:
    """Quote lines; a label is read as Markdown too, so no punctuation of it may stand as it is."""
    plain = (_mermaid_magic.sub(rf"\g<0>{_WORD_JOINER}", _printable(line)) for line in lines)
    return '"' + "<br/>".join(_mermaid_special.sub(lambda found: f"#{ord(found[0])};", line) for line in plain) + '"'


# -- either -----------------------------------------------------------------------------------------------------------

WRITERS: dict[str, Callable[[Picture], str]] = {"dot": dot, "mermaid": mermaid}


def write(shown: Picture, format: str) -> str:
    """Write a picture in a format, by its name.

    :raises ValueError: there is no such format
    """
    if format not in WRITERS:
        raise ValueError(f"a picture is written as {' or '.join(WRITERS)}, not as {format!r}")
    return WRITERS[format](shown)
