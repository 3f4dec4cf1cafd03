"""``tuleaprt``: the command line of administrators."""
