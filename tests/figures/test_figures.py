"""The figures: every registered one draws from small tables, twice with the same bytes, no jax.

The second time is in a process of its own, whose user has other ideas of how a figure looks.
"""

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.markers import CARETUPBASE

from tests.helpers import run_files, synthetic_runs
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import catalogue
from workflow.lib.report import style
from workflow.scripts import draw

FIGURES = catalogue.load("figures")
MATPLOTLIBRC = """
axes.facecolor: red
font.size: 20
lines.linewidth: 9
savefig.bbox: tight
scatter.marker: x
xtick.direction: in
"""


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


@pytest.fixture(scope="module")
def again(request, folder, tmp_path_factory):
    """The folder of the figures of this session's tests, drawn by another process, without jax."""
    parameters = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = {own.params.get("figure") for own in parameters if own}
    figures = [name for name in FIGURES if name in wanted]
    drawn = tmp_path_factory.mktemp("again")
    style_file = drawn / "matplotlibrc"
    style_file.write_text(MATPLOTLIBRC)
    code = (
        "import sys; from workflow.scripts import draw\n"
        f"for figure in {figures}:\n"
        "    draw.main(['--figure', figure, *sys.argv[1:]])\n"
        "sys.exit(bool({'jax', 'tasks', 'estimators'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, "--tables", str(folder), "--output", str(drawn)]
    user = os.environ | {"MATPLOTLIBRC": str(style_file)}
    subprocess.run(command, check=True, timeout=300, env=user)
    return drawn


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_complete_reproducible_and_needs_no_jax(figure, folder, again, tmp_path):
    draw.main(arguments(figure, folder, tmp_path))
    assert pyplot.get_fignums() == []  # seaborn was told where to draw
    for suffix in ("pdf", "png", "csv"):
        name = f"{figure}.{suffix}"
        assert (tmp_path / name).read_bytes() == (again / name).read_bytes()
    assert len(pd.read_csv(tmp_path / f"{figure}.csv"))
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
    labels = [text.get_text() for text in right.get_legend().get_texts()]
    assert "PES, N = 4 (4/4 diverged)" in labels
    assert "ES-Single, N = 4" in labels
    arrows = [line for line in right.lines if line.get_marker() == CARETUPBASE]
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


def test_no_file_sets_a_parameter_of_matplotlib_beside_the_theme():
    """The theme is `sns.set_theme` with the few parameters of `style.RC`."""
    assert len(style.RC) <= 12
    files = [*(ROOT / "figures").glob("*.py"), Path(style.__file__)]
    found = [
        path.name for path in files if re.search(r"rcParams|rc_context|\brc\(", path.read_text())
    ]
    assert found == []


def curve(values):
    """Return the summary rows of a run of PES with these medians."""
    names = ("median", "median_low", "median_high")
    columns = {"run": "pes", "estimator": "pes", "outer_step": range(len(values))}
    return pd.DataFrame(columns | dict.fromkeys(names, values))


def test_a_curve_goes_through_the_values_of_the_table_and_its_band_is_the_interval():
    _, (panel,) = style.subplots(1, style.COLUMN_WIDTH, 2)
    rows = curve([3.0, 2.0, 1.0]).assign(median_low=[2.0, 1.0, 0.5], median_high=[4.0, 2.5, 1.0])
    style.curves(panel, rows, "outer_step", style.looks(rows))
    (line,) = panel.lines
    assert line.get_ydata().tolist() == [3.0, 2.0, 1.0]
    band, markers = panel.collections
    corners = {(x, y) for x, y in band.get_paths()[0].vertices.tolist()}
    assert corners == {(0, 2), (0, 4), (1, 1), (1, 2.5), (2, 0.5), (2, 1)}
    assert len(markers.get_offsets()) == 3
    assert line.get_color() == style.estimator("pes")["color"]


def test_a_curve_that_diverges_ends_without_markers_and_without_an_arrow(tmp_path):
    figure, (panel,) = style.subplots(1, style.COLUMN_WIDTH, 2)
    rows = curve([3.0, 2.0, np.inf, np.inf])
    style.curves(panel, rows, "outer_step", style.looks(rows))
    assert len(panel.collections[1].get_offsets()) == 2
    assert len(panel.lines) == 1
    assert panel.get_ylim()[1] < 4
    style.save_figure(figure, rows, tmp_path / "diverges")


def test_runs_have_their_markers_at_different_places():
    _, (panel,) = style.subplots(1, style.COLUMN_WIDTH, 2)
    runs = ("pes", "es_single")
    rows = pd.concat([curve([1.0] * 60).assign(run=run, estimator=run) for run in runs])
    style.curves(panel, rows, "outer_step", style.looks(rows), band=None)
    (markers,) = panel.collections
    places = markers.get_offsets()[:, 0].tolist()
    assert len(set(places)) == len(places) == len(runs) * style.MARKERS_PER_LINE


def test_a_look_is_that_of_the_estimator_with_changes_and_counts_diverged_seeds():
    rows = curve([1.0, 2.0]).assign(n=4, n_diverged=3)
    assert style.looks(rows)["pes"] == style.estimator("pes") | {"label": "PES (3/4 diverged)"}
    changed = style.looks(rows, {"pes": {"label": "PES, K = 1", "linestyle": ":"}})["pes"]
    assert (changed["label"], changed["linestyle"]) == ("PES, K = 1 (3/4 diverged)", ":")
    (handle,) = style.handles({"pes": changed})
    assert (handle.get_label(), handle.get_linestyle()) == (changed["label"], ":")


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
