"""Hooks of mkdocs: the README is the start page, and links that lead out of docs lead to
the repository.

The pages link to each other as files of the repository, so that they work where they lie. On
the site the README lies beside the pages, and files that are no page are not there at all.
"""

import os
import posixpath
import re

from mkdocs.structure.files import File

REPOSITORY = "https://github.com/stripe-enhance/stripe-enhance/blob/main/"

# STARTS are the pages that lie outside of docs, by their place on the site.
STARTS = {"README.md": "README.md", "ro/README.md": "README.ro.md"}

LINK = re.compile(r"(\]\()([^)\s#]+)")


def on_files(files, config):
    """Adds the start pages."""
    top = os.path.dirname(config["config_file_path"])
    for place, name in STARTS.items():
        file = File(place, top, config["site_dir"], config["use_directory_urls"])
        file.abs_src_path = os.path.join(top, name)
        files.append(file)
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrites each link from its place in the repository to its place on the site."""
    place = page.file.src_path.replace(os.sep, "/")
    name = STARTS.get(place, "docs/" + place)
    places = {file: start for start, file in STARTS.items()}

    def rewritten(match):
        target = match.group(2)
        if "://" in target or target.startswith("mailto:"):
            return match.group(0)
        to = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if to in places:
            to = places[to]
        elif to.startswith("docs/"):
            to = to[len("docs/"):]
        else:
            return match.group(1) + REPOSITORY + to
        return match.group(1) + posixpath.relpath(to, posixpath.dirname(place) or ".")

    return LINK.sub(rewritten, markdown)
