"""A stream cut into whole hops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.audio import Samples


class HopCutter:
    """Cut a stream into hops, however it comes in chunks.

    Parameters
    ----------
    hop : int, >= 1
        Samples in a hop.

    Examples
    --------
    >>> cut = HopCutter(2)
    >>> cut(np.ones(3, np.float32)).shape, cut(np.ones(3, np.float32)).shape
    ((1, 2), (2, 2))
    """

    def __init__(self, hop: int) -> None:
        self._hop = hop
        self._pending = np.zeros(0, np.float32)

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        """Take the next samples.

        Parameters
        ----------
        samples : float32 array, shape (n,)
            In [-1, 1]; n may be 0.

        Returns
        -------
        float32 array, shape (m, hop)
            The hops that are now whole.
        """
        heard = np.concatenate((self._pending, samples))
        whole = len(heard) // self._hop * self._hop
        self._pending = heard[whole:].copy()
        return heard[:whole].reshape(-1, self._hop)
