"""The ledger as two pages that say the same: Markdown for the repository, HTML for the report.

What is gathered here is laid out by `templates/claims/page.md.j2` and `page.html.j2`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from workflow.lib.claims.cases import NOT_RUN, WORST_FIRST
from workflow.lib.plan import catalogue
from workflow.lib.report import reduction
from workflow.lib.report.layout import render

UNTESTED = "not tested"
NAMES = ("run", "sweep", "task", "family", "first", "reference", "second")  # in a case


def markdown(judged: Mapping[str, Any]) -> str:
    """Return the ledger as a page in Markdown.

    Args:
        judged: the ledger, from `ledger.judge`.
    """
    return render("claims/page.md.j2", **_content(judged))


def html(judged: Mapping[str, Any]) -> str:
    """Return the ledger as a page in HTML that needs no other file.

    Args:
        judged: the ledger, from `ledger.judge`.
    """
    return render("claims/page.html.j2", **_content(judged))


def _content(judged: Mapping[str, Any]) -> dict[str, Any]:
    """Return what both pages say about a ledger."""
    claims = [_named(name, claim) for name, claim in judged["claims"].items()]
    return {
        "abstract": [
            {"key": key, "text": text, "claims": [c for c in claims if c["abstract"] == key]}
            for key, text in catalogue.load("abstract").items()
        ],
        "headline": headline(judged["statements"]),
        "statements": _statements(judged["statements"], ("empirical", "illustrative")),
        "conformance": _statements(judged["statements"], ("exact",)),
        "correction": dict(sorted(judged["correction"].items())),
        "run": [_with_texts(claim) for claim in claims if claim["verdict"] != NOT_RUN],
        "not_run": [_with_reason(claim) for claim in claims if claim["verdict"] == NOT_RUN],
        "summary": [_summary_row(row) for row in judged["summary"]],
    }


def headline(statements: Mapping[str, Any]) -> str:
    """Return how many of the paper's empirical statements have which verdict, as text.

    Args:
        statements: of the ledger.
    """
    empirical = [entry for entry in statements.values() if entry["kind"] == "empirical"]
    counts = Counter(entry["verdict"] or UNTESTED for entry in empirical)
    order = (*reversed(WORST_FIRST), NOT_RUN, UNTESTED)
    verdicts = ", ".join(f"{counts[name]} {name}" for name in order if counts[name])
    return f"Of {len(empirical)} empirical statements of the paper: {verdicts}"


def _statements(statements: Mapping[str, Any], kinds: Sequence[str]) -> list[dict[str, Any]]:
    """Return the statements of some kinds, each with its number and where it is tested as text."""
    return [
        {
            "number": number,
            **entry,
            "verdict": entry["verdict"] or ("tests" if "tests" in entry else UNTESTED),
            "by": [*entry["claims"], *entry.get("tests", ())],
            "untested": entry.get("untested", ""),
            "against": entry.get("against", False),
        }
        for number, entry in sorted(statements.items(), key=lambda item: int(item[0][1:]))
        if entry["kind"] in kinds
    ]


def _named(name: str, claim: Mapping[str, Any]) -> dict[str, Any]:
    """Return a claim with its name; what it need not have is empty."""
    absent = {"abstract": "", "figure": "", "statements": ["ours"], "plan": None}
    return {"name": name, **absent, **claim}


def _with_texts(claim: Mapping[str, Any]) -> dict[str, Any]:
    """Return a claim with its numbers as text."""
    alone = [
        interval_text(case["value"], case["alone"]["low"], case["alone"]["high"])
        for case in claim["cases"]
    ]
    cases = [case_text(case, claim) for case in claim["cases"]]
    texts = {"cases": cases, "alone": alone, "wanted": wanted_text(claim)}
    return {**claim, **texts, "size": reduction.text(claim)}


def _with_reason(claim: Mapping[str, Any]) -> dict[str, Any]:
    """Return a claim that was not run with what is missing for it."""
    return {**claim, "missing": claim["missing"] or ["no experiment yet"]}


def _summary_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row of the summary over tasks with its numbers as text."""
    measures = {
        name: interval_text(row[name], row[f"{name}_low"], row[f"{name}_high"])
        for name in ("iqm", "probability")
    }
    title = row["title"] if row["level"] == "task" else f"{row['title']} ({row['tasks']})"
    return {"title": title, "pairs": row["pairs"], "n": row["n"], **measures}


def case_text(case: Mapping[str, Any], claim: Mapping[str, Any]) -> str:
    """Return a case of a claim as text: what it is about, its value and interval, and n.

    Args:
        case: as the ledger holds it.
        claim: to which the case belongs.
    """
    arguments = case["arguments"]
    names = [str(arguments[key]) for key in NAMES if key in arguments]
    metrics = {other["arguments"].get("metric") for other in claim["cases"]}
    about = " vs ".join(names) + (f" ({arguments['metric']})" if len(metrics) > 1 else "")
    if claim["statistic"].startswith("measured"):
        return f"{about}: {_short(case['value'])}, counted"
    return f"{about}: {interval_text(case['value'], case['low'], case['high'])}, n = {case['n']}"


def interval_text(value: float | None, low: float | None, high: float | None) -> str:
    """Return "value [low, high]"; a number that does not exist (None) is n/a."""
    texts = ["n/a" if number is None else _short(number) for number in (value, low, high)]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def _short(number: float) -> str:
    """Return a number with three digits, or with all that stand before the point."""
    return f"{number:.3g}" if abs(number) < 1000 or abs(number) >= 1e6 else f"{number:.0f}"


def wanted_text(claim: Mapping[str, Any]) -> str:
    """Return where a claim says that its statistic lies, such as "within 0.4 to 0.6"."""
    return f"{claim['comparison']} " + " to ".join(f"{number:g}" for number in claim["threshold"])
