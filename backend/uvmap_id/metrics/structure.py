"""SSP, semantic structure preservation: whether a texture keeps to the layout of the atlas."""

from __future__ import annotations

from uvmap_id.atlas.layout import Atlas
from uvmap_id.metrics.base import Sample
from uvmap_id.metrics.means import MeanMetric, square_texture
from uvmap_id.metrics.parsers import Parser, labels_at

# Parsers see some hundred pixels; finer is their guess.
_SIZE = 512


class SemanticStructure(MeanMetric):
    """Percent of the used texels whose class, as a human parser sees it, may not cover their part of the atlas.

    The paper's SSP (3.4) compares a parser's segmentation of 1000 textures with a ground truth that it doesn't publish;
    here the atlas's parts are the truth. 0 is best.
    """

    name = "ssp"
    title = "SSP"
    unit = "%"
    higher_is_better = False

    def __init__(self, atlas: Atlas, parser: Parser) -> None:
        super().__init__()
        self._parser = parser
        self._parts = atlas.parts(_SIZE)

    def score(self, sample: Sample) -> float:
        """See `MeanMetric.score`: percent."""
        labels = self._parser.parse(square_texture(sample))
        return self._parser.classes.disagreeing(labels_at(labels, _SIZE), self._parts)
