"""Lay data out as a text: Python gathers what a page says, a template says how it looks.

Templates are the files of `workflow/lib/report/templates`, in the language of jinja2. A name that a
template asks for and does not get is an error. In HTML, the characters of the data that mean
something there are escaped.
"""

import functools
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from workflow.lib.common.paths import ROOT

TEMPLATES = Path(__file__).parent / "templates"


@functools.cache
def _environment() -> Environment:
    """Return the settings of jinja2: a line that holds only a statement leaves no trace."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(template: str, **data: Any) -> str:
    """Return the text of a template filled with data.

    Args:
        template: its file in `templates`, for instance "claims/page.md.j2".
        **data: a value for every name that the template asks for.

    Raises:
        jinja2.TemplateNotFound: there is no such template.
        jinja2.UndefinedError: the template asks for a name that is not in `data`.
    """
    return _environment().get_template(template).render(data)


def files(folder: str) -> list[str]:
    """Return the templates of a folder, relative to the repository: Snakemake looks at their dates.

    Args:
        folder: in `templates`, for instance "claims".
    """
    return sorted(str(path.relative_to(ROOT)) for path in (TEMPLATES / folder).iterdir())
