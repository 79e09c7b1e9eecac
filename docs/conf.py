"""Sphinx makes the site of these pages: ``make docs``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ctwml_bids import __version__  # noqa: E402

project = "ctwml_bids"
version = release = __version__
copyright = "The ctwml_bids maintainers, Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"ctwml_bids {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = html_show_sourcelink = False

# Links to headings are those that a repository's viewer makes.
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
highlight_language = "none"

# What needs minutes or gigabytes to install is not needed to read docstrings.
autodoc_mock_imports = ["ants", "torch"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_google_docstring = False
napoleon_use_ivar = True
toc_object_entries_show_parents = "hide"
html_math_renderer = "mathml"


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(convert(node.astext(), display="block"))
    raise nodes.SkipNode


def _copy_samples(app: Sphinx, failure: Exception | None) -> None:
    """Put the demo's reports beside the pages that link to them."""
    if failure is None:
        shutil.copytree(ROOT / "docs/samples", app.outdir / "samples", dirs_exist_ok=True)


def setup(app: Sphinx) -> None:
    """Write formulas as MathML, which browsers show without a script from elsewhere."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("build-finished", _copy_samples)
