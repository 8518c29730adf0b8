rule runs:
    input:
        dag.runs,
    message:
        "All runs"


rule tables:
    input:
        dag.tables,
    message:
        "All tables"


rule figures:
    input:
        dag.figures,
    message:
        "All figures"


rule claims:
    input:
        dag.ledger,
    message:
        "All claims"


rule tuning:
    input:
        dag.tuning_files,
    message:
        "All tunings"
