from workflow.lib.plan.run_rules import RunRules
from workflow.scripts import warm

run_rules = RunRules(dag)


wildcard_constraints:
    experiment=run_rules.experiments,


onstart:
    if dag.warm:
        warm.start()
    shell("{dag.python} workflow.scripts.preflight {dag.preflight}")


rule run:
    """Run one job: all steps of one run of one experiment, for a block of seeds."""
    input:
        data=run_rules.data,
        tuned=run_rules.tuned,
        trained=run_rules.trained,
    output:
        # A finished result is not removed before another one is whole, and put back if that fails;
        # then the mark is what is missing.
        parquet=update(dag.path("runs/{experiment}/{run}/{block}.parquet")),
        sidecar=update(dag.path("runs/{experiment}/{run}/{block}.json")),
        done=touch(dag.path("runs/{experiment}/{run}/{block}.done")),
    log:
        dag.path("logs/{experiment}/{run}/{block}.log"),
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        python=dag.python,
        spec=run_rules.spec,
        options=run_rules.options,
        code=run_rules.code,
    message:
        "Run: {wildcards.experiment}/{wildcards.run}, {wildcards.block}"
    shell:
        # One thread per job, whatever the machine: the same bits, and jobs run side by side.
        "NPROC={threads} OPENBLAS_NUM_THREADS={threads} {params.python} workflow.scripts.run"
        " --spec {params.spec:q} --output {output.parquet:q} {params.options} > {log:q} 2>&1"
