"""What a person looks at.

The style of the figures (`style`), the pages (`pages`, `documents`), what is published
(`publication`), and how a run of one's own agrees with it (`agreement`).
"""
