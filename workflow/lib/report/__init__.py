"""What a person looks at.

The style of the figures (`style`), the pages of claims (`pages`), the parts of README.md and
ARTIFACT.md that hold results (`parts`), the templates of all these (`layout`), what is published
(`publication`), and how another run agrees with it (`agreement`).
"""
