from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.config import codec
from arex.config.arc_options import typed
from arex.config.model import BLOCKS
from arex.config.record import Option, options
from arex.config.values import CommandLine, DefaultTtl, LogLevel, LrmsChoice, MaxJobs, SessionDir

ALL = [about for _, block in BLOCKS.values() for about in options(block)]


def arex(name: str) -> Option:
    return typed("arex")[name]


@pytest.mark.parametrize("about", ALL, ids=lambda about: about.name)
def test_every_default_reads_back_as_it_is_written(about: Option) -> None:
    """This also proves that every annotation has a reader."""
    texts = codec.write_all(about.default) if about.default is not None else [about.example]
    values = tuple(codec.read(about, text) for text in texts)

    assert (about.repeats and values == about.default) or about.default is None or values == (about.default,)


@pytest.mark.parametrize("about", ALL, ids=lambda about: about.name)
def test_every_option_has_a_sentence_and_a_value_to_show(about: Option) -> None:
    assert about.doc.endswith(".")
    assert about.default not in {None, ""} or about.example


@given(text=st.text(), about=st.sampled_from(ALL))
def test_any_text_gives_a_value_or_a_value_error(text: str, about: Option) -> None:
    try:
        value = codec.read(about, text.strip())
    except ValueError:
        return

    assert value == codec.read(about, codec.write(value)) or about.item == "str"


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("maxjobs", "-1 10 0 -1 5", MaxJobs(running=10, per_owner=0, scripts=5)),
        ("defaultttl", "60 90", DefaultTtl(ttl=timedelta(seconds=60), ttr=timedelta(seconds=90))),
        ("defaultttl", "60", DefaultTtl(ttl=timedelta(seconds=60), ttr=timedelta(days=30))),
        ("sessiondir", "/a drain", SessionDir(path=Path("/a"), drain=True)),
        ("loglevel", "DEBUG", LogLevel.DEBUG),
        ("loglevel", "2", LogLevel.WARNING),
        ("joblog", "", None),
        ("shared_filesystem", "no", False),
        ("statecallout", "FINISHED 10,onfailure=pass /bin/true a b", "FINISHED 10,onfailure=pass /bin/true a b"),
        ("delegationdb", "bdb", "bdb"),
    ],
)
def test_values_mean_what_they_mean_to_arc(option: str, text: str, value: object) -> None:
    assert value == codec.read(arex(option), text)


def test_the_second_value_of_lrms_is_the_default_queue() -> None:
    assert LrmsChoice(name="slurm", queue="short") == codec.read(typed("lrms")["lrms"], "slurm short")


@pytest.mark.parametrize(
    ("option", "text", "sentence"),
    [
        ("maxjobs", "1 2 3 4", "expected five numbers (-1 means no limit), found 4"),
        ("maxjobs", "1 2 3 4 x", "'x' is not a whole number"),
        ("maxjobs", "1 2 3 4 -2", "-2 is not a valid limit; -1 means no limit"),
        ("maxrerun", "1_0", "'1_0' is not a whole number"),
        ("maxrerun", "-1", "'-1' is too small; the minimum is 0"),
        ("wakeupperiod", "0", "'0' is too small; the minimum is 1"),
        ("wakeupperiod", "99999999999999", "'99999999999999' is not a number of seconds from 0 to 10000000000"),
        ("defaultttl", "1 2 3", "expected one or two numbers of seconds, found 3"),
        ("loglevel", "6", "expected 0 to 5 or one of FATAL, ERROR, WARNING, INFO, VERBOSE, DEBUG, not '6'"),
        ("logfile", "arex.log", "'arex.log' is not an absolute path"),
        ("logfile", "", "missing value"),
        ("sessiondir", "/a b", "only the word drain is allowed after the path, not 'b'"),
        ("fixdirectories", "maybe", "expected yes or missing or no, not 'maybe'"),
        ("shared_filesystem", "maybe", "expected yes or no, not 'maybe'"),
    ],
)
def test_an_invalid_value_raises_one_sentence(option: str, text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        codec.read(arex(option), text)

    assert str(caught.value).startswith(sentence)


def test_a_long_value_is_cut_in_messages() -> None:
    assert len(codec.shown("x" * 1000)) < 70


def test_a_command_is_split_into_words_as_by_a_shell_and_nothing_is_expanded() -> None:
    about = typed("arex/service")["notify_command"]

    value = codec.read(about, "/bin/tell 'two words' $HOME a\\ b")

    assert CommandLine(argv=("/bin/tell", "two words", "$HOME", "a b")) == value
    assert value == codec.read(about, codec.write(value))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/bin/tell 'me", 'cannot split "/bin/tell \'me" into words: no closing quotation'),
        ("tell me", "expected the absolute path of a program, then its arguments, not 'tell me'"),
        ("''", "expected the absolute path of a program"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        codec.read(typed("arex/service")["notify_command"], text)
