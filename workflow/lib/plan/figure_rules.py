"""What rules/figures.smk asks about one of its figures."""

from pathlib import Path
from typing import Any, NamedTuple

from workflow.lib.plan import catalogue
from workflow.lib.plan.dag import Dag, code


class FigureRules(NamedTuple):
    """Answers to questions that Snakemake asks with the wildcards of a figure."""

    dag: Dag

    def tables(self, wildcards: Any) -> list[str]:
        """Return the tables that a figure is drawn from."""
        experiments = catalogue.load("figures")[wildcards.figure]["experiments"]
        return [file for name in experiments for file in self.dag.table_files(name)[:2]]

    def code(self, wildcards: Any) -> str:
        """Return the hash of the code that a figure is drawn with."""
        return code(f"figures.{wildcards.figure}", "workflow.scripts.draw")

    def tables_folder(self, wildcards: Any, input: Any) -> str:
        """Return the folder of the tables that a figure is drawn from."""
        del wildcards
        return str(Path(input.tables[0]).parent)

    def folder(self, wildcards: Any, output: Any) -> str:
        """Return the folder of a figure."""
        del wildcards
        return str(Path(output.pdf).parent)

    def caption(self, wildcards: Any, input: Any) -> str:
        """Return the caption of a figure: the report asks for one file, which shows this text."""
        del wildcards
        return Path(input.caption).read_text(encoding="utf-8")

    def category(self, wildcards: Any) -> str:
        """Return the heading under which the report shows a figure."""
        return catalogue.load("figures")[wildcards.figure]["category"]

    def labels(self, wildcards: Any) -> dict[str, str]:
        """Return how the report names a figure: one label (of two, it would make a switch)."""
        number = catalogue.load("figures")[wildcards.figure]["paper_figure"]
        caption = Path(f"workflow/report/{wildcards.figure}.rst").read_text(encoding="utf-8")
        title = " ".join(caption.split("**")[1].split())
        return {"figure": f"{'ours' if number == 'none' else number.zfill(2)}: {title}"}
