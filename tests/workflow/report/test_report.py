"""What is published: redrawn and judged without jax, and its report in a real browser.

It is done in an unpacked archive: there is no commit, and all files have one date. The user has a
style of figures that would fail.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.helpers import browser
from tests.helpers.artifact import ROOT, call, copy_artifact, snakemake, written
from workflow.lib.common import store
from workflow.lib.plan import catalogue
from workflow.lib.plan.dag import Dag

pytestmark = pytest.mark.dag
PUBLISHED = "results/published"
CONFIG = ("scale=published",)
STYLE = "text.usetex: True\naxes.facecolor: red\n"
DATE = 1.7e9
COLUMN_PIXELS = 975  # the narrowest figure: 3.25 inches


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """An archive of the artifact and what is published, drawn and judged; jax fails there."""
    folder = copy_artifact(tmp_path_factory.mktemp("published") / "an artifact")
    ignored = shutil.ignore_patterns("*.csv", "claims.html", "front.html", "logs")
    shutil.copytree(ROOT / PUBLISHED, folder / PUBLISHED, ignore=ignored)
    shutil.copytree(ROOT / PUBLISHED / "tables", folder / PUBLISHED / "tables", dirs_exist_ok=True)
    for file in folder.rglob("*"):
        os.utime(file, (DATE, DATE))
    style = tmp_path_factory.mktemp("style")
    (style / "matplotlibrc").write_text(STYLE)
    jax = tmp_path_factory.mktemp("no jax") / "jax"
    jax.mkdir()
    (jax / "__init__.py").write_text("raise ImportError('no jax here')\n")
    for arguments in (("--cores", "2"), ("--report", "report.html")):
        variables = {"PYTHONPATH": str(jax.parent), "MPLCONFIGDIR": str(style)}
        done = snakemake(folder, *arguments, config=CONFIG, **variables)
        assert done.returncode == 0, done.stdout
    return folder


STALE = "stale: make readme"


def parts(value, place=""):
    """Yield the numbers and texts of a JSON value, each with its place."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in pairs:
        if isinstance(part, dict | list):
            yield from parts(part, f"{place}/{key}")
        else:
            yield f"{place}/{key}", part


def test_the_published_verdicts_are_those_of_the_published_tables(published):
    """Another processor adds in another order, and rounds otherwise: the last digits may differ."""
    first, second = (store.read_json(f / PUBLISHED / "claims.json") for f in (ROOT, published))
    ours, theirs = dict(parts(first)), dict(parts(second))
    numbers = {place for place, value in ours.items() if isinstance(value, float)}
    assert {**ours, **dict.fromkeys(numbers)} == {**theirs, **dict.fromkeys(numbers)}, STALE
    close = {place: pytest.approx(ours[place], rel=1e-9) for place in numbers}
    assert {place: theirs[place] for place in numbers} == close, STALE


def test_the_published_figures_are_those_that_the_tables_give(published):
    drawn = {path.name for path in (published / PUBLISHED / "figures").glob("*.p[dn][fg]")}
    assert drawn == {path.name for path in (ROOT / PUBLISHED / "figures").glob("*.p[dn][fg]")}


def test_tables_that_are_older_than_the_code_are_left_as_they_are(published):
    tables = [path.relative_to(ROOT) for path in (ROOT / PUBLISHED / "tables").iterdir()]
    assert len(tables) > 50
    for table in tables:
        assert (published / table).read_bytes() == (ROOT / table).read_bytes()
        assert (published / table).stat().st_mtime == DATE


def plan():
    """Return the plan: a figure is in it if its experiments are published."""
    return Dag.from_config({"scale": "published", "experiments": "all", "seeds": 0})


def test_everything_is_drawn_and_judged_anew(published):
    dag = plan()
    dates = {(published / file).stat().st_mtime for file in (*dag.figures, *dag.ledger)}
    assert len(dag.figures) > 50
    assert DATE not in dates


