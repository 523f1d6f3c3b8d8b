"""etcd and kube-apiserver, started in seconds and stopped without traces."""

import secrets
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import yaml

from apiserver_fixture.audit import POLICY
from apiserver_fixture.client import ApiError, Client, Json
from apiserver_fixture.pki import Pki
from apiserver_fixture.process import Exited, Process

ROOT = Path(__file__).parents[2]

CONTROLLERS = (
    "daemonset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "validatingadmissionpolicy-status-controller",
)
"""What start_controllers() runs unless told otherwise."""

_SECONDS_TO_START = 30.0


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody uses now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


class ControlPlane:
    """A control plane in `folder` from the binaries in `assets`. start() it, stop() it, or use it in `with`.

    With `audited`, what the operator and the agents ask of the API server is kept in audit.log.
    """

    def __init__(self, assets: Path, folder: Path, *, audited: bool = False) -> None:
        self.assets = assets
        self.folder = folder
        self.url = ""
        self.admin_token = secrets.token_hex(16)
        self.kubeconfig = folder / "kubeconfig"
        self._audited = audited
        self._pki = Pki(folder)
        self._processes: list[Process] = []
        self._clients: list[Client] = []
        self._controllers: Process | None = None

    @property
    def ca_file(self) -> Path:
        """The authority that signed the API server's certificate."""
        return self._pki.ca

    @property
    def pids(self) -> list[int]:
        """Of every process of ours."""
        return [process.pid for process in self._processes]

    def client(self, token: str | None = None) -> Client:
        """A client as the bearer of `token`, or as cluster administrator; closed by stop() if not before."""
        made = Client(self.url, self.ca_file, token or self.admin_token)
        self._clients.append(made)
        return made

    def __enter__(self) -> "ControlPlane":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the API server is ready. A port that was taken in between costs another try."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._pki.make()
        groups = '"system:masters"'
        (self.folder / "tokens.csv").write_text(f"{self.admin_token},admin,admin,{groups}\n")
        for tries_left in (2, 1, 0):
            try:
                self._start()
                return
            except BaseException as error:
                self.stop()
                if not (isinstance(error, Exited) and "address already in use" in str(error) and tries_left):
                    raise

    def _start(self) -> None:
        etcd_port, peer_port, api_port = free_ports(3)
        etcd, peer, self.url = (
            f"http://127.0.0.1:{etcd_port}",
            f"http://127.0.0.1:{peer_port}",
            f"https://127.0.0.1:{api_port}",
        )
        self._run(
            *("etcd", "--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync", "--log-level", "error"),
            *("--listen-client-urls", etcd, "--advertise-client-urls", etcd),
            *(
                "--listen-peer-urls",
                peer,
                "--initial-advertise-peer-urls",
                peer,
                "--initial-cluster",
                f"default={peer}",
            ),
        )
        self._run(
            *("kube-apiserver", "--etcd-servers", etcd, "--bind-address", "127.0.0.1"),
            *("--advertise-address", "127.0.0.1", "--secure-port", str(api_port)),
            *("--tls-cert-file", str(self._pki.certificate), "--tls-private-key-file", str(self._pki.key)),
            *("--client-ca-file", str(self._pki.ca), "--token-auth-file", str(self.folder / "tokens.csv")),
            *("--service-account-key-file", str(self._pki.accounts_public)),
            *("--service-account-signing-key-file", str(self._pki.accounts_key)),
            *("--service-account-issuer", "https://kubernetes.default.svc"),
            *("--service-cluster-ip-range", "10.0.0.0/24", "--authorization-mode", "RBAC"),
            *("--endpoint-reconciler-type", "none", "--profiling=false"),
            # The first wants a token in each pod; the second taints each new node until a kubelet says it is ready.
            *("--disable-admission-plugins", "ServiceAccount,TaintNodesByCondition"),
            *((f"--audit-policy-file={POLICY}", f"--audit-log-path={self.audit_log}") if self._audited else ()),
        )
        self._write_kubeconfig()
        admin = self.client()
        self._wait("the API server is ready", lambda: self._answers(admin, "/readyz"))
        self._wait("the default namespace exists", lambda: admin.find("v1", "Namespace", "default") is not None)

    @property
    def audit_log(self) -> Path:
        """One event a line, written before the request is answered."""
        return self.folder / "audit.log"

    def _run(self, name: str, *arguments: str) -> Process:
        process = Process([str(self.assets / name), *arguments], self.folder / f"{name}.log")
        self._processes.append(process)
        return process

    def _wait(self, what: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while not done():
            for process in self._processes:
                process.check()
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {process.name}:\n{process.tail()}" for process in self._processes)
                raise TimeoutError(f"not within {_SECONDS_TO_START:g} s: {what}\n{tails}")
            time.sleep(0.05)

    @staticmethod
    def _answers(client: Client, path: str) -> bool:
        try:
            return client.request("GET", path) == {"text": "ok"}
        except (ApiError, OSError):
            return False

    def _write_kubeconfig(self) -> None:
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self.admin_token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "current-context": "test",
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))
        self.kubeconfig.chmod(0o600)

    def start_controllers(self, controllers: Sequence[str] = CONTROLLERS) -> None:
        """Run kube-controller-manager; returns when it is up. A second call changes nothing."""
        if self._controllers is not None:
            return
        (port,) = free_ports(1)
        self._controllers = self._run(
            *("kube-controller-manager", "--kubeconfig", str(self.kubeconfig), "--leader-elect=false"),
            *("--bind-address", "127.0.0.1", "--secure-port", str(port), "--authentication-skip-lookup=true"),
            *("--tls-cert-file", str(self._pki.certificate), "--tls-private-key-file", str(self._pki.key)),
            *("--controllers", ",".join(controllers), "--kube-api-qps", "2000", "--kube-api-burst", "4000"),
            *("--concurrent-daemonset-syncs", "2"),
            *("--service-account-private-key-file", str(self._pki.accounts_key)),
            *("--root-ca-file", str(self.ca_file)),
        )
        with Client(f"https://127.0.0.1:{port}", self.ca_file, "") as probe:
            self._wait("the controllers run", lambda: self._answers(probe, "/healthz"))

    def stop_controllers(self) -> None:
        """Stop kube-controller-manager."""
        if self._controllers is not None:
            self._controllers.stop()
            self._processes.remove(self._controllers)
            self._controllers = None

    def stop(self) -> None:
        """Clients, controllers, API server, etcd, in this order; returns when each process is gone."""
        while self._clients:
            self._clients.pop().close()
        while self._processes:
            self._processes.pop().stop()
        self._controllers = None
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)

    def install(self) -> None:
        """Our CRDs and, except the operator's Deployment, everything in manifests/base; waits until all is served."""
        with self.client() as admin:
            crds = self._documents(ROOT / "crds")
            for item in crds:
                admin.apply(item, manager="install")
            self._wait("the CRDs are served", lambda: all(self._serves(admin, item) for item in crds))
            others = self._documents(ROOT / "manifests/base")
            for item in sorted(others, key=lambda item: item["kind"] != "Namespace"):
                if item["kind"] != "Deployment":
                    admin.apply(item, manager="install")
            self._wait("the policies are in force", lambda: self._guards(admin))

    @staticmethod
    def _guards(admin: Client) -> bool:
        """Whether the policy on configs refuses what it shall and, having found its settings, nothing else."""

        def accepted(path: str) -> bool:
            resource = {"name": "example.com/probe", "source": {"paths": {"include": [path]}}}
            head = {"apiVersion": "deviceplugins.dev/v1alpha1", "kind": "DevicePluginConfig"}
            try:
                admin.create({**head, "metadata": {"name": "probe"}, "spec": {"resources": [resource]}}, dry_run=True)
            except ApiError as error:
                if error.status != 403:
                    raise
                return False
            return True

        return accepted("/dev/null") and not accepted("/dev/mem")

    @staticmethod
    def _serves(admin: Client, definition: Json) -> bool:
        spec = definition["spec"]
        try:
            admin.request("GET", f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}")
        except ApiError:
            return False
        return True

    @staticmethod
    def _documents(folder: Path) -> list[Json]:
        return [
            item
            for path in sorted(folder.glob("*.yaml"))
            if path.name != "kustomization.yaml"
            for item in yaml.safe_load_all(path.read_text())
            if item
        ]

    def token_for(self, namespace: str, service_account: str, *, node: str | None = None, pod: str = "") -> str:
        """A ServiceAccount's token, as the kubelet of `node` asks one for a pod; without a node bound to nothing.

        Namespace, ServiceAccount, Node and Pod (`<service account>-<node>` unless named) are made where missing.
        """
        with self.client() as admin:
            self._ensure(admin, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            account = {"name": service_account, "namespace": namespace}
            self._ensure(admin, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
            spec: Json = {"expirationSeconds": 3600}
            if node is not None:
                self._ensure(admin, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
                bound = self._ensure(
                    admin,
                    {
                        "apiVersion": "v1",
                        "kind": "Pod",
                        "metadata": {"name": pod or f"{service_account}-{node}", "namespace": namespace},
                        "spec": {
                            "nodeName": node,
                            "serviceAccountName": service_account,
                            "automountServiceAccountToken": False,
                            "containers": [{"name": "agent", "image": "none"}],
                        },
                    },
                )
                meta = bound["metadata"]
                spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
            request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
            path = admin.path("v1", "ServiceAccount", service_account, namespace=namespace, subresource="token")
            return str(admin.request("POST", path, body=request)["status"]["token"])

    @staticmethod
    def _ensure(admin: Client, item: Json) -> Json:
        meta = item["metadata"]
        found = admin.find(item["apiVersion"], item["kind"], meta["name"], namespace=meta.get("namespace"))
        return found or admin.create(item)
