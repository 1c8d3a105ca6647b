"""Every family answers here as its own library answers: alone, together, from a cache, with an adapter."""

from pathlib import Path

import pytest

from adapters.models.abilities import runs_remote_code
from tests.families.asked_of_text import TextFamily
from tests.families.cases import CASES, NOT_TRIED, QUICK, Case, as_known
from tests.families.serving import told
from tests.families.speech_families import families, is_listed, speech_rows


def cases() -> list[object]:
    """Those of `QUICK` with every change, all with `make test-families`."""
    return [
        pytest.param(case, id=name, marks=() if name in QUICK else pytest.mark.families)
        for name, case in CASES.items()
        if case.family not in NOT_TRIED
    ]


@pytest.mark.parametrize("case", cases())
def test_a_family_answers_as_its_library_does(case: Case, tmp_path: Path, isolated: Path) -> None:
    family = case.made(tmp_path)
    assert family.served.card.abilities == (("text", "vision") if case.sees else ("text",))
    found = {question: answered(family, question) for question in case.questions}
    assert not {question: wrong for question, wrong in found.items() if not as_known(case, question, wrong)}


def answered(family: TextFamily, question: str) -> str | None:
    try:
        return family.ask(question)
    except Exception as error:  # noqa: BLE001  whatever it is, the test says of which question
        return told(error)


def test_every_family_of_the_installed_library_is_tried() -> None:
    import mlx_lm.models

    modules = {path.stem: path.read_text() for path in Path(next(iter(mlx_lm.models.__path__))).glob("*.py")}
    families = {name for name, source in modules.items() if "class Model(" in source}
    assert not families - {case.family for case in CASES.values()}


def test_every_speech_family_is_known_as_one_and_refused_only_where_it_fetches_code() -> None:
    assert all(is_listed(family) for family in families())
    assert [family for family in families() if runs_remote_code(family)] == ["fun_asr_nano", "vibevoice_asr"]
    assert len(speech_rows()) == len(families()) > 20
