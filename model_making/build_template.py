"""Build the packaged MNI152NLin2009aSym resource from nilearn's embedded ICBM volumes.

The result has TemplateFlow's layout and names. Run from the repository root with the
``template`` extra installed: ``python -m model_making.build_template``.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import nibabel as nib
import nilearn
import numpy as np
from nilearn import datasets
from scipy import ndimage

NAME = "MNI152NLin2009aSym"
OUT = Path(__file__).resolve().parents[1] / "ctwml_bids" / "data" / "templates" / f"tpl-{NAME}"
NOTICE = (
    "Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, Montreal "
    "Neurological Institute, McGill University. Permission to use, copy, modify, and distribute "
    "this software and its documentation for any purpose and without fee is hereby granted, "
    "provided that the above copyright notice appear in all copies. The authors and McGill "
    "University make no representations about the suitability of this software for any purpose. "
    "It is provided 'as is' without express or implied warranty."
)


def save(array: np.ndarray, affine: np.ndarray, name: str, scale: float = 1.0) -> None:
    """Write uint8 data with a fixed scale, byte for byte the same on each build."""
    image = nib.Nifti1Image(array.astype(np.uint8), affine)
    image.set_sform(affine, code=4)
    image.set_qform(affine, code=4)
    image.header.set_slope_inter(scale, 0.0)
    image.header.set_xyzt_units("mm")
    path = OUT / f"tpl-{NAME}_res-1_{name}.nii.gz"
    path.write_bytes(gzip.compress(image.to_bytes(), 9, mtime=0))


def lateral_ventricles(t1w: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Take the lateral ventricles: dark central voxels connected to both frontal horns.

    The box (template mm) leaves out the third ventricle, the cisterns and the cuneus.
    """
    axes = [affine[i, i] * np.arange(n) + affine[i, 3] for i, n in enumerate(t1w.shape)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    fluid = (t1w < 0.5) & (abs(x) < 42) & (y > -58) & (y < 40) & (z > -18) & (z < 32)
    fluid &= ~((abs(x) < 8) & (z < 3)) & ~((abs(x) < 6) & (z < 8) & (y < -4))
    fluid &= ~((y < -32) & (abs(x) < 12)) & ~((abs(x) > 30) & (z > 4))
    labels, _ = ndimage.label(fluid)
    inverse = np.linalg.inv(affine)
    seeds = [(-5, 5, 12), (5, 5, 12)]
    wanted = [
        labels[tuple(np.rint(nib.affines.apply_affine(inverse, s)).astype(int))] for s in seeds
    ]
    return np.isin(labels, wanted) & (labels > 0)


def main() -> None:
    """Write the resource folder."""
    OUT.mkdir(parents=True, exist_ok=True)
    t1w = datasets.load_mni152_template(resolution=1)
    affine = t1w.affine
    gm = datasets.load_mni152_gm_template(resolution=1).get_fdata()
    wm = datasets.load_mni152_wm_template(resolution=1).get_fdata()
    brain = datasets.load_mni152_brain_mask(resolution=1).get_fdata() > 0
    # The suprasellar cistern is a hole in nilearn's mask; brain masks here include cisterns.
    for z in range(brain.shape[2]):
        brain[:, :, z] = ndimage.binary_fill_holes(brain[:, :, z])
    save(np.round(t1w.get_fdata() * 255), affine, "T1w", 1.0 / 255)
    save(np.round(gm * 255), affine, "label-GM_probseg", 1.0 / 255)
    save(np.round(wm * 255), affine, "label-WM_probseg", 1.0 / 255)
    save(brain, affine, "desc-brain_mask")
    save(lateral_ventricles(t1w.get_fdata(), affine), affine, "label-lateralventricles_mask")
    description = {
        "Name": "ICBM 152 Nonlinear Asymmetrical and Symmetrical templates, 2009a, symmetric",
        "Identifier": NAME,
        "BIDSVersion": "1.11.1",
        "License": NOTICE,
        "ReferencesAndLinks": [
            "Fonov VS et al. (2011), NeuroImage 54(1):313-327",
            "Fonov VS et al. (2009), NeuroImage 47(S1):S102",
        ],
        "SourceVolumes": f"embedded in nilearn {nilearn.__version__}, 1 mm",
        "res": {"1": {"zooms": [1.0, 1.0, 1.0]}},
    }
    (OUT / "template_description.json").write_text(json.dumps(description, indent=2) + "\n")
    (OUT / "LICENSE").write_text(NOTICE + "\n")


if __name__ == "__main__":
    main()
