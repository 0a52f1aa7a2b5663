import pytest

from data.presets import FOLDER, all_presets, load_presets
from features.signals import ConstantLimit, SeriesLimit, Signal

PRESETS = list(all_presets().values())


def test_every_file_gives_presets() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} >= {"host", "service", "tls", "queue", "network", "windows"}
    assert {name.split(".")[0] for name in all_presets()} == {path.stem for path in FOLDER.glob("*.yaml")}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_tells_a_ticket_what_it_needs(preset: Signal) -> None:
    assert preset.title
    assert preset.unit
    assert preset.identity is not None, "else a pod's churn breaks its history"
    assert preset.advice is not None
    assert 150 < len(preset.advice) < 600
    assert preset.advice.count(". ") >= 1, "a few sentences, no slogan"
    for limit in preset.limits:
        if isinstance(limit, ConstantLimit):
            assert preset.minimum is None or limit.value > preset.minimum
            assert preset.maximum is None or limit.value < preset.maximum
        if isinstance(limit, SeriesLimit):
            assert limit.metric != preset.metric


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("mem_used_percent", "host.memory"),
        ("memory_used_percent", "host.memory"),
        ("disk_used_percent", "host.disk"),
        ("disk_free_bytes", "host.disk_free"),
        ("inode_used_percent", "host.inodes"),
        ("cpu_used_percent", "host.cpu"),
        ("process_open_fds", "service.file_descriptors"),
        ("tls_certificate_days_left", "tls.certificate"),
        ("disk_total_bytes", None),
        ("cpu_used_percent_max5m", None),
        ("net_rx_kbps", None),
    ],
)
def test_well_known_names_are_recognised_and_others_are_not(metric: str, expected: str | None) -> None:
    assert next((p.name for p in PRESETS if p.matches("db-01", metric, {})), None) == expected


def test_they_come_in_the_order_asked_for() -> None:
    assert [signal.name for signal in load_presets(["tls.certificate", "host.disk"])] == [
        "tls.certificate",
        "host.disk",
    ]


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown preset 'host.memroy'; did you mean host.memory"):
        load_presets(["host.disk", "host.memroy"])
