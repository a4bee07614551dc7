from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from uvmap_id.datasets.ranking import aspect_of, best, overall


def test_the_best_of_one_metric_come_first() -> None:
    scores = [{"sharpness": value} for value in (3.0, 9.0, 1.0, 5.0)]
    assert best(scores, {"sharpness": True}, 2) == [1, 3]
    assert best(scores, {"sharpness": False}, 2) == [2, 0]


def test_each_aspect_counts_the_same_however_many_metrics_it_has() -> None:
    # Two metrics of quality say 0, one of identity and one of structure say 1.
    scores = [
        {"sharpness": 2.0, "clipt": 2.0, "identity_sface_atlas": 0.1, "ssp": 20.0},
        {"sharpness": 1.0, "clipt": 1.0, "identity_sface_atlas": 0.9, "ssp": 5.0},
    ]
    directions = {"sharpness": True, "clipt": True, "identity_sface_atlas": True, "ssp": False}
    assert overall(scores, directions) == [1 / 3, 2 / 3]
    assert best(scores, directions, 1) == [1]
    assert [aspect_of(name) for name in directions] == ["quality", "quality", "identity", "structure"]


def test_equal_ones_share_their_ranks_and_the_first_wins() -> None:
    scores = [{"seams": 2.0}, {"seams": 1.0}, {"seams": 1.0}, {"seams": 1.0}]
    assert overall(scores, {"seams": False}) == [0.0, 2 / 3, 2 / 3, 2 / 3]
    assert best(scores, {"seams": False}, 2) == [1, 2]


def test_without_a_number_a_candidate_is_the_worst_and_without_any_the_metric_says_nothing() -> None:
    scores = [{}, {"skin": 30.0}, {"skin": math.nan}]
    assert best(scores, {"skin": False}, 3) == [1, 0, 2]
    assert best(scores, {"dfr": True, "skin": False}, 1) == [1]
    assert best(scores, {"dfr": True}, 2) == [0, 1]
    assert best(scores, {}, 2) == [0, 1]
    assert best([{"skin": 1.0}], {"skin": False}, 1) == [0]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12), st.randoms())
def test_the_choice_does_not_depend_on_the_order(pairs: list[tuple[int, int]], chance: random.Random) -> None:
    scores = [{"sharpness": float(one), "ssp": float(two)} for one, two in pairs]
    directions = {"sharpness": True, "ssp": False}
    values = overall(scores, directions)
    order = list(range(len(pairs)))
    chance.shuffle(order)
    shuffled = overall([scores[index] for index in order], directions)
    assert all(math.isclose(shuffled[place], values[index]) for place, index in enumerate(order))
    # A candidate that is better in all respects is never behind.
    chosen = best(scores, directions, len(pairs))
    for place, index in enumerate(chosen):
        for later in chosen[place + 1 :]:
            better = pairs[later][0] > pairs[index][0] and pairs[later][1] < pairs[index][1]
            assert not better
