"""The sentences of the abstract beside what was measured: in README.md, and first in the report."""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workflow.lib.claims.cases import NOT_RUN, WORST_FIRST
from workflow.lib.claims.ledger import family
from workflow.lib.plan import catalogue
from workflow.lib.report.layout import render
from workflow.lib.report.pages import case_text, headline

NOTHING = "–"


def rows(judged: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each sentence of the abstract: its first claim, and a tally of all.

    Args:
        judged: {name: claim with its verdict and cases} of all claims.
    """
    found = []
    for key, text in catalogue.load("abstract").items():
        own = [claim for claim in judged.values() if claim.get("abstract") == key]
        first = min(own, key=lambda claim: family(claim) != "abstract")  # the first of them
        measured = NOTHING if first["verdict"] == NOT_RUN else deciding(first)
        row = {"key": key, "text": text, "measured": measured, "verdict": first["verdict"]}
        found.append(row | {"several": len(own) > 1, "verdicts": _tally(own)})
    return found


def front_page(ledger: Mapping[str, Any], figure: Path | None) -> str:
    """Return the first screen of the report in HTML: the sentences, then a figure.

    Args:
        ledger: from `ledger.judge`.
        figure: a picture in PNG, which becomes part of the page; None for none.
    """
    picture = base64.b64encode(figure.read_bytes()).decode() if figure else ""
    counts = headline(ledger["statements"])
    sentences = rows(ledger["claims"])
    return render("front.html.j2", headline=counts, sentences=sentences, picture=picture)


def deciding(claim: Mapping[str, Any]) -> str:
    """Return the case that decides a claim, as text: of the worst verdict, ES-Single's first."""

    def rank(case: Mapping[str, Any]) -> tuple[int, bool]:
        run = str(case["arguments"].get("run", ""))
        return WORST_FIRST.index(case["verdict"]), not run.startswith("es_single")

    worst = min(claim["cases"], key=rank)
    more = f" and {len(claim['cases']) - 1} more" if len(claim["cases"]) > 1 else ""
    return f"{case_text(worst, claim)}{more}"


def _tally(claims: Iterable[Mapping[str, Any]]) -> str:
    """Return how many claims have which verdict, such as "3 PASS, 1 FAIL"."""
    counts = Counter(claim["verdict"] for claim in claims)
    order = (*reversed(WORST_FIRST), NOT_RUN)
    return ", ".join(f"{counts[name]} {name}" for name in order if counts[name])
