"""Agreement with bootstrap intervals, as `cohort.analyse` puts them together."""

from __future__ import annotations

import numpy as np

from ctwml_bids.statistics.agreement import Agreement, agreement, estimates, with_ends
from ctwml_bids.statistics.concordance import moments
from ctwml_bids.statistics.resampling import DRAWS, bootstrap


def bootstrapped(ct, flair, subjects, draws: int = DRAWS) -> Agreement:
    ct, flair = np.asarray(ct), np.asarray(flair)
    found = agreement(ct, flair)
    ends = bootstrap(lambda w: estimates(moments(w, flair, ct)), np.asarray(subjects), draws=draws)
    return with_ends(found, ends)
