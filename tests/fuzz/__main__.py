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
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.case import Case
from tests.fuzz.kinds import KINDS
from tests.fuzz.lines import files, lines_of
from tests.fuzz.worker import Verdict, Worker

OF_ALL = 10_000


def main() -> int:
    """Run all kinds; 1 where a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=OF_ALL, help="inputs in all")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=list(KINDS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="inputs with faults")
    parser.add_argument("--table", type=Path, help="JSON of what was run, for docs/reliability.md")
    parser.add_argument("--traced", action="store_true", help="count lines of the readers")
    parser.add_argument("--no-reduction", action="store_true")
    options = parser.parse_args()
    worker, reached = Worker(traced=options.traced), {name: set() for name in files()}
    record: dict[str, dict[str, object]] = {}
    faulty = False
    for kind in options.kinds:
        strategy, share = KINDS[kind]
        count = max(1, round(share * options.inputs / OF_ALL))
        codes: Counter[int | None] = Counter()
        found: dict[str, tuple[Case, Verdict]] = {}
        slowest, grown, begun = 0.0, 0, time.monotonic()

        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @seed(options.seed)
        @given(case=strategy)
        def run(case: Case) -> None:
            nonlocal slowest, grown
            verdict = worker.run(case)
            codes[verdict.code] += 1
            slowest, grown = max(slowest, verdict.seconds), max(grown, verdict.grown)
            for name, lines in verdict.lines.items():
                reached[name] |= lines
            for fault in verdict.faults:
                known = found.get(sign(fault))
                if known is None or _size(case) < _size(known[0]):
                    found[sign(fault)] = (case, verdict)

        run()
        record[kind] = {
            "inputs": codes.total(),
            "codes": {str(code): number for code, number in sorted(codes.items(), key=str)},
            "slowest_s": round(slowest, 1),
            "grown_mb": round(grown / 1e6),
            "faults": len(found),
        }
        print(f"{kind}: {json.dumps(record[kind])} in {time.monotonic() - begun:.0f} s", flush=True)
        for fault, (case, verdict) in found.items():
            faulty = True
            smaller = case if options.no_reduction else reduced(worker, strategy, case, fault)
            print(f"  {fault[:300]}", flush=True)
            _keep(options.found, kind, fault, smaller, verdict)
    worker.close()
    share = {
        name: [len(reached[name] & (lines := lines_of(path))), len(lines)]
        for name, path in files().items()
    }
    if options.traced:
        for name, (hit, lines) in share.items():
            missed = sorted(lines_of(files()[name]) - reached[name])
            print(f"{name}: {hit} of {lines} lines; not {missed}")
    if options.table:
        content = {"seed": options.seed, "kinds": record, "lines": share if options.traced else {}}
        options.table.write_text(json.dumps(content, indent=1) + "\n")
    return int(faulty)


def sign(fault: str) -> str:
    """Return the class of a fault: its kind, and where it was raised, without what is random."""
    kind = fault.split(":")[0]
    places = re.findall(r'ctwml_bids/([\w/]+\.py)", line \d+, in (\w+)', fault)
    raised = re.findall(r"(\w+(?:Error|Exception|Interrupt)): ", fault)
    if places:
        return f"{kind}: {raised[-1] if raised else ''} in {places[-1][0]} {places[-1][1]}"
    text = re.sub(r"/tmp/ctwml-fuzz-\w+", "", fault)
    return re.sub(r"\d+", "0", text)[:90]


def reduced(worker: Worker, strategy, case: Case, fault: str) -> Case:
    """Return a smaller input with the same fault: files are emptied or left out one by one."""
    for name in sorted(case.files, key=lambda name: -len(case.files[name])):
        without = {key: content for key, content in case.files.items() if key != name}
        for files in (without, {**without, name: b""}):
            smaller = Case(**{**vars(case), "files": files})
            if _has(worker, smaller, fault):
                case = smaller
                break
    return case


def _has(worker: Worker, case: Case, fault: str) -> bool:
    return fault in map(sign, worker.run(case).faults)


def _size(case: Case) -> int:
    return sum(map(len, case.files.values())) + 100 * len(case.files)


def _keep(folder: Path, kind: str, fault: str, case: Case, verdict: Verdict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"\W+", "-", f"{kind}-{fault}")[:90].strip("-").lower()
    (folder / f"{stem}.json").write_text(case.to_json())
    (folder / f"{stem}.txt").write_text("\n\n".join((*verdict.faults, verdict.said[-4000:])))


if __name__ == "__main__":
    sys.exit(main())
