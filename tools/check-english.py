"""
Find retired words and unclear phrases in documentation, code and messages.

The words come from the section "Retired words" of docs/glossary.md, the phrases from this file. In Markdown, code
spans, code blocks and link targets are not checked: they quote what has its home elsewhere. In Python and shell,
words are also found as parts of identifiers and file names. Names of log events are allowed everywhere, as programs
search for them. Exit code 1 means that something was found.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
GLOSSARY: Final = "docs/glossary.md"
CODE: Final = ("arex", "plugins", "lrms", "infoprovider", "tests", "benchmarks", "tools")
#: Outputs of other programs; and the check itself, which has to name what it looks for.
EXEMPT: Final = ("tests/data/", "tools/check-english.py", "tests/unit/test_english.py")
#: After a phrase that is unclear only where nothing depends on it: "its own account" and "of its own kind" are fine.
_END: Final = r"(?=\s*(?:[^\s\w`'\"(/*<]|$|and\b|or\b|as\b|is\b|are\b|in\b|for\b|that\b|here\b|yet\b))"
#: Phrases that need more than their words to tell a bad use from a good one: the pattern, a part of it that is in
#: every match, and what to write instead.
PHRASES: Final = (
    (rf"(?:does|do|did)(?: not|n't) read{_END}", "read", "is invalid, cannot be parsed"),
    (rf"of (?:its|their) own{_END}", "own", "dedicated, separate, its own"),
    (
        r"(?:is|are|was|were|be|been|being|isn't|aren't|gets|got)(?: not| never)? told",
        "told",
        "is notified, is reported to",
    ),
    (r"(?:hear|hears|heard|hearing) of", "hear", "notice, receive, read"),
    (r"belongs? into", "into", "add it to"),
    (r"who\?", "who?", "name the process, user or program to look for"),
    (r"the scheduler lies", "lies", "the batch system gives a wrong answer"),
    (r"(?:shall|shan't)", "sha", "must, will, is to"),
    (rf"no matter{_END}", "matter", "ignored, has no effect"),
    (r"which there (?:is|are) none of", "none of", "there is no"),
    (r"that nothing is known (?:of|about)", "nothing is", "without any information"),
    (r"for \w+'s sake", "sake", "for compatibility with"),
    (r"(?:is|are) root's to", "root's", "as root, you can"),
    (
        r"(?:arex|service|daemon|client|manager) (?:believes|believed|wants|thinks|minds|knows better)",
        "",
        "trusts, accepts, expects, needs",
    ),
)
#: ``"nobody"`` alone, or in ARC's maps of users, is the Unix account.
_ACCOUNT: Final = re.compile(r"[\"']nobody[\"']|nobody(?=:nogroup| - you do not)")
#: A key of the document that ``arex status`` reads, and of nothing else: formats on disk keep their names.
_KEY_NAME: Final = "strays"
_KEY: Final = re.compile(rf"\A{_KEY_NAME}\Z|snapshot\.{_KEY_NAME}\b")
_SECTION: Final = re.compile(r"^## Retired words$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_FENCE: Final = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_SPAN: Final = re.compile(r"(`+)(?!`)(?:(?!\n\s*\n).)*?(?<!`)\1(?!`)", re.DOTALL)
_TARGET: Final = re.compile(r"(?<=\])\([^)\s]*\)")
_EVENT: Final = re.compile(r"[\"']event[\"']: *[\"']([a-z_]+(?:\.[a-z_]+)*)[\"']")
#: Matches nothing: no events.
_NONE: Final = re.compile(r"(?!)")
_QUOTES: Final = re.compile(r"\A[A-Za-z]{0,2}(\"\"\"|'''|\"|')")
#: In the place of code: no phrase goes across it.
_CODE: Final = "\0"
#: In the place of what Markdown quotes: a word of the sentence that is not looked at.
_QUOTATION: Final = "0"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is not to be written: a word is found in identifiers too, a phrase in prose only."""

    pattern: re.Pattern[str]
    part: str  #: in every match, in lower case: most files are ruled out by it, which is quick
    say: str
    is_word: bool


@dataclass(frozen=True, slots=True)
class Text:
    """A file, character by character at its place: all of it for words, and its prose for phrases."""

    words: str
    prose: str


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    path: str
    line: int
    phrase: str
    say: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.phrase} -> {self.say}"


# --- rules ------------------------------------------------------------------------------------------------------------


def rules(glossary: str) -> list[Rule]:
    """All rules: those of the glossary's table, then the phrases of this file."""
    return [
        *(_retired(term, say) for term, say in retired(glossary)),
        *(Rule(_phrase(pattern), part, say, is_word=False) for pattern, part, say in PHRASES),
    ]


def retired(glossary: str) -> Iterator[tuple[str, str]]:
    """Each retired word or phrase, with what to say; from the table in the last section."""
    if (section := _SECTION.search(glossary)) is None:
        raise SystemExit(f"{GLOSSARY} has no section 'Retired words'")
    for line in section[0].splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if len(cells) == 3:
            yield from ((term, cells[0]) for term in re.findall(r"`([^`]+)`", cells[2]))


