"""Keep the translations of the book: `python tools/translation.py [PAGE ...]`, which is `make translations`.

    python tools/translation.py                          bring the catalogues up to date and say what is translated
    python tools/translation.py --open book/setup        the same, and put into that page's catalogue what is open
    python tools/translation.py --drop                   the same, and throw away what is stale

A catalogue is a file of `book/locale`, in the form of gettext (.po): one for each page that has a translation, and
`site.po` with the words that the site has beside its pages.  It holds a message, such as a paragraph as it is written,
and below it what it is in Chinese.  What has no translation is left out, so that a catalogue stays small; the page is
English there.

When a message has changed, its translation is stale.  It goes to the message that is most like the old one, and is
marked `fuzzy`; or, where none is, to the end of the file, behind `#~`.  The site shows neither of them.  Read it, mend
it, and take the mark and the line with the old message away.
"""

import argparse
import difflib
import io
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import denormalize, read_po, write_po

import website
from notebooks import store

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "book" / "locale"

# Pages that nobody is asked to translate: they are made from the code, or from the list of works.
MADE = ("book/api", "book/bibliography")

SITE = "site"
FILES = {"python": "book/_ext/*.py", "javascript": "book/_static/*.js"}
SETTINGS = re.compile(r"^\s*(?:search_bar_text|nb_code_prompt_show|nb_code_prompt_hide): (.*)$", re.MULTILINE)

# What a translation must have as the original has it, roles and code first, since they may hold the others.
KEPT = {
    "role": r"\{[\w:-]+\}`[^`]+`",
    "code": r"`[^`]+`",
    "formula": r"\$[^$]+\$",
    "link": r"\]\([^)]*\)",
    "mark for the style": r"\{[.#][^}]*\}",
    "value": r"\{\w+\}",
    "number": r"\d+(?:\.\d+)*",
}
ALIKE = 0.6  # how like the old message a new one must be to get its translation, 0 to 1

