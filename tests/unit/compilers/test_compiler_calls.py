"""The short form of a call (Mistral: lang/v2/base.py, _parse_cmd_and_input)."""

import pytest

from lazyengine.compilers.calls import CallError, parse_call, parse_parameters


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("std.noop", "std.noop", {}),
        ("  std.noop \n", "std.noop", {}),
        ("std.noop()", "std.noop", {}),
        ("a x=\"1\" y='2'", "a", {"x": "1", "y": "2"}),
        ('a(x="1", y=2)', "a", {"x": "1", "y": 2}),
        ("a ( x = 1 )", "a", {"x": 1}),
        ("a x=true y=false z=null", "a", {"x": True, "y": False, "z": None}),
        ("a x=1.5 y=-2 z=1e3", "a", {"x": 1.5, "y": -2, "z": 1000.0}),
        ("a x=word y=http://h:1/p?q", "a", {"x": "word", "y": "http://h:1/p?q"}),
        ('a x="" y=it\'s', "a", {"x": "", "y": "it's"}),
        ('a x="it\'s (so), \\n"', "a", {"x": "it's (so), \\n"}),
        ('a x=[1, {"b": "c d"}] y={"e": []}', "a", {"x": [1, {"b": "c d"}], "y": {"e": []}}),
        ("a my-name=1 _2=3 ü=4", "a", {"my-name": 1, "_2": 3, "ü": 4}),
        ("a x=1 x=2", "a", {"x": 2}),
        ("ü.🙂/b", "ü.🙂/b", {}),
        ("a x=<% $.b + 1 %> y={{ _.c }}", "a", {"x": "<% $.b + 1 %>", "y": "{{ _.c }}"}),
        ("a x={% if _.c %}d{% endif %}", "a", {"x": "{% if _.c %}d{% endif %}"}),
        ("<% $.a %>", "<% $.a %>", {}),
        (" <% $.a %> x=1", "<% $.a %>", {"x": 1}),
        ("{{ _.a }}(x=1)", "{{ _.a }}", {"x": 1}),
        ("{% if _.c %}d{% endif %} x=1", "{% if _.c %}d{% endif %}", {"x": 1}),
        ("<%no x=1", "<%no", {"x": 1}),
    ],
)
def test_calls(text, name, parameters):
    assert parse_call(text) == (name, parameters)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no name"),
        ("  ", "no name"),
        ('"a"', "no name"),
        ("=a", "no name"),
        ("a b", "'b' is not a parameter"),
        ("a x=1 ! y=2", "'! y=2' is not a parameter"),
        ("a=1", "'=1' is not a parameter"),
        ("a x=", "no value"),
        ('a x="open', "quotes are not closed"),
        ("a x='open", "quotes are not closed"),
        ("a(x=1", "a ')' is missing"),
        ("a(", "a ')' is missing"),
        ("a x=1)", "')' is not a parameter"),
        ("a(x=1))", "'))' is not a parameter"),
        ("a x=[1", "'[1' is not JSON"),
        ('a x={"b": 1, "b": 2}', "is not JSON"),
        ("a x=" + "[" * 100_000, "is not JSON"),
        ("a x=" + "9" * 10_000, "too many digits"),
    ],
)
def test_what_is_no_call(text, reason):
    with pytest.raises(CallError) as caught:
        parse_call(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("count=3 delay=1", {"count": 3, "delay": 1}),
        ("  count=3, delay=<% $.d %>", {"count": 3, "delay": "<% $.d %>"}),
        ("retry count=3", {"count": 3}),
        ("retry(count=3)", {"count": 3}),
        ("", {}),
    ],
)
def test_parameters_alone(text, parameters):
    assert parse_parameters(text) == parameters


@pytest.mark.parametrize("text", ["<% $.x %>", "a b", "x=", '"a"'])
def test_what_are_no_parameters(text):
    with pytest.raises(CallError):
        assert parse_parameters(text)


@pytest.mark.parametrize("piece", ["x=<% ", "x={{ ", "x={% ", "x=<% \n", "x={% %}", "x=<%{{{%"])
def test_expressions_that_do_not_end_cost_no_more_than_their_length(piece):
    for text in ("a " + piece * 100_000, "a " + piece * 100_000 + "\n%> }} %}"):
        try:
            parse_call(text)
        except CallError as error:
            assert len(str(error)) < 100  # noqa: PT017


@pytest.mark.parametrize("tail", ["y", ",,", ")", "(", '"', "x", "x=", "x " * 200_000])
def test_long_runs_cost_no_more_than_their_length(tail):
    """Half a million blanks behind one another: with backtracking these would take hours."""
    blanks = " " * 500_000
    for text in (f'a x="1"{blanks}{tail}', f"a({blanks}{tail}", f"a x=1{blanks},{blanks}{tail}", f"{blanks}{tail}"):
        try:
            parse_call(text)
        except CallError as error:
            assert len(str(error)) < 100  # noqa: PT017
