# ES-Single: every run, table, figure and verdict of the artifact.
#
#   snakemake --cores all                                   everything, laptop scale
#   snakemake --cores all --config scale=smoke              every rule in minutes, no science
#   snakemake --cores all runs|tables|figures|claims|verify
#
# Results: results/{scale}/runs/{experiment}/{run}/seeds-{first}-{last}.parquet and its .json sidecar,
# results/{scale}/tables/{experiment}.parquet, results/{scale}/figures/, results/{scale}/claims.md.
from snakemake.utils import min_version

from workflow.lib.plan.dag import Dag, begin, code
from workflow.lib.plan.screen import Screen

min_version("9.0")
begin()


configfile: "workflow/config/default.yaml"


dag = Dag.from_config(config)
screen = Screen(workflow, dag)


report: "workflow/report/workflow.rst"


include: "workflow/rules/targets.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"


if dag.jobs:  # published tables have no rule: nothing may remove or remake them

    include: "workflow/rules/runs.smk"
    include: "workflow/rules/tables.smk"


onstart:
    screen.started()
    if dag.jobs:
        elsewhere = "" if workflow.local_exec else "--elsewhere"
        shell("{dag.python} workflow.scripts.preflight {dag.preflight} {elsewhere}")


onsuccess:
    screen.finished()


onerror:
    screen.stopped()


rule all:
    default_target: True
    input:
        dag.everything,
    message:
        "Everything"
