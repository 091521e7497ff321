"""Groups of photos that a split keeps together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def join_groups(*numberings: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Return the connected components of several groupings of the same photos, [photos].

    Two photos share a component when a chain of groups connects them. A component has the number
    of its first photo. Each round joins every group to its smallest label, until nothing changes;
    chains as long as the table need few rounds.
    """
    given = [np.unique(n, return_inverse=True)[1] for n in numberings if n is not None]
    label = np.arange(len(given[0]))
    while True:
        before = label
        for groups in given:
            smallest = np.full(groups.max(initial=-1) + 1, len(label))
            np.minimum.at(smallest, groups, label)
            joins = np.arange(len(label))
            np.minimum.at(joins, label, smallest[groups])
            while (joins[joins] != joins).any():
                joins = joins[joins]
            label = joins[label]
        if np.array_equal(label, before):
            return label
