import pytest

from reports.ticket_causes import fingerprint


@pytest.mark.parametrize(
    ("cause", "digits"),
    [
        (("db-02", "host.memory", "critical", "up"), "e1cd318a89"),
        (('Größe/\n"x"', "tls.certificate", "a,b", "down"), "a4ae0f3bb9"),
    ],
)
def test_fingerprints_are_for_ever(cause, digits):
    assert fingerprint(*cause) == digits


def test_parts_do_not_run_into_each_other():
    assert fingerprint("a", "bc", "d", "up") != fingerprint("ab", "c", "d", "up")
