"""How much one file may cost: bytes, pages, characters, seconds and memory."""

from dataclasses import dataclass

__all__ = [
    "LINES_KEPT",
    "MAX_BYTES",
    "MAX_CHARS",
    "MAX_COMPRESSION",
    "MAX_CONTAINER_BYTES",
    "MAX_FIELD",
    "MAX_ITEMS",
    "MAX_MEMBERS",
    "MAX_MEMORY",
    "MAX_PAGES",
    "MAX_PAGE_POINTS",
    "MAX_SECONDS",
    "MAX_TAGS",
    "Limits",
]

#: the longest letter seen has 27 kB of text and 300 kB of PDF; far above that is no letter
MAX_BYTES = 50_000_000
#: the longest letter seen has 13 pages
MAX_PAGES = 2_000
#: what is handed on is at most this long, whatever the file's kind
MAX_CHARS = 1_000_000
#: a letter takes milliseconds; time for one letter or one row of a table, in seconds of the clock
MAX_SECONDS = 60.0
#: of the process that reads, in bytes; with every reader loaded it needs a third of that
MAX_MEMORY = 2_000_000_000
#: archives and tables are read bit by bit; California's whole archive has 2.7 GB of text
MAX_CONTAINER_BYTES = 50_000_000_000
#: letters in one zip file; their list alone takes half a kilobyte each
MAX_MEMBERS = 1_000_000
#: text shrinks to a third, boilerplate to a twentieth; what shrinks more than this is a bomb
MAX_COMPRESSION = 200
#: a letter that Word saved as HTML has some thousand; a million take most of a minute
MAX_TAGS = 200_000
#: disputed items of a letter; the longest letter seen has 21
MAX_ITEMS = 200
#: characters of a clinical summary or a rationale; the longest seen has 8,000
MAX_FIELD = 100_000
#: guideline lines and treatments whose reading is remembered: of 360 real lines 204 are distinct
LINES_KEPT = 10_000
#: largest page side that the PDF standard allows, in points (200 inches)
MAX_PAGE_POINTS = 14_400


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one letter may cost.

    Attributes
    ----------
    bytes : int
        Of one letter's file, also when it was packed.
    pages : int
        Of a PDF.
    seconds : float
        By the clock, for each letter or row.
    memory : int
        Address space of the reading process, in bytes.
    """

    bytes: int = MAX_BYTES
    pages: int = MAX_PAGES
    seconds: float = MAX_SECONDS
    memory: int = MAX_MEMORY
