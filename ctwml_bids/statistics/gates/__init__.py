"""Quality gates: reasons to look at a unit before its numbers are used.

A gate compares a number with limits and says, in a sentence for a human, what was found and what to
look at. It is a flag, not a diagnosis. The limits are the project's own choice from what is
anatomically plausible, with room around what real and simulated images reach (docs/validation.md);
they were not tuned on data that results are reported for.

Each module has one function that returns all of its gates (`ct.ct_gates`): a gate on a number that
this function is given is added in that module alone.
"""
