# Seconds each: on a cluster they run where Snakemake does, without waiting in a queue.
localrules:
    aggregate,
    choose,
    export,


rule aggregate:
    """Summarise the seeds of an experiment: intervals, diverged runs, costs."""
    input:
        runs=run_rules.experiment_runs,
        sidecars=run_rules.experiment_sidecars,
    output:
        # Not removed before the new ones are whole, and put back if that fails; then the costs of
        # the jobs are what is missing.
        table=update(dag.path("tables/{experiment}.parquet")),
        csv=update(dag.path("tables/{experiment}.csv")),
        seeds=update(dag.path("tables/{experiment}_seeds.parquet")),
        jobs=dag.path("tables/{experiment}_jobs.json"),
    log:
        dag.path("logs/{experiment}/aggregate.log"),
    conda:
        "../../environment.yml"
    params:
        python=dag.python,
        code=code("workflow.scripts.aggregate"),
    message:
        "Table: {wildcards.experiment}"
    shell:
        "{params.python} workflow.scripts.aggregate"
        " --runs {input.runs:q} --output {output.table:q} > {log:q} 2>&1"


rule choose:
    """List the grid of a tuning: how each cell ended, and which is chosen for each run."""
    input:
        table=dag.path("tables/{experiment}_seeds.parquet"),
    output:
        grid=dag.path("tables/{experiment}_grid.csv"),
    log:
        dag.path("logs/{experiment}/choose.log"),
    conda:
        "../../environment.yml"
    params:
        python=dag.python,
        code=code("workflow.scripts.choose"),
    message:
        "Grid: {wildcards.experiment}"
    shell:
        "{params.python} workflow.scripts.choose"
        " --table {input.table:q} --output {output.grid:q} > {log:q} 2>&1"


rule export:
    """Gather the optimizers that an experiment has trained in one file, with their provenance."""
    input:
        runs=run_rules.experiment_runs,
        sidecars=run_rules.experiment_sidecars,
    output:
        trained=update(dag.path("trained/{experiment}.json")),
        done=touch(dag.path("trained/{experiment}.done")),
    log:
        dag.path("logs/{experiment}/export.log"),
    conda:
        "../../environment.yml"
    params:
        code=code("workflow.scripts.export"),
    message:
        "Trained optimizers: {wildcards.experiment}"
    shell:
        "python -m workflow.scripts.export"
        " --runs {input.runs:q} --output {output.trained:q} > {log:q} 2>&1"
