rule aggregate:
    """Summarise the seeds of an experiment: intervals, diverged runs, costs."""
    input:
        runs=dag.experiment_runs,
        sidecars=dag.experiment_sidecars,
        code=code("workflow.scripts.aggregate"),
    output:
        table=dag.path("tables/{experiment}.parquet"),
        csv=dag.path("tables/{experiment}.csv"),
        seeds=dag.path("tables/{experiment}_seeds.parquet"),
        jobs=dag.path("tables/{experiment}_jobs.json"),
    log:
        dag.path("logs/{experiment}/aggregate.log"),
    conda:
        "../../environment.yml"
    params:
        python=dag.python,
    message:
        "Table: {wildcards.experiment}"
    shell:
        "{params.python} workflow.scripts.aggregate"
        " --runs {input.runs:q} --output {output.table:q} > {log:q} 2>&1"


rule choose:
    """Choose the hyperparameters of each run from the table of a tuning experiment."""
    input:
        table=dag.path("tables/{experiment}_seeds.parquet"),
        code=code("workflow.scripts.choose"),
    output:
        choice=dag.path("tuning/{experiment}.json"),
        grid=dag.path("tables/{experiment}_grid.csv"),
    log:
        dag.path("logs/{experiment}/choose.log"),
    conda:
        "../../environment.yml"
    params:
        python=dag.python,
    message:
        "Hyperparameters: {wildcards.experiment}"
    shell:
        "{params.python} workflow.scripts.choose"
        " --table {input.table:q} --output {output.choice:q} --grid {output.grid:q} > {log:q} 2>&1"


rule export:
    """Gather the optimizers that an experiment has trained in one file, with their provenance."""
    input:
        runs=dag.experiment_runs,
        sidecars=dag.experiment_sidecars,
        code=code("workflow.scripts.export"),
    output:
        dag.path("trained/{experiment}.json"),
    log:
        dag.path("logs/{experiment}/export.log"),
    conda:
        "../../environment.yml"
    message:
        "Trained optimizers: {wildcards.experiment}"
    shell:
        "python -m workflow.scripts.export"
        " --runs {input.runs:q} --output {output:q} > {log:q} 2>&1"
