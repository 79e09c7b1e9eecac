"""The graph of a unit, built but not run."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.segmentation import model_store
from ctwml_bids.templates import packaged
from ctwml_bids.workflows.participant import Resources, UnitFiles, init_unit_wf, workflow_name


@pytest.fixture
def graph(tmp_path):
    image = tmp_path / "image.nii"
    nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)).to_filename(image)
    template, cards = packaged(), {"checksum": "0" * 64}

    def build(label: str = "sub-01", *, ct: Path | None = image, flair: Path | None = image):
        resources = Resources(
            template_t1w=template.t1w,
            template_mask=template.brain_mask,
            guide_mask=template.brain_mask,
            guide_gm=template.gm,
            guide_wm=template.wm,
            guide_ventricles=template.ventricles,
            deformable=True,
            in_template=True,
            ct_model=model_store.default("ct"),
            flair_model=model_store.default("flair"),
            ct_threshold=0.25,
            flair_threshold=0.5,
            seed=3,
            threads=2,
            registration_threads=4,
            use_gpu=False,
            context={"models": {"ct": cards, "flair": cards}},
        )
        unit = UnitFiles(label=label, ct=ct, flair=flair, ct_sidecar={}, context={})
        return init_unit_wf(unit=unit, resources=resources)

    return build


def test_threads_of_registration_reach_ants(graph):
    wf = graph()
    for name in ("register", "deform"):
        node = wf.get_node(name)
        assert (node.inputs.threads, node.n_procs) == (4, 4)


@pytest.mark.parametrize("pair", [True, False])
def test_ventricles_and_midline_are_looked_up_in_the_guide_lesions_in_the_template(graph, pair):
    wf = graph() if pair else graph(flair=None)
    frame = wf.get_node("frame_ct" if pair else "normalise_ct")
    read = {
        (sink.name, *fields)
        for _, sink, data in wf._graph.out_edges(frame, data=True)
        for fields in data["connect"]
    }
    assert ("ventricles_ct", "guide_to_native", "guide_to_native") in read
    assert ("collect", "guide_to_native", "guide_to_ct") in read
    assert ("segment_ct", "template_to_native", "template_to_native") in read


@pytest.mark.parametrize(("alone", "other"), [("ct", "flair"), ("flair", "ct")])
def test_an_image_alone_needs_neither_registration_nor_the_other_image(graph, alone, other):
    names = graph(**{other: None}).list_node_names()
    assert f"segment_{alone}" in names
    assert not [name for name in names if {other, "register"} & set(name.split("_"))]


def test_labels_that_bids_allows_make_names_that_nipype_allows_and_that_differ(graph):
    labels = ("sub-a", "sub-a+b", "sub-a_ses-b", "sub-a_ses-b+c", "sub-ab")
    assert len({workflow_name(label) for label in labels}) == len(labels)
    for label in labels:
        assert graph(label).name == workflow_name(label)
