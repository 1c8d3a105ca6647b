"""No code that comes with a model is ever run, whatever loads it; what needs it is refused with a reason."""

import json
import shutil
from pathlib import Path

import pytest

from adapters.errors import UnsupportedModel
from adapters.mlx.loading import lazy_model, read_reader
from adapters.models.card import read_card
from adapters.models.safety import check_folder
from adapters.models.starters import STARTERS
from adapters.models.without_code import loadable

PROGRAMS = ("configuration_own", "modeling_own", "tokenization_own", "processing_own", "image_processing_own")
NAMES = {
    "AutoConfig": "configuration_own.Config", "AutoModel": "modeling_own.Model",
    "AutoModelForCausalLM": "modeling_own.Model", "AutoTokenizer": ["tokenization_own.Tokenizer", None],
    "AutoProcessor": "processing_own.Processor", "AutoImageProcessor": "image_processing_own.Images",
    "AutoFeatureExtractor": "processing_own.Sound",
}  # fmt: skip


@pytest.fixture(params=list(STARTERS))
def planted(request: pytest.FixtureRequest, tmp_path: Path, isolated: Path) -> Path:
    """A model with programs that leave a mark when they are imported, named wherever a loader looks for names."""
    folder = Path(shutil.copytree(STARTERS[request.param], tmp_path / "model"))
    for name in PROGRAMS:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'a').write({name!r})\n")
    for path in [*folder.glob("*config.json"), folder / "processor_config.json"]:
        content = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(content | {"auto_map": NAMES}))
    return folder


def test_a_models_own_programs_are_never_run(planted: Path, tmp_path: Path) -> None:
    check_folder(planted)
    card = read_card(planted)
    reader = read_reader("planted", card)
    lazy_model("planted", card)
    assert not (tmp_path / "mark").exists()
    if "speech" not in card.abilities:
        assert reader.tokenizer.encode("hello")


def test_nothing_is_run_even_by_who_trusts_it(planted: Path, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer

    AutoConfig.from_pretrained(loadable(planted), trust_remote_code=True)
    AutoTokenizer.from_pretrained(loadable(planted), trust_remote_code=True)
    assert not (tmp_path / "mark").exists()
    with pytest.raises((AttributeError, ImportError, ValueError)):
        AutoTokenizer.from_pretrained(planted, trust_remote_code=True)
    assert (tmp_path / "mark").exists()  # as it would be run where it is seen


def test_a_tokenizer_that_is_only_code_is_refused_and_the_code_is_named(tmp_path: Path, isolated: Path) -> None:
    folder = Path(shutil.copytree(STARTERS["starter"], tmp_path / "model"))
    (folder / "tokenizer.json").unlink()
    (folder / "tokenization_own.py").write_text("raise SystemExit")
    with pytest.raises(UnsupportedModel, match=r"tokenization_own\.py.* never run"):
        read_reader("coded", read_card(folder))


def test_a_model_without_a_tokenizer_says_which_files_are_missing(tmp_path: Path, isolated: Path) -> None:
    folder = Path(shutil.copytree(STARTERS["starter"], tmp_path / "model"))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UnsupportedModel, match=r"none of tokenizer\.json"):
        read_reader("bare", read_card(folder))


@pytest.mark.parametrize(("family", "reason"), [("perceptron", "neither mlx-lm"), ("phi3small", "beyond its memory")])
def test_a_family_that_cannot_be_run_is_refused_before_anything_is_read(
    family: str, reason: str, tmp_path: Path, isolated: Path
) -> None:
    folder = Path(shutil.copytree(STARTERS["starter"], tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": family}))
    with pytest.raises(UnsupportedModel, match=reason):
        read_reader("m", read_card(folder))
