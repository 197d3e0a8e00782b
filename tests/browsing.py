"""What the tests of figures in a browser share; their fixtures `open_page` and `blank` are in conftest."""

from chapters_code.widgets.moving import es_module


def page_of(*figures, style=""):
    """Write a page as small as it gets around some figures."""
    body = "".join(figure.to_html() for figure in figures)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Try</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>body {{ margin: 16px }} {style}</style><main><h1>Try</h1>{body}</main></html>"
    )


def call(page, module, function, cases):
    """Call a plain function of a figure's module in the browser, once per case (a list of arguments)."""
    return page.evaluate(
        """async ([module, name, cases]) => {
            const url = URL.createObjectURL(new Blob([module], {type: "text/javascript"}));
            const {[name]: f} = await import(url);
            return cases.map((one) => f(...one));
        }""",
        [es_module(module), function, cases],
    )
