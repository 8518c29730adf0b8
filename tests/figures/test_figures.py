"""The figures: every registered one draws from small tables, twice with the same bytes, no jax."""

import functools
import subprocess
import sys

import pandas as pd
import pytest

from tests.helpers import run_files, synthetic_runs
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import catalogue
from workflow.lib.report import style
from workflow.scripts import draw

FIGURES = catalogue.load("figures")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    for experiment in sorted(
        {name for figure in FIGURES.values() for name in figure["experiments"]}
    ):
        curves = functools.partial(run_files.write_curves, experiment=experiment)
        paths = getattr(synthetic_runs, experiment, curves)(folder / "runs")
        synthetic_runs.aggregated(paths, folder, experiment)
    return folder


def arguments(figure, folder, output):
    return ["--figure", figure, "--tables", str(folder), "--output", str(output)]


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_complete_reproducible_and_needs_no_jax(figure, folder, tmp_path):
    draw.main(arguments(figure, folder, tmp_path / "one"))
    code = (
        "import sys; from workflow.scripts import draw; draw.main(sys.argv[1:]); "
        "sys.exit(bool({'jax', 'tasks', 'estimators'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, *arguments(figure, folder, tmp_path / "two")]
    subprocess.run(command, check=True, timeout=60)
    for suffix in ("pdf", "png", "csv"):
        name = f"{figure}.{suffix}"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert len(pd.read_csv(tmp_path / "one" / f"{figure}.csv"))
    assert (catalogue.WORKFLOW / "report" / f"{figure}.rst").read_text().startswith("**")


def test_every_figure_module_is_registered_and_the_reverse():
    modules = {path.stem for path in (ROOT / "figures").glob("fig*.py")}
    assert modules == set(FIGURES)


def test_figure_5_counts_diverged_seeds_and_marks_where_they_leave(folder):
    from figures import fig05_influence_balancing as fig05
    from workflow.lib.results import tables

    figure, drawn = fig05.draw(
        {"influence_balancing": tables.read(folder / "influence_balancing.parquet")}
    )
    left, right = figure.axes
    labels = right.get_legend_handles_labels()[1]
    assert "PES, N = 4 (4/4 diverged)" in labels
    assert "ES-Single, N = 4" in labels
    arrows = [line for line in right.lines if line.get_label().startswith("_")]
    assert [line.get_ydata()[0] for line in arrows] == [fig05.LIMITS[1]] * 2
    assert len(left.lines) == len(fig05.METHODS)
    assert set(drawn["panel"]) == {"a", "b"}
    assert "all seeds (88% interval of the median)" in figure.get_supxlabel()


def test_errors_are_one_line(folder, tmp_path):
    with pytest.raises(SystemExit, match="the nearest is 'fig05_influence_balancing'"):
        draw.main(arguments("fig05_influence", folder, tmp_path))
    with pytest.raises(SystemExit, match=r"influence_balancing.parquet is missing"):
        draw.main(arguments("fig05_influence_balancing", tmp_path, tmp_path))
    table = pd.DataFrame({"experiment": ["toy"], "run": ["pes"], "metric": ["loss"]})
    with pytest.raises(ValueError, match=r"'toy' has no 'loss' of run 'rtrl' \(runs: pes;"):
        style.select(table, "rtrl", "loss")
    with pytest.raises(ValueError, match="'sgd' has no label and colour"):
        style.estimator("sgd")


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([8, 10], "band: 95% interval of the median"),
        ([4], "band: all seeds (88% interval of the median)"),
        ([2, 8], "band: 50% to 95% interval of the median, by n"),
        ([1], "no band (one seed)"),
    ],
)
def test_the_footer_says_what_every_band_covers(counts, text):
    figure, _ = style.subplots(1, style.COLUMN_WIDTH, 2)
    style.footer(figure, pd.DataFrame({"scale": "smoke", "data": "", "n": counts}))
    assert figure.get_supxlabel().endswith(text)


def test_no_two_estimators_look_alike():
    looks = list(catalogue.load("estimators").values())
    for key in ("label", "color", "marker"):
        assert len({look[key] for look in looks}) == len(looks)


def test_a_mistake_in_a_list_is_named(tmp_path, monkeypatch):
    for folder, suffix in (("config", ".yaml"), ("schemas", ".schema.yaml")):
        (tmp_path / folder).mkdir()
        source = catalogue.WORKFLOW / folder / f"estimators{suffix}"
        text = source.read_text().replace('"#0072B2"', "blue")
        (tmp_path / folder / source.name).write_text(text)
    monkeypatch.setattr(catalogue, "WORKFLOW", tmp_path)
    with pytest.raises(ValueError, match=r"estimators.yaml, pes.color: 'blue' does not match"):
        catalogue.load.__wrapped__("estimators")
