"""Which files each derivative of a unit was made from, as BIDS URIs for its ``Sources``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ctwml_bids.bids import names
from ctwml_bids.modality import IMAGES
from ctwml_bids.unit.records import Results
from ctwml_bids.unit.work_files import load_facts


@dataclass(frozen=True)
class Lineage:
    """Which files a unit's results were made from.

    Attributes
    ----------
    raw
        ``ct`` and/or ``flair`` → URI of the input image.
    subject, session, model_label
        As in the names.
    template
        Name of the template, as in the names.
    carried
        The CT's brain mask and frame are the FLAIR's.
    deformed
        Image that was registered to the template with ``--normalisation syn``, or None.
    guide_is_template
        Anatomy was looked up in the frame that is written, not in one of the packaged template's
        own.
    told_apart
        Images whose model tells infarcts from white matter lesions.
    """

    raw: Mapping[str, str]
    subject: str
    session: str | None
    model_label: str
    template: str
    carried: bool
    deformed: str | None
    guide_is_template: bool
    told_apart: frozenset[str] = frozenset()

    def brain(self, image: str, *, carried: bool | None = None) -> str:
        """Return the brain mask that an image was measured in, or of the two the one asked for."""
        carried = image == "ct" and self.carried if carried is None else carried
        return self._uri(names.brain_mask, space=image.upper(), carried=carried)

    def of_brain(self, image: str, *, carried: bool) -> list[str]:
        """Return what a brain mask was made from: its image, or the other's mask and the way."""
        if not carried:
            return [self.raw[image]]
        return [self.raw["flair"], self.raw["ct"], self.brain("flair"), self._xfm("FLAIR", "CT")]

    def of_ventricles(self, image: str) -> list[str]:
        """Return what the ventricles were found from."""
        frame = [self._xfm(image.upper(), self.template)] if self.guide_is_template else []
        return [self.raw[image], self.brain(image), *frame]

    def of_lesions(self, seen: str, space: str, kind: str, *, infarcts: bool = False) -> list[str]:
        """Return what a map of the lesions seen in one image, or of infarcts, was made from.

        Parameters
        ----------
        seen
            ``ct`` or ``flair``.
        space
            ``ct``, ``flair`` or ``template``.
        kind
            ``mask``, ``probseg`` or ``std``.
        """
        # The FLAIR is no direct source of its CT's lesions, yet no one should miss that it took
        # part: mask and frame are its own.
        others = [self.raw["flair"]] if seen == "ct" and self.carried else []
        frame = self._xfm(seen.upper(), self.template)
        found = [self.raw[seen], *others, self.brain(seen), frame, self.ventricles(seen)]
        # Of a pair one is deformed; a CT in a frame of its own does not go through its field.
        deformed = self.deformed if self.deformed == seen or self.carried else None
        if space == "template" and deformed is not None:
            found.append(self._xfm(deformed.upper(), self.template, deformable=True))
        elif space not in ("template", seen):
            found.append(self._xfm(seen.upper(), space.upper()))
            # The grid that it lies on.
            found += [self.raw[space]] if self.raw[space] not in found else []
        if kind == "mask":
            label = self.template if space == "template" else space.upper()
            found.append(self.lesions(seen, label, "probseg", infarcts=infarcts))
            if seen in self.told_apart:
                # Where both are probable, one of them gives way.
                found.append(self.lesions(seen, label, "probseg", infarcts=not infarcts))
        return found

    def lesions(self, seen: str, label: str, kind: str, *, infarcts: bool = False) -> str:
        """Return the URI of a map of lesions, or of infarcts, in the space of that label."""
        of = names.infarct if infarcts else names.wml
        return self._uri(of, space=label, seen_in=seen, kind=kind, model_label=self.model_label)

    def of_affine(self, source: str, target: str, *, inverse: bool) -> list[str]:
        """Return what an affine transform was found from; an inverse, from the other."""
        if inverse:
            return [self._xfm(target, source)]
        if self.template != target:
            masks = [self.brain(image, carried=False) for image in IMAGES]
            return [*(self.raw[image] for image in IMAGES), *masks]
        if source == "CT" and self.carried:
            return [self._xfm("CT", "FLAIR"), self._xfm("FLAIR", self.template)]
        return [self.brain(source.lower())]

    def of_field(self, image: str) -> list[str]:
        """Return what the displacement fields of the image that is deformed were found from."""
        return [self.raw[image], self.brain(image), self._xfm(image.upper(), self.template)]

    def of_volumes(self) -> list[str]:
        """Return what the table of volumes was measured on."""
        found = list(self.raw.values())
        for image in self.raw:
            found += [self.lesions(image, image.upper(), kind) for kind in ("mask", "probseg")]
            if image in self.told_apart:
                found.append(self.lesions(image, image.upper(), "mask", infarcts=True))
            found += [self.brain(image), self.ventricles(image)]
            if self.guide_is_template:
                found.append(self._xfm(image.upper(), self.template))
        if len(self.raw) == 2:
            found.append(self.lesions("ct", "FLAIR", "mask"))
        if self.carried:
            found.append(self.brain("ct", carried=False))
        return found

    def of_lesion_table(self) -> list[str]:
        """Return what the lesion table was measured on."""
        return [
            uri
            for image in self.raw
            for uri in (self.lesions(image, image.upper(), "mask"), self.ventricles(image))
        ]

    def ventricles(self, image: str) -> str:
        """Return the URI of an image's ventricle mask."""
        return self._uri(names.ventricle_mask, space=image.upper())

    def _xfm(self, source: str, target: str, *, deformable: bool = False) -> str:
        return self._uri(names.xfm, source=source, target=target, deformable=deformable)

    def _uri(self, of: Callable[..., PurePosixPath], **entities: str | bool) -> str:
        return names.bids_uri(of(self.subject, self.session, **entities))


def lineage(results: Results) -> Lineage:
    """Find out what took part in a unit's results."""
    unit, run, pair = results.unit, results.run, results.pair
    heads = {name: image.head for name, image in results.images.items()}
    frame = load_facts(pair.ct.head.brain.facts) if pair else {}
    return Lineage(
        raw={
            name: names.bids_uri(Path(head.read.raw), run.bids_dir, dataset="raw")
            for name, head in heads.items()
        },
        subject=unit.subject,
        session=unit.session,
        model_label=run.model_label,
        template=run.template.name,
        # Where a gate failed, the CT was measured with its own mask and nothing was carried.
        carried=frame.get("mask_from") == "FLAIR",
        deformed=("flair" if "flair" in heads else "ct") if results.fields else None,
        guide_is_template=all(
            np.array_equal(np.loadtxt(head.guide_to_native), np.loadtxt(head.template_to_native))
            for head in heads.values()
        ),
        told_apart=frozenset(name for name in heads if run.cards[name].has_infarcts),
    )
