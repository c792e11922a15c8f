"""Evaluating texts, inside the evaluator's process: nothing here is bounded but by the process itself."""

import json
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import yaql
from jinja2 import pass_context
from yaql.language.expressions import Constant, KeywordConstant, MappingRuleExpression
from yaql.language.utils import NO_VALUE, FrozenDict, convert_input_data, convert_output_data

from lazyengine.compilers.expressions import functions, jinja_language, yaql_language
from lazyengine.compilers.expressions.scan import Language, jinja_source, yaql_parts, yaql_source


def _as_filter(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a filter that Jinja does not evaluate ahead when all it is given is constant: what it reads is not."""

    @pass_context
    def called(_: Any, *args: Any, **named: Any) -> Any:
        return function(*args, **named)

    return called


_ENGINE = yaql_language.new_engine()
_ROOT = yaql.create_context()
_ENVIRONMENT = jinja_language.new_environment()
functions.add_mapping(FrozenDict)
for _name, _function in functions.BY_NAME.items():
    _ROOT.register_function(_function, name=_name)
    _ENVIRONMENT.filters[_name] = _as_filter(_function)


class Failure(Exception):
    """An expression cannot be evaluated.

    :param source: that expression
    """

    def __init__(self, source: str, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error))
        self.source = source
        self.is_memory = isinstance(error, MemoryError)


class Evaluation:
    """The texts of one template over one view.

    :param said: the view, as `view.message` writes it
    """

    def __init__(self, said: str) -> None:
        self.said = said
        self.yaql_view: Any = None
        self.yaql_root: Any = None

    def value_of(self, language: str, text: str) -> Any:
        """Evaluate one text.

        :raises Failure: it cannot be
        """
        return self.of_jinja(text) if language == Language.JINJA else self.of_yaql(text)

    def of_yaql(self, text: str) -> Any:
        """All parts of all texts share what they look at: yaql cannot change it."""
        value: Any = text
        for part in yaql_parts(text):
            try:
                result = _yaql(yaql_source(part))(self.yaql_context())
                if part == text:
                    return result
                value = value.replace(part, str(result))
            except Exception as error:
                raise Failure(part, error) from None
        return value

    def yaql_context(self) -> Any:
        if self.yaql_root is None:
            self.yaql_view = json.loads(self.said)
            values = _context(self.yaql_view)
            self.yaql_root = _ROOT.create_child_context()
            self.yaql_root["$"] = convert_input_data(self.yaql_view.get("root", values))
            for name in ("__env", "__execution", "__task_execution"):
                self.yaql_root[name] = values.get(name)
        functions.view = self.yaql_view
        return self.yaql_root.create_child_context()

    def of_jinja(self, text: str) -> Any:
        """What Jinja evaluates it may change, so each text has its own copy."""
        try:
            functions.view = json.loads(self.said)
            values = _context(functions.view)
            root = functions.view.get("root", values)
            names: dict[str, Any] = {name: partial(function, values) for name, function in functions.BY_NAME.items()}
            for name in ("__env", "__execution", "__task_execution"):
                names[name] = values.get(name)
            source = jinja_source(text)
            if source is None:
                return _template(text).render(**names, _=root)
            result = _expression(source)(**names, _=root)
            str(result)  # what is undefined says so only when it is used
        except Exception as error:
            raise Failure(text, error) from None
        return result


def _context(said: dict[str, Any]) -> dict[str, Any]:
    """Return the variables with those of Mistral's own among them."""
    own: dict[str, Any] = {"__env": said.get("env", {}), "__execution": {"id": said["execution"]["id"]}}
    if "task" in said:
        own["__task_execution"] = {"id": said["task"]["id"], "name": said["task"]["name"]}
    return {**said["variables"], **own}


@lru_cache(maxsize=1024)
def _yaql(source: str) -> Callable[[Any], Any]:
    """Return what evaluates an expression in a context.

    Where that cannot make a difference, it does not look up yaql's function that finishes a statement.
    """
    statement = _ENGINE(source)
    tree = statement.expression
    if type(tree) in (Constant, KeywordConstant, MappingRuleExpression):
        return lambda context: statement.evaluate(context=context)
    yaql_language.hasten(tree)
    return lambda context: convert_output_data(tree(NO_VALUE, context, _ENGINE), lambda items: items, _ENGINE)


@lru_cache(maxsize=1024)
def _expression(source: str) -> Any:
    return _ENVIRONMENT.compile_expression(source, undefined_to_none=False)


@lru_cache(maxsize=1024)
def _template(text: str) -> Any:
    return _ENVIRONMENT.from_string(text)
