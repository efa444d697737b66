"""What Helm makes of values, against the schemas of Kubernetes."""

import subprocess
import tomllib

import kubernetes_validate
import pytest
from chart import CHART, HELM, Refused, only, render, values

ROLES = ["server0", "server1", "dealer"]
POSTGRES = {"database": "postgres://blindroute@db.example/ledgers", "secretName": "database"}
VARIANTS = {
    "least": {},
    "lanes": {"lanes": 3},
    "scaled": {"autoscaling": {"enabled": True}, "maxLanes": 4},
    "database": {"ledger": POSTGRES},
    "unobserved": {"observe": {"port": 0}},
    "everything": {
        "image": {"repository": "r.example/b", "digest": "sha256:" + "0" * 64, "pullSecrets": ["pull"]},
        "identity": {"secretName": "identity", "sealingKey": "sealing.key"},
        "authorities": {"configMapName": "authorities", "client": ["authority.pem", "other.pem"], "dealer": "dealer.pem"},
        "configuration": {"clientsSecretName": "clients", "extra": "max_handshakes = 32"},
        "service": {"type": "NodePort", "annotations": {"name": "lane-{lane}.example"}},
        "observe": {"from": {"app": "prometheus"}},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "mpc", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}, "podAntiAffinity": {}},
        "podAnnotations": {"note": "x"},
        "state": {"size": "2Gi", "className": "fast"},
    },
}


def test_the_chart_passes_helms_own_check(tmp_path):
    given = tmp_path / "values.yaml"
    given.write_text(str(values("dealer")))
    done = subprocess.run([HELM, "lint", "--strict", CHART, "--values", given], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", ["1.29", "1.31", "1.34"])
@pytest.mark.parametrize("role", ROLES)
def test_what_it_makes_is_what_kubernetes_takes(role, version):
    for name, changes in VARIANTS.items():
        documents = render(values(role, **changes))
        kinds = [document["kind"] for document in documents]
        assert {"StatefulSet", "Service", "ConfigMap", "PodDisruptionBudget", "NetworkPolicy"} <= set(kinds), name
        for document in documents:
            kubernetes_validate.validate(document, version, strict=True)


def test_a_mistake_in_what_is_made_would_be_noticed():
    stateful = only(render(values("dealer")), "StatefulSet")
    stateful["spec"]["template"]["spec"]["containers"][0]["arg"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(stateful, "1.31", strict=True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"role": "server2"}, "role must be one of"),
        ({"rol": "dealer"}, "rol is not allowed"),
        ({"lanes": 0}, "lanes"),
        ({"image": {"repository": "r.example/b", "tag": ""}}, "image"),
        ({"identity": {"secretName": ""}}, "identity.secretName"),
        ({"bundle": {"volume": {}}}, "bundle.volume"),
        ({"addresses": {"dealer": "", "server0": "s:1"}}, "a server needs the dealer's address"),
        ({"addresses": {"dealer": "d:1", "server0": ""}}, "server 1 calls server 0"),
        ({"addresses": {"dealer": "d:1", "server0": "s:1"}, "lanes": 2}, "one address for several lanes"),
        ({"addresses": {"dealer": "no port"}}, "addresses.dealer"),
        ({"autoscaling": {"enabled": True}}, "needs maxLanes above lanes"),
        ({"ledger": {"database": "postgres://a@db.example/x"}}, "needs ledger.secretName"),
        ({"bundle": {"volume": {"emptyDir": {}}, "next": {"public": "next.bin"}}}, "bundle.next.share is empty"),
        ({"ledger": {"database": "mysql://a@db.example/x"}}, "ledger.database"),
    ],
)
def test_values_that_make_no_deployment_are_refused(changes, says):
    with pytest.raises(Refused) as refused:
        render(values("server1") | changes)
    assert says in str(refused.value)


def test_each_lane_has_a_configuration_a_service_and_a_ledger_of_its_own():
    documents = render(values("server1", lanes=2, maxLanes=3, ledger=POSTGRES, autoscaling={"enabled": True}))
    files = only(documents, "ConfigMap")["data"]
    assert sorted(files) == [f"north-server1-{lane}.toml" for lane in range(3)]
    for lane in range(3):
        config = tomllib.loads(files[f"north-server1-{lane}.toml"])
        assert (config["party"], config["peer"]) == (1, f"server0-{lane}.example:4100")
        assert config["ledger"]["name"] == f"server1-{lane}"
    selectors = [document["spec"]["selector"] for document in documents if document["kind"] == "Service"]
    assert [selector.get("statefulset.kubernetes.io/pod-name") for selector in selectors] == [
        None,
        "north-server1-0",
        "north-server1-1",
        "north-server1-2",
    ]
    scaler = only(documents, "HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 3)
    assert "replicas" not in only(documents, "StatefulSet")["spec"], "the autoscaler says how many"


def test_the_configuration_names_what_is_mounted():
    bundle = {"volume": {"emptyDir": {}}, "next": {"public": "next.bin", "share": "next-share.bin"}}
    files = only(render(values("server0", listen="[::]:4100", bundle=bundle)), "ConfigMap")["data"]
    config = tomllib.loads(files["north-server0-0.toml"])
    assert (config["observe"], config["next"]["share"]) == ("[::]:9464", "/etc/blindroute/bundle/next-share.bin")
    assert config["timeouts"] == {"drain_seconds": 30}
    for role in ROLES:
        stateful = only(render(values(role)), "StatefulSet")["spec"]["template"]["spec"]
        mounted = [mount["mountPath"] for mount in stateful["containers"][0]["volumeMounts"]]
        config = only(render(values(role)), "ConfigMap")["data"][f"north-{role}-0.toml"]
        named = [word for word in config.replace('"', " ").split() if word.startswith("/")]
        assert named and all(any(name.startswith(f"{path}/") for path in mounted) for name in named)


def test_a_changed_configuration_restarts_the_lanes_and_a_changed_limit_does_not():
    def digest(**changes):
        stateful = only(render(values("dealer", **changes)), "StatefulSet")
        return stateful["spec"]["template"]["metadata"]["annotations"]["blindroute/configuration"]

    assert digest() == digest(resources={"limits": {"memory": "3Gi"}})
    assert digest() != digest(drainSeconds=31)


def test_pods_may_do_little_and_wait_for_what_runs():
    for role in ROLES:
        pod = only(render(values(role, drainSeconds=40)), "StatefulSet")["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["automountServiceAccountToken"] is False and pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod["terminationGracePeriodSeconds"] > 40
        (apart,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        component = apart["labelSelector"]["matchExpressions"][1]
        assert (component["operator"], component["values"]) == ("NotIn", [role])
