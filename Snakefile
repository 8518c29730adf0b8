# ES-Single: every run, table, figure and verdict of the artifact.
#
#   snakemake --cores all                                   everything, laptop scale
#   snakemake --cores all --config scale=smoke              every rule in minutes, no science
#   snakemake --cores all runs|tables|figures|claims|verify
#
# In results/{scale}: runs/{experiment}/{run}/seeds-{first}-{last}.{parquet,json}, tables, figures, claims.
from snakemake.utils import min_version

from workflow.lib.plan import cluster
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
        nodes = cluster.arguments(workflow, dag.limit_minutes)
        shell("{dag.python} workflow.scripts.preflight {dag.preflight} {nodes}")


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
