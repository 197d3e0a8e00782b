"""Which pages have to be made anew, so that a site built in steps is the one that is built at once.

    the content of a page, of its translation, or of a file that it depends on, is another one   ->  it is read anew
    what other pages may quote of any page is another one                    ->  all pages are written anew

Sphinx itself goes by times of change, which a copied or restored file need not have; and it takes no notice of a page
that quotes another one's title, in its text or in the list of chapters beside it.
"""

import hashlib
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def page_digests(env: BuildEnvironment, docnames: Iterable[str]) -> dict[str, str]:
    """Return for each of these pages one number for the contents of its file, of its translation, and of all files that
    it depends on.
    """
    translations = [Path(folder, env.config.language, "LC_MESSAGES") for folder in env.config.locale_dirs]

    @cache
    def content(path: str) -> bytes:
        file = Path(env.srcdir, path)
        return hashlib.sha256(file.read_bytes()).digest() if file.is_file() else b"none"

    return {
        docname: hashlib.sha256(
            b"".join(
                map(
                    content,
                    (
                        env.doc2path(docname),
                        *(str(folder / f"{docname}.mo") for folder in translations),
                        *sorted(map(str, env.dependencies[docname])),
                    ),
                )
            )
        ).hexdigest()
        for docname in docnames
    }


def quotable(env: BuildEnvironment) -> str:
    """Return all that a page can quote of others: titles, their order and parts, labels, objects, cited works."""
    objects = [(domain.name, *entry) for domain in env.domains.values() for entry in domain.get_objects()]
    cited = env.domaindata.get("cite", {}).get("citations", [])
    citations = [(one.key, one.citation_id, one.formatted_entry.label) for one in cited]
    titles = [(docname, title.astext()) for docname, title in env.titles.items()]
    labels = env.domaindata["std"]["labels"].items(), env.domaindata["std"]["anonlabels"].items()
    order = env.toctree_includes.items()
    toctrees = [(name, one) for name in env.toctree_includes for one in env.tocs[name].findall(addnodes.toctree)]
    parts = [(name, one.get("caption")) for name, one in toctrees]
    text = "\n".join(sorted(map(repr, (*objects, *citations, *titles, *order, *parts, *labels[0], *labels[1]))))
    return hashlib.sha256(text.encode()).hexdigest()


def pages_to_read(app: Sphinx, env: BuildEnvironment, added: set, changed: set, removed: set) -> set[str]:
    """Name the pages that are not what they were when they were last read."""
    before = getattr(env, "page_digests", {})
    now = page_digests(env, env.found_docs - added)
    return {docname for docname in now if before.get(docname) != now[docname]}


def pages_to_write(app: Sphinx, env: BuildEnvironment) -> set[str]:
    """Keep what the next build compares with; name all pages if one of them may quote something that is new."""
    env.page_digests = page_digests(env, env.found_docs)
    before, env.quotable = getattr(env, "quotable", None), quotable(env)
    if before == env.quotable:
        return set()
    # The pages with the modules' sources have the list of chapters beside them, too.
    shutil.rmtree(Path(app.outdir, "_modules"), ignore_errors=True)
    return set(env.found_docs)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect both to Sphinx."""
    app.connect("env-get-outdated", pages_to_read)
    app.connect("env-updated", pages_to_write, priority=900)  # after bibtex, which numbers the cited works
    return {"parallel_read_safe": True, "parallel_write_safe": True}
