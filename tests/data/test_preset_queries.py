"""The presets' PromQL before a real Prometheus: its parser, and its engine over series that were made up."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from data.presets import all_presets
from features.promql import expanded, is_gap_true
from features.signals import SeriesLimit, Signal

PROMTOOL = shutil.which("promtool")
ASKED = [preset for preset in all_presets().values() if preset.query]
engine = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed; apt install prometheus")
DEPLOYED = "shop-7d4b9c6f5d-x2x9z"


def queries(preset: Signal) -> Iterator[tuple[str, str]]:
    """The names under which series are stored, each with its PromQL."""
    if preset.query:
        yield preset.metric, preset.query.usage
    for limit in preset.limits:
        if isinstance(limit, SeriesLimit) and limit.query:
            yield limit.metric, limit.query


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        [str(PROMTOOL), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def holds(folder: Path, given: Mapping[str, str], expected: Sequence[tuple[str, Mapping[str, str], float]]) -> None:
    """Put queries to Prometheus' engine at minute 10 of series that are scraped each minute.

    Args:
        given: series -> values, in promtool's notation.
        expected: query, its only sample's labels, and its value; no labels where it must answer nothing.
    """
    asked = [
        {
            "expr": expanded(query, "5m", 'env=""'),
            "eval_time": "10m",
            "exp_samples": [{"labels": written(labels), "value": value}] if labels else [],
        }
        for query, labels, value in expected
    ]
    series = [{"series": name, "values": values} for name, values in given.items()]
    file = folder / "queries.yaml"
    file.write_text(yaml.safe_dump({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": asked}]}))
    promtool("test", "rules", file)


def written(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def preset(name: str) -> tuple[str, str]:
    """Usage, and the first limit that is a series; empty where there is none."""
    found = all_presets()[name]
    assert found.query
    return found.query.usage, next(iter(q for limit in found.limits if (q := getattr(limit, "query", None))), "")


def test_every_query_leaves_gaps_and_asks_in_the_source_s_name() -> None:
    assert len(ASKED) > 45
    for one in ASKED:
        for metric, promql in queries(one):
            assert is_gap_true(promql), f"{one.name}: {metric}"
            assert promql.count("[$step]") == promql.count("$matchers"), f"{one.name}: {metric}"
            assert 'job="' not in promql and 'job=~"' not in promql, f"{one.name}: {metric}"


def test_a_stored_name_belongs_to_one_preset() -> None:
    owners: dict[str, str] = {}
    for one in ASKED:
        for metric in {metric for metric, _ in queries(one)}:
            assert owners.setdefault(metric, one.name) == one.name, f"{metric} is stored by two presets"
            taken = [other.name for other in all_presets().values() if other.matches("x", metric, dict(other.labels))]
            assert taken in ([], [one.name]), f"{metric} is also matched by {taken}"


@engine
@pytest.mark.parametrize("matchers", ["", 'env="prod",team=~"a|b"'])
def test_prometheus_can_read_every_query(tmp_path: Path, matchers: str) -> None:
    rules = [{"record": "x", "expr": expanded(promql, "5m", matchers)} for one in ASKED for _, promql in queries(one)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "presets", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "rules.yaml")


@engine
@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        (DEPLOYED, "shop"),
        ("shop-api-v2-6d8f7-bcdfg", "shop-api-v2-6d8f7"),  # no hash of a ReplicaSet: it has 8 to 10 characters
        ("orders-db-0", "orders-db"),
        ("node-agent-x2x9z", "node-agent"),
        ("backup-28391820-x2x9z", "backup"),
        ("toolbox", "toolbox"),
    ],
)
def test_a_pod_s_name_leads_to_its_workload(tmp_path: Path, pod: str, workload: str) -> None:
    usage, limit = preset("service.memory")
    labels = f'{{namespace="a",pod="{pod}",container="app",image="i",instance="10.0.0.1:10250"}}'
    whose = {"namespace": "a", "workload": workload, "container": "app"}
    given = {
        f"container_memory_working_set_bytes{labels}": "7x10",
        f"container_spec_memory_limit_bytes{labels}": "100x10",
    }
    holds(tmp_path, given, [(usage, whose, 7), (limit, whose, 100)])


@engine
def test_what_runs_outside_of_a_cluster_is_known_by_its_host(tmp_path: Path) -> None:
    usage, limit = preset("service.heap")
    pool = 'jvm_memory_%s_bytes{area="heap",id="%s",job="shop",instance="app-1:8080"}'
    given = {pool % ("used", "eden"): "3x10", pool % ("used", "old"): "4x10",
             pool % ("max", "eden"): "-1x10", pool % ("max", "old"): "50x10"}  # fmt: skip
    whose = {"workload": "app-1", "job": "shop", "area": "heap"}
    holds(tmp_path, given, [(usage, whose, 7), (limit, whose, 50)])


@engine
def test_what_listens_on_another_port_of_a_host_is_another_thing(tmp_path: Path) -> None:
    given, expected = {}, []
    for port, days in ((993, 2), (465, 60)):
        given[f'probe_ssl_earliest_cert_expiry{{instance="mail.example:{port}"}}'] = f"{600 + days * 86400}x10"
        expected.append((f'({preset("tls.probe")[0]}) and on (target) '
                         f'label_replace(vector(1), "target", "mail.example:{port}", "", "")',
                         {"target": f"mail.example:{port}"}, days))  # fmt: skip
    usage, limit = preset("database.redis_memory")
    for port, used, most in ((6379, 3, 10), (6380, 70, 100)):
        at = f'{{job="redis",instance="kv-1:{port}"}}'
        given |= {f"redis_memory_used_bytes{at}": f"{used}x10", f"redis_memory_max_bytes{at}": f"{most}x10"}
        whose = {"workload": "kv-1", "target": f"kv-1:{port}"}
        only = f'and on (target) label_replace(vector(1), "target", "kv-1:{port}", "", "")'
        expected += [(f"({usage}) {only}", whose, used), (f"({limit}) {only}", whose, most)]
    holds(tmp_path, given, expected)


def test_what_tells_a_series_apart_is_kept() -> None:
    for one in ASKED:
        for metric, promql in queries(one):
            if " target" in promql or "(target" in promql:
                assert one.query and "target" in (*one.query.entity, *(one.identity or ())), f"{one.name}: {metric}"


@engine
@pytest.mark.parametrize("name", ["database.redis_memory", "database.postgres_size", "queue.broker_memory"])
def test_a_pod_s_address_is_no_part_of_what_it_is(tmp_path: Path, name: str) -> None:
    one = all_presets()[name]
    given = {f'{one.metric}{{namespace="a",pod="kv-{n}",instance="10.0.0.{n}:6379"}}': f"{n}x10" for n in (1, 2)}
    holds(tmp_path, given, [(preset(name)[0], {"namespace": "a", "workload": "kv"}, 2)])


@engine
def test_the_fullest_pod_speaks_for_its_workload(tmp_path: Path) -> None:
    usage, _ = preset("service.file_descriptors")
    series = 'process_open_fds{namespace="a",job="shop",pod="shop-7d4b9c6f5d-%s",instance="10.0.0.%d:8080"}'
    given = {series % ("x2x9z", 1): "5x10", series % ("bcd42", 2): "9x10"}
    holds(tmp_path, given, [(usage, {"namespace": "a", "workload": "shop", "job": "shop"}, 9)])


@engine
def test_a_device_seen_at_several_mountpoints_counts_once(tmp_path: Path) -> None:
    usage, limit = preset("host.disk_free")
    at = 'node_filesystem_%s{instance="db-1:9100",device="/dev/sda1",fstype="ext4",mountpoint="%s"}'
    given = {
        at % (name, mountpoint): f"{value}x10"
        for mountpoint in ("/", "/var/lib/bound")
        for name, value in (("avail_bytes", 30), ("size_bytes", 100), ("readonly", 0))
    }
    whose = {"instance": "db-1:9100", "volume": "/dev/sda1"}
    holds(tmp_path, given, [(usage, whose, 30), (limit, whose, 100)])


@engine
def test_a_share_counts_once_however_many_hosts_mount_it(tmp_path: Path) -> None:
    at = 'node_filesystem_%s{instance="web-%d:9100",device="nas:/home",fstype="nfs4",mountpoint="/home"}'
    given = {
        at % (name, host): f"{value}x10"
        for host in range(3)
        for name, value in (("avail_bytes", 30), ("size_bytes", 100), ("readonly", 0))
    }
    usage, limit = preset("host.shared_filesystem")
    local, _ = preset("host.disk_free")
    holds(
        tmp_path, given, [(usage, {"device": "nas:/home"}, 30), (limit, {"device": "nas:/home"}, 100), (local, {}, 0)]
    )


@engine
def test_claims_on_one_export_count_once_and_the_others_each(tmp_path: Path) -> None:
    given = {}
    for claim, used, mode, storage in (("a", 90, "ReadWriteMany", "nfs"), ("b", 90, "ReadWriteMany", "nfs"),
                                       ("db", 20, "ReadWriteOnce", "block")):  # fmt: skip
        whose = f'namespace="n",persistentvolumeclaim="{claim}"'
        for node in "12" if mode == "ReadWriteMany" else "1":
            for name, value in (("used", used), ("available", 100 - used), ("capacity", 100)):
                given[f'kubelet_volume_stats_{name}_bytes{{{whose},node="{node}"}}'] = f"{value}x10"
        given[f'kube_persistentvolumeclaim_access_mode{{{whose},access_mode="{mode}"}}'] = "1x10"
        given[f'kube_persistentvolumeclaim_info{{{whose},storageclass="{storage}"}}'] = "1x10"
    own, capacity = preset("kubernetes.volume")
    shared, _ = preset("kubernetes.shared_volume")
    claim = {"namespace": "n", "persistentvolumeclaim": "db"}
    holds(tmp_path, given, [(own, claim, 20), (f"({capacity}) and on (persistentvolumeclaim) ({own})", claim, 100),
                            (shared, {"storageclass": "nfs"}, 0.1)])  # fmt: skip


@engine
def test_reclaimable_memory_is_not_in_use(tmp_path: Path) -> None:
    given = {f'node_memory_{name}_bytes{{instance="a:1"}}': f"{value}x10"
             for name, value in (("MemTotal", 100), ("MemFree", 2), ("MemAvailable", 60))}  # fmt: skip
    usage, limit = preset("host.memory_used")
    holds(tmp_path, given, [(usage, {"instance": "a:1"}, 40), (limit, {"instance": "a:1"}, 100)])


@engine
def test_a_step_in_which_nothing_was_scraped_stays_empty(tmp_path: Path) -> None:
    usage, limit = preset("host.file_handles")
    given = {'node_filefd_allocated{instance="a:1"}': "7x4", 'node_filefd_maximum{instance="a:1"}': "9x4"}
    holds(tmp_path, given, [(usage, {}, 0), (limit, {}, 0)])


@engine
def test_ratios_and_rates_mean_what_they_say(tmp_path: Path) -> None:
    given = {f'node_cpu_seconds_total{{instance="a:1",cpu="{cpu}",mode="{mode}"}}': f"0+{rate}x10"
             for cpu in "01" for mode, rate in (("idle", 30), ("iowait", 15), ("user", 15))}  # fmt: skip
    given |= {'node_load15{instance="a:1"}': "4x10"}
    for code, rate in (("200", 57), ("503", 3)):
        given[f'http_requests_total{{job="shop",code="{code}"}}'] = f"0+{rate}x10"
    holds(tmp_path, given, [(preset("host.cpu")[0], {"instance": "a:1"}, 25),
                            (preset("host.load_average")[0], {"instance": "a:1"}, 2),
                            (preset("service.error_ratio")[0], {"job": "shop"}, 0.05)])  # fmt: skip
