"""The generated parts of README.md, ARTIFACT.md and docs/design.md.

A part stands between the lines `<!-- generated: NAME -->` and `<!-- end -->`, and is laid out by
`templates/parts/NAME.md.j2`: results from results/published, imports from the code. The rest of a
page is written by hand. A test fails when a part is stale.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow.lib.claims.cases import FAIL, INCONCLUSIVE, NOT_RUN
from workflow.lib.common import store
from workflow.lib.plan import catalogue
from workflow.lib.report import diagram, overview, publication, sentences
from workflow.lib.report.layout import render
from workflow.lib.report.pages import case_text, headline, wanted_text

PAGES = ("README.md", "ARTIFACT.md", "docs/design.md")
KINDS_OF_CLAIMS = {
    "paper": "The paper's statements",
    "conformance": "Conformance: what follows from the algorithms",
    "ours": "Ours: what the paper does not say",
}
NOT_PUBLISHED = "not in the published run yet"
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def stale(root: Path) -> list[str]:
    """Return the pages of which a part is not what the published results or the code give.

    Args:
        root: the repository's folder.

    Raises:
        FileNotFoundError: a page or the published ledger is missing.
        ValueError: a page asks for a part that there is not; the line lists those there are.
    """
    return list(_refreshed(root))


def refresh(root: Path) -> list[str]:
    """Write the parts of all pages anew; return the pages that changed.

    Args:
        root: the repository's folder.

    Raises:
        FileNotFoundError: a page or the published ledger is missing.
        ValueError: a page asks for a part that there is not; the line lists those there are.
    """
    pages = _refreshed(root)
    for page, text in pages.items():
        with store.atomic_write(root / page) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(pages)


def _refreshed(root: Path) -> dict[str, str]:
    """Return {page: its text with new parts} of the pages that are stale."""
    data = _data(root)

    def part(match: re.Match[str]) -> str:
        if match[2] not in data:
            raise ValueError(f"there is no part '{match[2]}'; there are {', '.join(data)}")
        return match[1] + render(f"parts/{match[2]}.md.j2", **data[match[2]]) + match[3]

    old = {page: (root / page).read_text(encoding="utf-8") for page in PAGES}
    new = {page: PART.sub(part, text) for page, text in old.items()}
    return {page: text for page, text in new.items() if text != old[page]}


def _data(root: Path) -> dict[str, dict[str, Any]]:
    """Return {part: what its template asks for} from the published results and the code."""
    folder = root / publication.FOLDER
    ledger = store.read_json(folder / "claims.json")
    judged = {
        name: ledger["claims"].get(name, {**claim, "verdict": NOT_RUN})
        for name, claim in catalogue.load("claims").items()
    }
    facts = publication.facts(root)
    jobs = {
        name: store.read_json(folder / "tables" / f"{name}_jobs.json")
        for name in facts["experiments"]
    }
    drawn = {path.stem for path in (folder / "figures").glob("*.png")}
    return {
        "run": {**facts, "machine": publication.machine(facts)},
        "verdict": _verdict(ledger),
        "abstract": {"sentences": sentences.rows(judged)},
        "others": _others(judged),
        "overview": {"figures": overview.figures(drawn)},
        "claims": {"kinds": _claims(judged)},
        "imports": {"nodes": diagram.nodes()},
        "costs": {"experiments": [_cost(name, j, facts["cores"]) for name, j in jobs.items()]},
    }


def _verdict(ledger: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many statements hold, and on which tasks ES-Single ends better than PES."""
    known = {row["name"]: row for row in ledger["summary"] if row["level"] == "task"}
    titles = {name: entry["title"] for name, entry in catalogue.load("comparisons").items()}
    sides = {name: _side(known[name]) for name in titles if name in known}
    groups = ("better", "worse", "alike")
    found = {group: [titles[x] for x, side in sides.items() if side == group] for group in groups}
    missing = [title for name, title in titles.items() if name not in known]
    return {"headline": headline(ledger["statements"]), **found, "missing": missing}


def _side(row: Mapping[str, Any]) -> str:
    """Return whether ES-Single ends better than PES on a task, worse, or alike."""
    if row["probability_low"] > 0.5:
        return "better"
    return "worse" if row["probability_high"] < 0.5 else "alike"


def _others(judged: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims about the paper that fail, with the reason, and the undecided ones."""
    own = {name: c for name, c in judged.items() if catalogue.kind_of(c) == "paper"}
    failed = [
        {**claim, "name": name, "wanted": wanted_text(claim), "cases": _failing(claim)}
        for name, claim in own.items()
        if claim["verdict"] == FAIL
    ]
    undecided = [
        {"name": name, "needed": _needed(claim)}
        for name, claim in own.items()
        if claim["verdict"] == INCONCLUSIVE
    ]
    return {"failed": failed, "undecided": undecided}


def _failing(claim: Mapping[str, Any]) -> list[str]:
    """Return the cases of a claim that fail, as text."""
    return [case_text(case, claim) for case in claim["cases"] if case["verdict"] == FAIL]


def _needed(claim: Mapping[str, Any]) -> str:
    """Return how many seeds would decide a claim, by the pilot: "8 of 23", or "8" if unknown."""
    power = (claim.get("plan") or {}).get("power")
    n = min(case["n"] for case in claim["cases"])
    return f"{n} of {power['n_needed']:,}" if power and power["n_needed"] else f"{n}"


def _claims(judged: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the kinds of claims, each with what a reviewer expects of its claims."""
    kinds: dict[str, list[dict[str, str]]] = {kind: [] for kind in KINDS_OF_CLAIMS}
    for name, claim in judged.items():
        ran = claim["verdict"] != NOT_RUN
        row = {"name": name, "abstract": claim.get("abstract", ""), "wanted": wanted_text(claim)}
        row["result"] = f"{claim['verdict']}: {sentences.deciding(claim)}" if ran else NOT_PUBLISHED
        row["experiments"] = ",".join(catalogue.rests_on(claim)) if "experiment" in claim else "all"
        kinds[catalogue.kind_of(claim)].append(row)
    return [{"title": KINDS_OF_CLAIMS[kind], "claims": rows} for kind, rows in kinds.items()]


def _cost(name: str, jobs: Sequence[Mapping[str, Any]], cores: int) -> dict[str, Any]:
    """Return what an experiment costs: jobs, minutes on all cores, memory of its largest job."""
    seconds = math.fsum(job["timings"]["wall_s"] for job in jobs)
    memory = max((job.get("peak_memory_mb") or 0.0 for job in jobs), default=0.0)
    return {
        "name": name,
        "jobs": len(jobs),
        "minutes": _minutes(seconds, cores),
        "memory": _megabytes(memory),
    }


def _minutes(seconds: float, cores: int) -> str:
    """Return the minutes that jobs take side by side, from the seconds that they take in all."""
    return f"{seconds / 60 / cores:.1f}"


def _megabytes(memory: float | None) -> str:
    """Return megabytes as text; the jobs of old tables did not record them."""
    return f"{memory:.0f}" if memory else sentences.NOTHING
