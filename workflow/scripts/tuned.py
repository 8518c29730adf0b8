"""Keep the grids of finished tunings, and say what in the experiments differs from what they chose.

They are kept in results/published/tuning; `make tuning` has made them at laptop scale.
"""

from collections.abc import Sequence

from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.common.paths import ROOT
from workflow.lib.results import tuned


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser("tuned", __doc__).parse_args(arguments)
    with errors_in_one_line("tuned"):
        kept = tuned.keep(ROOT)
        lines = tuned.problems(ROOT)
    print(f"kept in {tuned.FOLDER}: {', '.join(kept) or 'nothing'}")
    print("\n".join(lines) or "the experiments have what was chosen")


if __name__ == "__main__":
    main()
