"""Hooks of mkdocs: pages from elsewhere in the repository, and one of the API for each package."""

from __future__ import annotations

import pathlib
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[1]
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "CITATION.cff",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "overview.md",
    "serving/README.md": "operation.md",
}
"""Files outside docs/, with the pages they are on the site."""


def on_config(config):
    for part in config.nav:
        if "API" in part:
            part["API"] = [{package: f"api/{package}.md"} for package in _packages()]


def on_files(files, config):
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for package, modules in _packages().items():
        content = f"# {package}\n\n::: {package}\n    options:\n      show_root_heading: false\n"
        if package != "legan_tf":
            # What a package takes from its modules is shown there.
            content += "      members: false\n"
        content += "".join(f"\n::: {module}\n" for module in modules if module != package)
        files.append(File.generated(config, f"api/{package}.md", content=content))


def on_page_markdown(markdown, page, **_):
    """Makes links between files of the repository links between pages of the site."""
    source = pathlib.Path(page.file.abs_src_path or "")
    if ROOT not in source.parents:
        return markdown

    def link(match):
        path, anchor = match[1], match[2] or ""
        target = (source.parent / path).resolve()
        if not path or ":" in path or not target.exists():
            return match[0]
        name = target.relative_to(ROOT).as_posix()
        return f"]({PAGES.get(name) or name.removeprefix('docs/')}{anchor})"

    return re.sub(r"\]\(([^)#\s]*)(#[^)\s]*)?\)", link, markdown)


def _packages() -> dict[str, list[str]]:
    """Returns the modules of each package that users import, the package itself first."""
    packages: dict[str, list[str]] = {}
    for path in sorted((ROOT / "legan_tf").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__init__":
            packages.setdefault(".".join(parts[:-1]), []).insert(0, ".".join(parts[:-1]))
        elif not parts[-1].startswith("_"):
            packages.setdefault(".".join(parts[:-1]), []).append(".".join(parts))
    return packages
