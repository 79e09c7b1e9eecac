"""Infarcts of real shapes: their file, their place in a head, what they look like."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import BadDataError
from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.anatomy import BRAIN_BOX
from ctwml_bids.simulation.infarct_images import on_ct, on_flair
from ctwml_bids.simulation.infarct_places import LACUNE_MM, placed
from ctwml_bids.simulation.infarct_tissue import KIND_SHARES, SHARE, draw_infarcts, draw_kind
from ctwml_bids.simulation.infarcts import (
    InfarctShape,
    draw_shape,
    pack_shapes,
    read_shapes,
    shape_of,
    write_shapes,
)
from ctwml_bids.simulation.lesions import make_lesions
from model_making.infarct_shapes import read_mask

FLUID, WHITE, GREY = 5.0, 29.0, 37.0


def ball(name: str, centre_mm: tuple[float, float, float], radius_mm: float) -> InfarctShape:
    size = int(2 * radius_mm + 3)
    index = np.indices((size,) * 3) - (size - 1) / 2
    start = np.round(np.array(centre_mm) - canonical.ORIGIN - (size - 1) / 2).astype(int)
    return InfarctShape(name, start, np.sqrt((index**2).sum(axis=0)) <= radius_mm)


@pytest.fixture(scope="module")
def shapes():
    """One infarct of 14 mL beside the left trigone, with cortex."""
    return pack_shapes([ball("inf-1", (-46, -46, 20), 15)], False, "made here")


def seed_of(kind: str) -> int:
    """Return a seed whose infarct is one whole cavity, or is not fogged."""
    return {"old": 1, "subacute": 2, "lacunes": 3}[kind]


@pytest.fixture(scope="module", params=["old", "subacute", "lacunes"])
def infarcted(request, old_head, shapes):
    """A head of 80 years before its infarcts, after them, and these."""
    head, _ = old_head
    rng = np.random.default_rng(seed_of(request.param))
    return head, *draw_infarcts(rng, head, shapes, request.param)


def test_shapes_come_back_from_their_file_as_they_were(tmp_path):
    rng = np.random.default_rng(0)
    whole = [
        InfarctShape(f"inf-{n}", rng.integers(20, 90, 3), rng.random(rng.integers(3, 30, 3)) < 0.5)
        for n in range(5)
    ]
    write_shapes(tmp_path / "shapes.npz", pack_shapes(whole, True, "made here"))
    read = read_shapes(tmp_path / "shapes.npz")
    assert read.for_tests
    assert read.source == "made here"
    for index, shape in enumerate(whole):
        again = shape_of(read, index)
        assert again.name == shape.name
        assert np.array_equal(again.start, shape.start)
        assert np.array_equal(again.mask, shape.mask)
        assert read.volumes_ml[index] == pytest.approx(shape.mask.sum() / 1000)


def test_a_mirrored_shape_lies_as_far_on_the_other_side(shapes):
    left, right = shape_of(shapes, 0), shape_of(shapes, 0, mirrored=True)
    for shape, x in ((left, -46), (right, 46)):
        centre = np.argwhere(shape.mask).mean(axis=0) + shape.start + canonical.ORIGIN
        assert centre == pytest.approx([x, -46, 20])
    rng = np.random.default_rng(0)
    mirrored = [draw_shape(rng, shapes).name.endswith("-mirrored") for _ in range(200)]
    assert 0.4 < np.mean(mirrored) < 0.6


def test_other_files_are_refused(tmp_path, shapes):
    other = tmp_path / "other.npz"
    other.write_text("no shapes")
    with pytest.raises(BadDataError, match="not a file of infarct shapes"):
        read_shapes(other)
    np.savez(other, labels=np.zeros(3))
    with pytest.raises(BadDataError, match="not a file of infarct shapes"):
        read_shapes(other)
    write_shapes(other, replace(shapes, starts=shapes.starts + 150))
    with pytest.raises(BadDataError, match="do not fit"):
        read_shapes(other)


@pytest.mark.parametrize("name", ["inf-114", "inf-474", "inf-225"])
def test_in_a_head_that_is_not_bent_an_infarct_lies_where_its_patients_lay(
    old_head, shared_data, name
):
    head, _ = old_head
    base = canonical.canonical_head()
    step = (slice(None, None, 2),) * 3
    index = np.stack(np.meshgrid(*(np.arange(n) for n in canonical.SHAPE), indexing="ij"))
    unbent = replace(
        head,
        labels=base.labels,
        grey=base.grey[BRAIN_BOX],
        white=base.white[BRAIN_BOX],
        source=np.stack([part[BRAIN_BOX][step] for part in index]).astype(np.float32),
    )
    path = shared_data / "infarcts" / f"{name}_mask.nii.gz"
    box, distance = placed(unbent, read_mask(path))
    found = np.argwhere(distance < 0) + [part.start for part in box]
    found = found + [part.start for part in BRAIN_BOX] + canonical.ORIGIN
    image = nib.load(path)
    place = nib.affines.apply_affine(image.affine, np.argwhere(np.asarray(image.dataobj)))
    there, wanted = {tuple(mm) for mm in found}, {tuple(mm) for mm in place}
    assert 2 * len(there & wanted) / (len(there) + len(wanted)) > 0.9
    assert np.sign(found[:, 0].mean()) == np.sign(place[:, 0].mean())


def _names(infarcts) -> list[str]:
    return [one["shape"] for one in infarcts.described if "shape" in one]


def test_old_infarcts_have_shrunk_and_fresh_ones_have_not(old_head, shapes):
    head, _ = old_head
    solid, tissue = head.grey + head.white, {}
    for mirrored in (False, True):
        shape = shape_of(shapes, 0, mirrored)
        box, distance = placed(head, shape)
        tissue[shape.name] = float(((distance < 0) * solid[box]).sum())
    ratios = {}
    for kind in ("old", "subacute"):
        found = [
            draw_infarcts(np.random.default_rng(seed), head, shapes, kind)[1] for seed in (1, 2)
        ]
        # Where several are drawn they are the same one, or its mirror image.
        before = [sum(tissue[name] for name in {*_names(one)}) for one in found]
        ratios[kind] = np.array([float(one.fraction.sum()) for one in found]) / before
    assert ((ratios["old"] > 0.5) & (ratios["old"] < 1.0)).all()
    assert (ratios["subacute"] > ratios["old"]).all()
    assert (ratios["subacute"] < 1.5).all()


def test_tissue_moves_and_the_skull_stays(infarcted):
    before, after, infarcts = infarcted
    total = before.grey + before.white + before.csf
    assert np.allclose(after.grey + after.white + after.csf, total, atol=1e-4)
    for field in (after.grey, after.white, after.csf):
        assert field.min() > -1e-4
    fluid = float((after.csf - before.csf).sum()) * before.voxel_ml
    if infarcts.kind == "old":
        assert 1 < fluid < 15
        assert after.ventricles.sum() > 1.01 * before.ventricles.sum()
    elif infarcts.kind == "subacute":
        assert -12 < fluid < -0.2
        assert after.ventricles.sum() < before.ventricles.sum()
    else:
        assert after is before


def painted(head, infarcts, grey: float, white: float, fluid: float, paint) -> np.ndarray:
    image = head.grey * grey + head.white * white + head.csf * fluid
    paint(image)
    return image[infarcts.box]


def test_hounsfield_units_are_those_of_each_kind(infarcted):
    _, head, infarcts = infarcted
    level = np.full(head.csf.shape, FLUID, dtype=np.float32)
    plain = painted(head, infarcts, GREY, WHITE, FLUID, lambda hu: None)
    hu = painted(
        head, infarcts, GREY, WHITE, FLUID, lambda image: on_ct(image, head, infarcts, FLUID, level)
    )
    whole = (head.grey + head.white + head.csf)[infarcts.box] > 0.99
    core = whole & (infarcts.core > 0.95)
    rim = whole & (infarcts.fraction - infarcts.core - infarcts.fresh > 0.95)
    rim &= head.csf[infarcts.box] < 0.05
    fresh = whole & (infarcts.fresh > 0.95) & (head.csf[infarcts.box] < 0.05)
    nothing = infarcts.fraction == 0
    assert np.array_equal(hu[nothing], plain[nothing])
    if infarcts.kind == "subacute":
        assert fresh.sum() > 3000
        tissue = head.grey[infarcts.box] > 0.9, head.white[infarcts.box] > 0.9
        drops = [np.mean((plain - hu)[fresh & part]) for part in tissue]
        assert all(4 - 2 < drop < 12 + 3 for drop in drops)
        assert drops[0] > drops[1]  # so that the border of grey and white matter blurs
        assert np.mean((plain - hu)[fresh]) == pytest.approx(infarcts.look.drop, abs=1.5)
    else:
        assert core.sum() > (1000 if infarcts.kind == "old" else 10)
        assert ((hu[core] > FLUID + 1) & (hu[core] < FLUID + 6 + 2)).all()
    if infarcts.kind == "old":
        assert rim.sum() > 300
        assert hu[core].mean() + 3 < hu[rim].mean() < plain[rim].mean() - 8


def test_a_scar_lies_between_tissue_and_fluid(old_head, shapes):
    head, infarcts = draw_infarcts(np.random.default_rng(2), old_head[0], shapes, "old")
    assert infarcts.look.cavitation < 0.8
    level = np.full(head.csf.shape, FLUID, dtype=np.float32)
    hu = painted(
        head, infarcts, GREY, WHITE, FLUID, lambda image: on_ct(image, head, infarcts, FLUID, level)
    )
    inside = (infarcts.fraction > 0.95) & (head.csf[infarcts.box] < 0.05)
    assert inside.sum() > 1000
    assert 12 < hu[inside].mean() < 22


def test_flair_is_bright_in_gliosis_and_fresh_tissue_and_dark_in_cavities(infarcted):
    _, head, infarcts = infarcted
    signal = painted(
        head, infarcts, 1.25, 1.0, 0.2, lambda image: on_flair(image, head, infarcts, 0.2)
    )
    dry = head.csf[infarcts.box] < 0.05
    rim = dry & (infarcts.fraction - infarcts.core - infarcts.fresh > 0.95)
    if infarcts.kind == "subacute":
        fresh = dry & (infarcts.fresh > 0.95)
        assert 1.3 < np.median(signal[fresh]) < 1.9
        assert np.percentile(signal[fresh], 5) > 1.15
    else:
        core = infarcts.core > 0.95
        assert (signal[core] < 0.2 + 0.15 + 0.1).all()
    if infarcts.kind == "old":
        assert 1.3 < np.median(signal[rim]) < 1.9


def test_white_matter_lesions_keep_their_volume_outside_infarcts(infarcted):
    _, head, infarcts = infarcted
    lesions = make_lesions(np.random.default_rng(4), head, 20.0, infarcts=infarcts)
    assert (lesions.lesion + lesions.infarct <= 1 + 1e-6).all()
    lesion, infarct = lesions.lesion > 0.5, lesions.infarct > 0.5
    assert not (lesion & infarct).any()
    assert lesion.sum() * head.voxel_ml == pytest.approx(20.0, rel=0.05)
    assert np.array_equal(lesions.infarct, infarcts.whole())
    assert infarct.any()
    assert not (infarct & (head.ventricles > 0.75)).any()


def test_without_shapes_lacunes_count_as_infarct_and_perivascular_spaces_do_not(old_head):
    head, lesions = old_head
    found = [lesions, make_lesions(np.random.default_rng(1), head, 5.0)]
    for lesions in found:
        assert not ((lesions.lesion > 0.5) & (lesions.infarct > 0.5)).any()
        assert ((lesions.cavity > 0.5) & (lesions.infarct < 0.1)).any()
    lacunes = [(one.infarct > 0.5) & (one.plain_infarct < 0.5) for one in found]
    assert sum(int(part.sum()) for part in lacunes) > 20


def test_lacunes_are_small_and_deep(old_head, shapes):
    head, _ = old_head
    deep = (canonical.DEEP_GREY, canonical.CAPSULE, canonical.CEREBRUM, canonical.BRAINSTEM)
    diameters = []
    for seed in range(12):
        _, found = draw_infarcts(np.random.default_rng(seed), head, shapes, "lacunes")
        diameters += [one["diameter_mm"] for one in found.described]
        core = found.core > 0.5
        volume = core.sum() * head.voxel_ml * 1000
        wanted = sum(np.pi / 6 * one["diameter_mm"] ** 3 for one in found.described)
        assert 0.4 * wanted < volume < 1.5 * wanted
        labels = head.labels[BRAIN_BOX][found.box][core]
        assert np.isin(labels, deep).mean() > 0.9
    assert LACUNE_MM[0] <= min(diameters) < max(diameters) <= LACUNE_MM[1]
    assert np.median(diameters) < 8


def test_kinds_are_drawn_in_their_shares():
    rng = np.random.default_rng(0)
    kinds = [draw_kind(rng) for _ in range(4000)]
    for kind, share in KIND_SHARES.items():
        assert kinds.count(kind) / len(kinds) == pytest.approx(SHARE * share, abs=0.015)
    assert draw_kind(rng, 0.0) == "none"
