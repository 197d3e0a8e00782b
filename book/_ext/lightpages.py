"""Pages that open on a telephone: what a reader does not see yet is not sent yet.

    coloured code      ->  one mark for a run of one colour, none for words that have the colour of all
    style sheets       ->  one file, in it no icon that no page shows
    icon script, font  ->  those icons alone, within the style sheet
    search index       ->  on the search page alone
    MathJax            ->  on pages with a formula, after the page has been shown (book.js starts it)
    pictures           ->  fetched when the reader comes near; their place is kept free; heavy ones are packed tighter
    figures that move  ->  their still picture and their module are files; book.js starts a figure that comes into view

Stored notebooks stay as they are: there, a figure holds all that it needs.  Nothing here asks another host, and all of
it works from the disk, where a page may load a script and may not fetch a file.
"""

import base64
import hashlib
import io
import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from PIL import Image
from pygments.styles import get_style_by_name
from pygments.token import STANDARD_TYPES
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx.errors import ExtensionError
from sphinx.jinja2glue import BuiltinTemplateLoader
from sphinx.locale import get_translation
from sphinx.theming import Theme
from sphinx.util import logging

_ = get_translation("site")
logger = logging.getLogger(__name__)

# The script with every TeX extension inside, and its fonts: 1.7 of the package's 24 MB.
MATHJAX_FILES = ("tex-chtml-full.js", "output/chtml/fonts/woff-v2/*.woff")

STYLESHEET = re.compile(r'\s*<link [^>]*href="([^"?]*_static/)([^"]*)"[^>]*rel="stylesheet"[^>]*>')
STYLESHEET_2 = re.compile(r'\s*<link rel="stylesheet"[^>]*href="([^"?]*_static/)([^"]*)"[^>]*>')
SCRIPT = re.compile(r'\s*<script ([^>]*)src="([^"]*)"([^>]*)></script>')
PRELOAD = re.compile(r'\s*<link rel="preload" as="script"[^>]*>')
SEARCH_SCRIPTS = ("searchtools.js", "language_data.js", "searchindex.js")

STILL = re.compile(r'<img alt="([^"]*)" src="data:image/svg\+xml;base64,([\w+/=]+)" style="[^"]*">')
MODULE = re.compile(r'import\("data:text/javascript;base64,([\w+/=]+)"\)')
STATE = re.compile(r"const state = (\{.{4000,}\});")  # a picture; smaller ones are not worth a file
SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"')

ICON_RULE = re.compile(r'((?:\.fa-[\w-]+:{1,2}before,?)+)\{content:"\\([0-9a-f]+)"\}')
HEAVY = 200_000  # bytes of a PNG
ICON_FONT = re.compile(r"@font-face\{[^}]*Font Awesome[^}]*\}")


class Templates(BuiltinTemplateLoader):
    """Sphinx's templates; each page comes out light."""

    def init(self, builder: Builder, theme: Theme | None = None, dirs: list[str] | None = None) -> None:
        """Remember the builder, to which `render` says which style sheets a page has."""
        super().init(builder, theme, dirs)
        self.builder = builder

    def render(self, template: str, context: dict) -> str:
        """Render a template; if it is a whole page, take from it what the reader does not need yet."""
        page = super().render(template, context)
        if "</head>" not in page:
            return page
        self.builder.stylesheets = [sheet for _, _, sheet in stylesheets(page)]
        if not hasattr(self, "colours"):
            options = self.builder.config.html_theme_options
            self.colours = classes_by_colour(options["pygments_light_style"], options["pygments_dark_style"])
        page = light_code(lighten(page, context.get("pagename", "")), self.colours)
        return light_photographs(page, self.builder)


