"""Whom an agent trusts to be the API server."""

import ssl

from device_plugin_agent import api_server


def test_a_server_has_to_prove_who_it_is_but_its_authority_may_be_an_old_one() -> None:
    context = api_server.trust(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
