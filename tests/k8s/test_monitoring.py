"""Every query of the alert rules and of the dashboard reads data that the service really gives."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import promql_parser
import pytest
import yaml

from likeness.app.setting_names import OTHER_VARIABLES, PREFIX, fields, variable_of
from likeness.app.settings import Settings, settings_type
from likeness.v1 import face_pb2
from tests.k8s.evaluate import Evaluator, firing
from tests.k8s.known_metrics import buckets, product_metrics, sample_labels
from tests.k8s.manifests import K8S, ROOT, one
from tests.k8s.promql import Query, WrongQueryError
from tests.k8s.series import Series, labels_of, seconds
from tests.waiting import PATIENCE

MONITORED = "overlays/monitored"
MONITORING = ROOT / "k8s/monitoring"
RULES = MONITORING / "rules.yaml"
CONFIGURATION = MONITORING / "prometheus.yaml"
DASHBOARD = K8S / "components/prometheus-operator/dashboard.json"
ALERT_CASES = Path(__file__).with_name("alerts.yaml")

ALERT_FIELDS = {"alert", "expr", "labels", "annotations"}
METHODS = {
    method.name for service in face_pb2.DESCRIPTOR.services_by_name.values() for method in service.methods
}
STATUSES = {code.name for code in grpc.StatusCode}
REASON = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b")
SETTING = re.compile(r"\bLIKENESS_([A-Z_]+)\b")
QUOTED = re.compile(r'"([^"]+)"')
KUBERNETES_SAYS = {"Last State"}
SOURCE = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "services/likeness").rglob("*.py"))

NEEDED_ON_THE_DASHBOARD = {
    "likeness_rpc_duration_seconds_count",
    "likeness_rpc_duration_seconds_bucket",
    "likeness_rpc_errors_total",
    "likeness_stage_duration_seconds_sum",
    "likeness_rpc_queue_depth",
    "likeness_batch_queue_depth",
    "likeness_batch_size_sum",
    "likeness_index_references",
    "likeness_index_log_lag",
    "likeness_index_recall_ratio",
    "likeness_rejections_total",
    "likeness_build_info",
    "likeness_store_bytes",
    "likeness_audit_position",
}


@dataclass(frozen=True)
class Expression:
    """A query and the texts that name labels of its result."""

    where: str
    text: str
    used_labels: frozenset[str] = frozenset()


def groups() -> list[dict[str, Any]]:
    document: dict[str, Any] = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return list(document["groups"])


def rules() -> list[dict[str, Any]]:
    return [rule for group in groups() for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def records() -> dict[str, str]:
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


def alert(name: str) -> dict[str, Any]:
    (found,) = (rule for rule in alerts() if rule["alert"] == name)
    return found


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return document


def panels() -> list[dict[str, Any]]:
    return list(dashboard()["panels"])


def rule_queries() -> Iterator[Expression]:
    for rule in rules():
        used = re.findall(r"\$labels\.(\w+)", "".join(rule.get("annotations", {}).values()))
        yield Expression(rule.get("alert") or rule["record"], rule["expr"], frozenset(used))


def plain(text: str) -> str:
    """A dashboard's expression with Grafana's variables replaced."""
    return text.replace("$__rate_interval", "5m").replace("$namespace", ".+").replace("$modality", ".+")


def legend_labels(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\{\{\s*(\w+)\s*\}\}", text))


def dashboard_queries() -> Iterator[Expression]:
    for panel in panels():
        for target in panel.get("targets", []):
            yield Expression(panel["title"], plain(target["expr"]), legend_labels(target["legendFormat"]))
    for annotation in dashboard()["annotations"]["list"]:
        used = legend_labels(annotation["titleFormat"])
        yield Expression(f"annotation {annotation['name']}", plain(annotation["expr"]), used)


@cache
def known() -> dict[str, frozenset[str]]:
    """Labels of every sample, recorded ones included."""
    labels = dict(sample_labels())
    for rule in rules():
        if "record" in rule:
            labels[rule["record"]] = Query(rule["expr"], labels).result_labels()
    return labels


QUERIES = [*rule_queries(), *dashboard_queries()]


@pytest.mark.parametrize("found", QUERIES, ids=lambda found: found.where)
def test_a_query_names_real_metrics_and_labels(found: Expression) -> None:
    result = Query(found.text, known()).result_labels()
    assert found.used_labels <= result


@pytest.mark.parametrize("found", QUERIES, ids=lambda found: found.where)
def test_a_query_compares_labels_with_values_that_occur(found: Expression) -> None:
    for selector in Query(found.text, known()).selectors():
        for matcher in selector.matchers.matchers:
            values = set(matcher.value.split("|"))
            match matcher.name:
                case "job":
                    assert values == {"likeness"}
                case "code":
                    assert values <= STATUSES
                case "method":
                    assert values <= METHODS
                case "le":
                    assert values <= buckets(str(selector.name))
                case "reason":
                    assert all(f'"{value}"' in SOURCE for value in values)
                case "container":
                    assert values == {"likeness"}
                case "persistentvolumeclaim":
                    assert re.fullmatch(matcher.value, "data-likeness-0")
                case _:
                    assert matcher.name in {"resource", "namespace", "modality"}
        if selector.name in product_metrics():
            assert "job" in {matcher.name for matcher in selector.matchers.matchers}


@pytest.mark.parametrize(
    "text",
    [
        "likeness_no_such_metric",
        'likeness_serving{modality="face"}',
        "sum by (stage) (rate(likeness_rpc_duration_seconds_count[5m]))",
        "histogram_quantile(0.9, sum by (method) (rate(likeness_rpc_duration_seconds_bucket[5m])))",
        "likeness_index_log_lag and on (method) likeness_log_position",
    ],
)
def test_a_wrong_query_is_noticed(text: str) -> None:
    with pytest.raises(WrongQueryError):
        Query(text, known()).result_labels()


def test_the_kubernetes_service_does_not_hide_our_own_label() -> None:
    """The operator's target label `service` would rename ours to `exported_service`."""
    assert any("service" in labels for name, labels in sample_labels().items() if name in product_metrics())
    (endpoint,) = one(MONITORED, "ServiceMonitor")["spec"]["endpoints"]
    assert {"action": "labeldrop", "regex": "service"} in endpoint["relabelings"]
    assert not endpoint.get("honorLabels", False)


