"""Checks of a run's hyperparameters against the signature of the function that takes them."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workflow.lib.common.choices import check_choice

NUMBERS = (int, float)


def accepted(factory: Callable) -> dict[str, tuple[Any, bool]]:
    """Return {hyperparameter: (annotation, required)} of a factory's keyword-only arguments.

    `**options: Unpack[T]` counts as the fields of the TypedDict T.
    """
    hints = typing.get_type_hints(factory, include_extras=True)
    fields: dict[str, tuple[Any, bool]] = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            fields[name] = (hints[name], parameter.default is inspect.Parameter.empty)
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            (options,) = typing.get_args(hints[name])
            for option, hint in typing.get_type_hints(options).items():
                fields[option] = (hint, option in options.__required_keys__)
    return fields


def check(kind: str, name: str, factory: Callable, values: Mapping[str, Any]) -> None:
    """Raise ValueError if `values` are not hyperparameters that `factory` takes.

    Args:
        kind: "task", "estimator" or "protocol", for the message.
        name: of the factory, for the message.
        factory: the function.
        values: hyperparameters from an experiment file.
    """
    fields = accepted(factory)
    for key, value in values.items():
        check_choice(f"hyperparameter of {kind} {name}", key, tuple(fields))
        hint = fields[key][0]
        if not _fits(value, hint):
            wanted = getattr(hint, "__name__", str(hint))
            raise ValueError(f"{kind} {name}: {key}={value!r} must be of type {wanted}")
    missing = [key for key, (_, required) in fields.items() if required and key not in values]
    if missing:
        raise ValueError(f"{kind} {name}: missing hyperparameter {', '.join(missing)}")


def _fits(value: Any, hint: Any) -> bool:
    """Return whether JSON data fits an annotation of plain types, containers and unions."""
    if hint is Any:
        return True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in arguments)
    if origin is Sequence:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if origin is Mapping:
        return isinstance(value, dict) and all(_fits(v, arguments[1]) for v in value.values())
    if hint is float:
        return isinstance(value, NUMBERS) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)
