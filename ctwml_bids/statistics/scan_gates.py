"""Gates of what was wrong with a scan before anything was measured on it.

How the head lies, slices without content, and values in coarse steps.
"""

from __future__ import annotations

from ctwml_bids.statistics.gates import Gate, above, limit_text, said

# How much better (mean surface distance) the template's brain fits the brain as it lies than
# turned over: 1.7 to 3.4 on real heads, 0.2 to 0.7 on the same heads turned over. Warn, fail.
UPRIGHT_RATIO = (1.25, 0.90)
# A head that was turned over fits when it is turned back: 1.2 to 2.2 mm on real heads, 3.1 mm on
# one whose slices are not spaced as its header says. Where neither fits, as on part of a nodding
# head (3.6 to 5 mm), the shape tells nothing.
TURNED_MM = 3.5
# Share of the brain that lies in empty slices: as in `quality.carried_mask`, the second fails.
UNSEEN_SHARE = 0.30
# A step s makes a mean error of s/4. From 4 HU it is 1 HU, an eighth of what separates grey from
# white matter, and no longer hidden by a CT's noise (3 to 5 HU); above 20 HU grey matter, white
# matter and lesions take one or two values.
STEP_HU = (4.0, 20.0)
# Values nearer to each other were calculated.
LEAST_STEP_HU = 0.01


def way_up(upright_mm: float, turned_mm: float, turned: str, *, image: str) -> Gate:
    """Judge whether the head lies as the header says.

    Parameters
    ----------
    upright_mm, turned_mm
        Mean distance between the surfaces of brain and template as the header has the head, and
        with it turned over as fits best.
    turned
        How the head lies if the latter is right.
    image
        ``CT`` or ``FLAIR``.
    """
    ratio = turned_mm / max(upright_mm, 0.01)
    status = "warn" if ratio < UPRIGHT_RATIO[0] else "pass"
    if ratio < UPRIGHT_RATIO[1] and turned_mm <= TURNED_MM:
        status = "fail"
    found = (
        f"The template's brain fits the brain on {image} to {upright_mm:.1f} mm as the header has "
        f"it, and to {turned_mm:.1f} mm if it lies {turned}"
    )
    message = {
        "pass": f"{found}: up and front are where the header says.",
        "warn": f"{found}: the shape does not tell for certain which way up the head lies; look "
        "at it, and whether the brain mask holds the brain.",
        "fail": f"{found}: the header has the head {turned}. Left and right may be exchanged as "
        "well. Convert the image again from its DICOM files, or correct its orientation.",
    }
    return Gate(
        f"{image} way up",
        ratio,
        "misfit turned over / misfit",
        status,
        f"warn below {UPRIGHT_RATIO[0]:.2f}; fail below {UPRIGHT_RATIO[1]:.2f} where the head fits "
        f"to {TURNED_MM:g} mm turned over",
        said(ratio, status, message),
    )


def empty_slices(empty: int, slices: int, unseen_ml: float, seen_ml: float, *, image: str) -> Gate:
    """Judge the slices within a scan that hold nothing.

    Parameters
    ----------
    empty, slices
        Number of empty slices between others, and of all slices.
    unseen_ml, seen_ml
        Brain in the empty slices, judged by their neighbours, and in all others.
    image
        ``CT`` or ``FLAIR``.
    """
    share = unseen_ml / max(unseen_ml + seen_ml, 0.1)
    status = "pass" if unseen_ml <= 0 else "fail" if share > UNSEEN_SHARE else "warn"
    are = "is" if empty == 1 else "are"
    found = f"{empty} of {slices} slices of {image} {are} empty"
    missing = f"{found}: about {unseen_ml:.0f} mL of the brain not seen"
    message = {
        "pass": f"{found} within the scan." if empty == 0 else f"{found}, none within the brain.",
        "warn": f"{missing}, and missing from all volumes. Export or convert the scan again.",
        "fail": f"{missing}: volumes cover part of the brain only. Export or convert the scan "
        "again.",
    }
    return Gate(
        f"{image} empty slices",
        unseen_ml,
        "mL not seen",
        status,
        f"warn above 0 mL; fail above {100 * UNSEEN_SHARE:g} % of the brain",
        said(unseen_ml, status, message),
    )


def value_steps(step: float | None) -> Gate:
    """Judge the distance in HU between the values that a CT takes; None where there is no one.

    Values that were calculated from others, as by smoothing, do not tell in which steps those came.
    """
    known = step is not None and step >= LEAST_STEP_HU
    step = step if known else 0.0
    status = above(step, (STEP_HU[0] - 1e-6, STEP_HU[1]))
    found = f"HU come in steps of {step:.3g}"
    error = f"each is off by {step / 4:.2g} HU in the mean and up to {step / 2:.2g}"
    message = {
        "pass": f"{found}, fine enough."
        if known
        else "HU come in no regular steps that can be seen; whether they did before an "
        "interpolation or smoothing is not known.",
        "warn": f"{found}: {error}, where lesions differ from white matter by some 10. A converter "
        "may have squeezed the range; convert the scan again from its DICOM files.",
        "fail": f"{found}: {error}; grey matter, white matter and lesions share one or two values. "
        "Convert the scan again from its DICOM files.",
    }
    return Gate(
        "CT value steps", step, "HU", status, limit_text(STEP_HU, "HU"), said(step, status, message)
    )
