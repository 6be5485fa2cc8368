"""What a sweep says about settings: all files put together, and the best of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rtnb.errors import ConfigError
from rtnb.vad.grid import SETTINGS
from rtnb.vad.settings import SERVER_VAD_DEFAULTS, ServerVad

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

POOLED: Final = (
    *("minutes", "turns", "cut_ins", "cut_ins_per_min", "delay_ms", "heard"),
    *("labels", "missed", "false", "clipped_onset_ms"),
    *("precision", "recall", "f1", "detection_error_rate"),
)
"""Columns that `by_setting` gives."""


def by_setting(frame: pd.DataFrame, *, apart: Sequence[str] = ()) -> pd.DataFrame:
    """Put the files of a sweep together.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `sweep`.
    apart : sequence of str, default ()
        Columns besides the settings that are kept apart, such as ``"stressor"``.

    Returns
    -------
    pandas.DataFrame
        One row a setting: the counts are sums, ``cut_ins_per_min`` is by the minutes of
        all files, ``delay_ms`` the mean over all turns that ended, and what has to do
        with labels as if all files were one. Of medians nothing can be put together:
        they are left out.

    Examples
    --------
    >>> from rtnb.audio import Clip
    >>> from rtnb.vad import sweep
    >>> clip = Clip.example() + Clip.silence(1.0, 16_000)
    >>> frame = sweep([clip, clip + clip], silence_duration_ms=[200, 500])
    >>> by_setting(frame)["turns"].tolist()
    [3, 3]
    """
    work = frame.assign(
        waited=frame["delay_mean_ms"].fillna(0) * frame["ended"],
        kept=frame["heard"] * frame["speech_s"],
        found=frame["recall"] * frame["speech_s"],
        wrong=frame["detection_error_rate"] * frame["speech_s"],
        reached=frame["labels"] - frame["missed"],
    )
    work["clipped"] = work["clipped_onset_ms"].fillna(0) * work["reached"]
    sums = work.groupby([*apart, *SETTINGS], sort=False)[
        [
            *("minutes", "speech_s", "turns", "ended", "cut_ins"),
            *("labels", "missed", "false"),
            *("waited", "kept", "found", "wrong", "reached", "clipped"),
        ]
    ].sum(min_count=1)
    detected = sums["wrong"] - sums["speech_s"] + 2 * sums["found"]
    precision = sums["found"] / detected
    recall = sums["found"] / sums["speech_s"]
    return sums.assign(
        cut_ins_per_min=sums["cut_ins"] / sums["minutes"],
        delay_ms=sums["waited"] / sums["ended"],
        heard=sums["kept"] / sums["speech_s"],
        clipped_onset_ms=sums["clipped"] / sums["reached"],
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall),
        detection_error_rate=sums["wrong"] / sums["speech_s"],
    ).reset_index()[[*apart, *SETTINGS, *POOLED]]


def best(
    frame: pd.DataFrame, *, max_cut_ins_per_min: float, min_heard: float = 0.95
) -> ServerVad:
    """Choose the setting that answers soonest of those that cut in rarely enough.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `sweep`; all files and stressors count together.
    max_cut_ins_per_min : float, >= 0
        Cut-ins in a minute of audio that are put up with.
    min_heard : float, 0 to 1, default 0.95
        Share of the speech that must lie in some turn. A high threshold is not to win
        by missing what was said.

    Returns
    -------
    ServerVad
        Ready for ``session.configure(turn_detection=...)``. Among equals the one with
        fewer cut-ins, then less clipped onset, then nearer to the defaults.

    Raises
    ------
    ConfigError
        If no setting will do; it names the nearest.

    Examples
    --------
    >>> from rtnb.audio import Clip
    >>> from rtnb.vad import sweep
    >>> both = Clip.example("austen-0880") + Clip.example("austen-0890")
    >>> clip = both + Clip.silence(2.0, 16_000)
    >>> frame = sweep(clip, silence_duration_ms=[200, 400, 600, 800])
    >>> best(frame, max_cut_ins_per_min=0)
    ServerVad(threshold=0.5, prefix_padding_ms=300, silence_duration_ms=600)
    """
    if not max_cut_ins_per_min >= 0:
        raise ConfigError(
            f"max_cut_ins_per_min is {max_cut_ins_per_min}: give a rate of 0 or more"
        )
    if not 0 <= min_heard <= 1:
        raise ConfigError(f"min_heard is {min_heard}: give a share between 0 and 1")
    table = by_setting(frame)
    table = table.assign(away=_from_defaults(table))
    hearing = table[(table["heard"] >= min_heard) & table["delay_ms"].notna()]
    if hearing.empty:
        raise ConfigError(_deaf(table, min_heard))
    rare = hearing[hearing["cut_ins_per_min"] <= max_cut_ins_per_min]
    if rare.empty:
        nearest = _first(hearing, ("cut_ins_per_min", "delay_ms", "away"))
        raise ConfigError(
            f"no setting keeps to {max_cut_ins_per_min:g} cut-ins a minute; the nearest "
            f"is {_setting_of(nearest)} with {nearest['cut_ins_per_min']:.3g}: allow so "
            "many, or sweep a longer silence_duration_ms"
        )
    order = ("delay_ms", "cut_ins_per_min", "clipped_onset_ms", "away")
    return _setting_of(_first(rare, order))


def _deaf(table: pd.DataFrame, min_heard: float) -> str:
    """Why no setting hears enough."""
    ended = table[table["delay_ms"].notna()]
    if ended.empty:
        return (
            "in no setting a turn ended after speech: give audio with speech and some "
            "silence after it"
        )
    nearest = _first(ended.assign(deaf=-ended["heard"]), ("deaf", "away"))
    return (
        f"no setting hears {min_heard:.0%} of the speech; the nearest is "
        f"{_setting_of(nearest)} with {nearest['heard']:.1%}: lower min_heard, or sweep "
        "a lower threshold"
    )


def _from_defaults(table: pd.DataFrame) -> pd.Series[float]:
    """How far each setting is from the defaults: a sum of relative distances."""
    usual = [getattr(SERVER_VAD_DEFAULTS, name) for name in SETTINGS]
    return (table[list(SETTINGS)] / usual - 1).abs().sum(axis=1)


def _first(table: pd.DataFrame, order: Sequence[str]) -> pd.Series[Any]:
    return table.sort_values(list(order), kind="stable").iloc[0]


def _setting_of(row: pd.Series[Any]) -> ServerVad:
    return ServerVad(
        threshold=float(row["threshold"]),
        silence_duration_ms=int(row["silence_duration_ms"]),
        prefix_padding_ms=int(row["prefix_padding_ms"]),
    )
