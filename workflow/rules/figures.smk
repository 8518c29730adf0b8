rule draw:
    """Draw one figure from its tables; the csv holds exactly what is drawn."""
    input:
        tables=dag.figure_tables,
        code=dag.figure_code,
        caption="workflow/report/{figure}.rst",
    output:
        pdf=dag.path("figures/{figure}.pdf"),
        png=report(
            dag.path("figures/{figure}.png"),
            caption="../report/figure.rst",
            category=dag.figure_category,
            labels=dag.figure_labels,
        ),
        csv=dag.path("figures/{figure}.csv"),
    log:
        dag.path("logs/figures/{figure}.log"),
    conda:
        "../../environment.yml"
    params:
        python=dag.python,
        tables=dag.tables_folder,
        output=dag.figures_folder,
        caption=dag.figure_caption,
    message:
        "Figure: {wildcards.figure}"
    shell:
        "{params.python} workflow.scripts.draw --figure {wildcards.figure}"
        " --tables {params.tables:q} --output {params.output:q} > {log:q} 2>&1"
