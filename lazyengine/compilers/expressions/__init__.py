"""YAQL and Jinja: compiled with their faults and what they read, evaluated within bounds."""

from lazyengine.compilers.expressions.evaluator import EvaluationError, Evaluator
from lazyengine.compilers.expressions.reads import EVERYTHING, NOTHING, Reads
from lazyengine.compilers.expressions.scan import has_expression
from lazyengine.compilers.expressions.template import (
    ExpressionInvalid,
    Template,
    compile_inside,
    compile_template,
    compile_text,
    load_template,
)
from lazyengine.compilers.expressions.view import View

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "EvaluationError",
    "Evaluator",
    "ExpressionInvalid",
    "Reads",
    "Template",
    "View",
    "compile_inside",
    "compile_template",
    "compile_text",
    "has_expression",
    "load_template",
]
