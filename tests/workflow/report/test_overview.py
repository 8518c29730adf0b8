"""The table of all figures: every one has its row, and a row says what the files say."""

from workflow.lib.plan import catalogue
from workflow.lib.report import overview


def test_every_figure_has_a_row_in_the_order_of_the_paper():
    rows = overview.figures({"fig01_variance"})
    assert {row["name"] for row in rows} == set(catalogue.load("figures"))
    numbers = [row["number"].partition(",")[0] for row in rows]
    given = [int(number) for number in numbers if number != "ours"]
    assert given == sorted(given)
    assert numbers[len(given) :] == ["ours"] * (len(numbers) - len(given))
    assert [row["name"] for row in rows if row["published"]] == ["fig01_variance"]


def test_a_row_says_what_its_experiment_file_says(monkeypatch, tmp_path):
    text = """
data: mnist      # ours
task:
  horizon: 5000  # paper
  pool: 2        # paper: of images; ours: 2
protocol:
  log_every: 5   # ours
  learning_rate: 1.0e-2 # predecessor code
runs:
  pes: {estimator: {name: pes}} # ours
scales:
  laptop:
    task: {horizon: 50}
    protocol: {log_every: 1}
  smoke:
    task: {batch: 3} # ours
"""
    (tmp_path / "study.yaml").write_text(text)
    monkeypatch.setattr(overview, "_file", lambda name: tmp_path / f"{name}.yaml")
    assert overview._ours("study") == "data, pool"
    assert overview._reduced("study") == "horizon"


def test_data_that_laptop_scale_replaces_is_named():
    assert overview._data("mnist_lr_schedule") == "mnist"
    assert overview._data("l2_regression") == "yacht, at laptop scale diabetes"
    assert overview._data("influence_balancing") == ""
