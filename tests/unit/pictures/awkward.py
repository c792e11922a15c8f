"""Names that mean something to Graphviz, to Mermaid, to Markdown or to HTML, and a graph that is made of them."""

from lazyengine.core.graph import Command, Edge, Node, On
from lazyengine.pictures import Picture, picture

NAMES = [
    "end", "graph", "subgraph x", "click", "style", "default", "o", "x", "---", "-->", "::: x", "@{ shape: x }", "n0;",
    '"', '"]', "'", "a\"b\\", "\\N \\G", "\\n", "a\\nb", "\\", "[x]", "[[x]]", "{y}", "(z)", "|p|", "<", "a < b > c",
    "]", "&amp; &lt;", "&#60;b&#62;", "&", "</b><b>x", "<br/>", "<script>alert(1)</script>", "#35;", "#quot;",
    "#60;b#62;", "`md`", "**b** _i_", "_a_", "a_b-c", "1. one", "1) x", "- dash", "+ plus", "* star", "# head", "===",
    "> quote", "~~s~~", "![i](u)", "[l](u)", "<a@b.c>", "www.example.com", "https://x.y", "a@b.c", "a.b.c", "100%",
    "%%", "%%{init: {}}%%", "style:#34;", "classDef a:#b;", "$$x^2$$", "$$$$", "fa:fa-car", "fab:fa-x", "ﬂ°°34¶ß",
    "ﬂ°quot¶ß", "ünï → ←", "日本語", "שלום", "😀", "x" * 255,
]  # fmt: skip
"""Without blanks at an end or in a row: to see those is asked of nobody."""


def awkward() -> Picture:
    """One node for each name, which is also the guard of its edge to the next node; the last has commands."""
    last = len(NAMES) - 1
    nodes = [
        Node(number, name, edges=(Edge(On.SUCCESS, number + 1, name),) if number < last else ())
        for number, name in enumerate(NAMES)
    ]
    ends = tuple(Edge(on, command, NAMES[13]) for on in On for command in Command)
    return picture([*nodes[:-1], Node(last, NAMES[-1], edges=ends)])
