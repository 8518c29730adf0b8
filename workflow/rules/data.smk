# On a cluster it runs where Snakemake does: a node may have no network.
localrules:
    prepare_data,


rule prepare_data:
    """Check the original bytes of a data set and convert them once for the runs."""
    output:
        # Not removed before a new one is whole, and put back if that fails, e.g. without a network;
        # then the sidecar is what is missing.
        npz=update("data/{dataset}.npz"),
        sidecar="data/{dataset}.json",
    log:
        "results/logs/prepare_data/{dataset}.log",
    conda:
        "../../environment.yml"
    params:
        code=code("workflow.scripts.prepare_data"),
    message:
        "Data: {wildcards.dataset}"
    shell:
        "python -m workflow.scripts.prepare_data"
        " --dataset {wildcards.dataset} --output {output.npz:q} > {log:q} 2>&1"
