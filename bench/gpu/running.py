"""Runs parts one after another, even if one fails, and their commands, each with a time limit."""
import copy
import os
import signal
import subprocess
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable


class CommandFailed(Exception):
    """A command ended with another code than 0, or did not end."""


class Skipped(Exception):
    """This machine cannot do the part; the text says why."""


@dataclass
class Finished:
    code: int  # negative: the signal that ended it; None: the time limit did
    output: str  # standard output and, unless asked otherwise, standard error
    seconds: float
    errors: str = ""  # standard error, if it is not in the output

    def tail(self, characters=3000):
        text = (self.output + self.errors).strip()
        return text if len(text) <= characters else "[...] " + text[-characters:]

    def ended(self):
        return "did not end within its time" if self.code is None else f"ended with {self.code}"


@dataclass
class Part:
    name: str
    seconds: int  # at most
    run: Callable  # takes the Session


@dataclass
class Outcome:
    name: str
    status: str  # passed, FAILED, skipped or not run
    seconds: float
    text: str
    limit: int = 0  # the part's seconds


def end_group(process):
    """Ends a process and its descendants: by SIGTERM, so that mpirun ends its ranks, then by SIGKILL."""
    for number, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def quote(command):
    return " ".join(str(word) if " " not in str(word) else repr(str(word)) for word in command)


class Session:
    """State shared by the parts: paths, the remaining time, and the notes of the running part."""

    def __init__(self, pack, work, device, environment, log=None):
        self.pack, self.work, self.device = pack, work, device
        self.environment = environment  # of Lockstep's programs
        self.log = log  # an open file, for all output of every command
        self.end = time.monotonic() + 1e9
        self.part_end = self.end
        self.notes, self.failures = [], 0
        self.data = {}  # numbers for the end of the results file

    def note(self, text):
        self.notes.append(text)

    def expect(self, holds, text):
        """Records a result. A false one fails the part, which continues."""
        self.note(f"- {'' if holds else '**FAILED** '}{text}")
        self.failures += 0 if holds else 1

    def left(self):
        return min(self.end, self.part_end) - time.monotonic()

    def run(self, command, seconds=60, environment=None, merge=True, must=True, meanwhile=None):
        """Runs a command for at most `seconds`, and no longer than the part may take. Returns Finished; with
        `must`, raises CommandFailed unless it ended with 0. Calls meanwhile(process) once it runs; the
        `seconds` begin when that returns."""
        command = [str(word) for word in command]
        limit = min(seconds, self.left())
        if limit <= 0:
            raise CommandFailed(f"no time left for `{quote(command)}`")
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=self.work, env=environment or self.environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT if merge else subprocess.PIPE, text=True,
                                   errors="replace", start_new_session=True)
        try:
            if meanwhile:
                meanwhile(process)
                limit = max(0, min(seconds, self.left()))
            output, errors = process.communicate(timeout=limit)
            code = process.returncode
        except subprocess.TimeoutExpired:
            end_group(process)
            output, errors = process.communicate()
            code = None
        except BaseException:
            end_group(process)
            raise
        finished = Finished(code, output, time.monotonic() - start, errors or "")
        if self.log:
            self.log.write(
                f"$ {quote(command)}\n{output}{errors or ''}"
                f"[{finished.ended()}, {finished.seconds:.1f} s]\n\n"
            )
            self.log.flush()
        if must and code != 0:
            raise CommandFailed(f"`{quote(command)}` {finished.ended()} after {finished.seconds:.0f} s:\n\n"
                                f"```\n{finished.tail()}\n```")
        return finished

    def run_together(self, commands, parallel, seconds, environment=None):
        """Runs commands, a number of them at a time. Returns their Finished in order; none raises."""
        def one(command):
            try:
                return self.run(command, seconds, environment, must=False)
            except CommandFailed as failure:
                return Finished(None, str(failure), 0)
        with ThreadPoolExecutor(parallel) as pool:
            return list(pool.map(one, commands))


    def in_parallel(self, functions, parallel):
        """Calls function(session) for each, a number of them at a time. What they note stays in their order;
        a command that fails ends its function only."""
        def call(function):
            mine = copy.copy(self)
            mine.notes, mine.failures = [], 0
            try:
                function(mine)
            except CommandFailed as failure:
                mine.expect(False, str(failure))
            return mine
        with ThreadPoolExecutor(parallel) as pool:
            for each in pool.map(call, functions):
                self.notes += each.notes
                self.failures += each.failures


def run_part(session, part):
    session.notes, session.failures = [], 0
    session.part_end = time.monotonic() + part.seconds
    start = time.monotonic()
    status = "passed"
    if session.left() < 3:
        return Outcome(part.name, "not run", 0, "No time was left for it.", part.seconds)
    try:
        part.run(session)
    except Skipped as reason:
        status = "skipped"
        session.note(str(reason))
    except CommandFailed as failure:
        status = "FAILED"
        session.note(str(failure))
    except Exception:  # a mistake in this script is no reason to lose the parts that follow
        status = "FAILED"
        session.note(f"The check itself went wrong:\n\n```\n{traceback.format_exc().strip()}\n```")
    if session.failures:
        status = "FAILED"
    return Outcome(part.name, status, time.monotonic() - start, "\n".join(session.notes), part.seconds)


def run_parts(session, parts, budget, write):
    """Runs all parts in `budget` seconds, calling write(outcomes) after each, so that no result is lost."""
    session.end = time.monotonic() + budget
    outcomes = []
    for part in parts:
        outcomes.append(run_part(session, part))
        write(outcomes)
    return outcomes
