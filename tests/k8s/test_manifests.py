"""The manifests render, are what the API server accepts, and say what the service needs."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate.utils as kubernetes
import pytest

import likeness
from likeness.app.sections import split_address
from likeness.app.settings import Settings, load
from likeness.rpc.server import LIVE, OVERALL
from tests.k8s.containerfile import stages
from tests.k8s.manifests import K8S, RENDERED, Object, environment, one, pod, render, service_container

OPERATOR_KINDS = {"ServiceMonitor", "PrometheusRule"}
OLDEST, NEWEST = "1.29", kubernetes.all_versions()[-1]
"""1.29 is the oldest release that has every field used here by default."""

CONFINED = {
    "allowPrivilegeEscalation": False,
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def image() -> dict[str, str]:
    """The variables of ours that the image sets."""
    return {name: value for name, value in stages()[-1].environment.items() if name.startswith("LIKENESS_")}


def settings_of(name: str) -> Settings:
    """What the service itself makes of the variables of the image and of the manifests."""
    return load(environment=image() | environment(name))


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", RENDERED)
def test_every_built_in_object_is_valid(name: str, version: str) -> None:
    objects = [found for found in render(name) if found["kind"] not in OPERATOR_KINDS]
    assert objects
    for found in objects:
        kubernetes.validate(found, version, strict=True)


def test_validation_refuses_an_unknown_field() -> None:
    broken = {**one("base", "PodDisruptionBudget"), "spek": {}}
    with pytest.raises(kubernetes.ValidationError):
        kubernetes.validate(broken, NEWEST, strict=True)


def test_the_base_needs_no_operator() -> None:
    assert not {found["kind"] for found in render("base")} & OPERATOR_KINDS
    assert {found["kind"] for found in render("overlays/monitored")} >= OPERATOR_KINDS


@pytest.mark.parametrize("name", RENDERED)
def test_every_object_lives_in_the_namespace_of_the_overlay(name: str) -> None:
    namespace = one(name, "Namespace")["metadata"]["name"]
    assert {o["metadata"]["namespace"] for o in render(name) if o["kind"] != "Namespace"} == {namespace}


@pytest.mark.parametrize("name", RENDERED)
def test_the_service_accepts_its_variables(name: str) -> None:
    settings = settings_of(name)
    ports = {port["name"]: port["containerPort"] for port in service_container(name)["ports"]}
    assert split_address(settings.grpc.address) == ("0.0.0.0", ports["grpc"])  # noqa: S104  a pod's own address
    assert split_address(settings.metrics.address) == ("0.0.0.0", ports["metrics"])  # noqa: S104
    assert split_address(settings.health.address) == ("0.0.0.0", ports["health"])  # noqa: S104


@pytest.mark.parametrize("name", RENDERED)
def test_calls_come_in_over_mutual_tls_alone(name: str) -> None:
    settings = settings_of(name)
    assert not settings.tls.missing
    assert not settings.grpc.insecure_trust_everyone
    mounted = {mount["mountPath"]: mount for mount in service_container(name)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod(name)["volumes"]}
    files = (settings.tls.certificate, settings.tls.key, settings.tls.authorities, settings.access.directory)
    for file in files:
        assert file is not None
        mount = mounted[str(file.parent)]
        assert mount["readOnly"] is True
        assert "subPath" not in mount  # which would stay what it was when the certificate is renewed
        volume = volumes[mount["name"]]
        if "secret" in volume:
            assert file.name in {item["path"] for item in volume["secret"]["items"]}


@pytest.mark.parametrize("name", RENDERED)
def test_what_is_stored_lies_on_the_volume(name: str) -> None:
    home = str(settings_of(name).home)
    mounted = {mount["name"]: mount["mountPath"] for mount in service_container(name)["volumeMounts"]}
    (claim,) = one(name, "StatefulSet")["spec"]["volumeClaimTemplates"]
    assert mounted[claim["metadata"]["name"]] == home
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert one(name, "StatefulSet")["spec"]["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }


@pytest.mark.parametrize("name", RENDERED)
def test_every_mount_has_its_volume(name: str) -> None:
    spec = pod(name)
    volumes = {volume["name"] for volume in spec.get("volumes", [])} | {"data"}
    used = {
        m["name"] for c in (*spec.get("initContainers", []), *spec["containers"]) for m in c["volumeMounts"]
    }
    assert used == volumes


@pytest.mark.parametrize("name", RENDERED)
def test_one_pod_and_no_more(name: str) -> None:
    assert one(name, "StatefulSet")["spec"]["replicas"] == 1


@pytest.mark.parametrize("name", RENDERED)
def test_the_pod_is_confined(name: str) -> None:
    spec = pod(name)
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    user = f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
    assert stages()[-1].all("USER") == [user]
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        assert container["securityContext"] == CONFINED
        assert set(container["resources"]["limits"]) >= {"cpu", "memory"}
    labels = one(name, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", RENDERED)
def test_the_probes_ask_for_what_the_server_reports(name: str) -> None:
    container = service_container(name)
    port = split_address(settings_of(name).health.address)[1]  # the node speaks no TLS
    # A service that starts or drains is alive, and must not be killed for it.
    assert container["livenessProbe"]["grpc"] == {"port": port, "service": LIVE}
    assert container["startupProbe"]["grpc"] == {"port": port, "service": LIVE}
    assert container["readinessProbe"]["grpc"] == {"port": port, "service": OVERALL}


@pytest.mark.parametrize("name", RENDERED)
def test_the_pod_has_time_to_drain_and_to_save_its_index(name: str) -> None:
    grace = pod(name)["terminationGracePeriodSeconds"]
    assert grace >= settings_of(name).grpc.drain_grace + 60


def test_the_key_ring_reaches_the_service_readable_by_its_owner_only() -> None:
    spec = pod("base")
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    (copier,) = spec["initContainers"]
    mode, source, target = copier["command"][1:]
    assert copier["command"][0] == "install"
    assert mode == "--mode=0400"
    mounts = {mount["mountPath"]: mount["name"] for mount in copier["volumeMounts"]}
    assert volumes[mounts[str(Path(source).parent)]]["secret"]["defaultMode"] == 0o400
    memory = mounts[str(Path(target).parent)]
    assert volumes[memory]["emptyDir"]["medium"] == "Memory"
    assert settings_of("base").store.key_ring == Path(target)
    served = {mount["name"]: mount for mount in service_container("base")["volumeMounts"]}
    assert served[memory]["readOnly"] is True
    assert "key-ring-secret" not in served
    # Always would open the files of the volume to the group, and a key ring there would be refused.
    assert spec["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_the_dev_overlay_lets_the_service_make_its_key_ring() -> None:
    assert settings_of("overlays/dev").store.key_ring is None
    assert "initContainers" not in pod("overlays/dev")
    assert [v["name"] for v in pod("overlays/dev")["volumes"]] == ["tmp", "tls", "authorities", "access"]
    assert "PodDisruptionBudget" not in {found["kind"] for found in render("overlays/dev")}


def test_only_named_clients_and_prometheus_come_in_and_nothing_goes_out() -> None:
    policy = one("base", "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    for rule in policy["ingress"]:
        assert all("podSelector" in peer and peer["podSelector"]["matchLabels"] for peer in rule["from"])
        assert len(rule["ports"]) == 1
    assert [rule["ports"][0]["port"] for rule in policy["ingress"]] == ["grpc", "metrics"]
    assert policy["podSelector"]["matchLabels"] == selector()


def selector() -> Object:
    matched: Object = one("base", "StatefulSet")["spec"]["selector"]["matchLabels"]
    return matched


def test_selectors_find_the_pod() -> None:
    labels = one("base", "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert selector().items() <= labels.items()
    assert one("base", "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == selector()
    for name in ("likeness", "likeness-pods"):
        assert one("base", "Service", name)["spec"]["selector"] == selector()
    assert one("base", "StatefulSet")["spec"]["serviceName"] == "likeness-pods"
    assert one("base", "Service", "likeness-pods")["spec"]["clusterIP"] == "None"


def test_the_image_is_that_of_this_version() -> None:
    assert service_container("base")["image"] == f"likeness:{likeness.__version__}"
    (copier,) = pod("base")["initContainers"]
    assert copier["image"] == service_container("base")["image"]


def test_every_file_is_part_of_a_kustomization() -> None:
    texts = [file.read_text(encoding="utf-8") for file in K8S.rglob("kustomization.yaml")]
    manifests = (file for file in K8S.rglob("*") if file.is_file() and file.suffix != ".md")
    # Those under monitoring/ are for Prometheus itself.
    others = {file.name for file in manifests if "monitoring" not in file.parts}
    unused = {name for name in others - {"kustomization.yaml"} if not any(name in text for text in texts)}
    assert not unused
