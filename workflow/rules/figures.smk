from workflow.lib.plan.figure_rules import FigureRules

figure_rules = FigureRules(dag)


# Seconds each: on a cluster they run where Snakemake does, without waiting in a queue.
localrules:
    draw,


rule draw:
    """Draw one figure from its tables; the csv holds exactly what is drawn."""
    input:
        tables=figure_rules.tables,
        looks="workflow/config/estimators.yaml",
        caption="workflow/report/{figure}.rst",
    output:
        # Not removed before the drawing, and put back if it fails; then the csv is what is missing.
        pdf=update(dag.path("figures/{figure}.pdf")),
        png=report(
            update(dag.path("figures/{figure}.png")),
            caption="../report/figure.rst",
            category=figure_rules.category,
            labels=figure_rules.labels,
        ),
        csv=dag.path("figures/{figure}.csv"),
    log:
        dag.path("logs/figures/{figure}.log"),
    conda:
        "../../environment.yml"
    params:
        python=dag.python,
        tables=figure_rules.tables_folder,
        output=figure_rules.folder,
        code=figure_rules.code,
        caption=figure_rules.caption,
    message:
        "Figure: {wildcards.figure}"
    shell:
        "{params.python} workflow.scripts.draw --figure {wildcards.figure}"
        " --tables {params.tables:q} --output {params.output:q} > {log:q} 2>&1"
