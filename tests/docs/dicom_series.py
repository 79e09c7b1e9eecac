"""A CT as a scanner's DICOM files, with gantry tilt and slices wherever they are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy import ndimage

# Sixteen slices or so of 200 × 200 pixels hold a whole head and are converted in no time.
SIDE, PIXEL_MM = 200, 0.922


def at_points(ct: nib.Nifti1Image, points: np.ndarray) -> np.ndarray:
    """HU of a CT at points (…, 3) in RAS mm, air outside."""
    voxels = np.moveaxis(nib.affines.apply_affine(np.linalg.inv(ct.affine), points), -1, 0)
    return ndimage.map_coordinates(np.asarray(ct.dataobj), voxels, order=1, cval=-1000.0)


def write_series(
    folder: Path,
    ct: nib.Nifti1Image,
    gaps_mm: Sequence[float],
    *,
    tilt_degrees: float = 0.0,
    bits: int = 12,
) -> None:
    """Write a CT as it were scanned: the table moves along z, the gantry may be tilted.

    Parameters
    ----------
    gaps_mm
        Distances between slices along the table; one less than there are slices.
    bits
        Bits stored, unsigned, of 16.
    """
    folder.mkdir(parents=True)
    tilt = np.deg2rad(tilt_degrees)
    along_row = np.array([1.0, 0.0, 0.0])
    along_column = np.array([0.0, np.cos(tilt), -np.sin(tilt)])
    middle = nib.affines.apply_affine(ct.affine, (np.array(ct.shape) - 1) / 2) * [-1, -1, 1]
    table = np.r_[0.0, np.cumsum(gaps_mm)]
    corner = middle - PIXEL_MM * SIDE / 2 * (along_row + along_column)
    column, row = np.mgrid[:SIDE, :SIDE][..., None]
    in_plane = PIXEL_MM * (row * along_row + column * along_column)
    series = Dataset()
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(series, name, generate_uid())
    for number, z in enumerate(table - table.mean(), start=1):
        corner_of_slice = corner + np.array([0.0, 0.0, z])
        hu = at_points(ct, (corner_of_slice + in_plane) * [-1, -1, 1])
        slice_ = _slice(number, corner_of_slice, (*along_row, *along_column), bits)
        slice_.update(series)
        slice_.GantryDetectorTilt = f"{tilt_degrees:g}"
        stored = np.clip(np.round(hu) + 1024, 0, 2**bits - 1)
        slice_.PixelData = stored.astype("<u2").tobytes()
        slice_.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)


def _slice(number: int, corner: np.ndarray, directions: Sequence[float], bits: int) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = Dataset()
    made.file_meta = meta
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    made.Modality, made.Manufacturer, made.ManufacturerModelName = "CT", "TOSHIBA", "Aquilion"
    made.PatientName = made.PatientID = "X"
    made.PatientPosition, made.BodyPartExamined = "HFS", "HEAD"
    for event in ("Study", "Series", "Acquisition", "Content"):
        setattr(made, f"{event}Date", "20200101")
        setattr(made, f"{event}Time", "120000")
    made.SeriesNumber, made.AcquisitionNumber, made.InstanceNumber = 3, 1, number
    made.SeriesDescription, made.ConvolutionKernel = "Head 5.0", "FC63"
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.ImagePositionPatient = [f"{value:.5f}" for value in corner]
    made.ImageOrientationPatient = [f"{value:.6f}" for value in directions]
    made.PixelSpacing = [str(PIXEL_MM)] * 2
    made.SliceThickness, made.SliceLocation = "5", f"{corner[2]:.4f}"
    made.Rows = made.Columns = SIDE
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, bits, bits - 1
    made.PixelRepresentation = 0
    made.RescaleIntercept, made.RescaleSlope, made.RescaleType = "-1024", "1", "HU"
    return made
