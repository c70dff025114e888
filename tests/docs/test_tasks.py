"""What docs/tasks tells a newcomer to type works as it stands there, and answers what stands there."""

import re
import shutil

import pytest
from documentation import HOME, Typist, blocks
from servers import make_bucket

PAGES = sorted(page.name for page in (HOME / "docs/tasks").glob("*.md"))


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """What the pages begin with: the sample, and the configurations of the repository."""
    folder = tmp_path_factory.mktemp("sample")
    shutil.copytree(HOME / "configs", folder / "configs")
    Typist(folder).type("cvbatch sample data/sample", "sample")
    return folder


@pytest.fixture
def typist(sample, tmp_path):
    folder = tmp_path / "work"
    shutil.copytree(sample, folder)
    return Typist(folder)


@pytest.mark.parametrize("page", ["make-mips.md", "shard.md", "resume.md", "use-from-python.md"])
def test_a_page(page, typist):
    if page == "resume.md":  # It begins with the command, and shows the configuration below.
        block = next(block for block in blocks(f"docs/tasks/{page}") if block.language == "yaml")
        (typist.folder / "slow.yaml").write_text(block.text)
    typist.follow(f"docs/tasks/{page}")


@pytest.mark.parametrize("page", ["verify.md", "delete.md"])
def test_a_page_about_a_finished_job(page, typist):
    typist.type("cvbatch run configs/transfer.yaml", page)
    typist.follow(f"docs/tasks/{page}")


def test_the_page_about_s3(typist, moto):
    # given a server that stands for Amazon's
    make_bucket(moto, "my-bucket")
    typist.environment = {"AWS_ACCESS_KEY_ID": moto.key, "AWS_SECRET_ACCESS_KEY": moto.secret}

    def with_server(text: str) -> str:
        text = re.sub(r"(?m)^  path: s3://.*$", rf"\g<0>\n  endpoint: {moto.url}", text)
        return text.replace("cvbatch doctor s3:", f"cvbatch doctor --endpoint {moto.url} s3:")

    typist.typed = with_server
    typist.shown = lambda text: text.replace(f"s3://{moto.url}/", "s3://")
    # when the page is followed, then it is as the page says
    typist.follow("docs/tasks/move-to-s3.md")


def test_the_readme(typist):
    # given what its first line makes, which .ci/run types in an environment of its own
    setup, first_look, own_volume, *_ = [block for block in blocks("README.md") if block.language == "sh"]
    typist.type(
        setup.text.partition(" .venv/bin/cvbatch sample")[2].partition("&& ")[2].replace(".venv/bin/", ""), "run"
    )
    # when it is looked at, but for the viewer, which tests/view has
    left_out = ("source ", "pip ", "cvbatch view ")
    text = "".join(line for line in first_look.text.splitlines(True) if not line.startswith(left_out))
    typist.type(text, "README.md")
    # then it is as the remarks say
    assert "all is as it should be" in typist.said
    assert list(typist.folder.glob("report-*.html"))
    # and the commands for volumes of one's own are those
    shutil.copy(typist.folder / "configs/transfer.yaml", typist.folder / "my.yaml")
    typist.type(own_volume.text, "README.md")
    assert "done already" in typist.said


def test_every_page_begins_with_its_command():
    for page in PAGES:
        first = blocks(f"docs/tasks/{page}")[0]
        assert first.language in ("sh", "python"), page
        assert "cvbatch" in first.text, page


@pytest.mark.parametrize("page", [*(f"docs/tasks/{page}" for page in PAGES), "README.md", "docs/architecture.md"])
def test_links_lead_somewhere(page):
    path = HOME / page
    for link, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(#[^)]*)?\)", path.read_text()):
        target = (path.parent / link) if link else path
        assert target.exists(), f"{page}: {link}"
        if anchor:
            headings = re.findall(r"(?m)^#+ (.*)$", target.read_text())
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor[1:] in slugs, f"{page}: {link}{anchor}"
