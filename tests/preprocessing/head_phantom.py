"""A head of ellipsoids in HU, with its brain known exactly."""

from __future__ import annotations

import numpy as np

from ctwml_bids.preprocessing.grids import Grid, image_on

# Half axes of the brain in mm: 65 × 80 × 62 holds 1350 mL.
BRAIN_AXES = np.array([65.0, 80.0, 62.0])
SKULL_MM, SCALP_MM = 7.0, 5.0
BRAIN_HU, BONE_HU, SCALP_HU, AIR_HU = 32.0, 1000.0, 50.0, -1000.0


def ellipsoid(grid: Grid, axes: np.ndarray, centre=(0.0, 0.0, 0.0)) -> np.ndarray:
    """Voxels whose centre lies in an axis-aligned ellipsoid around a point in RAS mm."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    points = index @ grid.affine[:3, :3].T + grid.affine[:3, 3] - np.asarray(centre)
    return ((points / axes) ** 2).sum(axis=-1) <= 1


def centred_grid(shape, spacing) -> Grid:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -np.asarray(spacing) * (np.asarray(shape) - 1) / 2
    return Grid(tuple(shape), affine)


def head(shape=(96, 112, 40), spacing=(2.0, 2.0, 4.5), *, noise=4.0, seed=0):
    """Return (image in HU, brain as bool array); noise is the SD in HU."""
    grid = centred_grid(shape, spacing)
    brain = ellipsoid(grid, BRAIN_AXES)
    data = np.full(grid.shape, AIR_HU, dtype=np.float32)
    data[ellipsoid(grid, BRAIN_AXES + SKULL_MM + SCALP_MM)] = SCALP_HU
    data[ellipsoid(grid, BRAIN_AXES + SKULL_MM)] = BONE_HU
    data[brain] = BRAIN_HU
    data += np.random.default_rng(seed).normal(0, noise, grid.shape).astype(np.float32)
    return image_on(data, grid), brain