HEADER = """\
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def messages(folder: Path) -> dict[str, list[str]]:
    """Return the messages of each page in their order, and those of the site itself.

    Args:
        folder: Where Sphinx may work.
    """
    status = website.run_sphinx(folder / "gettext", folder, builder="gettext")
    if status:
        raise RuntimeError("Sphinx could not read the pages; `make book` says why")
    found = {SITE: site_messages()}
    for path in sorted((folder / "gettext").rglob("*.pot")):
        page = path.relative_to(folder / "gettext").with_suffix("").as_posix()
        if not page.startswith(MADE):
            with path.open("rb") as file:
                found[page] = [message.id for message in read_po(file) if message.id]
    return found


def site_messages() -> list[str]:
    """Return the words that the site has beside its pages: of the extensions, the scripts, the settings."""
    found = []
    for method, pattern in FILES.items():
        for path in sorted(ROOT.glob(pattern)):
            found += [text for _, text, *_ in extract_from_file(method, str(path), keywords={"_": None, "say": None})]
    found += SETTINGS.findall((ROOT / "_config.yml").read_text(encoding="utf-8"))
    drawing = (ROOT / "book" / "figures" / "crack.svg").read_text(encoding="utf-8")
    found += [words for words in re.findall(r"<(?:text|title)[^>]*>([^<]+)</", drawing) if words not in ("max", "min")]
    # The numbers of questions, which are looked up.
    found += ["Five", "Six", "Seven", "Eight", "Nine", "Ten"]
    return list(dict.fromkeys(found))


def catalogue(page: str, language: str = "zh_CN") -> Path:
    """Return the file in which the translation of a page is, or would be."""
    return LOCALE / language / "LC_MESSAGES" / f"{page}.po"


def load(path: Path) -> Catalog:
    """Read a catalogue; one that is not there is empty."""
    if not path.is_file():
        return Catalog()
    with path.open("rb") as file:
        entries = read_po(file, abort_invalid=True)
    for one in entries:
        # Babel takes the line with the old message, which it writes itself, for a remark.
        lines = [line for line in one.user_comments if line.startswith("| ")]
        if lines:
            one.user_comments = [line for line in one.user_comments if line not in lines]
            one.previous_id = [denormalize("\n".join(line[2:] for line in lines).removeprefix("msgid "))]
    return entries


def translations(path: Path) -> dict[str, str]:
    """Return what a catalogue says of each message, but for what is stale."""
    return {one.id: one.string for one in load(path) if one.id and one.string and not one.fuzzy}


def stale(path: Path, wanted: list[str]) -> list[str]:
    """Return the messages of a catalogue that are fuzzy, obsolete, or no longer on the page."""
    entries = load(path)
    return [one.id for one in entries if one.id and (one.fuzzy or one.id not in wanted)] + list(entries.obsolete)


def terms() -> set[str]:
    """Return the English words of the glossary, which stay English beside their Chinese ones."""
    table = (ROOT / "book" / "notation.md").read_text(encoding="utf-8").partition("## Words")[2]
    return {" ".join(row.split()) for row in re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE)}


def needs_one(message: str, known: set[str] = frozenset()) -> bool:
    """Say whether a message needs a translation: it has words that are no code, and is no term of the glossary."""
    words = re.sub(r"`[^`]*`|\$[^$]*\$|\]\([^)]*\)", " ", message)
    has_word = re.search(r"[A-Za-z]{3,}", words) and not re.search("[\u4e00-\u9fff]", words)
    return bool(has_word) and message not in known


def share(wanted: list[str], said: dict[str, str], known: set[str] = frozenset()) -> tuple[int, int]:
    """Return how many messages of a page are translated, and how many need it."""
    open_to = [message for message in wanted if needs_one(message, known)]
    return sum(message in said for message in open_to), len(open_to)


def faults(message: str, translation: str) -> list[str]:
    """Say what a translation has not as the original has it."""
    # The words of a role that has a target are translated: {doc}`words <target>`.
    texts = [re.sub(r"(\{[\w:-]+\}`)[^`<]*<([^`>]*)>`", r"\1\2`", text) for text in (message, translation)]
    found = []
    for name, pattern in KEPT.items():
        theirs, mine = (Counter(re.findall(pattern, text)) for text in texts)
        texts = [re.sub(pattern, " ", text) for text in texts]
        found += [f"it lacks the {name} {kept}" for kept in theirs - mine]
        found += [f"it has the {name} {kept}, which the original has not" for kept in mine - theirs]
    return found


def update(old: Catalog, wanted: list[str], opened: bool = False, drop: bool = False) -> Catalog:
    """Return a catalogue that fits the messages of a page.

    Args:
        old: The catalogue as it is.
        wanted: The page's messages, in their order.
        opened: Put in those without a translation, too.
        drop: Throw away what is stale.
    """
    new, said = Catalog(), {one.id: one for one in old if one.id and one.string}
    gone = {key: one for key, one in said.items() if key not in wanted and not drop}
    heirs = {}
    for key, one in gone.items():
        free = [text for text in wanted if text not in said and text not in heirs]
        like = difflib.get_close_matches(key, free, 1, ALIKE)
        if like:
            heirs[like[0]] = one
    for text in wanted:
        if text in said and not (said[text].fuzzy and drop):
            new[text] = said[text]
        elif text in heirs:
            old_text = heirs[text].previous_id or heirs[text].id  # what it is the translation of
            new[text] = Message(text, heirs[text].string, flags=["fuzzy"], previous_id=old_text)
        elif opened and needs_one(text, terms()):
            new[text] = Message(text, "")
    left = {key: one for key, one in gone.items() if one not in heirs.values()}
    if not drop:
        new.obsolete.update({**old.obsolete, **{key: Message(key, one.string) for key, one in left.items()}})
    return new


def as_text(entries: Catalog, language: str = "zh_CN") -> str:
    """Return a catalogue as it is stored: without dates and places, so that it changes only when its words do."""
    stored = io.BytesIO()
    write_po(stored, entries, width=0, omit_header=True, no_location=True, include_previous=True)
    return HEADER.format(language=language) + stored.getvalue().decode("utf-8").strip() + "\n"


def write(path: Path, entries: Catalog) -> None:
    """Store a catalogue, whole or not at all; one without an entry is removed."""
    if not any(one.id for one in entries) and not entries.obsolete:
        path.unlink(missing_ok=True)
        return
    text = as_text(entries)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    store(path, text)


def report(found: dict[str, list[str]]) -> str:
    """Return a table of the pages that are translated, wholly or in part: the share, what is stale, what is broken."""
    known, lines = terms(), [f"{'page':<28} translated     stale  broken"]
    for page, wanted in found.items():
        path = catalogue(page)
        if path.is_file():
            said = translations(path)
            done, all_of_it = share(wanted, said, known)
            broken = sum(bool(faults(*pair)) for pair in said.items())
            numbers = f"{done} of {all_of_it}", done / max(all_of_it, 1), len(stale(path, wanted)), broken
            lines.append("{:<28} {:>10} {:>4.0%} {:>5} {:>7}".format(page, *numbers))
    none = [page for page in found if not catalogue(page).is_file()]
    return "\n".join([*lines, f"No catalogue: {', '.join(none)}." if none else "Every page has a catalogue."])


def main() -> int:
    """Do what the command line says; return 1 if something in a catalogue is stale or broken."""
    parser = argparse.ArgumentParser(description="Bring the translations of the book up to date.")
    parser.add_argument("--open", metavar="PAGE", nargs="+", default=[], help="put in what has no translation yet")
    parser.add_argument("--drop", action="store_true", help="throw away what is stale")
    parser.add_argument("--templates", type=Path, metavar="DIR", help="only write what could be translated, for tests")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = messages(Path(folder))
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
    if arguments.templates:
        for page, wanted in found.items():
            path = arguments.templates / f"{page}.pot"
            empty = Catalog()
            for message in wanted:
                empty[message] = Message(message, "")
            write(path, empty)
        return 0
    if unknown := set(arguments.open) - found.keys():
        print(f"No such page: {', '.join(sorted(unknown))}. There are {', '.join(found)}.", file=sys.stderr)
        return 1
    for path in LOCALE.rglob("*.po"):
        page = path.relative_to(LOCALE / "zh_CN" / "LC_MESSAGES").with_suffix("").as_posix()
        found.setdefault(page, [])  # of a page that is no more
    for page, wanted in found.items():
        write(catalogue(page), update(load(catalogue(page)), wanted, page in arguments.open, arguments.drop))
    print(report(found))
    bad = [page for page in found if stale(catalogue(page), found[page])]
    for page in found:
        for message, translation in translations(catalogue(page)).items():
            for fault in faults(message, translation):
                print(f"{page}: {message[:60]!r}: {fault}")
                bad.append(page)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
