"""Bodies that are no JSON, or JSON that nobody should have to read: 400 at once."""

import json

import pytest

from tests.integration.badinput.attacker import refused, works

DEEP = 100_000
BODIES = {
    "empty": b"",
    "blank": b" \n",
    "text": b"hello",
    "half": b'{"definition": ',
    "two values": b"{} {}",
    "trailing comma": b'{"definition": "x",}',
    "single quotes": b"{'definition': 'x'}",
    "comment": b'{"definition": "x" /* y */}',
    "YAML": b"definition: x",
    "form": b"definition=x",
    "null": b"null",
    "list": b"[]",
    "string": b'"x"',
    "number": b"1",
    "true": b"true",
    "NaN": b'{"definition": NaN}',
    "Infinity": b'{"definition": {"w": -Infinity}}',
    "1e400": b'{"definition": {}, "input": {"x": 1e400}}',
    "-1e400": b'{"definition": {}, "input": {"x": -1e400}}',
    "leading zero": b'{"definition": 01}',
    "bare NUL": b'{"definition": "\x00"}',
    "control character": b'{"definition": "\x1f"}',
    "NUL behind": b"{}\x00",
    "BOM": b"\xef\xbb\xbf{}",
    "UTF-16": '{"definition": "x"}'.encode("utf-16"),
    "latin-1": '{"definition": "ü"}'.encode("latin-1"),
    "surrogate in UTF-8": b'{"definition": "\xed\xa0\x80"}',
    "overlong UTF-8": b'{"definition": "\xc0\xaf"}',
    "broken escape": b'{"definition": "\\ud8"}',
    "duplicate key": b'{"definition": "x", "definition": "y"}',
    "duplicate key inside": b'{"definition": {"w": {"tasks": {"a": {}, "a": {}}}}}',
    "duplicate key by escape": b'{"definition": {"a": 1, "\\u0061": 2}}',
    "100,000 lists": b'{"definition": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "100,000 objects": b'{"definition": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "100,000 lists, open": b"[" * DEEP,
    "100,000 objects, open": b'{"a":' * DEEP,
    "100,000 as input": b'{"definition": "x", "input": {"x": ' + b"[" * DEEP + b"]" * DEEP + b"}}",
    "a million brackets": b"[" * 1_000_000,
    "65 levels": b'{"definition": "x", "input": ' + b'{"a":' * 65 + b"1" + b"}" * 65 + b"}",
    "5,000 digits": b'{"definition": "x", "input": {"n": ' + b"9" * 5_000 + b"}}",
    "a million digits": b'{"definition": "x", "input": {"n": ' + b"9" * 1_000_000 + b"}}",
    "a million digits behind the point": b'{"definition": "x", "input": {"n": 1e' + b"9" * 1_000_000 + b"}}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_what_is_no_acceptable_json_is_refused(attacker, body):
    """Each is a 400 of one code, whichever operation it is sent to."""
    refused(attacker.post(body), 400, "request.invalid")
    refused(attacker.send("PUT", "/executions/00000000-0000-4000-8000-000000000000", body), 400, "request.invalid")


def test_a_million_members_are_read(attacker):
    """Width is no crime: an input of many members is taken as long as the body is within its limit."""
    names = [f"n{number}" for number in range(20_000)]
    definition = {"w": {"input": [{name: 0} for name in names], "tasks": {"a": {}}}}
    works(attacker.post({"definition": definition, "input": dict.fromkeys(names, 1)}), within_seconds=60.0)


def test_many_duplicates_cost_no_more_than_few(attacker):
    """Looking for the name that stands twice among 200,000 does not compare each with each."""
    members = ",".join(f'"n{number}": 0' for number in range(200_000))
    refused(attacker.post(f'{{{members}, "n199999": 1}}'.encode()), 400, "request.invalid")


def test_odd_but_valid_json_works(attacker):
    """Escapes, a number of 4,000 digits, -0, 1E+2 and a text of emoji come back as the same JSON values."""
    number = "9" * 4_000
    odd = f'{{"n": {number}, "z": -0.0, "e": 1E+2, "s": "\\u00e9\\ud83d\\ude00", "l": "\\u2028"}}'
    definition = '{"w": {"input": ["odd"], "tasks": {"a": {}}}}'
    answer = attacker.post(f'{{"definition": {definition}, "input": {{"odd": {odd}}}}}'.encode())
    execution = works(answer)
    shown = works(attacker.send("GET", f"/executions/{execution['id']}"), 200)
    assert shown["input"]["odd"] == json.loads(odd)


def test_free_json_may_hold_what_databases_cannot(attacker):
    """NUL and lone surrogates in inputs and results come back as they were sent."""
    value = {"nul": "a\0b", "lone": "\ud800", "key\0": ["\udfff"]}
    definition = {"w": {"input": ["value"], "tasks": {"a": {}}}}
    execution = works(attacker.post({"definition": definition, "input": {"value": value}}))
    works(attacker.put(f"/executions/{execution['id']}/tasks/a", {"state": "SUCCESS", "result": value}), 200)
    task = works(attacker.send("GET", f"/executions/{execution['id']}/tasks/a"), 200)
    assert task["result"] == value
    assert works(attacker.send("GET", f"/executions/{execution['id']}"), 200)["input"] == {"value": value}
