"""One module per figure of the paper, drawn from tables alone.

A module `figures/{name}.py` has one function, `draw(tables) -> (figure, drawn)`: `tables` maps
`{experiment}` to the summary over seeds and `{experiment}_seeds` to the rows of every seed, for the
experiments that `workflow/config/figures.yaml` lists; `drawn` holds the numbers in the picture.
"""
