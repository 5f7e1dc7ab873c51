"""What a comparison's record says, as numbers with intervals: computed here once, for figures, tables and verdicts alike.

Every function takes a `ComparisonRecord` and answers with frozen values; where the record has too little, with None or an empty list,
never with a guess. No drawing, no prose, no torch.
"""
