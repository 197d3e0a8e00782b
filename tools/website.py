"""Build the website with every warning as an error: `python tools/website.py [--edition class] [--out DIR]`.

The site goes to `_build/html` beside this folder, or to `DIR/_build/html`.  That of the class edition, which has no
solution, goes to `_build/class/html`; it is built from a copy of the book, see tools/edition.py.  Besides, only
`book/api` is written: a few lines for each module of the package, from which Sphinx makes the API reference.

In another language than English the site lies within the English one, in `html/zh_CN`, with the same pages; what has no
translation in `book/locale` is English there.  `--language zh_CN` builds it, and `--language all` both; without it
English is built.  Where both are, each page has a link to itself in the other language.

A second build reads and writes only what has changed since the first.  It is as good as a clean one, by three rules:

    what all pages are made with has changed    ->  all is built from nothing (`made_with` says what that is)
    a page, or a file that it shows, has changed ->  it is read and written anew (book/_ext/uptodate.py)
    what other pages may quote of it has, too   ->  all pages are written anew (the same)

After a build that failed, all is built from nothing: a warning about a page that is not read again would be lost.
"""

import argparse
import contextlib
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What each language calls itself; the pages of the first one are those of the sources.
LANGUAGES = {"en": "English", "zh_CN": "中文"}

# Where book/_ext/languages.py leaves room on each page.
SWITCH = re.compile("<!-- languages -->.*?<!-- end of languages -->", re.DOTALL)


