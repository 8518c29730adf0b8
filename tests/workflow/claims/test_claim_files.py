"""The files of claims: what a file says for all its claims, their order, and what is refused."""

import pytest

from workflow.lib.claims import cases, statistics
from workflow.lib.plan import catalogue, spec

CLAIMS = catalogue.load("claims")
BLOCK = """
    sentence: It ends below one.
    source: ours
    statistic: mean_end_value
    comparison: below
    threshold: [1.0]
"""
ONE = f"claims:\n  one:{BLOCK}    cases: [{{run: pes, metric: loss}}]\n"
SHARING = f"""
figure: fig_all
every_case: {{metric: loss, run: pes}}
claims:
  plain:{BLOCK}    cases: [{{}}, {{run: es_single}}]
  own:{BLOCK}    cases: [{{run: es_gen}}]
    every_case: {{metric: accuracy}}
    figure: fig_own
"""
OVER_TASKS = ONE.replace("run: pes, metric: loss", "family: synthetic")


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Return a function that writes files of claims, {stem: text}, and loads them."""
    (tmp_path / "config/claims").mkdir(parents=True)
    monkeypatch.setattr(catalogue, "WORKFLOW", tmp_path)

    def load(**files):
        for stem, text in files.items():
            (tmp_path / f"config/claims/{stem}.yaml").write_text(text)
        catalogue.load.cache_clear()
        return catalogue.load("claims")

    yield load
    monkeypatch.undo()
    catalogue.load.cache_clear()


def test_the_file_name_is_the_experiment(loaded):
    assert loaded(toy=ONE)["one"] == {
        "sentence": "It ends below one.",
        "source": "ours",
        "experiment": "toy",
        "statistic": "mean_end_value",
        "cases": [{"run": "pes", "metric": "loss"}],
        "comparison": "below",
        "threshold": [1.0],
    }
    assert "experiment" not in loaded(toy=ONE.replace("one:", "two:"), summary=OVER_TASKS)["one"]


def test_a_file_may_name_experiments_that_it_compares_with(loaded):
    claim = loaded(toy=f"also: [other]\n{ONE}")["one"]
    assert (claim["experiment"], claim["also"]) == ("toy", ["other"])
    assert catalogue.rests_on(claim) == ("toy", "other")
    assert catalogue.command(claim, "smoke").endswith(" scale=smoke experiments=toy,other")


def test_a_case_comes_before_its_claim_and_a_claim_before_its_file(loaded):
    claims = loaded(toy=SHARING)
    assert claims["plain"]["cases"] == [
        {"metric": "loss", "run": "pes"},
        {"metric": "loss", "run": "es_single"},
    ]
    assert claims["own"]["cases"] == [{"metric": "accuracy", "run": "es_gen"}]
    assert (claims["plain"]["figure"], claims["own"]["figure"]) == ("fig_all", "fig_own")


def test_places_order_the_ledger_and_what_has_none_comes_last(loaded):
    third = ONE.replace("one:", "third:")
    second = f"place: 2\n{ONE}".replace("one:", "second:")
    first = f"place: 3\n{ONE}    place: 1\n".replace("one:", "first:")
    assert list(loaded(a=third, b=second, c=first)) == ["first", "second", "third"]


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"a": ONE, "b": ONE}, "claims/b.yaml: another file has a claim 'one', too"),
        ({"a": OVER_TASKS}, "claims/a.yaml, claim 'one': a case names a family or a task in "),
        ({"summary": ONE}, "claims/summary.yaml, claim 'one': a case names a family or a task in "),
        ({"a": f"figures: fig_a\n{ONE}"}, "claims/a.yaml, top level: .*'figures' was unexpected"),
        ({"a": ONE + "    alpha: 0.1\n"}, r"claims/a.yaml, claims.one: .*'alpha' was unexpected"),
        ({"a": ONE.replace("[1.0]", "[1.0, 2.0]")}, r"claims.one.threshold: .* is too long"),
        ({"a": ONE.replace("below\n", "within\n")}, r"claims.one.threshold: .* is too short"),
    ],
)
def test_what_cannot_be_is_one_line(loaded, files, line):
    with pytest.raises(ValueError, match=line) as error:
        loaded(**files)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("mean_end_value", "mean_end", "unknown statistic 'mean_end'; the nearest is 'mean_end_v"),
        ("metric: loss", "metrics: loss", "of statistic mean_end_value 'metrics'.*'metric'"),
        (", metric: loss", "", "statistic mean_end_value: missing .* metric"),
        ("metric: loss", "metric: 1", "statistic mean_end_value: metric=1 must be of type str"),
    ],
)
def test_a_statistic_is_found_by_name_and_its_arguments_are_checked(loaded, old, new, line):
    cases.check(loaded(toy=ONE))
    with pytest.raises(ValueError, match=f"^claim 'one': .*{line}"):
        cases.check(loaded(toy=ONE.replace(old, new)))


def test_statistics_are_the_public_functions_that_return_an_estimate():
    assert cases.STATISTICS["mean_ratio"].__module__.endswith("variance")
    assert cases.STATISTICS["mean_end_value"] is statistics.mean_end_value
    assert not {"_ratio", "end_values", "mean_over_seeds", "outcomes"} & set(cases.STATISTICS)


def test_every_claim_fits_its_statistic_and_its_figure_is_drawn_from_its_experiment():
    cases.check(CLAIMS)
    used = {claim["statistic"] for claim in CLAIMS.values()}
    assert set(cases.STATISTICS) == used, "a statistic that no claim uses"
    figures = catalogue.load("figures")
    for name, claim in CLAIMS.items():
        if "figure" in claim:
            drawn_from = figures[claim["figure"]]["experiments"]
            assert set(catalogue.rests_on(claim)) <= set(drawn_from), name


def test_every_claim_is_about_runs_that_one_of_its_experiments_has():
    for name, claim in CLAIMS.items():
        if "experiment" not in claim:
            continue
        jobs = spec.jobs("laptop", catalogue.rests_on(claim))
        where = {(job.spec["run"], job.spec["experiment"]) for job in jobs}
        runs = [run for run, _ in where]
        for case in claim["cases"]:
            keys = ("run", "reference", "other", "theory")
            named = {case[key] for key in keys if key in case}
            assert named <= set(runs), name
            assert all(runs.count(run) == 1 for run in named), f"{name}: in two experiments"
            if "sweep" in case:
                assert any(run.startswith(f"{case['sweep']}_") for run in runs), name


def test_every_sentence_of_the_abstract_and_every_figure_of_the_paper_has_a_claim():
    assert {claim.get("abstract") for claim in CLAIMS.values()} >= set(catalogue.load("abstract"))
    shown = {claim.get("figure") for claim in CLAIMS.values()}
    figures = catalogue.load("figures").items()
    assert {name for name, entry in figures if entry["paper_figure"] != "none"} <= shown


def test_what_outperforms_pes_compares_with_pes():
    """A7: in one of its cases one of two runs is of PES, whatever its hyperparameters."""
    for name, claim in CLAIMS.items():
        cases = [case for case in claim["cases"] if "reference" in case]
        if claim.get("abstract") == "A7" and cases:
            runs = [case[key] for case in cases for key in ("run", "reference")]
            assert any(run.startswith("pes") for run in runs), name
