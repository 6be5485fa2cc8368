"""Who does the work of a sweep: this process, processes of our own, or an executor's.

A task is one clip and every setting; what goes wrong with it is part of its outcome. An
interrupt ends all of them and leaves no process behind.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    as_completed,
)
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rtnb.audio import Clip
from rtnb.audio.files import duration_of
from rtnb.errors import AudioFormatError, EngineError
from rtnb.vad.grid import measure
from rtnb.vad.probability import SpeechProbability, speech_probability
from rtnb.vad.progress import new_bar, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from multiprocessing.synchronize import Event

    import numpy as np
    from numpy.typing import NDArray

    from rtnb.vad.grid import Grid

    Stressor: TypeAlias = Callable[[Clip], Clip]

POOL_FROM_S: Final = 900.0
"""From so much audio on, processes of our own are started: it is about a second's work
for one of them, and to start them takes half a second."""


@dataclass(frozen=True)
class Task:
    """One clip, changed in one way: what a worker is given.

    Parameters
    ----------
    name : str
        Of the clip.
    sound : Clip, Path or SpeechProbability
        What to listen to.
    stressor : hashable
        Name of the change; "" without one.
    change : callable or None
        Takes and gives a Clip.
    model : str, SpeechModel or callable
        What `speech_model` takes.
    grid : Grid
        The settings.
    reference : tuple of (float, float), or None
        Labels, in seconds.
    """

    name: str
    sound: Any
    stressor: Hashable
    change: Stressor | None
    model: Any
    grid: Grid
    reference: tuple[Any, ...] | None

    @property
    def title(self) -> str:
        """What it is called when it fails."""
        return f"{self.name} ({self.stressor})" if self.change else self.name

    @property
    def seconds(self) -> float:
        """How long there is to listen, about."""
        match self.sound:
            case SpeechProbability():
                return 0.0
            case Clip():
                return self.sound.duration
            case _:
                with suppress(AudioFormatError, OSError):
                    return duration_of(self.sound)
                return 0.0


@dataclass(frozen=True)
class Outcome:
    """What a worker gives back: the figures, or why there are none.

    Parameters
    ----------
    task : str
        Title of the task.
    name : str
        Of the clip.
    stressor : hashable
        Name of the change.
    figures : float64 array, shape (settings, figures), or None
        From `rtnb.vad.grid.measure`.
    reason : str, default ""
        Why there are none.
    """

    task: str
    name: str
    stressor: Hashable
    figures: NDArray[np.float64] | None
    reason: str = ""


class _HaltError(Exception):
    """The one who asked has been interrupted."""


_halt: Event | None = None
"""In a process of ours: set when it shall stop."""


def _run(
    task: Task, on_progress: Callable[[float, float], object] | None = None
) -> Outcome:
    """Listen to a clip and score every setting on it."""
    sound = task.sound
    if task.change is not None:
        sound = task.change(sound if isinstance(sound, Clip) else Clip.from_file(sound))
    if not isinstance(sound, SpeechProbability):
        sound = speech_probability(sound, task.model, on_progress=on_progress)
    figures = measure(sound, task.grid, task.reference)
    return Outcome(task.title, task.name, task.stressor, figures)


def _attempt(
    task: Task, on_progress: Callable[[float, float], object] | None = None
) -> Outcome:
    """Work; what goes wrong is part of the outcome, so that one file spoils no other."""
    try:
        return _run(task, on_progress)
    except _HaltError:
        raise
    except Exception as error:  # noqa: BLE001 - a user's file, model or stressor
        return _failure(task, error)


def _failure(task: Task, error: BaseException) -> Outcome:
    reason = str(error) or type(error).__name__
    return Outcome(task.title, task.name, task.stressor, None, reason)


def _attempt_there(task: Task) -> Outcome:
    """Work in another process, which may be told to stop."""
    return _attempt(task, _look_up if _halt is not None else _say_nothing)


def _say_nothing(_done_s: float, _total_s: float) -> None:
    """Show no bar where nobody looks."""


def _look_up(_done_s: float, _total_s: float) -> None:
    if _halt is not None and _halt.is_set():
        raise _HaltError


def _enlist(halt: Event) -> None:
    """Begin a process: Ctrl-C is for the one who asked, who will say so."""
    global _halt  # noqa: PLW0603 - one a process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _halt = halt


def run_all(tasks: Sequence[Task], executor: Executor | None) -> list[Outcome]:
    """Do many tasks, each for itself.

    Parameters
    ----------
    tasks : sequence of Task
        At least one.
    executor : Executor, optional
        Who does them; by default processes of our own, if there is so much to listen
        to that they are worth it, or else this one.

    Returns
    -------
    list of Outcome
        One for each task, in their order.

    Raises
    ------
    EngineError
        If the processes are lost.
    """
    if executor is not None:
        return _gather(tasks, executor, starting=nullcontext())
    processors = os.cpu_count() or 1
    seconds = [task.seconds for task in tasks]
    most = min(processors, sum(each > 0 for each in seconds))
    if most <= 1 or sum(seconds) < POOL_FROM_S:
        return run_here(tasks, attempt=_attempt)
    with _processes(most) as pool:
        return _gather(tasks, pool, starting=_interrupts_later())


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Put off Ctrl-C while processes start, which inherit that they do not hear it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield  # on Windows; there a process is deaf from `_enlist` on
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _processes(count: int) -> Iterator[Executor]:
    """Processes of our own, that are gone afterwards whatever happens."""
    context = multiprocessing.get_context("spawn")
    halt = context.Event()
    pool = ProcessPoolExecutor(count, context, _enlist, (halt,))
    try:
        yield pool
    finally:
        halt.set()
        pool.shutdown(cancel_futures=True)


def run_here(
    tasks: Sequence[Task], *, attempt: Callable[..., Outcome] = _run
) -> list[Outcome]:
    """Do tasks one after another in this process.

    Parameters
    ----------
    tasks : sequence of Task
        At least one.
    attempt : callable, optional
        Does one; by default what goes wrong is raised.

    Returns
    -------
    list of Outcome
        One for each task, in their order.
    """
    outcomes = []
    with _files_bar(tasks) as show:
        for number, task in enumerate(tasks):
            outcomes.append(attempt(task, _share_of_one(show, number)))
            show(number + 1)
    return outcomes


def _share_of_one(
    show: Callable[[float], object], before: int
) -> Callable[[float, float], None]:
    def tell(done_s: float, total_s: float) -> None:
        show(before + (done_s / total_s if total_s else 0.0))

    return tell


def _gather(
    tasks: Sequence[Task],
    executor: Executor,
    *,
    starting: AbstractContextManager[None],
) -> list[Outcome]:
    """Have the tasks done elsewhere; the outcomes in the order of the tasks."""
    numbers: dict[Future[Outcome], int] = {}
    outcomes: dict[int, Outcome] = {}
    try:
        with starting:
            for number, task in enumerate(tasks):
                numbers[executor.submit(_attempt_there, task)] = number
        with _files_bar(tasks) as show:
            for future in as_completed(numbers):
                number = numbers[future]
                outcomes[number] = _outcome_of(future, tasks[number])
                show(len(outcomes))
    finally:
        for future in numbers:
            future.cancel()
    return [outcomes[number] for number in range(len(tasks))]


def _files_bar(
    tasks: Sequence[Task],
) -> AbstractContextManager[Callable[[float], object]]:
    return progress(len(tasks), bar=partial(new_bar, unit="file"))


def _outcome_of(future: Future[Outcome], task: Task) -> Outcome:
    """What came back; a task that never ran or was lost has failed too."""
    try:
        return future.result()
    except BrokenExecutor as error:
        raise EngineError(
            "a process that listened ended before its work: in a script, call sweep "
            'below `if __name__ == "__main__":`; or there was not enough memory: give '
            "an executor with fewer processes"
        ) from error
    except Exception as error:  # noqa: BLE001 - whatever an executor may raise
        return _failure(task, error)
