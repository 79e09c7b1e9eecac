"""The long run: ``python -m tests.fuzz --inputs 10000``.

Every class of fault that is found is reduced to a small input and kept in a folder.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.record import write_result
from tests.fuzz.case import Case
from tests.fuzz.kinds import KINDS
from tests.fuzz.lines import files as readers
from tests.fuzz.lines import lines_of
from tests.fuzz.verdict import Verdict
from tests.fuzz.worker import Worker

OF_ALL = 10_000
ROUND = 500
# Inputs of one series of Hypothesis.
SERIES = 25
# One of so many series is traced, which is some times slower.
TRACED = 8
# Smaller contents of files that are tried.
TRIES = 100


@dataclass
class Run:
    """What the inputs of one kind did.

    Attributes
    ----------
    seed
        The same gives the same inputs.
    series, known
        Series that were begun, and inputs that were run, by their hashes.
    codes
        Exit code → number of inputs.
    found
        Class of a fault → the smallest input with it, and what that did.
    slowest_s, grown
        Seconds of the slowest input, and bytes by which memory grew most.
    lines
        Lines of each reader that were reached.
    """

    seed: int
    series: int = 0
    known: set[int] = field(default_factory=set)
    codes: Counter[int | None] = field(default_factory=Counter)
    found: dict[str, tuple[Case, Verdict]] = field(default_factory=dict)
    slowest_s: float = 0.0
    grown: int = 0
    lines: dict[str, set[int]] = field(default_factory=dict)

    def add(self, case: Case, verdict: Verdict) -> None:
        """Take note of one input."""
        self.codes[verdict.code] += 1
        self.slowest_s = max(self.slowest_s, verdict.seconds)
        self.grown = max(self.grown, verdict.grown)
        for name, lines in verdict.lines.items():
            self.lines.setdefault(name, set()).update(lines)
        for fault in map(sign, verdict.faults):
            known = self.found.get(fault)
            if fault and (known is None or _size(case) < _size(known[0])):
                self.found[fault] = (case, verdict)

    def record(self) -> dict[str, object]:
        """Return it as it stands in the table."""
        return {
            "inputs": len(self.known),
            "codes": {str(code): number for code, number in sorted(self.codes.items(), key=str)},
            "slowest_s": round(self.slowest_s, 1),
            "grown_mb": round(self.grown / 1e6),
            "faults": len(self.found),
        }


def main() -> int:
    """Run all kinds; 1 where a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=OF_ALL, help="inputs in all")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=list(KINDS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="inputs with faults")
    parser.add_argument("--record", action="store_true", help="write benchmarks/results/fuzz.json")
    options = parser.parse_args()
    worker, tracer = Worker(), Worker(traced=True)
    runs = {kind: Run(options.seed) for kind in options.kinds}
    kept: set[tuple[str, str]] = set()
    # In rounds, so that a run that is stopped has had inputs of all kinds.
    for so_far in (*range(ROUND, options.inputs, ROUND), options.inputs):
        for kind, run in runs.items():
            begun, before = time.monotonic(), len(run.known)
            run_kind(run, worker, tracer, kind, max(1, round(KINDS[kind][1] * so_far / OF_ALL)))
            took = f"{len(run.known) - before} more in {time.monotonic() - begun:.0f} s"
            print(f"{kind}: {json.dumps(run.record())}, {took}", flush=True)
            for fault, (case, verdict) in run.found.items():
                if (kind, fault) not in kept:
                    kept.add((kind, fault))
                    print(f"  {fault[:300]}", flush=True)
                    _keep(options.found, fault, reduced(worker, case, fault), verdict)
        reached = _lines_reached([*runs.values()])
        if options.record:
            kinds = {kind: run.record() for kind, run in runs.items()}
            share = {name: [len(hit), len(hit | missed)] for name, (hit, missed) in reached.items()}
            write_result("fuzz", {"kinds": kinds, "lines": share})
    for name, (_, missed) in reached.items():
        print(f"{name}: not reached are lines {sorted(missed)}")
    worker.close()
    tracer.close()
    return int(any(run.found for run in runs.values()))


