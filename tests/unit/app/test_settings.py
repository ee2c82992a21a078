"""Settings: later sources win, every value knows its origin, and what is not a setting is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from likeness.app.registry import ENTRIES
from likeness.app.sections import split_address
from likeness.app.setting_names import OLD_NAMES, Names, fields, variable_of
from likeness.app.settings import load, settings_type
from likeness.domain.errors import InvalidInput


def write(folder: Path, text: str) -> Path:
    path = folder / "likeness.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_defaults_stand_alone_and_listen_on_this_machine_only(tmp_path: Path) -> None:
    settings = load(environment={"XDG_DATA_HOME": str(tmp_path)})
    assert settings.home == tmp_path / "likeness"
    assert settings.grpc.address.startswith("127.0.0.1:")
    assert settings.metrics.address.startswith("127.0.0.1:")
    assert set(settings.origins.values()) == {"default"}


def test_later_sources_win_and_each_value_knows_its_origin(tmp_path: Path) -> None:
    path = write(tmp_path, '[grpc]\nworkers = 4\nqueue = 5\nmax_k = 6\n[face]\ndetector = "yunet"\n')
    settings = load(
        path,
        environment={"LIKENESS_GRPC_QUEUE": "7", "LIKENESS_GRPC_MAX_K": "8"},
        overrides={"grpc.max_k": 9, "grpc.workers": None},
    )
    assert (settings.grpc.workers, settings.grpc.queue, settings.grpc.max_k) == (4, 7, 9)
    assert settings.values["face.detector"] == "yunet"
    origins = settings.origins
    assert origins["grpc.workers"] == str(path)
    assert origins["grpc.queue"] == "LIKENESS_GRPC_QUEUE"
    assert origins["grpc.max_k"] == "command line"
    assert origins["grpc.address"] == "default"


def test_the_file_in_the_home_folder_is_found_and_another_can_be_named(tmp_path: Path) -> None:
    write(tmp_path, "grpc.workers = 4")
    elsewhere = tmp_path / "other.toml"
    elsewhere.write_text("grpc.workers = 5")
    assert load(environment={"LIKENESS_HOME": str(tmp_path)}).grpc.workers == 4
    named = {"LIKENESS_HOME": str(tmp_path), "LIKENESS_CONFIG": str(elsewhere)}
    assert load(environment=named).grpc.workers == 5


@pytest.mark.parametrize(
    ("text", "environment", "near"),
    [
        ("[decoding]\nmax_pixel = 5", {}, r"'decoding\.max_pixel' .* 'decoding\.max_pixels'"),
        ("max_pixel = 5", {}, r"did you mean 'decoding\.max_pixels'"),
        ("grpc = 5", {}, "config show"),
        ("", {"LIKENESS_ADRESS": "x:1"}, "did you mean 'LIKENESS_GRPC_ADDRESS'"),
        ("", {"LIKENESS_GRPC_ADRESS": "x:1"}, "did you mean 'LIKENESS_GRPC_ADDRESS'"),
        ("[limits]\nworkers = 1", {}, r"'limits' .* config show"),
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
        ("grpc.workers", "0"),
        ("grpc.workers", "many"),
        ("grpc.address", "50051"),
        ("grpc.address", "localhost:70000"),
        ("log.level", "LOUD"),
        ("grpc.default_deadline", "0"),
        ("home", "/srv/h\udcff"),
        ("store.key_ring", "/srv/\x1b[2J.json"),
        ("face.assistant", "perhaps"),
    ],
)
def test_a_value_out_of_its_range_names_the_setting_and_its_origin(name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(environment={variable_of(name): value})
    assert caught.value.field == name
    assert f"'{name}' from {variable_of(name)} is" in caught.value.message


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
    assert load(environment=links) == load(environment={})


def test_the_metrics_page_can_be_turned_off() -> None:
    assert load(environment={"LIKENESS_METRICS_ADDRESS": ""}).metrics.address == ""


def test_every_setting_is_described() -> None:
    assert [name for name, field in fields(settings_type()).items() if not field.description] == []


@pytest.mark.parametrize(
    ("address", "parts"),
    [("localhost:1", ("localhost", 1)), ("[::]:50051", ("::", 50051)), ("0.0.0.0:0", ("0.0.0.0", 0))],  # noqa: S104
)
def test_addresses_are_split(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address) == parts


def test_the_modalities_served_are_named_in_any_order(tmp_path: Path) -> None:
    face, _, things = ENTRIES
    assert load(environment={"LIKENESS_HOME": str(tmp_path)}).served == ENTRIES
    some = {"LIKENESS_HOME": str(tmp_path), "LIKENESS_MODALITIES": " object, face "}
    assert load(environment=some).served == (face, things)


@pytest.mark.parametrize(("value", "message"), [("face,iris", "'iris' is not a modality"), (" ,", "nothing")])
def test_what_is_no_modality_is_refused(tmp_path: Path, value: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load(environment={"LIKENESS_HOME": str(tmp_path), "LIKENESS_MODALITIES": value})


@pytest.mark.parametrize(("old", "new"), OLD_NAMES.items())
def test_a_name_from_before_there_were_sections_goes_on_to_work(tmp_path: Path, old: str, new: str) -> None:
    value = changed(new)
    file = write(tmp_path, f"{old} = {json.dumps(value)}")
    by_file = load(file, environment={})
    assert by_file.values[new] != load(environment={}).values[new]
    assert by_file.origins[new] == str(file)
    by_variable = load(environment={variable_of(old): str(value)})
    assert by_variable.values == by_file.values
    assert by_variable.origins[new] == variable_of(old)
    assert load(environment={}, overrides={old: value}).values == by_file.values


def changed(name: str) -> str | int | float | bool:
    """A value that the setting can have and has not by default."""
    default = load(environment={}).values[name]
    texts = {"grpc.address": "[::1]:50052", "metrics.address": "", "log.level": "ERROR"}
    texts["health.address"] = ""
    texts["tls.trust_domain"] = "likeness.example"
    texts["audit.expected_head"] = f"7:{'0' * 64}"
    match default:
        case bool():
            return not default
        case int() | float():
            return default - 1
    return texts.get(name, "/srv/other")


def test_no_variable_is_of_two_settings() -> None:
    names = fields(settings_type())
    assert len({variable_of(name) for name in names}) == len(names)
    known = Names(settings_type())
    assert [old for old, new in OLD_NAMES.items() if known.of_variable(variable_of(old)) != new] == []
    assert [name for name in names if known.of_variable(variable_of(name)) != name] == []


@pytest.mark.parametrize(
    ("text", "environment", "overrides", "written"),
    [
        ("workers = 4\ngrpc.workers = 5", {}, {}, ("workers", "grpc.workers")),
        (
            "",
            {"LIKENESS_WORKERS": "4", "LIKENESS_GRPC_WORKERS": "5"},
            {},
            ("LIKENESS_WORKERS", "LIKENESS_GRPC_WORKERS"),
        ),
        ("", {}, {"workers": 4, "grpc.workers": 5}, ("workers", "grpc.workers")),
    ],
)
def test_an_old_and_a_new_name_must_not_contradict_each_other(
    tmp_path: Path,
    text: str,
    environment: dict[str, str],
    overrides: dict[str, int],
    written: tuple[str, str],
) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(write(tmp_path, text), environment=environment, overrides=overrides)
    assert (caught.value.reason, caught.value.field) == ("SETTING_TWICE", "grpc.workers")
    assert all(f"'{name}'" in caught.value.message for name in written)
    assert f"leave out {written[0]}." in caught.value.message


def test_an_old_and_a_new_name_may_say_the_same_and_a_later_source_wins(tmp_path: Path) -> None:
    file = write(tmp_path, "workers = 4\n[grpc]\nworkers = 4\n[log]\n")
    assert load(file, environment={}).grpc.workers == 4
    assert load(file, environment={"LIKENESS_WORKERS": "5"}).grpc.workers == 5
    new_then_old = {"environment": {"LIKENESS_GRPC_WORKERS": "5"}, "overrides": {"workers": 6}}
    assert load(file, **new_then_old).grpc.workers == 6  # type: ignore[arg-type]
