"""Settings: later sources win, every value knows its origin, and what is not a setting is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.app.settings import Settings, load, split_address
from likeness.domain.errors import InvalidInput


def write(folder: Path, text: str) -> Path:
    path = folder / "likeness.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_defaults_stand_alone_and_listen_on_this_machine_only(tmp_path: Path) -> None:
    settings = load(environment={"XDG_DATA_HOME": str(tmp_path)})
    assert settings.home == tmp_path / "likeness"
    assert settings.address.startswith("127.0.0.1:")
    assert settings.metrics_address.startswith("127.0.0.1:")
    assert set(settings.origins.values()) == {"default"}


def test_later_sources_win_and_each_value_knows_its_origin(tmp_path: Path) -> None:
    path = write(tmp_path, 'workers = 4\nqueue = 5\nmax_k = 6\ndetector = "yunet"\n')
    settings = load(
        path,
        environment={"LIKENESS_QUEUE": "7", "LIKENESS_MAX_K": "8"},
        overrides={"max_k": 9, "workers": None},
    )
    assert (settings.workers, settings.queue, settings.max_k, settings.detector) == (4, 7, 9, "yunet")
    origins = settings.origins
    assert origins["workers"] == str(path)
    assert origins["queue"] == "LIKENESS_QUEUE"
    assert origins["max_k"] == "command line"
    assert origins["address"] == "default"


def test_the_file_in_the_home_folder_is_found_and_another_can_be_named(tmp_path: Path) -> None:
    write(tmp_path, "workers = 4")
    elsewhere = tmp_path / "other.toml"
    elsewhere.write_text("workers = 5")
    assert load(environment={"LIKENESS_HOME": str(tmp_path)}).workers == 4
    named = {"LIKENESS_HOME": str(tmp_path), "LIKENESS_CONFIG": str(elsewhere)}
    assert load(environment=named).workers == 5


@pytest.mark.parametrize(
    ("text", "environment", "near"),
    [
        ("max_pixel = 5", {}, "max_pixels"),
        ("", {"LIKENESS_ADRESS": "x:1"}, "LIKENESS_ADDRESS"),
        ("[limits]\nworkers = 1", {}, "config show"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known(
    tmp_path: Path, text: str, environment: dict[str, str], near: str
) -> None:
    with pytest.raises(InvalidInput, match=near) as caught:
        load(write(tmp_path, text), environment=environment)
    assert caught.value.reason == "UNKNOWN_SETTING"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIKENESS_WORKERS", "0"),
        ("LIKENESS_WORKERS", "many"),
        ("LIKENESS_ADDRESS", "50051"),
        ("LIKENESS_ADDRESS", "localhost:70000"),
        ("LIKENESS_LOG_LEVEL", "LOUD"),
        ("LIKENESS_DEFAULT_DEADLINE", "0"),
        ("LIKENESS_HOME", "/srv/h\udcff"),
        ("LIKENESS_KEY_RING", "/srv/\x1b[2J.json"),
    ],
)
def test_a_value_out_of_its_range_names_the_setting_and_its_origin(name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(environment={name: value})
    assert caught.value.field == name.removeprefix("LIKENESS_").lower()
    assert name in caught.value.message


def test_a_named_file_that_is_missing_or_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"absent\.toml"):
        load(tmp_path / "absent.toml", environment={})
    with pytest.raises(InvalidInput, match="not TOML"):
        load(write(tmp_path, "workers = "), environment={})


def test_variables_of_kubernetes_service_links_and_of_other_parts_are_left_alone() -> None:
    links = {
        "LIKENESS_SERVICE_HOST": "10.0.0.1",
        "LIKENESS_SERVICE_PORT_GRPC": "50051",
        "LIKENESS_PORT": "tcp://10.0.0.1:50051",
        "LIKENESS_PORT_50051_TCP_ADDR": "10.0.0.1",
        "LIKENESS_FACE_SERVICE_HOST": "10.0.0.2",
        "LIKENESS_ENTITY": "NCB-FR",
    }
    assert load(environment=links).model_dump(exclude={"home"}) == Settings().model_dump(exclude={"home"})


def test_the_metrics_page_can_be_turned_off() -> None:
    assert load(environment={"LIKENESS_METRICS_ADDRESS": ""}).metrics_address == ""


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("address", "parts"),
    [("localhost:1", ("localhost", 1)), ("[::]:50051", ("::", 50051)), ("0.0.0.0:0", ("0.0.0.0", 0))],  # noqa: S104
)
def test_addresses_are_split(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address) == parts


def test_the_modalities_served_are_named_in_any_order(tmp_path: Path) -> None:
    assert load(environment={"LIKENESS_HOME": str(tmp_path)}).served == ("face", "fingerprint", "object")
    some = {"LIKENESS_HOME": str(tmp_path), "LIKENESS_MODALITIES": " object, face "}
    assert load(environment=some).served == ("face", "object")


@pytest.mark.parametrize(("value", "message"), [("face,iris", "'iris' is not a modality"), (" ,", "nothing")])
def test_what_is_no_modality_is_refused(tmp_path: Path, value: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load(environment={"LIKENESS_HOME": str(tmp_path), "LIKENESS_MODALITIES": value})
