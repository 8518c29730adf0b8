"""The statements of the paper: each has a claim, a test or a reason, and no claim names another."""

from collections import Counter

from tests.helpers.artifact import ROOT
from workflow.lib.plan import catalogue

STATEMENTS = catalogue.load("statements")
CLAIMS = catalogue.load("claims")
NAMED = {number for claim in CLAIMS.values() for number in claim.get("statements", ())}


def test_there_are_as_many_as_the_paper_makes():
    assert list(STATEMENTS) == [f"S{number:02d}" for number in range(1, 112)]


def test_each_says_where_it_is_tested():
    assert set(STATEMENTS) >= NAMED
    for number, statement in STATEMENTS.items():
        told = (number in NAMED) + ("untested" in statement)
        assert told or "tests" in statement, number
        assert told < 2, f"{number}: judged, and a reason why it is not"
        assert all((ROOT / test).is_file() for test in statement.get("tests", ())), number


def test_what_is_not_tested_is_a_handful():
    kinds = Counter(s["kind"] for s in STATEMENTS.values() if "untested" in s)
    assert kinds["empirical"] <= 3
    assert kinds["exact"] <= 1


def test_claims_are_of_three_kinds():
    kinds = Counter(map(catalogue.kind_of, CLAIMS.values()))
    assert set(kinds) == {"paper", "conformance", "ours"}
    for name, claim in CLAIMS.items():
        if catalogue.kind_of(claim) == "ours":
            assert claim["source"].startswith(("ours", "Li et al.")), name
