"""Which pages have to be made anew, so that a site built in steps is the one that is built at once.

    the content of a page, or of a file that it depends on, is another one   ->  it is read anew
    what other pages may quote of any page is another one                    ->  all pages are written anew

Sphinx itself goes by times of change, which a copied or restored file need not have; and it takes no notice of a page
that quotes another one's title, in its text or in the list of chapters beside it.
"""

import hashlib
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def page_digest(env: BuildEnvironment, docname: str) -> str:
    """Return one number for the contents of a page's file and of all files that it depends on."""
    digest = hashlib.sha256()
    for path in (env.doc2path(docname), *sorted(map(str, env.dependencies[docname]))):
        path = Path(env.srcdir, path)
        digest.update(path.read_bytes() if path.is_file() else b"none")
    return digest.hexdigest()


def quotable(env: BuildEnvironment) -> str:
    """Return all that a page can quote of others: titles and their order, labels, objects, cited works."""
    objects = [(domain.name, *entry) for domain in env.domains.values() for entry in domain.get_objects()]
    citations = env.domaindata.get("cite", {}).get("citations", [])
    titles = [(docname, title.astext()) for docname, title in env.titles.items()]
    labels = env.domaindata["std"]["labels"].items(), env.domaindata["std"]["anonlabels"].items()
    order = env.toctree_includes.items()
    text = "\n".join(sorted(map(repr, (*objects, *citations, *titles, *order, *labels[0], *labels[1]))))
    return hashlib.sha256(text.encode()).hexdigest()


def pages_to_read(app: Sphinx, env: BuildEnvironment, added: set, changed: set, removed: set) -> set[str]:
    """Name the pages that are not what they were when they were last read."""
    digests = getattr(env, "page_digests", {})
    return {docname for docname in env.found_docs - added if digests.get(docname) != page_digest(env, docname)}


def pages_to_write(app: Sphinx, env: BuildEnvironment) -> set[str]:
    """Keep what the next build compares with; name all pages if one of them may quote something that is new."""
    env.page_digests = {docname: page_digest(env, docname) for docname in env.found_docs}
    before, env.quotable = getattr(env, "quotable", None), quotable(env)
    return set() if before == env.quotable else set(env.found_docs)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect both to Sphinx."""
    app.connect("env-get-outdated", pages_to_read)
    app.connect("env-updated", pages_to_write, priority=900)  # after bibtex, which numbers the cited works
    return {"parallel_read_safe": True, "parallel_write_safe": True}