def _lines_reached(runs: Sequence[Run]) -> dict[str, tuple[set[int], set[int]]]:
    """Return of each reader the lines that were reached, and those that were not."""
    found = {}
    for name, path in readers().items():
        lines, reached = lines_of(path), set().union(*(run.lines.get(name, ()) for run in runs))
        found[name] = (lines & reached, lines - reached)
    return found


def run_kind(run: Run, worker: Worker, tracer: Worker, kind: str, count: int) -> None:
    """Go on with the inputs of a kind.

    Parameters
    ----------
    run
        Of the kind.
    worker, tracer
        Run them; the second counts lines, in one of `TRACED` series.
    kind
        Of `KINDS`.
    count
        How many there are to be in all.
    """

    def add(runner: Worker, case: Case) -> None:
        name = hash(case.to_json())
        if name not in run.known and len(run.known) < count:
            run.known.add(name)
            run.add(case, runner.run(case))

    while len(run.known) < count:
        runner = worker if run.series % TRACED else tracer
        _series(kind, 1000 * run.seed + run.series, partial(add, runner))
        run.series += 1


def _series(kind: str, number: int, use: Callable[[Case], None]) -> None:
    """Generate some inputs; each is made from those before it, so that short series vary."""

    @settings(
        max_examples=SERIES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @seed(number)
    @given(case=KINDS[kind][0])
    def series(case: Case) -> None:
        use(case)

    series()


def sign(fault: str) -> str:
    """Return the class of a fault: its kind, and where it was raised, without what is random.

    Empty for one that another fault of the same input tells better.
    """
    kind = fault.split(":")[0]
    places = re.findall(r'ctwml_bids/([\w/]+\.py)", line \d+, in (\w+)', fault)
    if kind == "nameless" and "This is a bug" in fault:
        return ""
    raised = re.findall(r"(\w+(?:Error|Exception|Interrupt)): ", fault)
    # Where the recursion ends is chance.
    if "RecursionError" in fault:
        places = places[:-1] and [next((one for one in reversed(places) if one), places[-1])]
        raised = ["RecursionError"]
    if places:
        return f"{kind}: {raised[-1] if raised else ''} in {places[-1][0]} {places[-1][1]}"
    text = re.sub(r"/\S*/ctwml-fuzz-\w+", "", fault)
    return re.sub(r"\d+", "0", text)[:90]


def reduced(worker: Worker, case: Case, fault: str) -> Case:
    """Return a smaller input with the same fault: without files, links, and parts of the files."""
    for place in ("files", "links"):
        for name in list(getattr(case, place)):
            rest = {key: kept for key, kept in getattr(case, place).items() if key != name}
            if _has(worker, smaller := replace(case, **{place: rest}), fault):
                case = smaller
    tries = TRIES
    for name in sorted(case.files, key=lambda name: -len(case.files[name])):
        content = case.files[name]
        part = (len(content) + 1) // 2
        while part and tries:
            at = 0
            while at < len(content) and tries:
                tries -= 1
                shorter = content[:at] + content[at + part :]
                smaller = replace(case, files={**case.files, name: shorter})
                if _has(worker, smaller, fault):
                    case, content = smaller, shorter
                else:
                    at += part
            part //= 2
    return case


def _has(worker: Worker, case: Case, fault: str) -> bool:
    return fault in map(sign, worker.run(case).faults)


def _size(case: Case) -> int:
    return sum(map(len, case.files.values())) + 100 * len(case.files)


def _keep(folder: Path, fault: str, case: Case, verdict: Verdict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"\W+", "-", f"{case.kind}-{fault}")[:90].strip("-").lower()
    (folder / f"{stem}.json").write_text(case.to_json())
    (folder / f"{stem}.txt").write_text("\n\n".join((*verdict.faults, verdict.said[-4000:])))


if __name__ == "__main__":
    sys.exit(main())
