"""The ledger as pages: Markdown for readers of the repository, HTML for the report.

Both are written from the same tables; a cell is a list of lines.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workflow.lib.claims import ledger
from workflow.lib.common import stats
from workflow.lib.plan import catalogue

Cell = Sequence[str]
INTRODUCTION = """Each claim of the paper, the interval its verdict rests on, and the command that
makes it again. PASS: the whole interval is where the paper says; FAIL: all of it is elsewhere;
INCONCLUSIVE: it straddles the border. A claim passes if all of its cases do. n counts seeds."""
SUMMARY_NOTE = """Progress of a seed is 0 at the start (or diverged) and 1 at the best end value of
the pair; the improvement is that of ES-Single minus that of PES, seed by seed, and its
interquartile mean (IQM) gives every task the same weight. The probability of improvement is that of
a seed of ES-Single ending better than one of PES. Intervals are 95 %, each by itself: a stratified
bootstrap over seeds for the IQM (somewhat narrow for six), score intervals for the probability."""
STYLE = """body{font:14px/1.45 sans-serif;margin:1.5em;max-width:75em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.3em .6em;
text-align:left;vertical-align:top}th{background:#f2f2f2}.PASS{color:#006d2c;font-weight:bold}
.FAIL{color:#b30000;font-weight:bold}.INCONCLUSIVE{color:#8a6d00;font-weight:bold}"""


class Table(NamedTuple):
    """A heading, a remark, the names of the columns, and rows of cells."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def tables(judged: Mapping[str, Any]) -> list[Table]:
    """Return what a ledger (from `ledger.judge`) says, as tables; empty ones are left out."""
    everything = judged["claims"]
    run = {name: c for name, c in everything.items() if c["verdict"] != ledger.NOT_RUN}
    not_run = {name: c for name, c in everything.items() if c["verdict"] == ledger.NOT_RUN}
    abstract = catalogue.load("abstract").items()
    found = [
        Table(
            "The abstract, sentence by sentence",
            "",
            ["", "the paper says", "claims"],
            [_sentence(key, text, everything) for key, text in abstract],
        ),
        Table(
            "Claims",
            _correction(judged["correction"]),
            ["claim", "abstract", "verdict", "uncorrected", "estimate [interval], n", "wanted"],
            [_claim(name, claim) for name, claim in run.items()],
        ),
        Table(
            "Not run here",
            "These rest on experiments whose tables are not all here.",
            ["claim", "abstract", "missing"],
            [_not_run(name, claim) for name, claim in not_run.items()],
        ),
        Table(
            "ES-Single against PES over all tasks",
            SUMMARY_NOTE,
            ["task", "pairs", "n", "IQM of normalised improvement", "probability of improvement"],
            [_summary(row) for row in judged["summary"]],
        ),
    ]
    return [table for table in found if table.rows]


def _correction(correction: Mapping[str, Any]) -> str:
    """Return what was done about the number of cases."""
    return (
        f"Verdicts are corrected by Holm's procedure over the {correction['cases']} cases of this "
        f"page; its last round, whose intervals are shown, gives a case {correction['share']:.3g} "
        "of its α. The uncorrected verdict is that of a case's interval by itself."
    )


def _sentence(key: str, text: str, claims: Mapping[str, Any]) -> Sequence[Cell]:
    """Return the row of one sentence of the abstract: the claims that test it."""
    testing = {name: c["verdict"] for name, c in claims.items() if c.get("abstract") == key}
    return [key], [text], [f"{verdict} {name}" for name, verdict in testing.items()]


def _claim(name: str, claim: Mapping[str, Any]) -> Sequence[Cell]:
    """Return the row of one claim."""
    return (
        [f"[{name}](#{name})"],
        [claim.get("abstract", "")],
        [claim["verdict"]],
        [claim["verdict_alone"]],
        [estimate(case, claim) for case in claim["cases"]],
        [wanted(claim)],
    )


def _not_run(name: str, claim: Mapping[str, Any]) -> Sequence[Cell]:
    """Return the row of a claim whose experiments were not all run."""
    missing = ", ".join(claim["missing"]) or "no experiment yet"
    return [name], [claim.get("abstract", "")], [missing]


def estimate(case: Mapping[str, Any], claim: Mapping[str, Any]) -> str:
    """Return a case as text: what it is about, the estimate, its interval and n."""
    arguments = case["arguments"]
    names = [arguments[key] for key in ("run", "sweep", "family", "reference") if key in arguments]
    metrics = {other["arguments"].get("metric") for other in claim["cases"]}
    about = " vs ".join(names) + (f" ({arguments['metric']})" if len(metrics) > 1 else "")
    if claim["statistic"].startswith("measured"):
        return f"{about}: {_short(case['value'])}, counted"
    return _interval(about, case)


def _interval(about: str, case: Mapping[str, Any]) -> str:
    """Return "about: value [low, high], n"."""
    return f"{about}: {bounds(case['value'], case['low'], case['high'])}, n = {case['n']}"


def bounds(value: float | None, low: float | None, high: float | None) -> str:
    """Return "value [low, high]"; what does not exist is n/a."""
    texts = ["n/a" if number is None else _short(number) for number in (value, low, high)]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def _short(number: float) -> str:
    """Return three digits of a number, or all before the point."""
    return f"{number:.3g}" if abs(number) < 1000 or abs(number) >= 1e6 else f"{number:.0f}"


def wanted(claim: Mapping[str, Any]) -> str:
    """Return the region of a claim as text."""
    return f"{claim['comparison']} " + " to ".join(f"{number:g}" for number in claim["threshold"])


def _summary(row: Mapping[str, Any]) -> Sequence[Cell]:
    """Return one row of the summary over tasks."""
    measures = [
        [bounds(*(row[f"{name}{bound}"] for bound in ("", "_low", "_high")))]
        for name in ("iqm", "probability")
    ]
    title = row["title"] if row["level"] == "task" else f"{row['title']} ({row['tasks']})"
    return [title], [str(row["pairs"])], [str(row["n"])], *measures


def markdown(judged: Mapping[str, Any]) -> str:
    """Return the ledger as a Markdown page: the tables, then each claim with its command."""
    parts = ["# Claims\n\n" + INTRODUCTION]
    for table in tables(judged):
        parts.append(f"## {table.title}" + (f"\n\n{table.note}" if table.note else ""))
        parts.append(markdown_table(table))
    parts += [
        _detail(name, claim)
        for name, claim in judged["claims"].items()
        if claim["verdict"] != ledger.NOT_RUN
    ]
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table) -> str:
    """Return a table in Markdown."""
    lines = [table.columns, ["---"] * len(table.columns)]
    lines += [["<br>".join(cell) for cell in row] for row in table.rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _detail(name: str, claim: Mapping[str, Any]) -> str:
    """Return the section of one claim: what the paper says, and how to make the verdict again."""
    return f"### {name}\n\n{_says(claim)}\n\n    {claim['command']}\n\n{_made(claim)}"


def _says(claim: Mapping[str, Any]) -> str:
    """Return what a claim says, and where the paper says it."""
    figure = f"; figure: {claim['figure']}" if "figure" in claim else ""
    return f"{claim['sentence']} ({claim['source']}{figure})"


def _made(claim: Mapping[str, Any]) -> str:
    """Return how a verdict was made, and its intervals without correction."""
    alone = ", ".join(
        bounds(case["value"], case["alone"]["low"], case["alone"]["high"])
        for case in claim["cases"]
    )
    data = f", {', '.join(claim['data'])}" if claim["data"] else ""
    return (
        f"{claim['seconds']:g} s of jobs on {', '.join(claim['hardware'])}; {claim['scale']} scale"
        f"{data}; statistic: {claim['statistic']}; uncorrected {1 - stats.ALPHA:.0%} intervals: "
        f"{alone}."
    )


def page(judged: Mapping[str, Any]) -> str:
    """Return the ledger as a self-contained HTML page."""
    parts = [f"<h1>Claims</h1><p>{html.escape(INTRODUCTION)}</p>"]
    for table in tables(judged):
        parts.append(f"<h2>{html.escape(table.title)}</h2><p>{html.escape(table.note)}</p>")
        head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
        body = "".join("<tr>" + "".join(map(_html_cell, row)) + "</tr>" for row in table.rows)
        parts.append(f"<table><tr>{head}</tr>{body}</table>")
    for name, claim in judged["claims"].items():
        if claim["verdict"] != ledger.NOT_RUN:
            says, made = html.escape(_says(claim)), html.escape(_made(claim))
            command = f"<pre>{html.escape(claim['command'])}</pre>"
            parts.append(f"<h3>{name}</h3><p>{says}</p>{command}<p>{made}</p>")
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Claims</title>'
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def _html_cell(cell: Cell) -> str:
    """Return a cell in HTML; a line that begins with a verdict gets its colour."""
    lines = []
    for line in cell:
        word = line.split(" ")[0]
        text = html.escape(line.split("](")[0].removeprefix("[") if line[:1] == "[" else line)
        known = word in ledger.WORST_FIRST
        lines.append(f'<span class="{word}">{text}</span>' if known else text)
    return f"<td>{'<br>'.join(lines)}</td>"