def made_with() -> str:
    """Return one number for all that every page depends on, the pages' own files left out.

    That is the settings, the table of contents, the code of the build, what is in `book` and is no page (styles,
    references, drawings, the site's own words in other languages), the installed packages, and which pages and modules
    there are.
    """

    def parts() -> Iterator[bytes]:
        yield f"{ROOT} {sys.version}".encode()
        for folder in sys.path:
            yield from sorted(path.name.encode() for path in Path(folder).glob("*.dist-info"))
        for path in sorted(path for folder in ("chapters_code", "notebooks") for path in (ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".ipynb") and ".ipynb_checkpoints" not in path.parts:
                yield path.relative_to(ROOT).as_posix().encode()
        # website.py, and edition.py, which says what the class edition is made of.
        for path in (ROOT / "_config.yml", ROOT / "_toc.yml", *sorted((ROOT / "tools").glob("[ew]*.py"))):
            yield path.read_bytes()
        for path in sorted((ROOT / "book").rglob("*")):
            # The translation of a page counts with the page.
            of_a_page = {"api", "__pycache__"} & set(path.parts) or ("locale" in path.parts and path.name != "site.po")
            if path.is_file() and not of_a_page:
                yield path.relative_to(ROOT).as_posix().encode()
                if path.suffix != ".md":
                    yield path.read_bytes()

    digest = hashlib.sha256()
    for part in parts():
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def places(out: Path, edition: str, language: str) -> tuple[Path, Path]:
    """Return the folder of a site, and that of what is kept for its next build."""
    home = out / "_build" / ("class" if edition == "class" else "")
    return (home / "html", home) if language == "en" else (home / "html" / language, home / language)


def build_all(out: Path, edition: str = "open") -> int:
    """Build the site in every language, each in a Python of its own: Sphinx keeps the words of the last one."""
    for language in LANGUAGES:
        command = [sys.executable, __file__, "--out", str(out), "--edition", edition, "--language", language]
        if returncode := subprocess.run(command).returncode:
            return returncode
    return 0


def build(out: Path, edition: str = "open", language: str = "en") -> int:
    """Build the site into `out/_build/html`, from nothing or from what is left of the last build.

    Args:
        out: A folder; it is made when it is missing.
        edition: Or "class": into `out/_build/class/html`, without solutions.
        language: One of `LANGUAGES`; all but English into a folder of that name within the English site.

    Returns:
        0 if the site was built without a warning; otherwise 1, and everything that Sphinx said is printed.
    """
    start = time.perf_counter()
    home = out / "_build" / ("class" if edition == "class" else "")
    if edition == "class" and (ROOT / "chapters_code" / "exercises" / "solutions").is_dir():
        return build_copy(out, home / "source", language)
    html, home = places(out, edition, language)
    stamp, state = home / ".made_with", made_with()
    # A site within another one may have gone with it.
    if not html.is_dir() or not stamp.is_file() or stamp.read_text(encoding="utf-8") != state:
        for folder in (html, home / ".doctrees", home / "jupyter_execute"):
            shutil.rmtree(folder, ignore_errors=True)
    # Gone until all has gone well, so that a build that was stopped is begun anew.
    stamp.unlink(missing_ok=True)

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            failed = run_sphinx(html, home, language)
    except Exception as error:  # Sphinx raises what no page can be built with
        failed = error
    if failed:
        print(said.getvalue(), failed, sep="", file=sys.stderr)
        print("The site was not built; the warnings above say why.", file=sys.stderr)
        return 1
    (html / ".nojekyll").touch()  # or GitHub Pages would leave out folders that begin with _
    (html / "index.html").write_text('<meta http-equiv="Refresh" content="0; url=book/index.html" />\n')
    stamp.write_text(state, encoding="utf-8")
    link_languages(html if language == "en" else html.parent)
    print(f"Built in {time.perf_counter() - start:.1f} s.")
    name = "The site" if language == "en" else f"The site in {language}"
    print(f"{name}: {html / 'index.html'} (open it, or `make serve`)")
    return 0


def link_languages(root: Path) -> None:
    """Write into each page a link to the same page in each other language; take out those that lead nowhere.

    Args:
        root: The folder of the English site.
    """
    homes = {language: root if language == "en" else root / language for language in LANGUAGES}
    homes = {language: home for language, home in homes.items() if (home / "book" / "index.html").is_file()}
    inner = [home for home in homes.values() if home != root]
    for language, home in homes.items():
        for page in home.rglob("*.html"):
            if home == root and any(page.is_relative_to(other) for other in inner):
                continue
            text = page.read_text(encoding="utf-8")
            links = ""
            for other, other_home in homes.items():
                there = other_home / page.relative_to(home)
                if other != language and there.is_file():
                    tag, address = other.replace("_", "-"), Path(os.path.relpath(there, page.parent)).as_posix()
                    attributes = f'href="{address}" hreflang="{tag}" lang="{tag}"'
                    links += f'<a class="language" {attributes}>{LANGUAGES[other]}</a>'
            new = SWITCH.sub(lambda _, links=links: f"<!-- languages -->{links}<!-- end of languages -->", text)
            if new != text:
                page.write_text(new, encoding="utf-8")


def compile_catalogues(language: str, target: Path) -> None:
    """Write the translations of `book/locale` in the form that Sphinx reads; what is doubtful (fuzzy) stays out.

    Args:
        language: Such as "zh_CN".
        target: A folder, in which nothing else may be.
    """
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    source = ROOT / "book" / "locale" / language / "LC_MESSAGES"
    target = target / language / "LC_MESSAGES"
    compiled = {}
    for path in sorted(source.rglob("*.po")):
        with path.open("rb") as file:
            written = io.BytesIO()
            write_mo(written, read_po(file, locale=language), use_fuzzy=False)
            compiled[target / path.relative_to(source).with_suffix(".mo")] = written.getvalue()
    for path in set(target.rglob("*.mo")) - compiled.keys():
        path.unlink()
    for path, content in compiled.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def build_copy(out: Path, source: Path, language: str) -> int:
    """Write the class edition of the book into `source`, and let it build its own site."""
    from edition import write_tree

    try:
        write_tree(source)
    except ValueError as error:
        print(f"The site was not built: {error}.", file=sys.stderr)
        return 1
    command = [sys.executable, str(source / "tools" / "website.py"), "--edition", "class", "--out", str(out)]
    command += ["--language", language]
    return subprocess.run(command).returncode


def pages() -> list[str]:
    """Return patterns for the files that are pages: those in the table of contents, and no others.

    Jupyter Book would leave the others out, too, but finds none of them where the book's folder has a `[` in its path.
    """
    from sphinx_external_toc.parsing import parse_toc_yaml

    contents = parse_toc_yaml(ROOT / "_toc.yml")
    return sorted(f"{name}.*" for name in {*contents, *contents.globs()})


def run_sphinx(html: Path, home: Path, language: str = "en", builder: str = "html") -> int:
    """Call Sphinx as `jupyter-book build` does, but on all processors; return 0 if nothing was wrong.

    Args:
        html: Where the site goes.
        home: Where goes what is kept for the next build.
        language: One of `LANGUAGES`.
        builder: Or "gettext", for tools/translation.py.
    """
    # This tree's chapters_code, whichever copy is installed; and no __pycache__ left in the sources.
    sys.path.insert(0, str(ROOT))
    sys.dont_write_bytecode = True
    # Sphinx forks; a pool of threads would not survive that.
    os.environ["OMP_NUM_THREADS"] = "1"
    # Jupyter Book checks its settings with jsonschema, which makes 38 grammars of addresses out of this package when
    # it is imported.  That takes seconds, and no setting of ours is checked by one.
    sys.modules.setdefault("rfc3987_syntax", None)
    from jupyter_book.config import get_final_config
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    overrides = {"external_toc_path": str(ROOT / "_toc.yml"), "nitpicky": True, "latex_individualpages": False}
    overrides["include_patterns"] = pages()
    # Each page has a catalogue of its own, and the site's own words have one.
    overrides |= {"language": language, "gettext_compact": False, "gettext_location": False}
    overrides |= {"locale_dirs": [str(home / "locale")], "gettext_auto_build": False}
    if language != "en":
        compile_catalogues(language, home / "locale")
    settings, _ = get_final_config(user_yaml=ROOT / "_config.yml", cli_config=overrides, sourcedir=ROOT)
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            srcdir=ROOT,
            confdir=None,
            outdir=html,
            doctreedir=home / ".doctrees",
            buildername=builder,
            confoverrides=settings,
            status=None,
            warningiserror=builder == "html",
            keep_going=True,
            parallel=os.cpu_count(),
        )
        # It numbers chapters, which ours do in their titles, and does not say that it can read on two processors.
        app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True
        app.build()
    return app.statuscode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the website of the book.")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder for _build (default: the repository)")
    parser.add_argument("--edition", choices=("open", "class"), default="open", help="class: without solutions")
    parser.add_argument("--language", choices=(*LANGUAGES, "all"), default="en", help="which (default: en)")
    arguments = parser.parse_args()
    if arguments.language == "all":
        sys.exit(build_all(arguments.out.resolve(), arguments.edition))
    sys.exit(build(arguments.out.resolve(), arguments.edition, arguments.language))
