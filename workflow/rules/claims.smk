from workflow.lib.plan.claim_rules import claim_lists, claim_tables, tables_folder
from workflow.lib.report import layout


# Seconds each: on a cluster they run where Snakemake does, without waiting in a queue.
localrules:
    judge,
    front,
    verify,


rule judge:
    """Judge every claim from the tables: estimate, interval, verdict."""
    input:
        tables=claim_tables(dag),
        lists=claim_lists(),
        templates=layout.files("claims"),
    output:
        # Not removed before the judging, and put back if it fails; then the html is what is missing.
        md=update(dag.ledger[0]),
        html=report(
            dag.ledger[1],
            caption="../report/claims.rst",
            category="Claims",
            labels={"page": "All claims"},
        ),
        json=update(dag.ledger[2]),
        summary=update(dag.ledger[3]),
    log:
        dag.path("logs/judge.log"),
    conda:
        "../../environment.yml"
    params:
        python=dag.python,
        tables=tables_folder,
        code=code("workflow.scripts.judge"),
        experiments=dag.experiments,
        # Published tables may be older than an experiment's settings.
        current="--current" if not dag.jobs else "",
    message:
        "Claims"
    shell:
        "{params.python} workflow.scripts.judge --tables {params.tables:q}"
        " --experiments {params.experiments} --output {output.md:q} {params.current}"
        " > {log:q} 2>&1"


rule front:
    """Write the first screen of the report: verdicts, and the figure of all tasks."""
    input:
        ledger=dag.ledger[2],
        figure=[file for file in dag.figures if file.endswith("fig_summary.png")],
        templates="workflow/lib/report/templates/front.html.j2",
    output:
        dag.front,
    log:
        dag.path("logs/front.log"),
    conda:
        "../../environment.yml"
    params:
        python=dag.python,
        code=code("workflow.scripts.front"),
        figure=lambda wildcards, input: (
            f"--figure {input.figure}" if input.figure else ""
        ),
    message:
        "First screen of the report"
    shell:
        "{params.python} workflow.scripts.front --ledger {input.ledger:q} {params.figure}"
        " --output {output:q} > {log:q} 2>&1"


rule verify:
    """Check finished runs against their hashes, and compare them with the published ones."""
    log:
        dag.path("logs/verify.log"),
    conda:
        "../../environment.yml"
    params:
        options=dag.verify,
    message:
        "Verify"
    shell:
        "python -m workflow.scripts.verify {params.options} 2>&1 | tee {log:q}"
