"""The YAML lists that a newcomer adds to: estimators, figures and claims.

Each list is `workflow/config/{name}.yaml`, checked against `workflow/schemas/{name}.schema.yaml`.
"""

import functools
from pathlib import Path
from typing import Any

import jsonschema
import yaml

WORKFLOW = Path(__file__).resolve().parents[1]


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
    schema_file = WORKFLOW / "schemas" / f"{name}.schema.yaml"
    schema = yaml.safe_load(schema_file.read_text(encoding="utf-8"))
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(entries)
    )
    if error is not None:
        raise ValueError(f"{source.name}, {error.json_path.removeprefix('$.')}: {error.message}")
    return entries
