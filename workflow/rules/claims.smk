rule judge:
    """Judge every claim from the tables: estimate, interval, verdict."""
    input:
        tables=dag.claim_tables,
        lists=dag.claim_lists,
        code=code("workflow.scripts.judge"),
    output:
        md=dag.claims,
        html=report(
            dag.claims.replace(".md", ".html"),
            caption="../report/claims.rst",
            category="Claims",
        ),
        json=dag.claims.replace(".md", ".json"),
        summary=dag.claims.replace(".md", "_summary.csv"),
    log:
        dag.path("logs/judge.log"),
    conda:
        "../../environment.yml"
    params:
        tables=dag.tables_folder,
        experiments=dag.experiments,
    message:
        "Claims"
    shell:
        "python -m workflow.scripts.judge --tables {params.tables:q}"
        " --experiments {params.experiments} --output {output.md:q} > {log:q} 2>&1"


rule verify:
    """Check finished runs against their hashes, settings, code and data; name what is wrong."""
    log:
        dag.path("logs/verify.log"),
    conda:
        "../../environment.yml"
    params:
        scale=dag.scale,
    shell:
        "python -m workflow.scripts.verify --scale {params.scale} 2>&1 | tee {log:q}"
