"""Print the diagram of the states of a job as SVG; ``make generated`` puts it into the documentation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from arex.model.state import EDGES, State

#: Where each state stands (centre), and what clients show of it. The rest follows from ``EDGES``.
PLACES: Final = {
    State.ACCEPTED: (95, 60, "Accepted"),
    State.PREPARING: (275, 60, "Preparing"),
    State.SUBMIT: (455, 60, "Submitting"),
    State.INLRMS: (635, 60, "Queuing, Running, Hold"),
    State.CANCELING: (635, 190, "Finishing"),
    State.FINISHING: (455, 190, "Finishing"),
    State.FINISHED: (275, 190, "Finished, Failed, Killed"),
    State.DELETED: (95, 190, "Deleted"),
}
#: A restart with ``arcresume``; the other changes are drawn as ordinary arrows.
RESTARTS: Final = frozenset({(State.FINISHED, to) for to in (State.ACCEPTED, State.PREPARING, State.INLRMS)})
_WIDTH, _HEIGHT = 150, 46
#: Colours that can be read on white and on black: pages have both, and an image does not know which.
_STYLE: Final = (
    "rect{fill:#3949ab}text{font-family:sans-serif;text-anchor:middle}.state{fill:#fff;font-size:14px;font-weight:bold}"
    ".shown{fill:#e8eaf6;font-size:11px}.note{fill:#7986cb;font-size:13px}"
    "path{fill:none;stroke:#7986cb;stroke-width:2}.restart{stroke-dasharray:5 4}marker path{fill:#7986cb;stroke:none}"
)


def diagram() -> str:
    """All states but ``UNDEFINED``, which no status file has, and all changes between them."""
    tip, size = '<path d="M0 0 8 4 0 8z"/>', 'markerWidth="7" markerHeight="7"'
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 730 265" width="730" height="265" role="img">',
        "<title>States of a job</title>",
        f"<style>{_STYLE}</style>",
        f'<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" {size} orient="auto">{tip}</marker>',
    ]
    for start, ends in EDGES.items():
        if start in PLACES:
            lines += [_arrow(start, end) for end in State if end in ends]
    for state in PLACES:
        lines += _box(state)
    lines.append('<text class="note" x="365" y="252">dashed: restart with arcresume; upper line: state in the control '
                 "directory, lower line: state in arcstat</text>")  # fmt: skip
    return "\n".join([*lines, "</svg>"]) + "\n"


def _box(state: State) -> Iterator[str]:
    x, y, shown = PLACES[state]
    yield f'<rect x="{x - _WIDTH // 2}" y="{y - _HEIGHT // 2}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
    yield f'<text class="state" x="{x}" y="{y - 3}">{state}</text>'
    yield f'<text class="shown" x="{x}" y="{y + 14}">{shown}</text>'


def _arrow(start: State, end: State) -> str:
    kind = ' class="restart"' if (start, end) in RESTARTS else ""
    return f'<path id="{start}-{end}"{kind} d="{_line(start, end)}" marker-end="url(#tip)"/>'


def _line(start: State, end: State) -> str:
    """From edge to edge of two boxes, straight: beside each other, above each other, or from row to row."""
    (x1, y1, _), (x2, y2, _) = PLACES[start], PLACES[end]
    if y1 == y2:
        side = _WIDTH // 2 if x2 > x1 else -_WIDTH // 2
        return f"M{x1 + side} {y1} {x2 - side} {y2}"
    side = _HEIGHT // 2 if y2 > y1 else -_HEIGHT // 2
    # arrows of both directions between two boxes do not share their ends
    shift = 12 if y2 > y1 else -12
    return f"M{x1 + shift} {y1 + side} {x2 + shift} {y2 - side}"


if __name__ == "__main__":
    sys.stdout.write(diagram())
