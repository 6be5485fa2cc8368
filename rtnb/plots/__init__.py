"""Pictures for the notebook: sound, turn detection, tokens, cost, latency.

Every function takes Axes and returns them. Without Axes it draws in a transparent
figure of its own, never through pyplot, in colours that one can read on a light ground
and on a dark one.
"""

from __future__ import annotations

from rtnb.plots.calibration import plot_noise_floor
from rtnb.plots.counterfactual import plot_counterfactual, plot_replica
from rtnb.plots.sound import plot_activity, plot_probabilities, plot_waveform
from rtnb.plots.sweep import plot_robustness, plot_sweep
from rtnb.plots.turns import plot_cost, plot_latency, plot_tokens

__all__ = [
    "plot_activity",
    "plot_cost",
    "plot_counterfactual",
    "plot_latency",
    "plot_noise_floor",
    "plot_probabilities",
    "plot_replica",
    "plot_robustness",
    "plot_sweep",
    "plot_tokens",
    "plot_waveform",
]
