"""The parts of README.md and ARTIFACT.md that hold results: written from results/published.

A part stands between `<!-- published: NAME -->` and `<!-- end -->`; what is outside is written by
hand. A test fails when a part is not what this module would write.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow.lib.claims import ledger
from workflow.lib.common import store
from workflow.lib.plan import catalogue
from workflow.lib.report import publication
from workflow.lib.report.pages import Table, estimate, markdown_table, wanted

PAGES = ("README.md", "ARTIFACT.md")
PART = re.compile(r"(<!-- published: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def stale(root: Path) -> list[str]:
    """Return the pages whose generated parts are not those of the published results.

    Raises:
        FileNotFoundError: a page or the published ledger is missing.
        ValueError: a page asks for a part that there is not.
    """
    return [page for page, text in _pages(root).items() if text != _read(root / page)]


def write(root: Path) -> list[str]:
    """Bring the generated parts of all pages up to date; return the pages that changed."""
    changed = stale(root)
    for page, text in _pages(root).items():
        if page in changed:
            with store.atomic_write(root / page) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return changed


def _read(path: Path) -> str:
    """Return the text of a page."""
    return path.read_text(encoding="utf-8")


def _pages(root: Path) -> dict[str, str]:
    """Return {page: its text with fresh parts}."""
    judged = store.read_json(root / publication.FOLDER / "claims.json")["claims"]
    judged = {name: judged[name] for name in catalogue.load("claims") if name in judged}
    facts = publication.facts(root)
    jobs = {
        name: store.read_json(root / publication.FOLDER / "tables" / f"{name}_jobs.json")
        for name in facts["experiments"]
    }
    drawn = {path.stem for path in (root / publication.FOLDER / "figures").glob("*.png")}
    parts = {
        "run": run(facts),
        "abstract": abstract(judged),
        "figures": figures(drawn),
        "claims": claims(judged, facts["cores"]),
        "costs": costs(jobs, facts["cores"]),
    }

    def part(match: re.Match[str]) -> str:
        if match[2] not in parts:
            raise ValueError(f"there is no part '{match[2]}'; there are {', '.join(parts)}")
        return f"{match[1]}{parts[match[2]]}\n{match[3]}"

    return {page: PART.sub(part, _read(root / page)) for page in PAGES}


def run(facts: Mapping[str, Any]) -> str:
    """Return one sentence about the published run."""
    commits = ", ".join(commit[:7] for commit in facts["commits"])
    return (
        f"The published run: {facts['scale']} scale, {len(facts['experiments'])} experiments in "
        f"{facts['jobs']} jobs, {facts['elapsed_s'] / 60:.0f} minutes on "
        f"{publication.machine(facts)}, {facts['date']}, commit {commits}."
    )


def abstract(judged: Mapping[str, Any]) -> str:
    """Return the verdicts by sentence of the abstract, and every claim that does not pass."""
    rows = []
    for key, text in catalogue.load("abstract").items():
        verdicts = [c["verdict"] for c in judged.values() if c.get("abstract") == key]
        rows.append(([key], [text], [_tally(verdicts)]))
    table = Table("", "", ["", "the abstract says", "claims that test it"], rows)
    everything = _tally([claim["verdict"] for claim in judged.values()])
    others = [
        f"* {claim['verdict']} `{name}`: {claim['sentence']} "
        f"({'; '.join(_deviant(claim))}; wanted: {wanted(claim)})"
        for name, claim in judged.items()
        if claim["verdict"] in (ledger.FAIL, ledger.INCONCLUSIVE)
    ]
    return "\n".join(
        [
            markdown_table(table),
            "",
            f"In all: {everything}; [every claim with its estimate]"
            f"({publication.FOLDER}/claims.md).",
            *(["", *_folded(f"The {len(others)} that do not pass", others)] if others else []),
        ]
    )


def _folded(summary: str, lines: Sequence[str]) -> list[str]:
    """Return lines that a reader of the page unfolds."""
    return [f"<details><summary>{summary}</summary>", "", *lines, "", "</details>"]


def _tally(verdicts: Sequence[str]) -> str:
    """Return "3 PASS, 1 FAIL"."""
    counts = Counter(verdicts)
    order = (*reversed(ledger.WORST_FIRST), ledger.NOT_RUN)
    return ", ".join(f"{counts[name]} {name}" for name in order if counts[name])


def _deviant(claim: Mapping[str, Any]) -> list[str]:
    """Return the cases of a claim that do not pass, as text."""
    return [estimate(case, claim) for case in claim["cases"] if case["verdict"] != ledger.PASS]


def figures(drawn: set[str]) -> str:
    """Return the first published figure of every category."""
    shown = {}
    for name, entry in catalogue.load("figures").items():
        if name in drawn:
            shown.setdefault(entry["category"], name)
    return "\n\n".join(
        f"![{category}: {name}]({publication.FOLDER}/figures/{name}.png)"
        for category, name in shown.items()
    )


def claims(judged: Mapping[str, Any], cores: int) -> str:
    """Return, for every claim: the case that decides, the command, minutes and memory."""
    rows = []
    for name, claim in judged.items():
        label = f"{name} ({claim['abstract']})" if "abstract" in claim else name
        if claim["verdict"] == ledger.NOT_RUN:
            command = catalogue.command(claim, "laptop")
            rows.append(([label], ["not run"], [wanted(claim)], [f"`{command}`"], ["–"], ["–"]))
            continue
        worst = min(claim["cases"], key=lambda case: ledger.WORST_FIRST.index(case["verdict"]))
        more = len(claim["cases"]) - 1
        expected = f"{claim['verdict']}: {estimate(worst, claim)}"
        expected += f" and {more} more" if more else ""
        minutes = f"{claim['seconds'] / 60 / cores:.1f}"
        memory = _mb(claim["memory_mb"])
        rows.append(
            ([label], [expected], [wanted(claim)], [f"`{claim['command']}`"], [minutes], [memory])
        )
    columns = ["claim", "expected result", "wanted", "command", "minutes", "MB"]
    return markdown_table(Table("", "", columns, rows))


def costs(jobs: Mapping[str, Sequence[Mapping[str, Any]]], cores: int) -> str:
    """Return what every experiment cost: jobs, minutes on all cores, memory of its largest job."""
    rows = []
    for name, listed in jobs.items():
        minutes = sum(job["timings"]["wall_s"] for job in listed) / 60 / cores
        memory = max((job.get("peak_memory_mb") or 0.0 for job in listed), default=0.0)
        rows.append(([name], [str(len(listed))], [f"{minutes:.1f}"], [_mb(memory)]))
    return markdown_table(Table("", "", ["experiment", "jobs", "minutes", "MB"], rows))


def _mb(memory: float | None) -> str:
    """Return megabytes as text; the jobs of old tables did not record them."""
    return f"{memory:.0f}" if memory else "–"
