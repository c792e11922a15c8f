"""Over what it is said to read, an expression gives what it gives over everything."""

from dataclasses import replace

from lazyengine.compilers.expressions import EVERYTHING, Evaluator, Template, View, compile_template
from lazyengine.compilers.faults import Faults
from lazyengine.settings import Settings
from tests.oracle.expressions import generated, hand_picked, sample_views


def compiled() -> list[Template]:
    values = [f"<% {source} %>" for source in hand_picked.YAQL] + [
        f"{{{{ {source} }}}}" for source in hand_picked.JINJA
    ]
    templates = []
    for value in [*values, *hand_picked.TEXTS, *generated.templates(77, 1_000)]:
        faults = Faults()
        template = compile_template(faults, (), value)
        if not faults.found and "uuid" not in str(value) and "now()" not in str(value):
            templates.append(template)
    return templates


def test_what_is_said_to_be_read_suffices() -> None:
    evaluator = Evaluator(Settings(expression_timeout_seconds=60.0))
    view = View(**sample_views.IN_TASK)
    templates = compiled()
    assert len(templates) > 1_000
    narrow = evaluator.evaluate_many([(template, view) for template in templates])
    wide = evaluator.evaluate_many([(replace(template, reads=EVERYTHING), view) for template in templates])
    evaluator.close()
    different = [
        (template.value, one, other)
        for template, one, other in zip(templates, narrow, wide, strict=True)
        if " object at 0x" not in str(one) and str(one) != str(other)
    ]
    assert not different
