"""What a run says of its units: the plan before, how each ended after, and the exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ctwml_bids.bids.status import UnitResult
from ctwml_bids.bids.units import Skipped, Unit
from ctwml_bids.errors import NoInputError
from ctwml_bids.settings import Settings
from ctwml_bids.unit.memory import megavoxels, unit_gb


def describe_plan(
    units: Sequence[Unit],
    skipped: Sequence[Skipped],
    bids_dir: Path,
    reasons: Mapping[str, Sequence[str]],
    *,
    dry_run: bool,
) -> list[str]:
    """Say in lines what is to run from which files, and why the rest is not.

    Parameters
    ----------
    units, skipped
        The plan.
    bids_dir
        File names are shown relative to it.
    reasons
        Label of each unit to why it is to be run (`rerun.why_to_run`); nothing if it is done.
    dry_run
        Whether it is only what would be done.
    """
    to_run = "would run" if dry_run else "to run"
    done = sum(not reasons[unit.label] for unit in units)
    lines = [f"{len(units) - done} to run, {done} done, {len(skipped)} skipped, in {bids_dir}"]
    for unit in units:
        why = "; ".join(reasons[unit.label])
        state = to_run if reasons[unit.label] else "done"
        lines.append(f"{unit.label}: {state}" + (f", {why}" if why else ""))
        lines += [f"    {name:<6}{_shown(unit, name, bids_dir)}" for name in ("CT", "FLAIR")]
        lines += [f"    note: {note}" for note in unit.notes]
    lines += [f"{item.label}: skipped: {item.reason}" for item in skipped]
    return lines


def _shown(unit: Unit, name: str, bids_dir: Path) -> str:
    """Name a unit's CT or FLAIR, or say why there is none."""
    path, other = (unit.ct, "FLAIR") if name == "CT" else (unit.flair, "CT")
    if path is not None:
        return str(_relative(path, bids_dir))
    filtered = f", the filters left out {unit.left_out}" if unit.left_out else ""
    return f"none{filtered}: the {other} is measured alone"


def describe_large(units: Sequence[Unit], settings: Settings) -> list[str]:
    """Say which units have a step that needs more memory than the run may use."""
    mem_gb, deformable = settings.mem_gb, settings.normalisation == "syn"
    sizes = {unit.label: megavoxels(unit.images) for unit in units}
    needs = {label: unit_gb(size, deformable=deformable) for label, size in sizes.items()}
    return [
        f"{label}: a step needs up to {need:.1f} GB of memory for images of this size, and --mem "
        f"is {mem_gb:.1f} GB. It runs alone then, and is killed where the machine has less: give "
        "the run more memory, or images with thicker slices"
        for label, need in needs.items()
        if need > mem_gb
    ]


def describe_machine(settings: Settings) -> str:
    """Say what of the machine the run uses: none of it is taken from a configuration file."""
    return (
        f"uses {settings.nprocs} CPU(s), {settings.mem_gb:.1f} GB of memory, "
        f"{'a GPU' if settings.device == 'cuda' else 'no GPU'}, scratch in {settings.work_dir}"
    )


def status_table(results: Sequence[UnitResult]) -> list[str]:
    """Show how every unit ended, as aligned lines under a count."""
    counts = [f"{sum(r.state == s for r in results)} {s}" for s in ("done", "failed", "skipped")]
    width = max((len(result.label) for result in results), default=0)
    lines = ["", ", ".join(counts)]
    for result in sorted(results, key=lambda result: result.label):
        seconds = f"{result.seconds:.0f} s" if result.seconds is not None else ""
        what = result.reason or (f"quality {result.quality}" if result.quality else "")
        line = f"  {result.label:<{width}}  {result.state:<7}  {seconds:>7}  {what}"
        lines.append(line.rstrip())
    return lines


def exit_code(results: Sequence[UnitResult], *, asked: bool) -> int:
    """Give the exit code of a participant run.

    One failed unit makes it 1; where every unit failed for the same kind of reason, it is that
    reason's own code, so that a run of one subject tells what was wrong.

    Parameters
    ----------
    results
        How every unit ended.
    asked
        Whether the user named subjects or sessions: one that is skipped then counts as failed.
        Otherwise only one with nothing to measure may be skipped without counting.
    """
    failed = [
        result
        for result in results
        if result.state == "failed"
        or (result.state == "skipped" and (asked or result.exit_code != NoInputError.exit_code))
    ]
    if not failed:
        return 0
    codes = {result.exit_code for result in failed}
    others = [result for result in results if result.state == "done"]
    return codes.pop() if len(codes) == 1 and not others else 1


def _relative(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
