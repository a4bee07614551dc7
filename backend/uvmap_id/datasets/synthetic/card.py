"""The card of a dataset of synthetic people, in the form that Hugging Face's hub reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from uvmap_id.datasets.card import HOW_TO_LOAD
from uvmap_id.datasets.folder import Row
from uvmap_id.datasets.synthetic.embedding import PARAMETERS
from uvmap_id.datasets.synthetic.identity import GENDERS, GROUPS
from uvmap_id.datasets.synthetic.maker import Wish

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
_EMBEDDINGS = {
    PARAMETERS: "a fixed random projection of the numbers that the person was drawn from; no face recogniser took part",
    "buffalo_l": "that of insightface's buffalo_l, of the person's photos",
}


def card(wish: Wish, rows: Sequence[Row]) -> str:
    """The text of README.md."""
    people = {row.identity: (row.group, row.gender) for row in rows}
    counts = Counter(people.values())
    size = next((name for limit, name in _SIZES if len(rows) < limit), "n>100K")
    table = [f"| {group} | " + " | ".join(str(counts[group, gender]) for gender in GENDERS) + " |" for group in GROUPS]
    photos = f"{wish.photos} photo(s), {wish.photo_size} x {wish.photo_size}" if wish.photos else "no photos"
    lines = [
        "---",
        "license: cc0-1.0",
        'pretty_name: "Textures of people who do not exist"',
        f"size_categories: [{size}]",
        "task_categories: [text-to-image]",
        "tags: [synthetic, smpl, uv-map, texture, face]",
        "---",
        "",
        "# Textures of people who do not exist",
        "",
        f"{len(people)} people, {wish.textures} texture(s) of {wish.size} x {wish.size} each in SMPL's UV atlas, and",
        f"{photos}. Faces, photos and clothes are drawn by a program from a seed ({wish.seed}); nobody was",
        "photographed and no picture of anybody was used, so there is nobody to ask for consent. Free of rights",
        "(CC0 1.0).",
        "",
        f"| group | {' | '.join(f'{gender[:-2]}en' for gender in GENDERS)} |",
        "|---" * (len(GENDERS) + 1) + "|",
        *table,
        "",
        "The groups are those of the UVMap-ID paper, stylised: the colours of skin, hair and eyes are drawn from",
        "ranges that overlap less than those of real people. This is for testing and teaching a method, not for",
        "statements about people.",
        "",
        f"The column `embedding` (512 numbers, L2-normalised) is {_EMBEDDINGS[wish.embedding]}.",
        "`identities.json` lists the numbers that each person was drawn from.",
        "",
        *HOW_TO_LOAD,
        "",
    ]
    return "\n".join(lines)