def test_a_style_of_the_users_changes_no_byte(published, tmp_path):
    figure = "fig_es_gen_variance"
    tables = ("--tables", f"{PUBLISHED}/tables", "--output", str(tmp_path))
    done = call(published, "python", "-m", "workflow.scripts.draw", "--figure", figure, *tables)
    assert done.returncode == 0, done.stdout
    for drawn in tmp_path.glob("fig*.p*"):
        assert drawn.read_bytes() == (published / PUBLISHED / "figures" / drawn.name).read_bytes()


def test_a_published_figure_that_cannot_be_drawn_stays(published):
    figure = "fig_es_gen_variance"
    shipped = [published / PUBLISHED / f"figures/{figure}.{suffix}" for suffix in ("pdf", "png")]
    before = [file.read_bytes() for file in shipped]
    target = f"{PUBLISHED}/figures/{figure}.png"
    with written(published / f"figures/{figure}.py", b"import nothing_of_the_kind\n"):
        assert snakemake(published, "--cores", "1", target, config=CONFIG).returncode == 1
    assert [file.read_bytes() for file in shipped] == before
    assert not shipped[0].with_suffix(".csv").exists(), "so that it is drawn again"


@pytest.mark.skipif(browser.missing() != "", reason=f"not installed: {browser.missing()}")
def test_the_report_opens_in_a_browser(published, tmp_path):
    """Claims come first and are shown with their verdicts; figures have captions and are drawn."""
    judged = store.read_json(published / PUBLISHED / "claims.json")["claims"]
    drawn = {Path(file).stem for file in plan().figures}
    (tmp_path / "report").mkdir()  # alone: it needs no other file
    page_file = shutil.copy(published / "report.html", tmp_path / "report")
    with browser.window(tmp_path / "profile") as page:
        page.open(f"file://{page_file}")
        page.wait("return document.body.innerText.includes('RESULTS')")
        page.wait("return document.querySelectorAll('.front td').length > 0")  # the first screen
        headline, *_ = page.text().split("Of ", 1)[1].split(".\n", 1)
        assert f"Of {headline}" in (published / PUBLISHED / "claims.md").read_text()
        for key in catalogue.load("abstract"):
            assert f"\n{key}\t" in page.text()
        headings = page.text().split("RESULTS")[1].split()
        assert headings[0] == "Claims"
        page.click("Claims")
        show(page)
        page.wait("return document.querySelector('iframe') !== null")
        page.inside(0)
        page.wait("return document.querySelectorAll('td').length > 0")
        shown = page.text()
        page.inside(None)
        for name, claim in judged.items():
            assert name in shown
            assert claim["verdict"] == "NOT RUN" or claim["verdict"] in shown
        for name in sorted(drawn):
            check_figure(page, f"file://{page_file}", name)
        assert page.errors() == []


def show(page, icon="eye", row=0):
    """Click an icon of a row of the list of results."""
    rows = "document.querySelectorAll('nav tbody tr')"
    page.wait(f"return {rows}.length > {row}")
    page.run(f"{rows}[{row}].querySelector('a[iconname={icon}]').click()")


def check_figure(page, url, name):
    """Open a figure of the report: its picture is decoded, its caption is there."""
    entry = catalogue.load("figures")[name]
    page.open("about:blank")
    page.open(url)
    page.click(entry["category"])
    caption = (ROOT / f"workflow/report/{name}.rst").read_text().split("**")[1]
    row = page.wait(
        "const rows = [...document.querySelectorAll('nav tbody tr')];"
        f"const at = rows.findIndex(row => row.innerText.includes({caption!r}));"
        "return at < 0 ? false : `${at}`"
    )
    show(page, row=row)
    assert page.wait(f"return [...document.images].some(i => i.naturalWidth >= {COLUMN_PIXELS})")
    show(page, "information-circle", row)
    assert page.wait(f"return document.body.innerText.includes({caption!r})")