def lighten(page: str, name: str) -> str:
    """Return a page of the theme without what only some pages need, and with the rest in the order of need.

    Args:
        page: The whole page.
        name: Its name, such as "search".
    """
    head, end, body = page.partition("</head>")
    formulas, tabs = 'class="math' in body, "sd-tab-" in body

    def script(match: re.Match) -> str:
        before, address, after = match.groups()
        file = address.partition("?")[0].rpartition("/")[2]
        if (
            file.startswith("fontawesome")
            or (file in SEARCH_SCRIPTS and name != "search")
            or (file.startswith("design-tabs") and not tabs)
        ):
            return ""
        if "/mathjax/" in address:
            return f'\n<meta name="formulas" content="{address}">' if formulas else ""
        defer = "" if "defer" in before + after else "defer "
        return f'\n<script {before}{defer}src="{address}"{after}></script>'

    # These two follow a script that is deferred now; a module is deferred, too.
    head = head.replace("<script>DOCUMENTATION_OPTIONS", '<script type="module">DOCUMENTATION_OPTIONS')
    if not formulas:
        head = re.sub(r"\s*<script>window\.MathJax = .*?</script>", "", head)
    head = SCRIPT.sub(script, PRELOAD.sub("", head))
    sheets = stylesheets(head)
    for i, (link, folder, _sheet) in enumerate(sheets):
        version = hashlib.sha256(repr([sheet for _, _, sheet in sheets]).encode()).hexdigest()[:8]
        one = f'\n<link rel="stylesheet" href="{folder}site.css?v={version}" />'
        head = head.replace(link, "" if i else one)
    # The theme's switch that unfolds the pages below another one has no words, for those who cannot see its arrow.
    more = _("More")
    body = body.replace(
        '<summary><span class="toctree-toggle"', f'<summary aria-label="{more}"><span class="toctree-toggle"'
    )
    if name.startswith(("_modules/", "book/api/")):  # their lines are longer than those of chapters
        kind = "sources" if name.startswith("_modules/") else "reference"
        body = body.replace('<article class="bd-article"', f'<article class="bd-article {kind}"')
    # A place for links to the same page in other languages; tools/website.py fills it.
    buttons = '<div class="article-header-buttons">'
    body = body.replace(buttons, f"{buttons}<!-- languages --><!-- end of languages -->")
    # What is written on a fold says more than this.
    body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    return head + end + light_pictures(body)


def stylesheets(head: str) -> list[tuple[str, str, str]]:
    """Find the style sheets of a page: the link, the way to `_static`, the file there; in their order."""
    found = [match for pattern in (STYLESHEET, STYLESHEET_2) for match in pattern.finditer(head)]
    return [(match[0], match[1], match[2]) for match in sorted(found, key=lambda match: match.start())]


def light_pictures(body: str) -> str:
    """Let the browser fetch pictures when they are needed, and keep their places free until then."""

    def picture(match: re.Match) -> str:
        tag = match[0]
        size = re.search(r'style="width: (\d+)px; height: (\d+)px;"', tag)
        if size and " width=" not in tag:
            tag = tag.replace("<img ", f'<img width="{size[1]}" height="{size[2]}" ')
        return tag if "logo__image" in tag or " loading=" in tag else tag.replace("<img ", '<img loading="lazy" ')

    return re.sub(r"<img [^>]*>", picture, body)


def light_photographs(page: str, builder: Builder) -> str:
    """Show the heavy pictures of notebooks as WebP, of which a photograph takes a tenth; the notebook keeps its PNG."""
    sources = {name: Path(builder.srcdir, source) for source, name in builder.images.items()}

    def picture(match: re.Match) -> str:
        png = sources.get(f"{match[1]}.png")
        if png is None or png.stat().st_size < HEAVY:
            return match[0]
        webp = Path(builder.outdir, builder.imagedir, f"{match[1]}.webp")
        if not webp.is_file():  # it is called by its content
            webp.parent.mkdir(exist_ok=True)
            with Image.open(png) as image:
                image.convert("RGB").save(webp, quality=85, method=1)
        return match[0].replace(".png", ".webp" if webp.stat().st_size < png.stat().st_size else ".png")

    return re.sub(r"_images/([0-9a-f]{64})\.png", picture, page)


# A chapter has some two thousand operators, each between two marks: 40 KB for the colour of dots and equals signs.
_PLAIN = "o"


