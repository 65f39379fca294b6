"""How the pages are built: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import soupxr  # noqa: E402

project = "soupxr"
author = "the soupxr developers"
project_copyright = author
version = release = soupxr.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "accessor_names",
    "commands",
    "offline",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Examples in docstrings are read like Python, whatever their doctest options.
trim_doctest_flags = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = False
add_module_names = False
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False

html_theme = "furo"
html_title = f"soupxr {version}"
html_copy_source = False
html_show_sphinx = False
toc_object_entries_show_parents = "hide"
