"""Words for and against a contrast agent, as makers and radiographers write them.

English, and the words of some other languages that head scans are labelled in. A text that says
both, such as "W/WO CONTRAST", names what an examination consists of, not what a series shows: it
decides nothing.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass

# Agents by the beginnings of their names: iodine for CT, gadolinium for MR.
_AGENTS = (
    r"io(?:hex|pam|pro[mv]|dix|mep|mer|ver|bit|xil|xag|thal|tro)\w*|omnipa\w*|isovue\w*"
    r"|ultravist\w*|visipa\w*|imeron\w*|optiray\w*|xenetix\w*|oxilan\w*|accupa\w*|conray\w*"
    r"|hexabrix\w*|solutrast\w*|niopam\w*|scanlux\w*|iodin\w*|jod|gad(?:o|avi)\w*|gad|gd|dotarem\w*"
    r"|clariscan\w*|magnevist\w*|omniscan\w*|prohance\w*|multihance\w*|primovist\w*|eovist\w*"
    r"|elucirem\w*|vueway\w*"
)
# "C" alone, which is not the cervical spine's.
_C = r"c(?![ -]*(?:sp|t sp|arm|sect|coll))"
# What is given or not.
_NOUN = (
    rf"(?:contras\w*|contr|kontras\w*|kontr|con|cont|cte|km|mdc|pdc|cm|ce|civ|inj|injec\w*|inyec\w*|dye"
    rf"|agent|enhanc\w*|varjoain\w*|iv|intraven\w*|ic|{_AGENTS}|{_C})(?!\w)"
)
_WITHOUT = (
    r"(?:no|non|not|without|w ?/? ?o(?:ut)?|sans|ohne|senza|sin|sem|sine|zonder|utan|uden|uten|bez"
    r"|ilman|free of|frei von|pre|before|vor|avant|pas de|kein\w*|none|nil|zero|un)"
)
_WITH = r"(?:with|w ?/|w|post|after|plus|mit|nach|avec|apres|con|com|med|met|dopo|efter|etter|\+|&)"
_ROUTE = r"(?:any[ -]*|iv[ -]*|intravenous[ -]*|ic[ -]*|i ?- ?v[ -]*)*"
# "Without" alone means contrast unless one of these follows.
_OTHER = r"(?![ -]*(?:tilt|gantry|kipp|mar(?!\w)|metal|art[ei]|filter|motion|sedat|move))"

# Says nothing of an agent: a window, a filter, a place, a course, what a person does not stand.
_ASIDE = re.compile(
    # Made from a scan with an agent: what it shows is neither.
    r"virtual[ -]*(?:non?|un)[ -]*(?:contrast|enhanc)\w*"
    r"|(?<!\w)(?:hi|high|lo|low|max\w*|tissue|image|gr[ae]y|white)[ -]*contrast"
    r"(?![ -]*(?:med|agent))"
    r"|(?:edge|detail|resol\w*)[ -]*enhanc\w*|(?<![\w-])enhanc\w*[ -]*resol\w*"
    r"|(?<!\w)(?:(?:no|nil|known|contrast|iodin\w*|km|dye|agent|drug|medium)[ -]?)*\w*allerg\w*"
    r"(?: (?:to|against|gegen|iodin\w*|jod|contrast\w*|kontrast\w*|km|dye|agents?|medi\w+))*"
    r"|(?<!\w)nkd?a(?!\w)"
    r"|(?<!\w)(?:pre|post)[ -]*(?:foss|op|surg|traum|proc|treat|ictal|crani|thromb|evd|tpa)\w*"
    r"|(?:arterial|venous)(?: sinus)? (?:thromb|infarct|malf|occl|dissec|hypert)\w*|angiopath\w*"
    r"|alternativ\w*"
)
_ORAL = (
    r"(?:oral\w*|per os|p ?\. ?o|po|rectal\w*|enteral\w*|gastrogr\w*|gastrovist|readi[ -]*cat"
    r"|barium)(?!\w)"
)
_NO_ORAL = re.compile(rf"(?<!\w){_WITHOUT}[ -]*{_ORAL}(?:[ -]*{_NOUN})?")
_ONLY_ORAL = re.compile(rf"(?<!\w)(?:{_WITH}[ -]*)?{_ORAL}(?:[ -]*contr(?:as\w*)?)?(?:[ -]*only)?")
# Slices, which may follow any of these words: 0.6, 0,75, 5.0 and 5 mm. What is 0 is an amount.
_SLICES = re.compile(
    r"(?<![\d.,])-?(?!0+[.,]?0*(?![\d.,]))(?:\d+[.,]\d+(?: ?mm(?!\w))?|\d+ ?mm(?!\w))"
    r"(?![\d.,]*\d)(?! ?(?:ml|cc)(?!\w))"
)
_BOTH = re.compile(r"\+ ?/ ?-|- ?/ ?\+|±|(?<!\w)w ?w ?/? ?o(?!\w)")
_NO = re.compile(
    rf"(?<!\w){_WITHOUT}[ -]*{_ROUTE}{_NOUN}"
    r"|(?<!\w)(?:without|w ?/? ?o(?:ut)?|sans|ohne|senza|zonder|utan|uden|uten|ilman|pre)(?!\w)"
    rf"{_OTHER}"
    r"|(?<!\w)(?:plain|simple(?! part)|blanco|nect|nc[ -]*ct|ct[ -]*nc|non?con\w*|precon\w*)(?!\w)"
    r"|nativ\w*|natiiv\w*|natief|varjoaineet\w*"
    r"|(?:[ck]ontrast(?:mitt?el|middel|medel)?|(?<!\w)(?:k ?m|iv|agent))[ -]*"
    r"(?:los|frei|free|less|fri)(?:e[nrs]?|tt?)?(?!\w)"
    r"|(?<!\w)(?:contras\w*|contr|kontras\w*|km|iv|mdc|agent|medium|injection)"
    r" ?[:=]? ?(?:no|none|not|nil|nein|nej|ei|off|absent|0(?:[.,]0+)?(?! ?[.,]?\d))(?!\w)"
    r"|(?<![\w+])c ?-(?!\w)|(?<![\w+/])-c(?!\w)|(?<!\w)s ?/ ?c(?!\w)|(?<!\w)(?:km|iv) ?-(?!\w)"
    r"|(?<!\w)s ?/ ?(?:contras\w*|cte|kontras\w*)|(?<!\w)contras\w* ?[:=] ?n(?!\w)"
    r"|(?<!\w)c ?minus(?!\w)"
    r"|kontrasts[iı]z|без контраст\w*|нативн\w*"
    r"|平扫|平掃|単純|非造影"
)
_YES = re.compile(
    rf"(?<!\w){_WITH}[ -]*{_ROUTE}{_NOUN}"
    # What is left of "with and without contrast" once "without contrast" is taken out.
    r"|(?<!\w)(?:with|w|mit|avec|con|med|met|post) ?/? ?(?:and|und|et|y|e|och|en|or|[&/+,])? ?§"
    r"|(?<!\w)post(?= *(?:[\d¦]|$))|(?<!\w)(?:w(?= *¦)|(?:w|with)(?= *$))"
    r"|(?<!\w)iv(?= *(?:&|and|[/,+])? *(?:$|¦))"
    r"|(?<!\w)(?:head|brain|kopf|neck|hals)?ct[ -]?a(?=head|neck|brain|kopf|hals|cow|carot|(?!\w))"
    r"|(?<!\w)(?:ct)?angio\w*|(?<!\w)(?:ce[ -]*ct|ctp|ctv|cow|perf|perfusion\w*|km)(?!\w)"
    r"|venogra\w*|[ck]ontrast\w*+(?![ -]*\d*[ -]*(?:window|resol))|enhanced|varjoain\w*"
    r"|injecte\w*|injection|inyectad\w*"
    r"|(?<!\w)bolus\w*|(?<!\w)(?:arter(?:ial|iel)|ven(?:os|ous|oes)|portal|delayed|late phase)\w*"
    r"|(?<!\w)spatphase|intrathec\w*|cisternogra\w*|myelogra\w*"
    rf"|(?<!\w)(?:{_AGENTS})(?!\w)"
    rf"|(?<!\w)(?:c|km|iv)\+(?!\w)|\+ ?(?:{_C}|km|iv|gd|contrast\w*)(?!\w)|(?<!\w)c ?/ ?c(?!\w)"
    r"|(?<!\w)ce(?=[ -]*(?:ct|mr|¦|$))|(?<!\w)c ?plus(?!\w)|(?<!\w)[сc] контраст\w*"
    r"|增强|增強|造影"
)


@dataclass(frozen=True)
class Said:
    """What a text says: with a contrast agent or without one (None: both), and in which words."""

    given: bool | None
    words: str


@functools.lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Lower the case, drop accents, and part what labels write together: ``HeadCTA05``."""
    # Names cannot hold a point: 0p6, 0_6.
    text = re.sub(r"(?<=\d)[_p](?=\d)", ".", text.replace("mL", "ml"))
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    text = re.sub(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])", " ", text)
    text = unicodedata.normalize("NFKD", text.casefold())
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    text = re.sub(r"(?<![a-z])([a-z])\.([a-z])(?![a-z])\.?", r"\1\2", text.replace("_", " "))
    return re.sub(r"\s+", " ", text).strip()


def without_asides(text: str) -> str:
    """Return what is left of a text, made `plain`, without words that concern no agent."""
    return _ASIDE.sub(" ", plain(text))


@functools.lru_cache(maxsize=4096)
def said(text: str) -> Said | None:
    """Read a description or a label; None where it says nothing.

    Words against an agent are taken out before words for one are looked for: "no contrast" holds
    "contrast". An agent that was only swallowed does not reach the vessels of the head.
    """
    rest = _SLICES.sub(" ¦", without_asides(text))
    if both := _BOTH.search(rest):
        return Said(None, both[0])
    rest = _NO_ORAL.sub(" ", rest)
    oral = _ONLY_ORAL.search(rest)
    rest = _ONLY_ORAL.sub(" ", rest)
    no = _NO.search(rest)
    yes = _YES.search(_NO.sub("§", rest))
    found = yes or no or oral
    if found is None:
        return None
    given = None if yes and no else yes is not None
    return Said(given, found[0].replace("§", "").strip(" -"))