def _retired(term: str, say: str) -> Rule:
    if not term.isalpha():
        words = term.split()
        return Rule(_phrase(r"\s+".join(map(re.escape, words))), max(words, key=len).lower(), say, is_word=False)
    # alone or between underscores; or as a part of a name in CamelCase
    word = rf"(?<![A-Za-z])(?i:{term})(?![A-Za-z])|(?<![A-Z]){term.capitalize()}(?![a-z])"
    return Rule(re.compile(word), term, say, is_word=True)


def _phrase(pattern: str) -> re.Pattern[str]:
    spaced = pattern.replace(" ", r"\s+")
    return re.compile(rf"(?<!\w){spaced}(?!\w)", re.IGNORECASE)


# --- texts ------------------------------------------------------------------------------------------------------------


def markdown(source: str) -> Text:
    """Without quotations, and without the table that lists the words."""
    for quoted in (_SECTION, _FENCE, _SPAN, _TARGET):
        source = quoted.sub(lambda found: re.sub(r"\S", _QUOTATION, found[0]), source)
    return Text(source, source)


def python(source: str, events: re.Pattern[str] = _NONE) -> Text:
    """Identifiers, comments and strings; the latter two are prose."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    words, prose = list(source), list(re.sub(r"\S", _CODE, source))
    written = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in written and token.string != _KEY_NAME:
            continue
        start, end = (starts[row - 1] + column for row, column in (token.start, token.end))
        text = _without(source[start:end], events)
        words[start:end], prose[start:end] = text, _bare(text)
    return Text("".join(words), "".join(prose))


def shell(source: str, events: re.Pattern[str] = _NONE) -> Text:
    """All of it: comments, messages and names."""
    text = _without(source, events)
    return Text(text, re.sub(r"[\"'](?=[\s;|&)]|$)", _CODE, text.replace("#", " ")))  # a quote there ends a message


def _without(text: str, events: re.Pattern[str]) -> str:
    """Names of events and of the account are not prose."""
    for allowed in (_ACCOUNT, _KEY, events):
        text = allowed.sub(lambda found: _blank(found[0]), text)
    return text


def _bare(text: str) -> str:
    """A comment without its hashes, a string without its quotes, so that a phrase may go on in the next one."""
    if text.startswith("#"):
        return text.replace("#", " ")
    if (quotes := _QUOTES.match(text)) is None:
        return text
    inner = text[quotes.end() : -len(quotes[1])]
    return " " * quotes.end() + inner + " " * len(quotes[1])


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", _CODE, text)


# --- files ------------------------------------------------------------------------------------------------------------


def find(path: str, text: Text, checked: Sequence[Rule]) -> Iterator[Finding]:
    """What is found in a file and in its name."""
    lowered = text.words.lower()
    for rule in checked:
        searched = text.words if rule.is_word else text.prose
        for match in rule.pattern.finditer(searched) if rule.part in lowered else ():
            line = searched.count("\n", 0, match.start()) + 1
            yield Finding(path, line, " ".join(match[0].split()), rule.say)
        if rule.is_word and (named := rule.pattern.search(path)) is not None:
            yield Finding(path, 1, f"{named[0]} in the name of the file", rule.say)


def event_names(sources: Iterable[str]) -> re.Pattern[str]:
    """A pattern for all of them that have a dot: single words are too common to be allowed everywhere."""
    names = {name for source in sources for name in _EVENT.findall(source) if "." in name}
    return re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, sorted(names)))})(?!\w)") if names else _NONE


def documents(root: Path) -> list[Path]:
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")])


def sources(root: Path) -> list[Path]:
    return sorted(
        path
        for top in CODE
        for suffix in ("py", "sh")
        for path in (root / top).rglob(f"*.{suffix}")
        if not path.relative_to(root).as_posix().startswith(EXEMPT)
    )


def check(root: Path, only: str, skipped: Iterable[str]) -> list[Finding]:
    """
    All findings below ``root``, in order.

    ``only`` is ``docs``, ``code`` or ``all``; ``skipped`` are paths below ``root``.
    """
    code = sources(root)
    events = event_names(path.read_text(encoding="utf-8") for path in code if path.suffix == ".py")
    checked = rules((root / GLOSSARY).read_text(encoding="utf-8"))
    paths = [*(documents(root) if only != "code" else ()), *(code if only != "docs" else ())]
    findings: list[Finding] = []
    for path in paths:
        if (name := path.relative_to(root).as_posix()) not in skipped:
            findings += find(name, read(path, events), checked)
    return sorted(findings)


def read(path: Path, events: re.Pattern[str]) -> Text:
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return markdown(source)
    return python(source, events) if path.suffix == ".py" else shell(source, events)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Find retired words and unclear phrases.")
    parser.add_argument("--only", choices=("docs", "code", "all"), default="all", help="what to check (default: all)")
    parser.add_argument("--skip", action="append", default=[], metavar="PATH", help="a file not to check; repeatable")
    options = parser.parse_args(words)
    findings = check(ROOT, options.only, options.skip)
    sys.stdout.writelines(f"{finding}\n" for finding in findings)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
