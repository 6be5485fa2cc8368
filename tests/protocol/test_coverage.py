"""Nothing of the protocol is without a test that names it."""

from tests.protocol.coverage import missing, table


def test_everything_of_the_protocol_is_tested_somewhere():
    assert missing(table()) == []


def test_what_nobody_tests_is_missing():
    found = {**table(), "Songs": {"response.sung": []}}
    assert missing(found) == ["response.sung"]
