"""How Sphinx builds these pages: `make docs`."""

from __future__ import annotations

import inspect
import os
import re
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from docutils.nodes import Element, Text, document, literal_block
from pygments.lexers.special import TextLexer
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

from redisjson_dict.asyncio import AsyncReference
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict
from redisjson_dict.pipeline import Batch, BatchReference
from redisjson_dict.references import Reference, verb

project = "redisjson_dict"
author = "the redisjson_dict developers"
release = version_of("redisjson-dict")
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    # Names of Python and redis-py: inventories of other projects would be fetched at every build.
    (r"py:.*", r"(redis|collections|contextlib|datetime|json|os|pathlib)\..*"),
    (r"py:.*", r"(dict|list|str|int|float|bool|tuple|datetime|Path|Redis|Seconds)"),
    (r"py:.*", r"(Index|Key|Lookup|Runtime|Type|Value)Error"),
    # Types that a signature shows, and nobody makes.
    (r"py:class", r"redisjson_dict\.(execute|expiry|keyspace|location|pipeline|queue|views)\..*"),
]

# Single backticks in docstrings are names: a link where the reference has them, else code.
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_rtype = False

myst_heading_anchors = 4
highlight_language = "text"

copybutton_prompt_text = r">>> |\.\.\. ?|\$ "  # "..." alone ends a block in the prompt
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("sections.js", {"defer": "defer"})]
html_copy_source = False
html_show_copyright = False
html_show_sourcelink = False

DOCS = Path(__file__).parent
# Pages of the site whose text is a file outside of this directory.
OUTSIDE = {
    "changelog": DOCS.parent / "CHANGELOG.md",
    "contributing": DOCS.parent / "CONTRIBUTING.md",
    "examples": DOCS.parent / "examples" / "README.md",
    "policy": DOCS.parent / "SECURITY.md",
}
PAGES = {path: DOCS / f"{name}.md" for name, path in OUTSIDE.items()}
PAGES[DOCS.parent / "README.md"] = DOCS / "index.md"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)[^)#\s]+")


def lead_to_pages(app: Sphinx, name: str, source: list[str]) -> None:
    """Take in texts from outside, and let links that are right in the repository lead to pages."""
    home = OUTSIDE.get(name, DOCS / f"{name}.md")
    if name in OUTSIDE:
        app.env.note_dependency(str(home))
        source[0] = home.read_text(encoding="utf-8")

    def led(link: re.Match[str]) -> str:
        path = (home.parent / link[0]).resolve()
        return os.path.relpath(PAGES.get(path, path), DOCS) if path.exists() else link[0]

    source[0] = LINK.sub(led, source[0])


def end_blocks(app: Sphinx, doctree: document) -> None:
    """Drop the empty line that ends an example in the source, so that doctest sees its end."""
    for block in doctree.findall(literal_block):
        block[:] = [Text(block.astext().rstrip("\n"))]
        block.rawsource = block.astext()


def find_short_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element
) -> Element | None:
    """Lead a name in backticks to its entry, whichever module the docstring is in."""
    home, _, name = node["reftarget"].rpartition(".")
    if node["refdomain"] != "py" or not f"{home}.".startswith((".", "redisjson_dict.")):
        return None
    domain = env.domains["py"]
    found = domain.find_obj(env, "", "", name, None, 1)
    if not found:
        return None
    _, entry = found[0]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content)


def as_methods(owner: type[Any]) -> None:
    """Put functions in the place of the verbs of a reference: autodoc knows no such descriptor."""
    for name, value in inspect.getmembers(owner, lambda member: isinstance(member, verb)):
        function = value._function

        def method() -> None: ...

        shown = inspect.signature(function)
        first, *rest = [each for each in shown.parameters.values() if each.name != "wants"]
        method.__name__, method.__qualname__ = name, f"{owner.__name__}.{name}"
        method.__module__, method.__doc__ = owner.__module__, function.__doc__
        method.__annotations__ = {}
        method.__signature__ = inspect.Signature([first.replace(name="self"), *rest])
        setattr(owner, name, method)


def name_default(app: Sphinx, *about: Any) -> tuple[str | None, str | None]:
    """Show the default that stands for "nothing was given" by its name."""
    signature, returned = about[-2:]
    return signature and signature.replace("<object object>", "MISSING"), returned


def setup(app: Sphinx) -> None:
    """Add what no extension does."""
    for owner in (Reference, AsyncReference, AsyncRedisJSONDict, Batch, BatchReference):
        as_methods(owner)
    app.add_lexer("acl", TextLexer)
    app.connect("source-read", lead_to_pages)
    app.connect("autodoc-process-signature", name_default)
    app.connect("doctree-read", end_blocks)
    app.connect("missing-reference", find_short_name)