def classes_by_colour(*styles: str) -> dict[str, str]:
    """Return for each class of coloured code the shortest one that looks the same, or "" if it looks as all text does.

    Operators are written as all text is.

    Args:
        styles: Names of styles of Pygments, the light and the dark one; what looks the same does so in all of them.
    """
    looks = [get_style_by_name(style).style_for_token for style in styles]
    seen = {name: repr([look(token) for look in looks]) for token, name in STANDARD_TYPES.items()}
    seen[_PLAIN] = seen[""]
    first = {}
    for name in sorted(seen, key=lambda name: (len(name), name)):
        first.setdefault(seen[name], name)
    return {name: first[look] for name, look in seen.items()}


def light_code(page: str, colours: dict[str, str]) -> str:
    """Take from coloured code the marks without which it looks the same; `colours` is what `classes_by_colour` says."""

    def mark(match: re.Match) -> str:
        name = colours.get(match[1], match[1])
        return f'<span class="{name}">{match[2]}</span>' if name else match[2]

    def joined(match: re.Match) -> str:
        return match[0].replace(f"</span>{match[1]}", "")

    def block(match: re.Match) -> str:
        code = re.sub(r'<span class="(\w+)">([^<]*)</span>', mark, match[0])
        # Marks of one look that follow each other become one.
        return re.sub(r'(<span class="\w+">)[^<]*</span>(?:\1[^<]*</span>)+', joined, code)

    return re.sub(r"<pre>.*?</pre>", block, page, flags=re.DOTALL)


def light_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Put the still pictures and the modules of figures that move into files, one of each, however often it is used."""
    up = "../" * app.env.docname.count("/")

    def keep(text: str, suffix: str) -> str:
        name = f"{hashlib.sha256(text.encode()).hexdigest()[:16]}{suffix}"
        path = Path(app.outdir, "_figures", name)
        if suffix == ".js":
            # A script and not a module: from the disk, a page may load the first only.
            text = f"(window.figureSources ??= {{}})[{json.dumps(name)}] = {json.dumps(text)};\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return f"{up}_figures/{name}"

    def still(match: re.Match) -> str:
        text = base64.b64decode(match[2]).decode()
        size = SIZE.search(text)
        place = f'width="{float(size[1]):.0f}" height="{float(size[2]):.0f}" ' if size else ""
        return (
            f'<img loading="lazy" alt="{match[1]}" src="{keep(text, ".svg")}" {place}'
            'style="max-width: 100%; height: auto">'
        )

    def module(match: re.Match) -> str:
        text = base64.b64decode(match[1]).decode()
        return f"window.figureModule({json.dumps(keep(text, '.js'))}, places)"

    def state(match: re.Match) -> str:
        return f"const state = JSON.parse(await window.figureText({json.dumps(keep(match[1], '.js'))}));"

    for raw in doctree.findall(nodes.raw):
        if "data-figure=" not in raw.rawsource + raw.astext():
            continue
        text, stills = STILL.subn(still, raw.astext())
        text, modules = MODULE.subn(module, text)
        if not (stills and modules):
            logger.warning("a figure that moves is not stored as lightpages knows it", location=raw)
        raw[:] = [nodes.Text(STATE.sub(state, text))]


def short_toctrees(app: Sphinx, name: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Let the list of chapters beside each page be made of titles.

    Sphinx copies all headings of all pages for it, and each function of the reference, page by page, and then throws
    them away: a tenth of the time that the site takes.
    """
    toctree, env = context.get("toctree"), app.env
    if toctree is None:
        return

    def quick(**options):
        if not options.get("titles_only"):
            return toctree(**options)
        full = env.tocs
        env.tocs = titles_of(app)
        try:
            return toctree(**options)
        finally:
            env.tocs = full

    context["toctree"] = quick


