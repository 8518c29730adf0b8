"""Write a working skeleton of a new estimator, task, protocol, experiment, figure or claim."""

from collections.abc import Sequence

from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.plan import skeletons

NEXT = {
    "estimator": "write its rule, test it against a closed form, run it: name it in an experiment",
    "task": "write its problem, then: python -m workflow.scripts.new experiment NAME --task {name}",
    "protocol": "write what it records, test it, run it: name it in an experiment",
    "experiment": "choose its runs, then: snakemake --cores all --config experiments={name}",
    "figure": "draw what it should show, and say so in workflow/report/{name}.rst",
    "claim": "say what is claimed, fix its threshold, then judge it: "
    "snakemake --cores all claims --config experiments={uses}",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("new", __doc__)
    kinds = command.add_subparsers(dest="kind", required=True)
    for kind in NEXT:
        one = kinds.add_parser(kind, help=f"a new {kind}")
        one.add_argument("name", help=f"of the new {kind}")
        one.set_defaults(uses="")
        if kind == "experiment":
            text = "the task that it runs (default: %(default)s)"
            one.add_argument("--task", dest="uses", default="quadratic", help=text)
        if kind in ("figure", "claim"):
            text = "the experiment that it rests on (default: %(default)s)"
            one.add_argument("--experiment", dest="uses", default="toy_regression", help=text)
    options = command.parse_args(arguments)
    with errors_in_one_line("new"):
        files = skeletons.plan(options.kind, options.name, options.uses)
        skeletons.write(files)
    print(f"new: {', '.join(files)}")
    print(f"next: {NEXT[options.kind].format(name=options.name, uses=options.uses)}")


if __name__ == "__main__":
    main()
