"""What the jobs of a campaign do: most are harmless, the others set traps for the service."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

from tests.faults.strange import sh

_STOP_SUPERVISOR: Final = "kill -STOP $(ps -o ppid= -p $PPID); exit 0"
_OUTPUTS: Final = '(stdout="out")(stderr="err")(outputfiles=("x" ""))(gmlog="log")'

#: Kind: script, the rest of the description, and how often it is chosen.
_KINDS: Final[dict[str, tuple[str, str, int]]] = {
    "plain": ("exec sleep 0.{digit}", "", 30),
    "instant": ("exit 0", "", 20),
    "outputs": ("echo x >x; echo e >&2; exit 0", _OUTPUTS, 15),
    "error": ("exit 3", "", 5),
    "long": ("exec sleep {digit}", "", 5),
    "limited": ("exec sleep 100", '(walltime="2 seconds")', 2),
    "closed directories": ("mkdir -p a/b/c; echo >a/b/c/x; chmod 0 a/b/c a/b a; echo x >x; exit 0", _OUTPUTS, 3),
    "deep tree": ("for i in $(seq 200); do mkdir d; cd d; done; echo >x; exit 0", _OUTPUTS, 2),
    "many files": ("mkdir m; cd m; for i in $(seq 300); do : >$i; done; exit 0", "", 3),
    "big": ("head -c 3000000 /dev/zero >x; exit 0", _OUTPUTS, 3),
    "no run directory": ("rm -rf $HOME.lrms; exit 0", "", 3),
    "no session directory": ("cd ..; rm -rf $OLDPWD; exit 0", _OUTPUTS, 2),
    "links to itself": ("ln -s . self; ln -s loop loop; ln -s self/self/self x; exit 0", _OUTPUTS, 3),
    "pipes": ("mkfifo x; rm -f $HOME.diag; mkfifo $HOME.diag; exit 0", _OUTPUTS, 3),
    "forks": ("for i in 1 2 3 4; do (setsid sleep 300 &); done; exit 0", "", 3),
    "forks on TERM": ("trap 'setsid sleep 300 &' TERM; setsid sleep 300 & wait; exit 0", '(walltime="2 seconds")', 1),
    "stops its supervisor": (_STOP_SUPERVISOR, "", 1),
}
#: Jobs of a batch system have another parent, which is not ours, and it decides which processes belong to a job.
_OF_FORK: Final = frozenset({"stops its supervisor", "forks", "forks on TERM", "limited"})


@dataclass(slots=True)
class Payload:
    """A job that was submitted."""

    number: int
    kind: str
    most_runs: int = 1  #: more with each resume by its owner
    may_vanish: bool = False  #: its owner asked for its removal
    asked: set[str] = field(default_factory=set)  #: commands about it


class Payloads:
    """Makes descriptions; ``runs`` is the file where payloads leave their number."""

    def __init__(self, runs: str, dice: random.Random, *, fork: bool) -> None:
        self._runs, self._dice = runs, dice
        self._kinds = [kind for kind in _KINDS if fork or kind not in _OF_FORK]
        self._weights = [_KINDS[kind][2] for kind in self._kinds]
        self._count = 0

    def next(self) -> tuple[Payload, str]:
        """A new one, and its description."""
        [kind] = self._dice.choices(self._kinds, self._weights)
        script, more, _ = _KINDS[kind]
        number = self._count
        self._count += 1
        script = script.replace("{digit}", str(self._dice.randrange(10)))
        # a number that does not get into the file is no run that counts
        text = sh(f"echo {number} >>{self._runs}; {script}", more or '(stdout="out")(stderr="err")')
        return Payload(number, kind), text
