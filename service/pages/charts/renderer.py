"""Charts rendered in a process of their own: the renderer holds the interpreter's lock."""

import json
import select
import subprocess
import sys
from threading import Lock
from typing import IO, Any, cast

from service.errors import FailedError
from service.pages.charts import rendering

SECONDS = 20.0


class Renderer:
    """Renders one chart after the other in a child, which starts with the first one; thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._child: subprocess.Popen[str] | None = None
        self._is_closed = False

    def svg(self, spec: dict[str, Any]) -> str:
        """Render a spec.

        Raises
        ------
        FailedError
            The spec is none, or the child has died twice or takes too long.
        """
        line = json.dumps(spec)
        with self._lock:
            said = self._asked(line) or self._asked(line)
        if not said:
            raise FailedError("the chart could not be rendered: the process that renders charts ended")
        answer: dict[str, str] = json.loads(said)
        if "error" in answer:
            raise FailedError(f"the chart could not be rendered: {answer['error']}")
        return answer["svg"]

    def close(self) -> None:
        """End the child, whatever it is at; nothing is rendered any more."""
        self._is_closed = True
        if self._child is not None:
            self._child.kill()  # whoever waits for it lets go of the lock
        with self._lock:
            self._stop()

    def _asked(self, line: str) -> str:
        """Return the child's line, an empty one when it has died (of age, say)."""
        if self._is_closed:
            return ""
        self._child = child = self._child or _started()
        into, out = cast("IO[str]", child.stdin), cast("IO[str]", child.stdout)
        try:
            into.write(f"{line}\n")
            into.flush()
            if not select.select([out], [], [], SECONDS)[0]:
                self._stop()
                raise FailedError(f"the chart could not be rendered within {SECONDS:.0f} s")
            said = out.readline()
        except BrokenPipeError:
            said = ""
        if not said:
            self._stop()
        return said

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()


def _started() -> subprocess.Popen[str]:
    command = [sys.executable, "-P", rendering.__file__]
    return subprocess.Popen(  # noqa: S603 - a program of ours
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
