"""The pages that templates lay out: the published ones to the letter, and the same said in HTML."""

import html
import re

import jinja2
import pytest

from workflow.lib.common import store
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import catalogue
from workflow.lib.report import layout, pages, publication, reduction
from workflow.scripts import judge

PUBLISHED = ROOT / publication.FOLDER


def published():
    """Return the published ledger; a JSON file keeps no order, that of the list of claims."""
    result = store.read_json(PUBLISHED / "claims.json")
    claims = result["claims"]
    return {**result, "claims": {name: claims[name] for name in catalogue.load("claims")}}


@pytest.fixture(scope="module")
def partly():
    """The ledger of two experiments: most claims are not run."""
    names = ["estimator_footprint", "influence_balancing"]
    return judge.judged(PUBLISHED / "tables", names)


def test_the_published_pages_come_out_to_the_letter():
    assert pages.markdown(published()) == (PUBLISHED / "claims.md").read_text()
    facts = publication.facts(ROOT)
    assert publication.readme(facts) == (PUBLISHED / "README.md").read_text()


def cells_of_markdown(page):
    rows = re.findall(r"^\| (.*) \|$", page, re.MULTILINE)
    cells = [re.sub(r"\[(\w+)\]\(#\1\)", r"\1", row).split(" | ") for row in rows]
    return [[cell.split("<br>") for cell in row] for row in cells if row[0] != "---"]


def cells_of_html(page):
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    cells = [re.findall(r"<t[dh]>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]
    return [[lines(cell) for cell in row] for row in cells]


def lines(cell):
    plain = [re.sub(r"<[^>]*>", "", line).strip() for line in cell.split("<br>")]
    return [html.unescape(line) for line in plain]


def test_both_pages_say_the_same(partly):
    for result in (published(), partly):
        found, expected = pages.html(result), pages.markdown(result)
        for first, second in zip(cells_of_html(found), cells_of_markdown(expected), strict=True):
            assert first == [[line.strip() for line in cell] for cell in second]
        headings = re.findall(r"<h[123]>(.*)</h[123]>", found)
        assert headings == re.findall(r"^#+ (.*)$", expected, re.MULTILINE)
        text = html.unescape(re.sub(r"<[^>]*>", "", found))
        for line in expected.splitlines():
            assert line.startswith(("#", "|")) or line.strip() in text


def test_a_part_of_the_page_that_is_empty_is_left_out(partly):
    nothing = judge.judged(PUBLISHED / "tables", [])
    ran = {name: c for name, c in published()["claims"].items() if c["verdict"] != "NOT RUN"}
    assert "## Not run here" in pages.markdown(partly)
    for layout_of in (pages.markdown, pages.html):
        assert "Not run here" not in layout_of({**published(), "claims": ran})
        assert "Holm" not in layout_of(nothing)
        assert "IQM" not in layout_of(nothing)


def test_a_claim_that_was_not_run_says_what_is_missing(partly):
    page = pages.markdown(partly)
    assert "| unbiased_on_quadratic | S01, S31 | quadratic_bias |" in page
    name, claim = next(iter(partly["claims"].items()))
    unborn = {**partly, "claims": {name: {**claim, "missing": []}}}
    assert f"| {name} | S01, S31 | no experiment yet |" in pages.markdown(unborn)


def test_a_claim_says_when_it_was_fixed_and_what_the_pilot_expected():
    result = published()
    name, claim = next((n, c) for n, c in result["claims"].items() if c["cases"])
    power = {"expected": "PASS", "power": 0.514, "n": 8, "n_needed": 23}
    plan = {"commit": "0123456789", "date": "2026-01-02", "power": power}
    page = pages.markdown({**result, "claims": {name: {**claim, "plan": plan}}})
    page = " ".join(page.split())
    assert "Fixed at commit 0123456 (2026-01-02), before its seeds were run; judged once." in page
    assert (
        "expected PASS, decided with a probability of 0.51 by n = 8, and of 0.9 by n = 23." in page
    )
    bare = pages.markdown({**result, "claims": {name: {**claim, "plan": {**plan, "power": None}}}})
    assert "judged once." in bare
    assert "The pilot" not in bare


def test_the_size_of_a_problem_stands_beside_that_of_the_paper():
    """K = 1: T = 1,000 of 5,000, N = 10 of 1,000; influence balancing is that of the paper."""
    case = {"arguments": {"run": "es_single"}}
    claim = {"experiment": "mnist_lr_schedule_k1", "scale": "laptop", "cases": [case]}
    assert reduction.text(claim) == "unrolls 1,000/5,000, N 10/1,000"
    assert reduction.text({**claim, "scale": "paper"}) == ""
    case = {"arguments": {"run": "pes_n4"}}
    assert reduction.text({**claim, "experiment": "influence_balancing", "cases": [case]}) == ""


def test_what_means_something_in_html_is_escaped():
    result = published()
    name, claim = next((n, c) for n, c in result["claims"].items() if c["cases"])
    odd = {**claim, "sentence": "1 < 2 & 3", "hardware": ["<b>"], "command": "a > b"}
    page = pages.html({**result, "claims": {name: odd}})
    assert all(text in page for text in ("1 &lt; 2 &amp; 3", "on &lt;b&gt;;", "a &gt; b"))
    assert "1 < 2 & 3" in pages.markdown({**result, "claims": {name: odd}})


def test_a_template_that_lacks_a_name_is_an_error():
    facts = publication.facts(ROOT)
    with pytest.raises(jinja2.UndefinedError, match="'machine' is undefined"):
        layout.render("published.md.j2", **facts)


def test_snakemake_knows_the_templates_of_the_claims():
    found = layout.files("claims")
    assert "workflow/lib/report/templates/claims/page.md.j2" in found
    assert all((ROOT / file).is_file() for file in found)
