"""requirements-cuda.lock installs on a machine without a card, and jax then still finds its CPU."""

import os
import subprocess
import venv

import pytest

from tests.helpers.artifact import ROOT

ASK = "it downloads 3 GB; to run it: TEST_CARD_LOCK=1 pytest tests/test_card_lock.py"


def run(*command, **variables):
    """Run a command in the repository; return what it printed."""
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(os.environ.get("TEST_CARD_LOCK") != "1", reason=ASK)
def test_the_lock_installs_and_jax_knows_the_plugin(tmp_path):
    venv.create(tmp_path, with_pip=True)
    python = str(tmp_path / "bin/python")
    pip = (python, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r")
    run(*pip, "requirements.lock")
    run(*pip, "requirements-cuda.lock")
    report = "import jax, jax_plugins.xla_cuda12 as p; print(p.__name__, jax.devices()[0].platform)"
    assert run(python, "-c", report, JAX_PLATFORMS="cpu").split() == [
        "jax_plugins.xla_cuda12",
        "cpu",
    ]
