from workflow.lib.common import cards
from workflow.lib.plan.batches import batches
from workflow.lib.plan.run_rules import Process, RunRules

run_rules = RunRules(dag)
# One thread per process, whatever the machine: the same bits, and processes run side by side.
# Devices and cards are resources, because others are no reason to run a job again.
RUN = (
    "NPROC={threads} OPENBLAS_NUM_THREADS={threads} {params.python} workflow.scripts.run"
    " {params.options} --devices {resources.devices} --cards {resources.gpu} > {log:q} 2>&1"
)

# No more jobs begin here than there are cards for: those that wait for one would each take a core.
if dag.gpu and workflow.local_exec and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", max(1, len(cards.usable())))


wildcard_constraints:
    experiment=run_rules.experiments,


rule run:
    """Run one job: all steps of one run of one experiment, for a block of seeds."""
    input:
        data=run_rules.data,
        waits=run_rules.waits,
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
        mem_mb=run_rules.mem_mb,
        runtime=run_rules.runtime,
        gpu=run_rules.cards,
        devices=dag.cpu_devices,
    params:
        python=dag.python,
        options=run_rules.options,
        code=run_rules.code,
    message:
        "Run: {wildcards.experiment}/{wildcards.run}, {wildcards.block}"
    shell:
        RUN


# Snakemake prefers these rules to the one above, because they have no wildcards.
for batch in batches(dag.every_job.values(), dag.batch_minutes):
    process = Process(dag, batch.jobs)

    rule:
        name:
            f"run_{batch.name}"
        input:
            data=process.data,
            waits=process.waits,
        output:
            results=update(process.results),
            done=touch(process.marks),
        log:
            dag.path(f"logs/{batch.name}.log"),
        conda:
            "../../environment.yml"
        threads: 1
        resources:
            mem_mb=process.mem_mb,
            runtime=process.runtime,
            gpu=process.cards,
            devices=dag.cpu_devices,
        params:
            python=dag.python,
            options=process.options,
            code=process.code,
        message:
            f"Runs: {batch.name}, {len(batch.jobs)} jobs in one process"
        shell:
            RUN
