"""What the API server refuses by rules in the CRD, the agent refuses by its own code, and nothing else."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from apiserver.cases.allocation import mount
from apiserver.objects import Json, of
from apiserver_fixture import ApiError, Client
from device_plugin_api.hostpaths import mount_error
from device_plugin_api.names import resource_name_error


def refused(api: Client, item: Json) -> bool:
    try:
        api.create(item, dry_run=True)
    except ApiError as error:
        assert error.status == 422, error
        return True
    return False


_labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
_ends = st.sampled_from(["a", "b-c", "A", "_", "-", ".", "", "0", "ä", " ", "\n", "n" * 62, "n" * 63, "n" * 64, "a/b"])
_bad_domains = ["", "requests.a", "A.b", "a..b", "a.", "-a", "a_b", "ä.com", "d" * 245]
_theirs = ["kubernetes.io", "a.kubernetes.io", "xkubernetes.io"]
_odd_domains = ["requests", "k8s.io", "kubernetes.io.example.com", "d" * 243, "d" * 244]
_starts = st.sampled_from(_bad_domains + _theirs + _odd_domains)
_names = st.one_of(
    st.builds("{}/{}".format, st.one_of(_labels, _starts), st.one_of(_labels, _ends)),
    st.builds("{}.{}/{}{}".format, _labels, _starts, _labels, _ends),
    st.text(alphabet="aA0-_./ \n", min_size=1, max_size=12),
)


def test_the_api_server_and_the_agent_agree_on_resource_names(api: Client) -> None:
    outcomes = {True: 0, False: 0}

    @settings(max_examples=150, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(_names)
    def agree(name: str) -> None:
        theirs = refused(api, of(name=name))
        assert theirs == (resource_name_error(name) is not None), name
        outcomes[theirs] += 1

    agree()
    assert min(outcomes.values()) > 20, "the names tried are too much alike"


@pytest.mark.parametrize("read_only", [True, False], ids=["read only", "writable"])
@pytest.mark.parametrize(
    "path",
    [
        *("/opt", "/opt/", "/opt/a", "/opt//a", "/opt/.", "/opt/..", "/opt/.a", "/opt/a b", "/opt/a\n", "/opt/ä"),
        *("/opt/\u00a0", "/opt/\u200b", "/opt/\u2028", "/optional", "opt", "", "/", "/srv", "/srv/a/b", "/etc", "/usr"),
        *("/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/local/etc", "/run/deviceplugins.dev/a", "/run/a", "/dev/a"),
    ],
    ids=repr,
)
def test_the_api_server_and_the_agent_agree_on_mounts(api: Client, path: str, read_only: bool) -> None:
    theirs = refused(api, mount(path, readOnly=read_only))
    assert theirs == (mount_error(path, read_only=read_only) is not None)