def test_the_service_monitor_finds_the_metrics_port() -> None:
    monitor = one(MONITORED, "ServiceMonitor")["spec"]
    service = one(MONITORED, "Service", "likeness-pods")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "likeness"
    other = one(MONITORED, "Service", "likeness")["metadata"]["labels"]
    assert not monitor["selector"]["matchLabels"].items() <= other.items()  # or every sample would come twice


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))
    guide = (K8S / "README.md").read_text(encoding="utf-8")
    for rule in alerts():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}
        assert len(rule["annotations"]["runbook"]) >= 60, rule["alert"]
        assert f"`{rule['alert']}`" in guide, f"{rule['alert']} is not explained in k8s/README.md"


def test_runbooks_speak_of_things_that_exist() -> None:
    settings = {variable_of(name).removeprefix(PREFIX) for name in fields(settings_type())}
    settings |= {name.removeprefix("LIKENESS_") for name in OTHER_VARIABLES}
    titles = {panel["title"] for panel in panels()}
    headings = set(re.findall(r"^#+ (.+)$", (K8S / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    alert_names = {rule["alert"] for rule in alerts()}
    for rule in alerts():
        text = " ".join(rule["annotations"].values())
        assert set(SETTING.findall(text)) <= settings
        reasons = {found for found in REASON.findall(text) if not found.startswith("LIKENESS_")}
        assert all(f'"{reason}"' in SOURCE or reason in STATUSES for reason in reasons), (
            rule["alert"],
            reasons,
        )
        for phrase in QUOTED.findall(text):
            assert phrase in titles | headings | KUBERNETES_SAYS or phrase in SOURCE, (rule["alert"], phrase)
        assert set(re.findall(r"\bLikeness[A-Z]\w+", text)) <= alert_names


def test_the_queue_alert_follows_the_limit_that_is_set() -> None:
    limits = Query(alert("LikenessQueueSaturated")["expr"], known()).selectors()
    assert "likeness_rpc_queue_limit" in {selector.name for selector in limits}


def test_the_dashboard_shows_what_an_operator_asks_for() -> None:
    shown = {
        selector.name for found in dashboard_queries() for selector in Query(found.text, known()).selectors()
    }
    assert shown >= NEEDED_ON_THE_DASHBOARD


def test_the_dashboard_is_well_formed() -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells
        if panel["type"] != "row":
            assert panel["targets"]
            assert panel["description"]
    variables = {variable["name"] for variable in dashboard()["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text(encoding="utf-8"))) <= variables | {
        "__rate_interval",
        "__all",
    }
    config = one(MONITORED, "ConfigMap", "likeness-dashboard")
    assert json.loads(config["data"]["likeness.json"]) == dashboard()
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_rules_file_is_what_prometheus_loads() -> None:
    """Prometheus refuses a file with any other field, an operator's resource for one."""
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    assert set(document) == {"groups"}
    names = [group["name"] for group in document["groups"]]
    assert len(names) == len(set(names))
    for group in document["groups"]:
        assert set(group) == {"name", "rules"}
        assert group["rules"]
    for rule in rules():
        promql_parser.parse(rule["expr"])
        if "record" in rule:
            assert set(rule) == {"record", "expr"}
            assert re.fullmatch(r"likeness:[a-z_]+(:[a-z0-9_]+)?", rule["record"])
        else:
            assert {"alert", "expr", "labels", "annotations"} <= set(rule) <= {*ALERT_FIELDS, "for"}
            assert set(rule["labels"]) == {"severity"}
            assert "for" not in rule or seconds(rule["for"]) > 0
            assert all(isinstance(text, str) and text for text in rule["annotations"].values())


def test_the_operators_rules_are_the_same() -> None:
    specification = importlib.util.spec_from_file_location("rules", ROOT / "k8s/monitoring/rules.py")
    assert specification is not None and specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    made = script.TARGET.read_text(encoding="utf-8")
    assert made == script.resource(RULES.read_text(encoding="utf-8")), "run: python k8s/monitoring/rules.py"
    resource = yaml.safe_load(made)
    assert (resource["apiVersion"], resource["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert resource["spec"]["groups"] == groups()


def test_the_sample_configuration_scrapes_what_the_rules_select() -> None:
    document = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    assert [(MONITORING / name).resolve() for name in document["rule_files"]] == [RULES]
    (job,) = document["scrape_configs"]
    assert job["job_name"] == "likeness"
    (static,) = job["static_configs"]
    assert static["targets"] == [fields(Settings)["metrics.address"].default]
    given = set(static["labels"]) | {change["target_label"] for change in job["relabel_configs"]}
    assert given == {"namespace", "pod"}
    (change,) = job["relabel_configs"]
    for target, name in {"host-a.example.org:9464": "host-a.example.org", "[::1]:9464": "[::1]"}.items():
        match = re.fullmatch(change["regex"], target)
        assert match is not None and match[1] == name


def cases() -> list[dict[str, Any]]:
    """As they are written: YAML would read 0x30 as a number."""
    read = yaml.load(ALERT_CASES.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506  makes plain values
    return list(read["tests"])


def expected(check: dict[str, Any]) -> set[frozenset[tuple[str, str]]]:
    return {labels_of(**found["exp_labels"]) for found in check["exp_alerts"]}


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["name"])
def test_an_alert_fires_when_it_should_and_only_then(case: dict[str, Any]) -> None:
    """By our own evaluator, which follows Prometheus as far as these cases need it; promtool below is the proof."""
    interval = seconds(case["interval"])
    series = [Series.parse(given["series"], given["values"], interval) for given in case["input_series"]]
    evaluator = Evaluator(series, records())
    for check in case["alert_rule_test"]:
        fired = firing(evaluator, alert(check["alertname"]), seconds(check["eval_time"]))
        assert fired == expected(check), (check["alertname"], check["eval_time"])


def test_a_restart_would_have_raised_an_alert_that_counts_every_refusal() -> None:
    """So the case of a planned restart proves something: as faults were counted by code alone, it fires."""
    case = next(case for case in cases() if case["name"].startswith("a planned restart is no fault"))
    interval = seconds(case["interval"])
    series = [Series.parse(given["series"], given["values"], interval) for given in case["input_series"]]
    faults = 'likeness_rpc_duration_seconds_count{namespace="good", code="UNAVAILABLE"}'
    ratio = (
        f"sum(rate({faults}[1h])) / sum(rate(likeness_rpc_duration_seconds_count{{namespace='good'}}[1h]))"
    )
    (share,) = Evaluator(series).vector(ratio, seconds("12m")).values()
    assert share > 14.4 * 0.001


def test_no_alert_needs_what_only_a_cluster_measures() -> None:
    fired = {
        check["alertname"]
        for case in cases()
        if all(re.match(r"likeness_|process_|up\{", given["series"]) for given in case["input_series"])
        for check in case["alert_rule_test"]
        if check["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in alerts()}


def promtool(*arguments: str, folder: Path, tested: list[dict[str, Any]]) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed, so the rules are checked by our own parser alone")
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": tested}), encoding="utf-8")
    done = subprocess.run(
        ["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_rules_and_the_sample_configuration(tmp_path: Path) -> None:
    shutil.copy(CONFIGURATION, tmp_path / "prometheus.yaml")
    promtool("check", "config", "prometheus.yaml", folder=tmp_path, tested=groups())


def test_the_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    shutil.copy(ALERT_CASES, tmp_path / "alerts.yaml")
    silent = groups()
    for rule in (rule for group in silent for rule in group["rules"]):
        rule.pop("annotations", None)
    promtool("test", "rules", "alerts.yaml", folder=tmp_path, tested=silent)


def test_every_alert_fires_in_some_case() -> None:
    fired = {
        check["alertname"] for case in cases() for check in case["alert_rule_test"] if check["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in alerts()}