def titles_of(app: Sphinx) -> dict[str, nodes.bullet_list]:
    """Return the contents of each page, as Sphinx has them, without its headings."""
    if not hasattr(app.builder, "titles_only"):
        app.builder.titles_only = {}
        for docname, toc in app.env.tocs.items():
            toc = toc.deepcopy()
            for entry in toc:
                if len(entry) > 1:
                    inner = list(entry.findall(addnodes.toctree))
                    entry[1:] = [nodes.bullet_list("", *inner)] if inner else []
            app.builder.titles_only[docname] = toc
    return app.builder.titles_only


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Write what the pages share, when the build went well and wrote pages."""
    if exception or app.builder.format != "html" or not getattr(app.builder, "stylesheets", None):
        return
    static, pages = Path(app.outdir, "_static"), Path(app.outdir).rglob("*.html")
    scripts = [*static.glob("*.js"), *static.glob("scripts/*theme.js")]
    text = "".join(path.read_text(encoding="utf-8") for path in (*pages, *scripts))
    icons = set(re.findall(r"\bfa-([a-z-]+)", text))
    # The sheets themselves do not change between two builds of one site; see `made_with` in tools/website.py.
    sheet, first = static / "site.css", f"/* Icons: {' '.join(sorted(icons))} */\n"
    if not sheet.is_file() or not sheet.read_text(encoding="utf-8").startswith(first):
        copy_mathjax(static / "mathjax")
        sheet.write_text(first + site_css(static, app.builder.stylesheets, icons), encoding="utf-8")


def site_css(static: Path, sheets: list[str], icons: set[str]) -> str:
    """Join style sheets into one, and the icons that are used with it.

    Args:
        static: The folder of the sheets.
        sheets: Their paths in it, in their order.
        icons: Names of icons, such as "arrow-up".
    """
    joined = []
    for sheet in sheets:
        path = static / sheet.partition("?")[0]
        folder = path.parent.relative_to(static).as_posix()

        def relative(match: re.Match, folder: str = folder) -> str:
            return match[0] if re.match("data:|#|https?:", match[2]) else f"url({match[1]}{folder}/{match[2]}"

        joined.append(re.sub(r"""url\((["']?)([^"')]+)""", relative, with_imports(path)))
    text = "\n".join(joined)

    def rule(match: re.Match) -> str:
        return match[0] if icons & set(re.findall(r"\.fa-([\w-]+):", match[1])) else ""

    text = ICON_RULE.sub(rule, text)
    codes = {int(code, 16) for code in re.findall(r'"\\([ef][0-9a-f]{3})"', text)}
    return ICON_FONT.sub(lambda match: icon_font(match[0], static, codes), text)


def with_imports(path: Path) -> str:
    """Return a style sheet with those that it imports in their places; their addresses are as in the sheet itself."""

    def imported(match: re.Match) -> str:
        return with_imports(path.parent / match[1])

    return re.sub(r'@import "([^":]*)";', imported, path.read_text(encoding="utf-8"))


def icon_font(rule: str, static: Path, codes: set[int]) -> str:
    """Return a rule for a font of icons with these characters alone, the font within it; "" if it has none of them."""
    from fontTools import subset  # here, since most builds change no icon
    from fontTools.ttLib import TTFont

    file = re.search(r"url\(([^)]*\.ttf)\)", rule)
    if file is None:
        return rule
    font = TTFont(static / file[1])
    if not codes & set(font.getBestCmap()):
        return ""
    options = subset.Options(flavor="woff", layout_features=[], name_IDs=[], hinting=False, notdef_outline=False)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    stored = io.BytesIO()
    subset.save_font(font, stored, options)
    address = f"url(data:font/woff;base64,{base64.b64encode(stored.getvalue()).decode()}) format('woff')"
    return re.sub(r"src:[^;}]*", lambda _: f"src:{address}", rule)


def copy_mathjax(target: Path) -> None:
    """Copy the few files of MathJax that pages ask for into the site."""
    package = find_spec("sphinx-mathjax-offline")
    if package is None:
        raise ExtensionError("MathJax is missing; `pip install sphinx-mathjax-offline` brings it")
    home = Path(package.origin).parent / "static" / "mathjax"
    for pattern in MATHJAX_FILES:
        for path in home.glob(pattern):
            copy = target / path.relative_to(home)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all of it to Sphinx."""
    app.connect("doctree-read", light_figures)
    app.connect("html-page-context", short_toctrees, priority=1)
    app.connect("build-finished", finish, priority=900)  # after the theme, which writes the colours of code
    return {"parallel_read_safe": True, "parallel_write_safe": True}
