"""Command-line programs: parsing flags, reporting errors, showing progress."""

from __future__ import annotations

import collections
import contextlib
import functools
import os
import re
import select
import shlex
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from absl import app, flags, logging

from legan_tf.command_line.flagfiles import expand_flagfiles
from legan_tf.errors import UserError

# TensorFlow, imported later, reads it once. Its notes on the hardware would bury the progress line,
# and at level 2 it still prints harmless errors at every start; exceptions come all the same.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

COMMAND = "legan-tf"
"""The console command whose subcommands are the programs of ``scripts/``."""
USER_ERROR_STATUS = 2
BROKEN_PIPE_STATUS = 141
"""Exit status that shells report of programs ended by SIGPIPE."""
_TERMINAL_PERIOD_S = 0.2
_LOG_PERIOD_S = 10.0


def run(
    main: Callable[[Sequence[str]], int | None],
    commands: Mapping[str, Collection[str]] | None = None,
    select_flags: Callable[[Sequence[str]], Sequence[str]] = expand_flagfiles,
) -> None:
    """Parses the flags, calls ``main(argv)`` and exits with what it returns.

    A ``UserError``, a bad flag or an argument that is no flag becomes one message on stderr and
    exit status 2; Ctrl-C becomes exit status 130; a closed output pipe, as of ``head``, ends the
    program without a message and with 141. Other exceptions are bugs and keep their traceback.

    Args:
        main: The program: gets the command line without its flags, returns the exit status (None
            is 0).
        commands: The commands, one of which must be ``argv[1]``; each with its own flags, which are
            refused for the other commands.
        select_flags: Returns the command line to parse, given the one that was typed; may define
            flags that depend on it.
    """

    def guarded(argv: Sequence[str]) -> int | None:
        try:
            surplus = argv[1:]
            if commands:
                named = ", ".join(commands)
                if not surplus:
                    raise UserError(f"say what to do, before the flags: {named}.")
                if surplus[0] not in commands:
                    raise UserError(f"{surplus[0]!r} is none of the commands: {named}.")
                _refuse_flags_of_others(surplus[0], commands)
                surplus = surplus[1:]
            if surplus:
                raise UserError(
                    f"{surplus[0]!r} is not a flag; flags are written --name=value "
                    "(--helpshort lists them)."
                )
            return main(argv)
        except UserError as error:
            return fail(error)
        except KeyboardInterrupt:
            print("\nInterrupted.", file=sys.stderr)
            return 130

    program = sys.modules["__main__"]
    if sys.argv[0].startswith(f"{COMMAND} ") and program.__doc__:
        # The usage that --help prints.
        program.__doc__ = re.sub(r"python scripts/(\w+)\.py", rf"{COMMAND} \1", program.__doc__)
    with quiet_at_closed_pipe():
        app.run(guarded, flags_parser=functools.partial(_parse_flags, select_flags))


def command_line() -> str:
    """Returns the command that started this program, as it is typed into a shell."""
    program, *arguments = sys.argv
    start = program if program.startswith(f"{COMMAND} ") else shlex.join(["python", program])
    return " ".join([start, shlex.join(arguments)]).rstrip()


def fail(error: UserError) -> int:
    """Prints a user's mistake as one message on stderr.

    Returns:
        The exit status for it.
    """
    print(f"Error: {error}", file=sys.stderr, flush=True)
    return USER_ERROR_STATUS


@contextlib.contextmanager
def quiet_at_closed_pipe() -> Iterator[None]:
    """Exits with 141 and without a message when the output pipe is closed."""
    try:
        try:
            yield
        finally:
            # Python would do it at exit, where the error cannot be caught.
            if sys.stdout:
                sys.stdout.flush()
    except BrokenPipeError:
        if not _pipe_closed():
            raise
        sys.exit(BROKEN_PIPE_STATUS)


def _refuse_flags_of_others(command: str, commands: Mapping[str, Collection[str]]) -> None:
    for name in sorted({name for names in commands.values() for name in names}):
        if flags.FLAGS[name].present and name not in commands[command]:
            owners = " or ".join(word for word, names in commands.items() if name in names)
            raise UserError(f"--{name} belongs to {owners}, not to {command}.")


def _parse_flags(
    select_flags: Callable[[Sequence[str]], Sequence[str]], argv: Sequence[str]
) -> list[str]:
    try:
        arguments = flags.FLAGS(select_flags(argv))
    except UserError as error:
        sys.exit(fail(error))
    except flags.Error as error:
        message = " ".join(str(error).split())
        sys.exit(fail(UserError(f"{message} (--helpshort lists the flags.)")))
    if flags.FLAGS["verbosity"].using_default_value:
        # TensorFlow reports every file that it writes as information.
        flags.FLAGS["verbosity"].value = logging.WARNING
        # Else absl would set its own default again.
        flags.FLAGS["verbosity"].using_default_value = False
    return arguments


def _pipe_closed() -> bool:
    """Whether stdout or stderr is a closed pipe; what is left to write to it is dropped."""
    poll = select.poll()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        poll.register(stream.fileno(), 0)
    closed = [file for file, event in poll.poll(0) if event & (select.POLLERR | select.POLLHUP)]
    for file in closed:
        # Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), file)
    return bool(closed)


def say(text: str) -> None:
    """Prints a message on stderr, apart from the progress line."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """A progress line on stderr: units done, time left and the latest metrics.

    On a terminal the line is redrawn in place; in a log file a new line is written every ten
    seconds. The time left is estimated from the recent pace, so that a slow first step (tracing)
    is soon forgotten.
    """

    def __init__(self, total: int, label: str, start: int = 0) -> None:
        """Initialises a line named ``label``, with ``start`` of ``total`` units done."""
        self._total = total
        self._label = label
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._pace = collections.deque([(self._started, start)], maxlen=50)
        self._drawn_at = float("-inf")
        self._width = 0

    def update(self, done: int, **values: Any) -> None:
        """Draws the line with ``done`` units, and with values as ``name value``."""
        now = time.monotonic()
        finished = done >= self._total
        period = _TERMINAL_PERIOD_S if self._terminal else _LOG_PERIOD_S
        if now - self._drawn_at < period and not finished:
            return
        self._pace.append((now, done))
        (then, done_then) = self._pace[0]
        if finished:
            when = f"took {_clock(now - self._started)}"
        elif done > done_then:
            when = f"ETA {_clock((self._total - done) * (now - then) / (done - done_then))}"
        else:
            when = "ETA --:--"
        share = 100 * done // self._total if self._total else 100
        shown = "".join(f" | {name} {_number(value)}" for name, value in values.items())
        line = f"{self._label} {done}/{self._total} ({share}%) {when}{shown}"
        if self._terminal:
            print(f"\r{line:<{self._width}}", end="\n" if finished else "", file=sys.stderr)
            self._width = len(line)
        else:
            print(line, file=sys.stderr)
        sys.stderr.flush()
        self._drawn_at = now


def counter(total: int, label: str) -> Callable[[int], None]:
    """Returns a function that advances a progress line of ``total`` units by its argument."""
    progress = Progress(total, label)
    done = 0

    def count(units: int) -> None:
        nonlocal done
        done += units
        progress.update(done)

    return count


def bar(label: str) -> Callable[[int, int], None]:
    """Returns a function of (units done, total) that draws a progress line."""
    bars: list[Progress] = []

    def update(done: int, total: int) -> None:
        if not bars:
            # What is done by the first report took none of the time that is measured.
            bars.append(Progress(total, label, start=done))
        bars[0].update(done)

    return update


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
