"""The YAML lists that a newcomer adds to: estimators, figures and claims.

Each list is `workflow/config/{name}.yaml`, checked against `workflow/schemas/{name}.schema.yaml`.
"""

import functools
from typing import Any

import yaml

from workflow.lib.spec import WORKFLOW, check_schema


@functools.cache
def load(name: str) -> dict[str, Any]:
    """Return the entries of the list `name`, each under its own key.

    Args:
        name: "estimators", "figures" or "claims".

    Raises:
        ValueError: an entry does not fit the schema; the line says which, and why.
    """
    source = WORKFLOW / "config" / f"{name}.yaml"
    entries = yaml.safe_load(source.read_text(encoding="utf-8"))
    check_schema(entries, name, source.name)
    return entries
