"""Expressions as workflows have them, and the corners of both languages.

Those of `hand_picked_*.txt`, one a line, are put between brackets; `TEXTS` are values as they stand.
"""

from pathlib import Path

_HERE = Path(__file__).parent
YAQL = (_HERE / "hand_picked_yaql.txt").read_text().splitlines()
JINJA = (_HERE / "hand_picked_jinja.txt").read_text().splitlines()

TEXTS = [
    "", " ", "plain", "100%", "<%", "%>", "<%%>", "<% %>", "<%%%>", "{{", "}}", "{{}}", "{{ }}", "{%", "%}", "{% %}",
    "{# comment #}", "{# c #}{{ 1 }}", "a {# c #}", "<%>", "<% $.n", "$.n %>", "<% $.n %", "<%$.n%>", "<%  $.n  %>",
    " <% $.n %>", "<% $.n %> ", "n=<% $.n %>", "<% $.n %><% $.n %>", "<% $.n %> and <% $.name %>",
    "<% $.list %> <% $.map.b %>", "x <% $.nothing %> <% $.yes %> <% $.half %>", "x<% $.tricky %>y<% $.n %>",
    "x<% '<' + '% $.name %' + '>' %>y<% $.name %>", "<% $.n\n%>", "<% $.n %>\n<% $.name %>", "a\n<% $.n %>\n",
    "<% '%' + 'x' %>", "<% $.n > 3 %>", "<% 3 < $.n %>", "<% $.n >%>", "<%<% $.n %>%>", "<% $.missing %> x",
    "x <% nosuch() %>", "x <% set(1) %>", "x <% $.users.name %>", "x <% range(3) %>", "x <% datetime(2020,1,1) %>",
    "{{ _.n }}", "{{_.n}}", " {{ _.n }}", "{{ _.n }} ", "{{ _.n }}\n", "n={{ _.n }}", "{{ _.n }}{{ _.n }}",
    "{{ _.n }} and {{ _.name }}", "{{ _.list }} {{ _.map.b }}", "x {{ _.nothing }} {{ _.yes }} {{ _.half }}",
    "{{\n_.n }}", "{{ _.n\n}} x {{ _.n }}", "{{- _.n -}}", "a {{- _.n -}} b", "{{ '}}' }}", "{{ {'a': {'b': 1}} }}",
    "{{ {'a': {'b': 1} } }}", "{{ _.missing }} x", "{{ nosuch }} x", "x {{ _.tricky }}",
    "{% for u in _.users %}{{ u.name }};{% endfor %}", "{% for u in _.users %}\n  {{ u.name }}\n{% endfor %}\n",
    "{% if _.n %}yes{% endif %}", "{% if _.n > 3 %}{{ _.name }}{% else %}no{% endif %}", "{% set x = 3 %}{{ x + _.n }}",
    "{% set r = [] %}{% for u in _.users %}{% set _x = r.append(u.age) %}{% endfor %}{{ r }}",
    "{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(_.n) }}", "{% raw %}{{ x }}{% endraw %}", "{{ 1 }}{% if %}",
    "{% include 'x' %}{{ 1 }}", "{% import 'x' as x %}{{ 1 }}", "{% extends 'x' %}{{ 1 }}", "{{ 1 }}{% endfor %}",
    "{% for i in range(3) %}{{ loop.index }}{% endfor %}", "{{ 1 }}{% do 1 %}", "{{ 1 }}{% break %}",
    "{% filter upper %}{{ _.name }}{% endfilter %}", "{% with x = _.n %}{{ x }}{% endwith %}",
    "{% set ns = namespace(t=0) %}{% for i in _.list %}{% set ns.t = ns.t + i %}{% endfor %}{{ ns.t }}",
    "{{ _.n }} <% $.n %>", "<% $.n %> {{ _.n }}", "<% '{{ _.n }}' %>", "{{ '<% $.n %>' }}", "{{ 1 }} # x",
    {"a": "<% $.n %>"}, {"a": ["{{ _.n }}", {"b": "<% $.name %>"}]}, {"<% $.n %>": 1}, ["<% $.missing %>"],
    {"a": 1, "b": None, "c": [True, 1.5]}, [], {}, 1, None, True, [["<% $.n %>", "x"], "{{ _.name }}!"],
    {"a": {"b": {"c": "<% $.n %> {{ _.n }}"}}}, {"a": "x", "b": "<% $.list %>", "c": "<% $.map %>"},
]  # fmt: skip
