"""Command lines: each explains itself, and a user's error is one line."""

import ast
import importlib
import os
import re
import subprocess
import sys

import pytest

from workflow.lib.common import command
from workflow.lib.common.paths import ROOT

SCRIPTS = sorted(
    path.stem for path in (ROOT / "workflow/scripts").glob("*.py") if path.stem != "__init__"
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_explains_itself(name, capsys):
    script = importlib.import_module(f"workflow.scripts.{name}")
    with pytest.raises(SystemExit) as end:
        script.main(["--help"])
    assert end.value.code in (0, None)
    text = capsys.readouterr().out
    assert text.startswith(f"usage: python -m workflow.scripts.{name} ")
    assert script.__doc__ in text


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_option_of_a_script_is_explained(name):
    source = (ROOT / f"workflow/scripts/{name}.py").read_text(encoding="utf-8")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    added = [call for call in calls if ast.unparse(call.func).endswith(".add_argument")]
    bare = [call for call in added if "help" not in {word.arg for word in call.keywords}]
    assert [ast.unparse(call.args[0]) for call in bare] == []


def test_shared_options_are_there_where_they_are_asked_for():
    parser = command.parser("toy", "A toy.", scales=("small", "laptop"), experiments=("a", "b"))
    assert vars(parser.parse_args([])) == {"scale": "laptop", "experiments": ["a", "b"]}
    options = parser.parse_args(["--scale", "small", "--experiments", "b"])
    assert (options.scale, options.experiments) == ("small", ["b"])
    assert vars(command.parser("toy", "A toy.").parse_args([])) == {}


def test_a_paragraph_of_the_docstring_stays_one(capsys):
    with pytest.raises(SystemExit):
        command.parser("toy", "A toy.\n\n    python toy\n\nMore.").parse_args(["--help"])
    assert "A toy.\n\n    python toy\n\nMore.\n" in capsys.readouterr().out


@pytest.mark.parametrize("error", [OSError, ValueError, RuntimeError])
def test_an_error_of_the_user_is_one_line(error):
    with (
        pytest.raises(SystemExit, match=re.escape("toy: a line")),
        command.errors_in_one_line("toy"),
    ):
        raise error("a line")


def test_an_error_of_the_program_keeps_its_traceback():
    with pytest.raises(KeyError), command.errors_in_one_line("toy"):
        raise KeyError("a")


def test_a_terminal_without_greek_letters_shows_their_codes():
    code = "from workflow.lib.common.command import parser; parser('toy', ''); print('σ = 0.1')"
    variables = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, check=True
    )
    assert done.stdout.decode("latin-1") == "\\u03c3 = 0.1\n"
