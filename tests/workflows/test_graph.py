"""The graph of a unit, built but not run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ctwml_bids.run.nipype_setup import preload
from ctwml_bids.workflows.unit import workflow_name


def test_threads_of_registration_reach_ants(graph):
    wf = graph()
    for name in ("register", "deform"):
        node = wf.get_node(name)
        assert (node.inputs.threads, node.n_procs) == (4, 4)


@pytest.mark.parametrize(("alone", "other"), [("ct", "flair"), ("flair", "ct")])
def test_an_image_alone_needs_neither_registration_nor_the_other_image(graph, alone, other):
    names = graph(**{other: None}).list_node_names()
    assert f"segment_{alone}" in names
    assert not [name for name in names if {other, "register"} & set(name.split("_"))]


def test_maps_in_the_templates_space_are_made_where_they_are_asked_for(graph):
    def made(**asked):
        return {name for name in graph(**asked).list_node_names() if name.endswith("_in_template")}

    assert made() == {"ct_in_template", "flair_in_template"}
    assert made(in_template=False) == set()


def test_labels_that_bids_allows_make_names_that_nipype_allows_and_that_differ(graph):
    labels = ("sub-a", "sub-a+b", "sub-a_ses-b", "sub-a_ses-b+c", "sub-ab")
    assert len({workflow_name(label) for label in labels}) == len(labels)
    for label in labels:
        assert graph(label).name == workflow_name(label)


def test_ants_is_imported_ahead_for_what_registers_alone(graph):
    assert "ants" in preload(graph())
    assert "ants" in preload(graph(flair=None))
    assert "ants" in preload(graph(deformable=False))
    assert "ants" not in preload(graph(flair=None, deformable=False))


def test_what_is_imported_ahead_and_by_the_last_steps_does_not_bring_ants(graph):
    last = (f"ctwml_bids.unit.{name}" for name in ("measuring", "reporting", "writing"))
    modules = ", ".join((*preload(graph(flair=None, deformable=False)), *last))
    code = f"import sys, {modules}; sys.exit('ants' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
