"""From original bytes to arrays.

Where the originals come from (`originals`, `downloads`), how tensorflow-datasets builders parse
them (`builders`, `texts`), and how a run reads the result (`prepared`).
"""
