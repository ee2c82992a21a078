"""What an answer says of how much was searched, in words.

References of which its caller may see no more than a hit are in no count of an answer, and a gallery that holds
nothing else is unknown to it. An answer in which nothing is counted is therefore not a partial one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from likeness.cli.output import note, warn
from likeness.cli.words import HIT_LEAD, LEAD, filters_words, plural
from likeness.client import SearchOptions
from likeness.domain.text import printable
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Who asked for what, as far as answers are worded by it.

    Args:
        entity: that asked; references of others are shown with their owner, who is to be contacted about them.
        galleries: that the search named.
        frontline: whether it was asked by the frontline's profile, which answers hit or no hit.
    """

    entity: str = ""
    galleries: Collection[str] = ()
    frontline: bool = False


ANYBODY = Inquiry()
"""Nobody in particular, who named no gallery."""


def is_partial(header: common.AnswerHeader, galleries: Collection[str]) -> bool:
    """Whether something that should have been searched took no part.

    Args:
        header: of the answer.
        galleries: that the search named. Where all of them are unknown to the caller its coverage is 0, and nothing
            is missing.
    """
    unknown = len(header.unknown_galleries)
    return header.coverage < 1 and not (unknown and unknown == len(set(galleries)))


def counts_hits_alone(header: common.AnswerHeader) -> bool:
    """Whether nothing is counted, and policies were asked that may show no more than hits."""
    return bool(header.policy) and not header.searched


def has_hits(response: matching.SearchResponse) -> bool:
    """Whether somebody holds something of which no more may be shown."""
    return any(answer.hits for answer in response.answers)


def searched_words(header: common.AnswerHeader, hits: bool) -> tuple[str, str]:
    """How many references took part, as far as the caller may know, and what that leaves out, if anything.

    Args:
        header: of the answer.
        hits: whether it has any.
    """
    if not header.searched and (hits or counts_hits_alone(header)):
        return "searched for hits alone", "how many references took part is not shown"
    counted = f"{plural(header.searched, 'reference')} searched"
    return counted, "others for hits alone, not counted" if hits else ""


def verdict(answer: matching.ProbeAnswer) -> str:
    """What the frontline is told first of a probe."""
    return "HIT" if answer.candidates or answer.hits else "NO HIT"


def threshold_words(max_fmr: float) -> str:
    """The threshold that held for an answer; empty where there was none."""
    return f"false match rate of {max_fmr:g} or less" if max_fmr else ""


def nothing_words(header: common.AnswerHeader) -> str:
    """What is said of a probe without candidates and hits."""
    return "no hit" if counts_hits_alone(header) else "no candidate"


def cautions(responses: Iterable[matching.SearchResponse]) -> list[str]:
    """What must be said with answers, as far as they have candidates or hits."""
    answers = [answer for response in responses for answer in response.answers]
    due = [(LEAD, any(a.candidates for a in answers)), (HIT_LEAD, any(a.hits for a in answers))]
    return [caution for caution, is_due in due if is_due]


def remark(responses: Sequence[matching.SearchResponse], options: SearchOptions) -> None:
    """Tell the person what the answers of a run leave open: that nothing was counted, or a gallery may be misspelt.

    Args:
        responses: the answers.
        options: of each search.
    """
    filters = filters_words({f"--{one}": options.get(many) for one, many in _FILTERS.items()})
    headers = [response.header for response in responses]
    unknown = sorted({name for header in headers for name in header.unknown_galleries})
    if not unknown and all(header.searched for header in headers):
        return
    if any(map(has_hits, responses)):
        if unknown and len(set(options.get("galleries", ()))) > 1:
            note(_HITS_OF_SOME.format(_listed(unknown)))
    elif any(header.policy for header in headers):
        found = _NO_HIT if any(header.calibration for header in headers) else _NOT_RATED
        gallery = f"what is in gallery {_listed(unknown)}, if there is such a gallery"
        asked = f"what matches {filters}" if filters else "all that is enrolled"
        what = gallery if unknown else f"{asked}, if there is anything"
        note(_HITS_ALONE.format(found, what))
    elif unknown:
        warn(_UNKNOWN_GALLERIES.format(_listed(unknown)))
    else:
        warn(_NOTHING_SEARCHED.format(f" matches {filters}" if filters else ""))


_FILTERS: Mapping[str, Literal["galleries", "owners", "categories"]] = {
    "gallery": "galleries",
    "owner": "owners",
    "category": "categories",
}
"""By option what a search has it as."""


def _listed(names: Sequence[str]) -> str:
    return " or ".join(map(printable, names))


_NOTHING_SEARCHED = (
    "no reference took part: none that this entity may search for this purpose{}; `likeness list` shows those that "
    "there are."
)

_UNKNOWN_GALLERIES = (
    "no reference that this entity may know of is in gallery {}. Check how the name is spelt; `likeness list` "
    "shows the galleries of every reference."
)

_HITS_ALONE = "{} Of {}, this entity may see hits alone: how many references took part is not shown to it."

_NO_HIT = "There was no hit."
_NOT_RATED = "Hits need a calibration, which the models in use have not."

_HITS_OF_SOME = (
    "Of what is in gallery {} this entity may see hits alone: from which of them they are, and whether each "
    "exists, is not shown to it."
)
