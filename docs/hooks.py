"""Build step of the site: pages of the repository that lie outside docs/, and links to them."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "docker/README.md": "docker.md",
    "fakesound/pretrained/README.md": "model_card.md",
} | {
    str(path.relative_to(ROOT)): str(path.relative_to(ROOT)).replace("README.md", "index.md")
    for path in sorted(ROOT.glob("experiments/**/README.md"))
}
SOURCES = {page: source for source, page in PAGES.items()}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/ to the site."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the text of ``page`` with links between files of the repository as links of the site.

    A link to a file that is not on the site becomes its text.
    """
    here = page.file.src_uri
    folder = posixpath.dirname(SOURCES.get(here, f"docs/{here}"))

    def rewritten(match: re.Match[str]) -> str:
        picture, text, link = match.groups()
        path, _, anchor = link.partition("#")
        if not path or re.match(r"\w+:", link):
            return match[0]
        target = posixpath.normpath(posixpath.join(folder, path))
        target = f"{target}/README.md" if f"{target}/README.md" in PAGES else target
        name = PAGES.get(target, target.removeprefix("docs/"))
        if files.get_file_from_path(name) is None:
            if not (ROOT / target).exists():
                raise FileNotFoundError(f"{SOURCES.get(here, here)}: {link} leads nowhere")
            return text
        relative = posixpath.relpath(name, posixpath.dirname(here) or ".")
        return f"{picture}[{text}]({relative}{'#' + anchor if anchor else ''})"

    return LINK.sub(rewritten, markdown)
