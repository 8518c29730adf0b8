"""From original bytes to arrays.

Where the originals come from (`originals`, `downloads`, `synthetic`), how they are parsed
(`formats`, `texts`) and handed to tensorflow-datasets (`builders`), and how a run reads the result
(`prepared`). `workflow/config/datasets.yaml` lists the data sets.
"""
